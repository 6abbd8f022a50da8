"""Pruning: parts that are old enough go, and what was removed is written down first.

One step looks at some segments. First the record `node.parts.pruned` is durable, then
the parts go: a step that a crash cuts short has said too much, never too little, and
the next run does the rest. Headers, and with them every proof, stay.

What stays whatever is asked: records that the tree itself rests on; the audit, for
as long as `access` says; what is still somebody's open business; what a neighbour has not
acknowledged yet; and what came after the last sealed snapshot.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from yidao.node.keys import Identity
from yidao.node.store import absences, lanecursors, parts, trust
from yidao.node.store.absences import Gone
from yidao.node.store.journals import journal_of
from yidao.node.store.packing import unpack_headers, unpack_seqs
from yidao.node.store.parts import Removed
from yidao.node.store.tables import enrolment, released, segment
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, Ticket
from yidao.sync.errors import PeerError
from yidao.sync.ids import JournalId, Lane, NodeId, Path
from yidao.sync.partsrun import Absence
from yidao.sync.record import Header, decode_header
from yidao.sync.removal import KEPT_KINDS, KIND_PRUNED, PrunedRange, Pruning

_SEGMENTS_AT_ONCE: Final = 64
_RECORDS_AT_ONCE: Final = 2_000

Retained = Callable[[JournalId, Header, int], bool]
"""Says of a record whether it must be kept at a time (Unix milliseconds), as audit must."""

OpenBusiness = Callable[[Connection, Collection[int]], set[int]]
"""Says which of some positions are still somebody's open business."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRules:
    """What others say must stay, at a time (Unix milliseconds)."""

    is_open: OpenBusiness
    is_retained: Retained
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOrder:
    """What is asked for.

    Attributes:
        before_ms: Stored here before (Unix milliseconds, by this node's own clock).
        kinds: Kinds of records or their beginnings, `reporting.`; empty = all.
        forms: Forms; empty = all, records without a form too.
    """

    before_ms: int
    reason: str
    operator: str
    kinds: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()

    def wants(self, header: Header) -> bool:
        """Whether a record is of what is asked for, and none that is kept always."""
        if header.kind.startswith(KEPT_KINDS):
            return False
        form = header.schema.split("/")[2] if header.schema.count("/") == 2 else ""
        is_kind = not self.kinds or header.kind.startswith(self.kinds)
        return is_kind and (not self.forms or form in self.forms)


@dataclass(slots=True, kw_only=True)
class PruneStep:
    """What one step found, and removes.

    Attributes:
        after: Where the next step goes on.
        is_last: There is nothing beyond.
        kept: Records that would go but for a rule, by the rule.
    """

    after: int
    is_last: bool = False
    gone: dict[int, list[Removed]] = field(default_factory=dict)
    journals: dict[int, JournalId] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        """How many records lose parts."""
        return sum(len({each.seq for each in found}) for found in self.gone.values())

    @property
    def bodies_bytes(self) -> int:
        """How many bytes of bodies go."""
        return sum(each.size_bytes for found in self.gone.values() for each in found)

    def ranges(self) -> tuple[PrunedRange, ...]:
        """Return the span of each journal that the step touches."""
        spans = []
        for pk, found in sorted(self.gone.items()):
            seqs = {each.seq for each in found}
            spans.append(
                PrunedRange(
                    journal=self.journals[pk],
                    first=min(seqs),
                    end=max(seqs) + 1,
                    records=len(seqs),
                )
            )
        return tuple(spans)


def find_step(
    conn: Connection, own: Identity, order: PruneOrder, rules: KeepRules, after: int, up_to: int
) -> PruneStep:
    """Return what goes of the next segments.

    Args:
        conn: Any.
        own: Who the node is.
        order: What is asked for.
        rules: What stays whatever is asked.
        after: The last position that was looked at.
        up_to: The position of the sealed snapshot.
    """
    rows = conn.execute(
        select(segment)
        .where(segment.c.position > after, segment.c.position <= up_to)
        .where(segment.c.stored_ms < order.before_ms)
        .order_by(segment.c.position)
        .limit(_SEGMENTS_AT_ONCE)
    ).all()
    search = _Search(conn, own, order, rules, after)
    records = 0
    for row in rows:
        records += row.record_count
        search.look(row)
        if records >= _RECORDS_AT_ONCE:
            break
    search.step.is_last = len(rows) < _SEGMENTS_AT_ONCE and records < _RECORDS_AT_ONCE
    return search.step


def announce(tx: Tx, order: PruneOrder, step: PruneStep, snapshot: int) -> Ticket:
    """Write down what goes, before it goes."""
    core = Pruning(
        before_ms=order.before_ms,
        snapshot=snapshot,
        reason=order.reason,
        operator=order.operator,
        ranges=step.ranges(),
        records=step.records,
        bodies_bytes=step.bodies_bytes,
    )
    draft = Draft(
        record_id=tx.mint(),
        kind=KIND_PRUNED,
        actor=order.operator,
        object_id=f"snapshot/{snapshot}",
        object_version=1,
        created_ms=tx.now_ms,
        parts=(DraftPart(name="core", body=core.encode()),),
    )
    return tx.append(trust.NODE_CHANNEL, [draft])[0]


