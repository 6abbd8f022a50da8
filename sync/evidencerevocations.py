"""What an evidence file knows of revocations: who said so, when, and the revocations themselves.

Entries of the zip, none of them in files that do not say:

    revocations/state       a signed note by a node of the chain, see below
    revocations/<nn>/…      a record `node.child.revoked` each, laid out as in `evidence`

The note has five lines, signed by the cosigning key of the node that made the file:

    yidao-revocations-v1
    <network, hex>
    <the node's id, hex>
    <as of when, Unix milliseconds>
    <how many revocations of nodes of the chain it knew>

Whoever hands a file on may leave all of it out, and then nobody has said anything; what
is in it cannot be changed, and a revocation cannot be left out alone. Judged by it:

1. A record beyond the cut of its author is refused, and so is a chain that leads over an
   enrolment beyond the cut of who wrote it.
2. A cosignature by a node that was revoked counts for nothing: its time is the thief's
   word, and the checkpoint that it is on proves no order between it and the cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from yidao.sync import errors
from yidao.sync.checkpoint import parse_checkpoint
from yidao.sync.enrolment import Enrolment
from yidao.sync.evidencefiles import (
    ProvenRecord,
    check_lines,
    record_entries,
    take,
    take_record,
)
from yidao.sync.ids import JournalId, NetworkId, NodeId, cosigner_name
from yidao.sync.keytypes import log_type
from yidao.sync.message import EnrolmentProof
from yidao.sync.note import VerifierKey, open_note, sign_note
from yidao.sync.proof import parse_proof
from yidao.sync.record import Part, decode_header
from yidao.sync.revocation import CHANNELS, KIND, Revocation, check_authority, valid_size
from yidao.sync.suite import ML_DSA_44, Signer
from yidao.sync.trusterrors import EvidenceRevoked

FOLDER: Final = "revocations"
STATE: Final = "revocations/state"
#: A node has few: its own, those of the tiers above it, each perhaps by several.
MAX_REVOCATIONS: Final = 16
#: Milliseconds up to the year 9999.
_MAX_DIGITS: Final = 15

_FIRST_LINE: Final = "yidao-revocations-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationPieces:
    """What goes into a file of one revocation: header, parts, and a `.tlog-proof`."""

    header: bytes
    parts: tuple[Part, ...]
    proof: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationsKnown:
    """What the node that made a file knows of revocations; unsigned, as it goes in.

    Attributes:
        node_id: Of the node; one of the chain.
        as_of_ms: Unix milliseconds.
        cosign: Its cosigning key.
    """

    node_id: NodeId
    as_of_ms: int
    cosign: Signer
    found: tuple[RevocationPieces, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationState:
    """What a file says of revocations, verified.

    Attributes:
        by: The node that said so.
        as_of_ms: When, by its own clock.
        revocations: Each with the node that wrote it.
    """

    by: Enrolment
    as_of_ms: int
    revocations: tuple[tuple[Revocation, Enrolment], ...] = field(default=())

    def of(self, node_id: NodeId) -> tuple[Revocation, ...]:
        """Give the revocations of a node."""
        return tuple(each for each, _ in self.revocations if each.node_id == node_id)

    def valid_size(self, journal: JournalId) -> int | None:
        """Give how many records of a journal stay valid; None if its node was not revoked."""
        return valid_size(self.of(journal.node_id), journal)


def revocation_entries(known: RevocationsKnown | None, network: NetworkId) -> dict[str, bytes]:
    """Return the entries of what is known; none where nobody says anything.

    Raises:
        EvidenceMalformed: More revocations than a file can hold.
    """
    if known is None:
        return {}
    if len(known.found) > MAX_REVOCATIONS:
        raise errors.EvidenceMalformed(reason="number of revocations")
    lines = (_FIRST_LINE, network.hex(), known.node_id.hex(), known.as_of_ms, len(known.found))
    text = "".join(f"{line}\n" for line in lines)
    name = cosigner_name(network, known.node_id)
    entries = {STATE: sign_note(text, name, known.cosign)}
    for number, each in enumerate(known.found):
        folder = f"{FOLDER}/{number:02}"
        entries |= record_entries(folder, header=each.header, proof=each.proof, parts=each.parts)
    return entries


def take_revocations(
    files: dict[str, bytes], network: NetworkId, chain: Sequence[Enrolment]
) -> RevocationState | None:
    """Take what a file says of revocations away, verified; None where it says nothing.

    1. A node of the chain signed the note, which is of this network.
    2. There are as many revocations as it says.
    3. Each is a record of a node of the chain, in a journal that may hold one, and of a
       node below it in the chain; one beyond its own author's cut counts for nothing.

    Raises:
        EvidenceMalformed, EvidenceMismatch, EvidenceIncomplete: As named.
        PeerError: The first step that fails.
    """
    if STATE not in files:
        return None
    by, as_of_ms, count = _open_state(take(files, STATE), network, chain)  # (1)
    records = [take_record(files, f"{FOLDER}/{n:02}", network, chain) for n in range(count)]  # (2)
    for record in records:
        check_lines(record, network)
    found: list[tuple[Revocation, Enrolment]] = []
    # From the top, so that whoever may have been revoked is judged before it is believed.
    for record in sorted(records, key=lambda each: each.origin.path.depth):
        revocation = _read(record, chain)  # (3)
        said = RevocationState(by=by, as_of_ms=as_of_ms, revocations=tuple(found))
        valid = said.valid_size(record.journal)
        if valid is None or record.seq < valid:
            found.append((revocation, record.origin))
    return RevocationState(by=by, as_of_ms=as_of_ms, revocations=tuple(found))


def check_chain(state: RevocationState | None, proofs: Sequence[EnrolmentProof]) -> None:
    """Return only if no step of a verified chain lies beyond the cut of who wrote it.

    Raises:
        EvidenceRevoked: One does.
    """
    if state is None:
        return
    for proof in proofs:
        tlog = parse_proof(proof.proof)
        _, journal = JournalId.parse_origin(parse_checkpoint(tlog.checkpoint).origin)
        _check(state, journal, tlog.index, decode_header(proof.header).record_id.hex())


def judged(state: RevocationState | None, record: ProvenRecord) -> ProvenRecord:
    """Return a record without the cosignatures that count for nothing.

    Raises:
        EvidenceRevoked: The record lies beyond the cut of its author.
    """
    if state is None:
        return record
    _check(state, record.journal, record.seq, record.header.record_id.hex())
    kept = tuple(each for each in record.cosigners if not state.of(each.node_id))
    return replace(record, cosigners=kept)


def _check(state: RevocationState, journal: JournalId, seq: int, record: str) -> None:
    valid = state.valid_size(journal)
    if valid is not None and seq >= valid:
        path = str(state.of(journal.node_id)[0].path)
        raise EvidenceRevoked(record=record, path=path, seq=seq, valid=valid)


def _open_state(
    note: bytes, network: NetworkId, chain: Sequence[Enrolment]
) -> tuple[Enrolment, int, int]:
    keys: Mapping[VerifierKey, Enrolment] = {
        VerifierKey(
            name=cosigner_name(network, node.node_id), key_type=log_type(number), public_key=key
        ): node
        for node in chain
        for number, key in node.cosign_keys
        if number != ML_DSA_44
    }
    opened = open_note(note, tuple(keys))
    lines = opened.text.split("\n")[:-1]
    if len(opened.signatures) != 1 or len(lines) != 5 or lines[:2] != [_FIRST_LINE, network.hex()]:
        raise errors.EvidenceMalformed(reason="revocation state")
    signed = (opened.signatures[0].name, opened.signatures[0].key_id)
    by = next(node for key, node in keys.items() if (key.name, key.key_id) == signed)
    numbers = [
        int(line)
        for line in lines[3:]
        if len(line) <= _MAX_DIGITS and line.isascii() and line.isdecimal()
    ]
    is_plain = [str(number) for number in numbers] == lines[3:]
    if lines[2] != by.node_id.hex() or not is_plain or numbers[1] > MAX_REVOCATIONS:
        raise errors.EvidenceMalformed(reason="revocation state")
    # Exactly what was signed: a second line, by nobody, would be a place to hide something.
    if note != f"{opened.text}\n{opened.signatures[0].line()}\n".encode():
        raise errors.EvidenceMalformed(reason="revocation state")
    return by, numbers[0], numbers[1]


def _read(record: ProvenRecord, chain: Sequence[Enrolment]) -> Revocation:
    body = record.body("core")
    if record.header.kind != KIND or record.journal.channel not in CHANNELS or body is None:
        raise errors.EvidenceMismatch(reason="no revocation")
    revocation = Revocation.decode(body)
    check_authority(revocation, record.origin.path)
    # By where the node stands in the chain: the path in the record is the author's own word.
    below = {node.node_id for node in chain if record.origin.path.is_ancestor_of(node.path)}
    if revocation.node_id not in below:
        raise errors.EvidenceMismatch(reason="revocation of another node")
    return revocation
