"""Evidence of one record: one file that anybody can check offline with the root certificate.

Entries of the zip:

    manifest.json                 {"files": {name: SHA-256}, "format": "yidao-evidence-v1"}
    record/header                 exact header bytes
    record/proof.tlog-proof       index, path, checkpoint with cosignatures
    record/parts/<i>/salt, body   part i of the header, where it was given
    root-statement                see `rootstatement`
    chain/<n>/header, salt, body, proof.tlog-proof    enrolments from the root down

The manifest finds a damaged file early; it authenticates nothing. All trust
comes from the root certificate that the verifier already has.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import orjson

from yidao.sync import errors
from yidao.sync.archive import read_archive, write_archive
from yidao.sync.checkpoint import Checkpoint, parse_checkpoint, verify_cosignature
from yidao.sync.enrolment import Enrolment, verify_chain
from yidao.sync.ids import JournalId, NetworkId, NodeId, Path, cosigner_name
from yidao.sync.message import EnrolmentProof
from yidao.sync.note import TYPE_COSIGNATURE, key_id, parse_note
from yidao.sync.proof import TlogProof, parse_proof, verify_proof
from yidao.sync.record import Header, Part, check_part, decode_header
from yidao.sync.rootstatement import open_root_statement

FORMAT: Final = "yidao-evidence-v1"

_MANIFEST: Final = "manifest.json"
_HEADER: Final = "record/header"
_PROOF: Final = "record/proof.tlog-proof"
_STATEMENT: Final = "root-statement"


class Step(Enum):
    """What was checked; a front end has a sentence for each."""

    FILES = "files"
    CHAIN = "chain"
    HEADER = "header"
    CHECKPOINT = "checkpoint"
    INCLUSION = "inclusion"
    PART = "part"
    COSIGNED = "cosigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One step of a verification.

    Attributes:
        ok: False only where something is absent, such as a part that was kept
            back or a tier that has not cosigned; what is wrong raises instead.
        subject: What the step is about: an origin, a part's name, a path.
    """

    step: Step
    ok: bool
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """A tier that held the journal up to the checkpoint, at the latest at `time_s` (Unix)."""

    node_id: NodeId
    path: Path
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReport:
    """What the evidence proves; made from verified bytes alone.

    Attributes:
        chain: Enrolments from the root to the node that wrote the record.
        seq: The record's index in `journal`.
        parts: Those that were given and are what the header commits to.
        cosigners: The tiers above the origin that cosigned, nearest first.
    """

    network: NetworkId
    journal: JournalId
    chain: tuple[Enrolment, ...]
    header: Header
    seq: int
    checkpoint: Checkpoint
    parts: tuple[Part, ...]
    cosigners: tuple[Cosigner, ...]

    @property
    def origin(self) -> Enrolment:
        """The node that wrote the record."""
        return self.chain[-1]

    @property
    def tiers(self) -> tuple[Enrolment, ...]:
        """The nodes above the origin, its parent first."""
        return self.chain[-2::-1]

    def steps(self) -> tuple[StepResult, ...]:
        """Return what was checked, in order, for people to read."""
        given = {part.name for part in self.parts}
        cosigned = {cosigner.node_id for cosigner in self.cosigners}
        return (
            StepResult(step=Step.FILES, ok=True, subject=FORMAT),
            *(StepResult(step=Step.CHAIN, ok=True, subject=str(e.path)) for e in self.chain),
            StepResult(step=Step.HEADER, ok=True, subject=self.header.record_id.hex()),
            StepResult(step=Step.CHECKPOINT, ok=True, subject=self.checkpoint.origin),
            StepResult(step=Step.INCLUSION, ok=True, subject=str(self.seq)),
            *(
                StepResult(step=Step.PART, ok=digest.name in given, subject=digest.name)
                for digest in self.header.parts
            ),
            *(
                StepResult(step=Step.COSIGNED, ok=tier.node_id in cosigned, subject=str(tier.path))
                for tier in self.tiers
            ),
        )


def build_evidence(
    *,
    header: bytes,
    proof: TlogProof,
    parts: Sequence[Part],
    statement: bytes,
    chain: Sequence[EnrolmentProof],
) -> bytes:
    """Return the evidence file of one record.

    Args:
        header: The record's header bytes.
        proof: Its inclusion proof, the checkpoint bearing the cosignatures.
        parts: The parts to hand out: none, some or all.
        statement: The root statement file.
        chain: Enrolments from the root down to the origin; empty for the root's
            own records, or the root's own enrolment alone.

    Raises:
        EvidenceMismatch: A part that the header does not name.
        EvidenceMalformed: Over a limit of the file.
    """
    names = [digest.name for digest in decode_header(header).parts]
    entries = {_HEADER: header, _PROOF: proof.encode(), _STATEMENT: statement}
    for part in parts:
        if part.name not in names:
            raise errors.EvidenceMismatch(reason="part not in header")
        folder = f"record/parts/{names.index(part.name)}"
        entries[f"{folder}/salt"] = part.salt
        entries[f"{folder}/body"] = part.body
    for number, enrolment in enumerate(chain):
        folder = f"chain/{number:02}"
        entries[f"{folder}/header"] = enrolment.header
        entries[f"{folder}/salt"] = enrolment.core.salt
        entries[f"{folder}/body"] = enrolment.core.body
        entries[f"{folder}/proof.tlog-proof"] = enrolment.proof
    return write_archive({_MANIFEST: _manifest(entries), **entries})


