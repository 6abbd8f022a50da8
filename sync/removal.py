"""Records that say that parts are gone: erased by an order, or pruned by age.

`node.part.redacted` stands in the journal of the record that it is about, so that it
goes wherever that record went; then its author asks all who hold the part to erase it.
In a node's `local` journal it is that node's own act and binds nobody else.

`node.parts.pruned` says what a node removed of its own accord; it stands in its `node`
journal. `node.snapshot.sealed` names the digests of the tables that a rebuild starts
from once parts are gone; it stands in `local`.

All three cores are canonical JSON: sorted keys, ids and digests in hex.
"""

from dataclasses import dataclass
from typing import Final

from yidao.sync.ids import JournalId, NodeId, RecordId
from yidao.sync.members import Members, canonical
from yidao.sync.removalerrors import PartNotErasable, RemovalMalformed

KIND_REDACTED: Final = "node.part.redacted"
KIND_PRUNED: Final = "node.parts.pruned"
KIND_SEALED: Final = "node.snapshot.sealed"
#: What the tree itself rests on is never removed.
KEPT_KINDS: Final = ("node.", "standards.")
#: A row that was refused is kept as it came, whatever it held.
REFUSED_KIND: Final = "reporting.return.refused"
MAX_CORE_BYTES: Final = 128 * 1024
MAX_TEXT_CHARS: Final = 512
MAX_RANGES: Final = 1_000
#: A store has some hundred.
MAX_TABLES: Final = 1_000

