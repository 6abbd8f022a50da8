"""Reading a lane: what the store sends to a peer, sealed bytes as they are.

What is in a letter is sealed to its recipient as it goes out; a tier between
passes on what came sealed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, func, or_, select

from yidao.node.keys import Identity
from yidao.node.store import absences, cosigning, epochs, letters, parts, rawsql, trust
from yidao.node.store.errors import StoreInconsistent
from yidao.node.store.journals import journal_of, read_head
from yidao.node.store.packing import as_sent, unpack_headers, unpack_parts
from yidao.node.store.parts import PartRule
from yidao.node.store.prepared import Prepared
from yidao.node.store.sealing import seal_part
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.tables import parts as parts_table
from yidao.node.store.tables import segment
from yidao.node.store.values import Fault, Peer
from yidao.sync.ids import JournalId, Lane, NodeId, Path
from yidao.sync.journal import Seal
from yidao.sync.message import MAX_FRAME_BYTES, Item
from yidao.sync.partsrun import AbsentPart, PartsRun, RecordParts, SealedPart
from yidao.sync.record import Part, decode_header
from yidao.sync.routing import lane_of, lanes_for, part_goes

# What the encoding of a frame may add to the bytes counted here.
_MARGIN_BYTES = 48 * 1024
_ROWS_AT_ONCE = 16
_OVERHEAD_BYTES = 64
_SELECT_PARTS: Final = (
    "SELECT journal_id, waits, late, reach, blob FROM parts WHERE position = ? ORDER BY id"
)
_LANE: Final = (
    select(segment)
    .where(segment.c.position > bindparam("after"), segment.c.position <= bindparam("up_to"))
    .order_by(segment.c.position)
    .limit(bindparam("some"))
)
_UP: Final = Prepared(_LANE.where(segment.c.up_lane == bindparam("lane")))
_DOWN: Final = Prepared(
    _LANE.where(
        segment.c.down_lane == bindparam("lane"),
        or_(
            segment.c.down_target.is_(None),
            segment.c.down_target == bindparam("path"),
            segment.c.down_target.like(bindparam("below")),
        ),
    )
)
SEGMENT_UNREADABLE = "SEGMENT_UNREADABLE"


def _since(journal_pk: int, from_seq: int) -> Select[Any]:
    """Ask for the segments of a journal from the one on that a record lies in.

    Seals are forwarded whole, so whoever asks from within one holds another history: it has
    to see that seal, which shows it.
    """
    within = (
        select(func.max(segment.c.first_seq))
        .where(segment.c.journal_id == journal_pk, segment.c.first_seq <= from_seq)
        .scalar_subquery()
    )
    return (
        select(segment)
        .where(
            segment.c.journal_id == journal_pk,
            segment.c.first_seq >= func.coalesce(within, from_seq),
            segment.c.first_seq + segment.c.record_count > from_seq,
        )
        .order_by(segment.c.first_seq)
    )


class LaneReader:
    """Reads items for one peer from one snapshot.

    Attributes:
        faults: Segments that could not be read and were left out.
    """

    def __init__(
        self, conn: Connection, identity: Identity, peer: Peer, random: Callable[[int], bytes]
    ) -> None:
        self._random = random
        self._conn = conn
        self._identity = identity
        self._peer = peer
        self._journals: dict[int, tuple[JournalId, Path, Lane | None]] = {}
        self._targets: dict[NodeId, Path | None] = {}
        self._returning = False
        self.faults: list[Fault] = []

    def lane(
        self, lane: Lane, after: int, up_to: int, max_bytes: int
    ) -> tuple[tuple[Item, ...], int]:
        """Return items of a lane with after < position <= up_to, ascending.

        At least one item is returned if there is one, even if it is over `max_bytes`.

        Returns:
            The items, and the position that the lane is scanned to: `up_to`, or
            the last item's last position if the bytes ran out first.
        """
        items, is_whole = self._fill(self._rows(lane, after, up_to), lane, max_bytes)
        return items, up_to if is_whole else items[-1].last_position

    def backfill(
        self, lane: Lane, journal_pk: int, from_seq: int, up_to: int, max_bytes: int
    ) -> tuple[Item, ...]:
        """Return items of one journal from a record on, by sequence number."""
        query = _since(journal_pk, from_seq).where(segment.c.position <= up_to)
        return self._fill(self._each(query), lane, max_bytes)[0]

    def returned(
        self, lane: Lane, journal_pk: int, from_seq: int, max_bytes: int
    ) -> tuple[Item, ...]:
        """Return items of the peer's own journal that it lost, with all parts that are here."""
        self._returning = True
        return self._fill(self._each(_since(journal_pk, from_seq)), lane, max_bytes)[0]

    def _rows(self, lane: Lane, after: int, up_to: int) -> Iterator[Row[Any]]:
        """Read the segments of a lane, a few at a time."""
        path = str(self._peer.path)
        where: dict[str, Any] = {"lane": lane, "up_to": up_to, "some": _ROWS_AT_ONCE}
        if self._identity.path.parent == self._peer.path:
            query = _UP
        else:
            query, where = _DOWN, {**where, "path": path, "below": f"{path}/%"}
        while True:
            rows = query.all(self._conn, after=after, **where)
            yield from rows
            if len(rows) < _ROWS_AT_ONCE:
                return
            after = rows[-1].position

    def _each(self, query: Select[Any]) -> Iterator[Row[Any]]:
        with self._conn.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}) as result:
            yield from result

    def _fill(
        self, rows: Iterator[Row[Any]], lane: Lane, max_bytes: int
    ) -> tuple[tuple[Item, ...], bool]:
        """Return items until the bytes run out, and whether the rows were read to their end."""
        items: list[Item] = []
        budget = min(max_bytes, MAX_FRAME_BYTES - _MARGIN_BYTES)
        for row in rows:
            journal, origin_path, goes_in = self._journal(row.journal_id)
            if goes_in != lane:
                continue
            try:
                item, size = self._item(row, journal, origin_path)
            except StoreInconsistent:
                # The receiver will find a gap in this journal; no other one waits for it.
                self.faults.append(
                    Fault(
                        journal=journal,
                        seq=row.first_seq,
                        position=row.position,
                        code=SEGMENT_UNREADABLE,
                    )
                )
                continue
            budget -= size
            if items and budget < 0:
                return tuple(items), False
            items.append(item)
        return tuple(items), True

    def _journal(self, pk: int) -> tuple[JournalId, Path, Lane | None]:
        known = self._journals.get(pk)
        if known is None:
            head = read_head(self._conn, pk)
            origin = trust.enrolled(self._conn, head.journal.node_id)
            assert origin is not None, "a journal with segments has an enrolled origin"
            lane = lanes_for(
                head.journal.channel,
                origin.path,
                self._identity.path,
                self._peer.path,
                self._target_path(head.journal),
            )
            if head.journal.node_id == self._peer.node_id:
                # Its own journals go back to it only where it asks for them by name.
                lane = lane_of(head.journal.channel) if self._returning else None
            known = self._journals[pk] = (head.journal, origin.path, lane)
        return known

    def _item(self, row: Row[Any], journal: JournalId, origin_path: Path) -> tuple[Item, int]:
        headers = unpack_headers(row.headers)
        sent: dict[JournalId, _Sent] = {}
        runs: tuple[PartsRun, ...] = ()
        if self._returning:
            self._all_parts(row, journal, sent)
        else:
            runs = self._whole_run(row, journal, origin_path)
            if not runs:
                self._own_parts(row, journal, origin_path, headers, sent)
            self._released_parts(row, sent)
        item = Item(
            position=row.position,
            seal=Seal(
                journal=journal,
                first_seq=row.first_seq,
                headers=headers,
                checkpoint=row.checkpoint,
            ),
            cosignatures=cosigning.lines_at(
                self._conn, row.journal_id, row.first_seq + row.record_count
            ),
            parts=(*runs, *(each.run(owner) for owner, each in sent.items())),
        )
        body_bytes = sum(each.size_bytes for each in sent.values())
        body_bytes += sum(len(run.packed) for run in runs)
        return item, len(row.headers) + len(row.checkpoint) + body_bytes

    def _whole_run(
        self, row: Row[Any], journal: JournalId, origin_path: Path
    ) -> tuple[PartsRun, ...]:
        """Return the parts of a segment as they lie, where they are one run that goes as it is.

        So it is with nearly all records: one kind of part, nothing gone, no letter.
        """
        if journal.audience.to is not None:
            return ()
        held = rawsql.fetch(self._conn, _SELECT_PARTS, (row.position,))
        if len(held) != 1:
            return ()
        journal_id, waits, late, reach, blob = held[0]
        rule = PartRule(bool(waits), reach)
        packed = as_sent(bytes(blob))
        end = row.first_seq + row.record_count
        if (
            journal_id != row.journal_id
            or late
            or not packed
            or not self._goes(journal, origin_path, rule, late=False)
            or absences.read_absences(self._conn, row.journal_id, row.first_seq, end)
        ):
            return ()
        return (PartsRun(journal=journal, packed=packed),)

    def _all_parts(self, row: Row[Any], journal: JournalId, sent: dict[JournalId, "_Sent"]) -> None:
        """Collect every part that is here of a segment's records, whenever it came."""
        seqs = range(row.first_seq, row.first_seq + row.record_count)
        held = parts.read_parts(self._conn, row.journal_id, seqs)
        for named in held.values():
            for ruled in named.values():
                sent.setdefault(journal, _Sent()).add(ruled.seq, ruled.part)

    def _released_parts(self, row: Row[Any], sent: dict[JournalId, "_Sent"]) -> None:
        """Collect what the records of a segment release of other journals."""
        for journal_pk, seqs in parts.read_released(self._conn, row.position):
            owner, owner_path, _ = self._journal(journal_pk)
            held = parts.read_parts(self._conn, journal_pk, seqs, waiting_only=True)
            for named in held.values():
                for ruled in named.values():
                    if self._goes(owner, owner_path, ruled.rule, late=True):
                        sent.setdefault(owner, _Sent()).add(ruled.seq, ruled.part)

    def _own_parts(
        self,
        row: Row[Any],
        journal: JournalId,
        origin_path: Path,
        headers: Sequence[bytes],
        sent: dict[JournalId, "_Sent"],
    ) -> None:
        """Collect what came with a segment, here or at its origin."""
        for part_row in self._conn.execute(
            select(parts_table, journal_table.c.node_id, journal_table.c.channel)
            .add_columns(journal_table.c.epoch)
            .join(journal_table, journal_table.c.id == parts_table.c.journal_id)
            .where(parts_table.c.position == row.position)
            .order_by(parts_table.c.id)
        ):
            rule = PartRule(part_row.waits, part_row.reach)
            owner, owner_path = journal_of(part_row), origin_path
            if part_row.journal_id != row.journal_id:
                owner, owner_path, _ = self._journal(part_row.journal_id)
            if not self._goes(owner, owner_path, rule, late=part_row.late):
                continue
            out = sent.setdefault(owner, _Sent())
            for seq, part in unpack_parts(part_row.first_seq, part_row.blob):
                out.add(
                    seq, part if part_row.late else self._letter(owner, row, headers, seq, part)
                )
        for seq, sealed in letters.read_sealed(self._conn, row.journal_id, row.position):
            sent.setdefault(journal, _Sent()).add(seq, sealed)
        for gone in absences.read_absences(
            self._conn, row.journal_id, row.first_seq, row.first_seq + row.record_count
        ):
            digest = decode_header(headers[gone.seq - row.first_seq]).part(gone.name)
            if digest is not None and self._reaches(journal, origin_path, digest.reach):
                absent = AbsentPart(name=gone.name, absence=gone.absence)
                sent.setdefault(journal, _Sent()).add(gone.seq, absent)

    def _letter(
        self, owner: JournalId, row: Row[Any], headers: Sequence[bytes], seq: int, part: Part
    ) -> Part | SealedPart:
        """Return a part as it may travel: in a letter, sealed to its recipient."""
        target = owner.audience.to
        addressed = None if target is None else trust.enrolled(self._conn, target)
        if addressed is None:
            return part
        record = decode_header(headers[seq - row.first_seq])
        live = epochs.live_of(self._conn, addressed)
        ciphertext = seal_part(part, live, journal=owner, record=record, random=self._random)
        return SealedPart(name=part.name, ciphertext=ciphertext)

    def _reaches(self, owner: JournalId, owner_path: Path, reach: int) -> bool:
        """Whether a part that does not wait would go along to the peer."""
        return self._goes(owner, owner_path, PartRule(waits=False, reach=reach), late=False)

    def _goes(self, owner: JournalId, owner_path: Path, rule: PartRule, *, late: bool) -> bool:
        return part_goes(
            owner.channel,
            owner_path,
            self._identity.path,
            self._peer.path,
            reach=rule.reach,
            release_when_accepted=rule.waits,
            attached_to_acceptance=late,
            target_path=self._target_path(owner),
        )

    def _target_path(self, journal: JournalId) -> Path | None:
        """Where the node stands that a `to` journal is for."""
        target = journal.audience.to
        if target is None:
            return None
        if target not in self._targets:
            addressed = trust.enrolled(self._conn, target)
            self._targets[target] = None if addressed is None else addressed.path
        return self._targets[target]


