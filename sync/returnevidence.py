"""Evidence of a whole return: all its records in one file, under one chain and one statement.

Entries of the zip, sorted by name:

    chain/<n>/header, salt, body, proof.tlog-proof     enrolments from the root to the origin
    manifest.json                                      {"files": …, "format": FORMAT}
    records/<nn>/header, proof.tlog-proof, parts/<i>/salt, body    as in `evidence`
    root-statement

Whoever may speak about a return stands on the way from the root to the node that
handed it in, so one chain proves every author. Records are in the order of the
time that they bear, then of their bytes, each once. Which of them belong
together is for the affair to say; here each is proved by itself.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from yidao.sync import errors
from yidao.sync.archive import write_archive
from yidao.sync.enrolment import Enrolment, verify_chain
from yidao.sync.evidencefiles import (
    MANIFEST,
    STATEMENT,
    ProvenRecord,
    bare_proof,
    chain_entries,
    check_lines,
    manifest_of,
    open_files,
    record_entries,
    take,
    take_chain,
    take_record,
)
from yidao.sync.ids import NetworkId
from yidao.sync.message import EnrolmentProof
from yidao.sync.record import Part, decode_header
from yidao.sync.rootstatement import open_root_statement

FORMAT: Final = "yidao-return-evidence-v1"
MAX_RECORDS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPieces:
    """What goes into the file of one record: its header, its `.tlog-proof`, parts to hand out."""

    header: bytes
    proof: bytes
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnEvidence:
    """The records that a file proves, each by itself; made from verified bytes alone.

    Attributes:
        chain: Enrolments from the root to the node that the return is of.
        records: In the order of the file.
    """

    network: NetworkId
    chain: tuple[Enrolment, ...]
    records: tuple[ProvenRecord, ...]


def build_return_evidence(
    *, records: Sequence[RecordPieces], statement: bytes, chain: Sequence[EnrolmentProof]
) -> bytes:
    """Return the evidence file of a return; the same pieces give the same bytes.

    Args:
        records: In any order.
        statement: The root statement file.
        chain: Enrolments from the root down to the node that handed the return in.

    Raises:
        EvidenceMalformed: No record, more than `MAX_RECORDS`, one twice, or over a
            limit of the file.
        EvidenceMismatch: A part that its header does not name.
    """
    _check_count(len(records))
    entries = {STATEMENT: statement, **chain_entries([bare_proof(each) for each in chain])}
    ordered = sorted(records, key=lambda each: _place(each.header))
    _check_order([each.header for each in ordered])
    for number, each in enumerate(ordered):
        folder = f"records/{number:02}"
        entries |= record_entries(folder, header=each.header, proof=each.proof, parts=each.parts)
    entries[MANIFEST] = manifest_of(FORMAT, entries)
    return write_archive(dict(sorted(entries.items())))


def verify_return_evidence(data: bytes, root_certificate_pem: bytes) -> ReturnEvidence:
    """Return what an evidence file proves; trust nothing but the root certificate.

    1. The file is whole, in its one form, and holds nothing that is not known.
    2. Enrolments lead from the root certificate to the origin of the return.
    3. Each record is in a journal of a node of that chain (see `take_record`); no
       proof bears a line that nobody of the chain made.
    4. They stand in their order, none twice.

    A cosignature that is missing is shown by its absence in `cosigners`: some
    journals, such as letters to a child, have nobody above who cosigns.

    Args:
        data: The file; untrusted.
        root_certificate_pem: The verifier's own copy.

    Raises:
        EvidenceIncomplete: Something that the claim needs is missing.
        PeerError: The first step that fails.
    """
    files = open_files(data, FORMAT)
    if list(files) != sorted(files):
        raise errors.EvidenceMalformed(reason="order of entries")
    count = sum(name.startswith("records/") and name.endswith("/header") for name in files)
    _check_count(count)
    statement = take(files, STATEMENT)
    enrolments = take_chain(files)
    chain = verify_chain(root_certificate_pem, statement, enrolments)
    if [bare_proof(each) for each in enrolments] != enrolments:
        raise errors.EvidenceMalformed(reason="unknown line")
    network = open_root_statement(statement, root_certificate_pem).network
    records = tuple(
        take_record(files, f"records/{number:02}", network, chain) for number in range(count)
    )
    if files:
        raise errors.EvidenceMalformed(reason="unknown entry")
    for each in records:
        check_lines(each, network)
    _check_order([each.raw for each in records])
    return ReturnEvidence(network=network, chain=chain, records=records)


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_RECORDS:
        raise errors.EvidenceMalformed(reason="number of records")


def _check_order(headers: Sequence[bytes]) -> None:
    places = [_place(header) for header in headers]
    if any(one >= next_ for one, next_ in itertools.pairwise(places)):
        raise errors.EvidenceMalformed(reason="order of records")


def _place(header: bytes) -> tuple[int, bytes]:
    return decode_header(header).created_ms, header
