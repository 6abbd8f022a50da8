"""Why a part is not in the evidence: the record that removed it, proved like any other.

    absence/<i>/header, proof.tlog-proof, parts/<j>/…   of what removed part i of the header

It is `node.part.redacted` of the record's author, or of a node above for itself, or
`node.parts.pruned` of a node of the chain for its own store. So who removed it and
why is as certain as the record itself; that nobody else has the part is not said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from yidao.sync import errors
from yidao.sync.enrolment import Enrolment
from yidao.sync.evidencefiles import ProvenRecord, record_entries, take_record
from yidao.sync.evidencerevocations import RevocationState, judged
from yidao.sync.ids import NetworkId, Path
from yidao.sync.partsrun import Absence
from yidao.sync.record import Part
from yidao.sync.removal import KIND_PRUNED, KIND_REDACTED, Pruning, Redaction


class Pieces(Protocol):
    """A record that is handed out: its header, its proof, its parts."""

    @property
    def header(self) -> bytes:
        """Exact header bytes."""

    @property
    def proof(self) -> bytes:
        """A `.tlog-proof`."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Those that are handed out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GonePart:
    """A part that was removed, by the record of whoever removed it.

    Attributes:
        by: Where the node stands that wrote the record.
        everywhere: Its author asked every node to erase it; else `by` removed its own copy.
        basis: Empty for a pruning.
    """

    name: str
    absence: Absence
    by: Path
    everywhere: bool
    reason: str
    basis: str
    operator: str


def gone_entries(removed: Mapping[int, Pieces]) -> dict[str, bytes]:
    """Return the entries of records that removed parts, by the index of the part."""
    entries: dict[str, bytes] = {}
    for number, each in removed.items():
        folder = f"absence/{number}"
        entries |= record_entries(folder, header=each.header, proof=each.proof, parts=each.parts)
    return entries


def take_gone(
    files: dict[str, bytes],
    record: ProvenRecord,
    network: NetworkId,
    chain: Sequence[Enrolment],
    revocations: RevocationState | None,
) -> tuple[GonePart, ...]:
    """Take away what says why parts are gone, verified.

    Raises:
        EvidenceRevoked: It lies beyond the cut of its author.
        EvidenceMismatch: It is about another part, or of a node that may not say it.
        PeerError: It does not verify.
    """
    given = {part.name for part in record.parts}
    found = []
    for number, digest in enumerate(record.header.parts):
        if f"absence/{number}/header" not in files:
            continue
        removal = judged(revocations, take_record(files, f"absence/{number}", network, chain))
        if digest.name in given:
            raise errors.EvidenceMismatch(reason="part that is gone was given")
        found.append(_read(removal, record, digest.name))
    return tuple(found)


def _read(removal: ProvenRecord, record: ProvenRecord, name: str) -> GonePart:
    core, by = removal.body("core"), removal.origin
    if removal.header.kind == KIND_REDACTED:
        redaction = Redaction.decode(core)
        about = (redaction.journal, redaction.seq, redaction.record_id, redaction.part)
        if about != (record.journal, record.seq, record.header.record_id, name):
            raise errors.EvidenceMismatch(reason="removal of another part")
        if not redaction.binds(removal.journal, by.node_id):
            raise errors.EvidenceMismatch(reason="removal by another node")
        return GonePart(
            name=name,
            absence=Absence.REDACTED,
            by=by.path,
            everywhere=redaction.is_authors(removal.journal),
            reason=redaction.reason,
            basis=redaction.basis,
            operator=redaction.operator,
        )
    if removal.header.kind != KIND_PRUNED or removal.journal.channel != "node":
        raise errors.EvidenceMismatch(reason="no removal")
    pruning = Pruning.decode(core)
    if not pruning.covers(record.journal, record.seq):
        raise errors.EvidenceMismatch(reason="removal of another part")
    return GonePart(
        name=name,
        absence=Absence.PRUNED,
        by=by.path,
        everywhere=False,
        reason=pruning.reason,
        basis="",
        operator=pruning.operator,
    )