@dataclass(slots=True)
class _Sent:
    """What goes along of one journal's parts, by sequence number."""

    parts: dict[int, list[Part]] = field(default_factory=dict)
    sealed: dict[int, list[SealedPart]] = field(default_factory=dict)
    absent: dict[int, list[AbsentPart]] = field(default_factory=dict)
    size_bytes: int = 0

    def add(self, seq: int, part: Part | SealedPart | AbsentPart) -> None:
        """Note one part, whatever is sent of it."""
        self.size_bytes += _OVERHEAD_BYTES
        match part:
            case Part():
                self.parts.setdefault(seq, []).append(part)
                self.size_bytes += len(part.body)
            case SealedPart():
                self.sealed.setdefault(seq, []).append(part)
                self.size_bytes += len(part.ciphertext)
            case AbsentPart():
                self.absent.setdefault(seq, []).append(part)

    def run(self, journal: JournalId) -> PartsRun:
        """Return it as it travels."""
        seqs = sorted({*self.parts, *self.sealed, *self.absent})
        return PartsRun(
            journal=journal,
            given=tuple(
                RecordParts(
                    seq=seq,
                    parts=tuple(self.parts.get(seq, ())),
                    sealed=tuple(self.sealed.get(seq, ())),
                    absent=tuple(self.absent.get(seq, ())),
                )
                for seq in seqs
            ),
        )