_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """The core of `node.part.redacted`.

    Attributes:
        journal: Of the record that is about.
        part: Its name.
        reason: Why, in words.
        basis: The law, judgment or order that it rests on.
        operator: The actor who decided it.
    """

    journal: JournalId
    seq: int
    record_id: RecordId
    part: str
    reason: str
    basis: str
    operator: str

    def encode(self) -> bytes:
        """Return the JSON bytes of the core part.

        Raises:
            RemovalMalformed: A text is empty or too long.
        """
        check_texts(reason=self.reason, basis=self.basis, operator=self.operator)
        return canonical(
            {
                "journal": _journal_members(self.journal),
                "seq": self.seq,
                "record_id": self.record_id.hex(),
                "part": self.part,
                "reason": self.reason,
                "basis": self.basis,
                "operator": self.operator,
            }
        )

    @classmethod
    def decode(cls, data: bytes | None) -> "Redaction":
        """Return the redaction that `data` is the canonical JSON of.

        Raises:
            RemovalMalformed: Other JSON, or a member is missing or wrong.
            IdInvalid, ChannelInvalid, EpochInvalid: As named.
        """
        members = _parse(data)
        found = cls(
            journal=_journal_of(members.inner("journal")),
            seq=members.number("seq"),
            record_id=members.record("record_id"),
            part=members.text("part"),
            reason=members.text("reason"),
            basis=members.text("basis"),
            operator=members.text("operator"),
        )
        check_texts(reason=found.reason, basis=found.basis, operator=found.operator)
        return found

    def binds(self, written_in: JournalId, here: NodeId) -> bool:
        """Whether a node must erase for this redaction.

        Args:
            written_in: Where the redaction stands.
            here: The node that asks.
        """
        is_own_act = written_in.channel == "local" and written_in.node_id == here
        return self.is_authors(written_in) or is_own_act

    def is_authors(self, written_in: JournalId) -> bool:
        """Whether the record's author wrote it, where all who have the record see it.

        An epoch may have ended since; a later one of the channel goes the same ways.
        """
        return (written_in.node_id, written_in.channel) == (
            self.journal.node_id,
            self.journal.channel,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedRange:
    """Records of one journal, from `first` to before `end`, some of which lost parts."""

    journal: JournalId
    first: int
    end: int
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """The core of `node.parts.pruned`.

    Attributes:
        before_ms: Records that were stored here later were left (Unix milliseconds).
        snapshot: The position of the snapshot that was sealed before.
        ranges: At most 1,000.
        bodies_bytes: Bytes of bodies that were removed.
    """

    before_ms: int
    snapshot: int
    reason: str
    operator: str
    ranges: tuple[PrunedRange, ...]
    records: int
    bodies_bytes: int

    def encode(self) -> bytes:
        """Return the JSON bytes of the core part; raises `RemovalMalformed`."""
        check_texts(reason=self.reason, operator=self.operator)
        if len(self.ranges) > MAX_RANGES:
            raise RemovalMalformed(field="ranges")
        return canonical(
            {
                "before_ms": self.before_ms,
                "snapshot": self.snapshot,
                "reason": self.reason,
                "operator": self.operator,
                "records": self.records,
                "bodies_bytes": self.bodies_bytes,
                "ranges": [
                    {
                        "journal": _journal_members(each.journal),
                        "first": each.first,
                        "end": each.end,
                        "records": each.records,
                    }
                    for each in self.ranges
                ],
            }
        )

    @classmethod
    def decode(cls, data: bytes | None) -> "Pruning":
        """Return the pruning that `data` is the canonical JSON of; raises `RemovalMalformed`."""
        members = _parse(data)
        return cls(
            before_ms=members.number("before_ms"),
            snapshot=members.number("snapshot"),
            reason=members.text("reason"),
            operator=members.text("operator"),
            ranges=tuple(map(_range, members.each("ranges", MAX_RANGES))),
            records=members.number("records"),
            bodies_bytes=members.number("bodies_bytes"),
        )

    def covers(self, journal: JournalId, seq: int) -> bool:
        """Whether a record lies within what was pruned."""
        return any(each.journal == journal and each.first <= seq < each.end for each in self.ranges)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SealedTable:
    """A table in a snapshot, with a SHA-256 over its rows in key order."""

    name: str
    rows: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSnapshot:
    """The core of `node.snapshot.sealed`.

    Attributes:
        position: Everything up to it is in the tables.
        cursors: How far each projector had folded, by name.
        tables: Sorted by name.
    """

    position: int
    cursors: tuple[tuple[str, int], ...]
    tables: tuple[SealedTable, ...]

    def encode(self) -> bytes:
        """Return the JSON bytes of the core part."""
        return canonical(
            {
                "position": self.position,
                "cursors": dict(self.cursors),
                "tables": [
                    {"name": each.name, "rows": each.rows, "sha256": each.sha256.hex()}
                    for each in self.tables
                ],
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "SealedSnapshot":
        """Return the snapshot that `data` describes; raises `RemovalMalformed`."""
        members = _parse(data)
        cursors = members.inner("cursors")
        return cls(
            position=members.number("position"),
            cursors=tuple((name, cursors.number(name)) for name in cursors.names()),
            tables=tuple(map(_table, members.each("tables", MAX_TABLES))),
        )


def check_erasable(kind: str, part: str) -> None:
    """Return only if a part of a record of that kind may be erased.

    Figures and words that others have counted and acted on are corrected by another
    record; what is erased is what was put apart because it may have to go: personal
    fields, extensions and files, and rows that were refused, which hold anything.

    Raises:
        PartNotErasable: Others rest on it.
    """
    is_apart = part != "core" or kind == REFUSED_KIND
    if kind.startswith(KEPT_KINDS) or not is_apart:
        raise PartNotErasable(part=part, kind=kind)


def check_texts(**texts: str) -> None:
    """Return only if texts say something, in at most 512 characters; raises `RemovalMalformed`."""
    for field, text in texts.items():
        if not text.strip() or len(text) > MAX_TEXT_CHARS:
            raise RemovalMalformed(field=field)


def _parse(data: bytes | None) -> Members:
    return Members.parse_canonical(data, RemovalMalformed, limit=MAX_CORE_BYTES)


def _journal_members(journal: JournalId) -> dict[str, str]:
    return {
        "node_id": journal.node_id.hex(),
        "channel": journal.channel,
        "epoch": journal.epoch,
    }


def _journal_of(members: Members) -> JournalId:
    return JournalId(
        node_id=members.node("node_id"),
        channel=members.text("channel"),
        epoch=members.text("epoch"),
    )


def _range(members: Members) -> PrunedRange:
    return PrunedRange(
        journal=_journal_of(members.inner("journal")),
        first=members.number("first"),
        end=members.number("end"),
        records=members.number("records"),
    )


def _table(members: Members) -> SealedTable:
    return SealedTable(
        name=members.text("name"),
        rows=members.number("rows"),
        sha256=members.hex("sha256", _DIGEST_BYTES),
    )