def remove(tx: Tx, step: PruneStep, announced_at: int) -> None:
    """Remove what a step found."""
    for pk, found in step.gone.items():
        wanted = {(each.seq, each.name) for each in found}

        def may_go(
            _row: Row[Any], seq: int, name: str, wanted: set[tuple[int, str]] = wanted
        ) -> bool:
            return (seq, name) in wanted

        seqs = {each.seq for each in found}
        removed = parts.remove_parts(tx.conn, pk, seqs, may_go=may_go)
        gone = [Gone(each.seq, each.name, Absence.PRUNED, announced_at) for each in removed]
        absences.write_absences(tx.conn, pk, gone)


class _Search:
    """One step while it is looked for."""

    def __init__(
        self, conn: Connection, own: Identity, order: PruneOrder, rules: KeepRules, after: int
    ) -> None:
        self._conn = conn
        self._order = order
        self._rules = rules
        self._acks = _Acks(conn, own)
        self.step = PruneStep(after=after)

    def look(self, row: Row[Any]) -> None:
        """Look at a segment."""
        step = self.step
        step.after = row.position + row.record_count - 1
        chosen = self._choose(row)
        busy = self._rules.is_open(self._conn, chosen.values()) if chosen else set()
        step.kept["open"] += len(busy)
        seqs = {seq for seq, position in chosen.items() if position not in busy}
        waiting: set[int] = set()

        def may_go(part_row: Row[Any], seq: int, _name: str) -> bool:
            if self._acks.passed(part_row) and not self._acks.is_promised(row.journal_id, seq):
                return True
            waiting.add(seq)
            return False

        found = parts.remove_parts(self._conn, row.journal_id, seqs, may_go=may_go, dry_run=True)
        step.kept["unacknowledged"] += len(waiting)
        if found:
            step.gone.setdefault(row.journal_id, []).extend(found)

    def _choose(self, row: Row[Any]) -> dict[int, int]:
        """Return which records are asked for, and where they lie."""
        journal = self._journal(row.journal_id)
        chosen: dict[int, int] = {}
        for offset, data in enumerate(unpack_headers(row.headers)):
            try:
                header = decode_header(data)
            except PeerError:
                continue
            if not header.parts or not self._order.wants(header):
                continue
            if self._rules.is_retained(journal, header, self._rules.now_ms):
                self.step.kept["audit"] += 1
                continue
            chosen[row.first_seq + offset] = row.position + offset
        return chosen

    def _journal(self, pk: int) -> JournalId:
        known = self.step.journals.get(pk)
        if known is None:
            named = select(journal_table).where(journal_table.c.id == pk)
            known = self.step.journals[pk] = journal_of(self._conn.execute(named).one())
        return known


class _Acks:
    """What the neighbours have said that they hold."""

    def __init__(self, conn: Connection, own: Identity) -> None:
        self._conn = conn
        above = None if own.path.parent is None else trust.enrolled_at(conn, own.path.parent)
        self._has_parent = above is not None
        self._parent = {} if above is None else lanecursors.read_acks(conn, above.node_id)
        children = conn.execute(
            select(enrolment.c.node_id, enrolment.c.path).where(
                enrolment.c.parent_id == own.node_id,
                enrolment.c.node_id != own.node_id,
                enrolment.c.revoked.is_(False),
            )
        )
        self._children = [
            (Path.parse(each.path), lanecursors.read_acks(conn, NodeId(each.node_id)))
            for each in children
        ]
        self._passed: dict[int, bool] = {}
        self._promised = self._unacknowledged_releases()

    def passed(self, part_row: Row[Any]) -> bool:
        """Whether everybody holds the item with which parts travel."""
        position = part_row.position
        if position not in self._passed:
            item = self._conn.execute(
                select(segment).where(segment.c.position == position)
            ).one_or_none()
            self._passed[position] = item is not None and self._is_held(item)
        return self._passed[position]

    def is_promised(self, journal_pk: int, seq: int) -> bool:
        """Whether an acceptance that is still on its way lets parts of a record go further."""
        return (journal_pk, seq) in self._promised

    def _is_held(self, item: Row[Any]) -> bool:
        climbs = item.up_lane is not None and self._has_parent
        if climbs and self._parent.get(Lane(item.up_lane), 0) < item.position:
            return False
        if item.down_lane is None:
            return True
        target = None if item.down_target is None else Path.parse(item.down_target)
        return all(
            acks.get(Lane(item.down_lane), 0) >= item.position
            for path, acks in self._children
            if target is None or target.is_within(path)
        )

    def _unacknowledged_releases(self) -> set[tuple[int, int]]:
        if not self._has_parent:
            return set()
        held = self._parent.get(Lane.BULK, 0)
        rows: Sequence[Row[Any]] = self._conn.execute(
            select(released).where(released.c.position > held)
        ).all()
        return {(row.journal_id, seq) for row in rows for seq in unpack_seqs(bytes(row.seqs))}
