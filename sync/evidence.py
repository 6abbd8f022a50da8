"""Evidence of one record: one file that anybody can check offline with the root certificate.

Entries of the zip:

    manifest.json                 {"files": {name: SHA-256}, "format": "yidao-evidence-v1"}
    record/header                 exact header bytes
    record/proof.tlog-proof       index, path, checkpoint with cosignatures
    record/parts/<i>/salt, body   part i of the header, where it was given
    absence/<i>/…                 why part i is gone, where it was removed (see `goneevidence`)
    root-statement                see `rootstatement`
    chain/<n>/header, salt, body, proof.tlog-proof    enrolments from the root down
    revocations/…                 see `evidencerevocations`

The manifest finds a damaged file early; it authenticates nothing. All trust
comes from the root certificate that the verifier already has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from yidao.sync import errors
from yidao.sync.archive import write_archive
from yidao.sync.checkpoint import Checkpoint
from yidao.sync.enrolment import Enrolment, verify_chain
from yidao.sync.evidencefiles import (
    MANIFEST,
    STATEMENT,
    Cosigner,
    chain_entries,
    manifest_of,
    open_files,
    record_entries,
    take,
    take_chain,
    take_record,
)
from yidao.sync.evidencerevocations import (
    RevocationsKnown,
    RevocationState,
    check_chain,
    judged,
    revocation_entries,
    take_revocations,
)
from yidao.sync.goneevidence import GonePart, Pieces, gone_entries, take_gone
from yidao.sync.ids import JournalId, NetworkId
from yidao.sync.message import EnrolmentProof
from yidao.sync.proof import TlogProof
from yidao.sync.record import Header, Part, decode_header
from yidao.sync.rootstatement import open_root_statement

FORMAT: Final = "yidao-evidence-v1"


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
class EvidenceReport:
    """What the evidence proves; made from verified bytes alone.

    Attributes:
        chain: Enrolments from the root to the node that wrote the record.
        raw: The exact header bytes, the leaf of the journal.
        seq: The record's index in `journal`.
        parts: Those that were given and are what the header commits to.
        cosigners: The tiers above the origin that cosigned, nearest first; none that
            is known to be revoked.
        revocations: What the file says of revocations; None where it says nothing.
        gone: Parts that were removed, by whom and why.
    """

    network: NetworkId
    journal: JournalId
    chain: tuple[Enrolment, ...]
    raw: bytes
    header: Header
    seq: int
    checkpoint: Checkpoint
    parts: tuple[Part, ...]
    cosigners: tuple[Cosigner, ...]
    revocations: RevocationState | None = None
    gone: tuple[GonePart, ...] = ()

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
    revocations: RevocationsKnown | None = None,
    removed: Mapping[int, Pieces] = MappingProxyType({}),
) -> bytes:
    """Return the evidence file of one record.

    Args:
        header: The record's header bytes.
        proof: Its inclusion proof, the checkpoint bearing the cosignatures.
        parts: The parts to hand out: none, some or all.
        statement: The root statement file.
        chain: Enrolments from the root down to the origin; empty for the root's
            own records, or the root's own enrolment alone.
        revocations: What is known of revocations of these nodes.
        removed: By the index of a part that is gone, the record that removed it.

    Raises:
        EvidenceMismatch: A part that the header does not name.
        EvidenceMalformed: Over a limit of the file.
    """
    entries = {
        **record_entries("record", header=header, proof=proof.encode(), parts=parts),
        STATEMENT: statement,
        **chain_entries(chain),
        **revocation_entries(revocations, decode_header(header).network),
        **gone_entries(removed),
    }
    return write_archive({MANIFEST: _manifest(entries), **entries})


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
    6. What says why a part is gone is a proved record of its author, or of a node of
       the chain for itself.
    7. By what the file says of revocations, neither the record nor a step of the chain
       lies beyond a cut, nor does what says why a part is gone.
    8. Every cosignature by a tier above the origin verifies, and none that is
       required is missing; those of revoked tiers count for nothing and are not required.

    Args:
        data: The file; untrusted.
        root_certificate_pem: The verifier's own copy.
        required_tiers: How many tiers above the origin, from its parent up, must
            have cosigned; None = all, up to the root.

    Raises:
        EvidenceIncomplete: Something that the claim needs is missing.
        EvidenceRevoked: The record, or a step of the chain, lies beyond a cut.
        PeerError: The first step that fails.
    """
    files = open_files(data, FORMAT)
    statement, proofs = take(files, STATEMENT), take_chain(files)
    chain = verify_chain(root_certificate_pem, statement, proofs)
    network = open_root_statement(statement, root_certificate_pem).network
    revocations = take_revocations(files, network, chain)
    check_chain(revocations, proofs)
    proven = judged(revocations, take_record(files, "record", network, chain))
    if proven.origin != chain[-1]:
        raise errors.EvidenceMismatch(reason="chain ends at another node")
    gone = take_gone(files, proven, network, chain, revocations)
    if files:
        raise errors.EvidenceMalformed(reason="unknown entry")

    report = EvidenceReport(
        network=network,
        journal=proven.journal,
        chain=chain,
        raw=proven.raw,
        header=proven.header,
        seq=proven.seq,
        checkpoint=proven.checkpoint,
        parts=proven.parts,
        cosigners=proven.cosigners,
        revocations=revocations,
        gone=gone,
    )
    for tier in report.tiers[:required_tiers]:
        if revocations is not None and revocations.of(tier.node_id):
            continue
        if tier.node_id not in {cosigner.node_id for cosigner in report.cosigners}:
            raise errors.EvidenceIncomplete(missing=f"cosignature of {tier.path}")
    return report


def _manifest(entries: Mapping[str, bytes]) -> bytes:
    return manifest_of(FORMAT, entries)