def verify_evidence(
    data: bytes, root_certificate_pem: bytes, *, required_tiers: int | None = None
) -> EvidenceReport:
    """Return what an evidence file proves; trust nothing but the root certificate.

    1. The file is whole and holds nothing that is not known.
    2. Enrolments lead from the root certificate to the record's origin.
    3. The header is one of the origin's, in this network.
    4. The checkpoint is of a journal of the origin, signed by its journal key,
       and the header is in its tree.
    5. Each part that was given is what the header commits to.
    6. Every cosignature by a tier above the origin verifies, and none that is
       required is missing.

    Args:
        data: The file; untrusted.
        root_certificate_pem: The verifier's own copy.
        required_tiers: How many tiers above the origin, from its parent up, must
            have cosigned; None = all, up to the root.

    Raises:
        EvidenceIncomplete: Something that the claim needs is missing.
        PeerError: The first step that fails.
    """
    files = _open_files(data)
    statement = _take(files, _STATEMENT)
    chain = verify_chain(root_certificate_pem, statement, _take_chain(files))
    network, origin = open_root_statement(statement, root_certificate_pem).network, chain[-1]

    header_bytes = _take(files, _HEADER)
    header = decode_header(header_bytes)
    if header.network != network:
        raise errors.EvidenceMismatch(reason="another network")
    if header.node_id != origin.node_id:
        raise errors.EvidenceMismatch(reason="chain ends at another node")

    proof = parse_proof(_take(files, _PROOF))
    journal = _journal_of(proof, network, origin)
    checkpoint = verify_proof(proof, header_bytes, journal.origin(network), origin.journal_key)
    parts = _take_parts(files, header)
    if files:
        raise errors.EvidenceMalformed(reason="unknown entry")

    cosigners = _cosigners(proof.checkpoint, chain[-2::-1], network)
    report = EvidenceReport(
        network=network,
        journal=journal,
        chain=chain,
        header=header,
        seq=proof.index,
        checkpoint=checkpoint,
        parts=parts,
        cosigners=cosigners,
    )
    for tier in report.tiers[:required_tiers]:
        if tier.node_id not in {cosigner.node_id for cosigner in cosigners}:
            raise errors.EvidenceIncomplete(missing=f"cosignature of {tier.path}")
    return report


def _manifest(entries: Mapping[str, bytes]) -> bytes:
    digests = {name: hashlib.sha256(body).hexdigest() for name, body in entries.items()}
    return orjson.dumps({"format": FORMAT, "files": digests}, option=orjson.OPT_SORT_KEYS)


def _open_files(data: bytes) -> dict[str, bytes]:
    files = read_archive(data)
    manifest = _take(files, _MANIFEST)
    if manifest != _manifest(files):
        raise errors.EvidenceMismatch(reason="manifest")
    return files


def _take(files: dict[str, bytes], name: str) -> bytes:
    body = files.pop(name, None)
    if body is None:
        raise errors.EvidenceIncomplete(missing=name)
    return body


def _take_chain(files: dict[str, bytes]) -> list[EnrolmentProof]:
    proofs: list[EnrolmentProof] = []
    while f"chain/{len(proofs):02}/header" in files:
        folder = f"chain/{len(proofs):02}"
        proofs.append(
            EnrolmentProof(
                header=_take(files, f"{folder}/header"),
                core=Part(
                    name="core",
                    salt=_take(files, f"{folder}/salt"),
                    body=_take(files, f"{folder}/body"),
                ),
                proof=_take(files, f"{folder}/proof.tlog-proof"),
            )
        )
    return proofs


def _take_parts(files: dict[str, bytes], header: Header) -> tuple[Part, ...]:
    parts = []
    for number, digest in enumerate(header.parts):
        folder = f"record/parts/{number}"
        if f"{folder}/body" not in files:
            continue
        part = Part(
            name=digest.name,
            salt=_take(files, f"{folder}/salt"),
            body=_take(files, f"{folder}/body"),
        )
        check_part(digest, part)
        parts.append(part)
    return tuple(parts)


def _journal_of(proof: TlogProof, network: NetworkId, origin: Enrolment) -> JournalId:
    """Return which of the origin's journals the checkpoint claims; not yet verified."""
    claimed_network, journal = JournalId.parse_origin(parse_checkpoint(proof.checkpoint).origin)
    if claimed_network != network or journal.node_id != origin.node_id:
        raise errors.EvidenceMismatch(reason="journal is not the origin's")
    return journal


def _cosigners(
    checkpoint: bytes, tiers: Sequence[Enrolment], network: NetworkId
) -> tuple[Cosigner, ...]:
    """Return who of `tiers` cosigned; refuse a cosignature of theirs that fails."""
    found = []
    signatures = parse_note(checkpoint).signatures
    for tier in tiers:
        name = cosigner_name(network, tier.node_id)
        key_hint = key_id(name, TYPE_COSIGNATURE, tier.cosign_key)
        times = [
            verify_cosignature(checkpoint, signature.line(), name, tier.cosign_key)
            for signature in signatures
            if (signature.name, signature.key_id) == (name, key_hint)
        ]
        if times:
            found.append(Cosigner(node_id=tier.node_id, path=tier.path, time_s=min(times)))
    return tuple(found)
