"""The projector of returns: hand-ins and verdicts in position order, totals by new minus old."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, delete, select, tuple_

from yidao.api.errors import YidaoError
from yidao.node.affairs.cores import payload_digest
from yidao.node.affairs.errors import ReturnStateWrong
from yidao.node.affairs.paths import Paths
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.forgetting import forget
from yidao.node.affairs.reporting.lines import Book, Line, load_books, save_lines
from yidao.node.affairs.reporting.records import ReturnKey
from yidao.node.affairs.reporting.revoked import beyond, read_revocation
from yidao.node.affairs.reporting.rules import State, Step
from yidao.node.affairs.reporting.said import HAND_INS, Event, Said, keys_of, read_event
from yidao.node.affairs.reporting.sums import Scope, Share, Sums, shares_of
from yidao.node.affairs.reporting.tables import (
    early_verdict,
    return_version,
    rollup,
    rollup_source,
)
from yidao.node.store.records import Reader
from yidao.node.store.values import StoredRecord
from yidao.sync.ids import NodeId, Path
from yidao.sync.leafcode import LEAF_BYTES
from yidao.sync.merkle import leaf_hash


class ReturnProjector:
    """Folds returns and the verdicts on them.

    A hand-in is believed of whoever wrote it, since its object is theirs; a
    verdict only of the direct parent of the return's origin, and a doubt only
    of this node itself. What may not be is passed over; a verdict that comes
    before its return waits for it.
    """

    name = "reporting.return"
    tables: tuple[Table, ...] = (return_version, rollup, rollup_source, early_verdict)

    def fold(self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold a batch, in two where a revocation lies between."""
        run: list[StoredRecord] = []
        for item in records_:
            found = read_revocation(conn, item)
            if found is not None:
                self._fold_run(conn, run, reader)
                run = []
                _take_back(conn, beyond(conn, found, reader), reader)
            else:
                run.append(item)
        self._fold_run(conn, run, reader)

    def _fold_run(self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader) -> None:
        own = reader.own.node_id
        events = [
            event
            for item in records_
            if not _is_to_another(item, own) and (event := read_event(item)) is not None
        ]
        if events:
            books = load_books(conn, keys_of(events))
            _Batch(conn=conn, reader=reader, books=books, paths=Paths(reader)).fold(events)
        for erasure in reader.erasures(records_):
            forget(conn, erasure)


def _take_back(conn: Connection, places: Sequence[tuple[ReturnKey, int]], reader: Reader) -> None:
    """Let versions count no more that lie beyond the cut of a revocation."""
    if places:
        books = load_books(conn, [key for key, _ in places])
        batch = _Batch(conn=conn, reader=reader, books=books, paths=Paths(reader))
        batch.revoke(places)


@dataclass(slots=True, kw_only=True)
class _Batch:
    """One batch while it is folded."""

    conn: Connection
    reader: Reader
    books: dict[ReturnKey, Book]
    paths: Paths
    # Accepted without figures so far; at which position they may have come at the latest.
    released: dict[int, Line] = field(default_factory=dict)
    released_by: int = 0
    sources: set[tuple[str, str, str, int]] = field(default_factory=set)
    # Verdicts that wait for their return; those of this batch; those that found it.
    early: dict[tuple[ReturnKey, bytes, bytes], list[Said]] = field(
        default_factory=lambda: defaultdict(list)
    )
    fresh_early: list[Said] = field(default_factory=list)
    settled: list[Said] = field(default_factory=list)

    def fold(self, events: Sequence[Event]) -> None:
        self._load_early([event.item.header.record_id for event in events if event.key])
        before = {key: shares_of(book) for key, book in self.books.items()}
        for event in events:
            if event.key is not None:
                self._hand_in(event.item, event.key)
            for said in event.steps:
                self._say(said, said.position)
        self._take_figures()
        self._settle(before)
        self._save_sources()
        self._save_early()

    def revoke(self, places: Sequence[tuple[ReturnKey, int]]) -> None:
        """Take versions back, by return and position."""
        before = {key: shares_of(book) for key, book in self.books.items()}
        positions = defaultdict(set)
        for key, position in places:
            positions[key].add(position)
        for key, mine in positions.items():
            self.books[key].revoke(mine)
        self._settle(before)

    def _settle(self, before: dict[ReturnKey, dict[Scope, Share]]) -> None:
        """Move the sums from what stood before to what stands now, and write the lines."""
        sums = Sums(self.conn)
        touched = [book for book in self.books.values() if _is_touched(book)]
        sums.load([line for book in touched for line in book.lines])
        for key, book in self.books.items():
            if _is_touched(book):
                sums.move(before[key], shares_of(book))
        sums.settle()
        for book in touched:
            book.forget_exclusions()
        sums.save()
        save_lines(self.conn, [line for book in touched for line in book.lines])

    def _load_early(self, record_ids: Sequence[bytes]) -> None:
        # Nearly always there is none, and a batch of imports asks for thousands.
        if self.conn.execute(select(early_verdict.c.position).limit(1)).first() is None:
            return
        found = self.conn.execute(
            select(early_verdict)
            .where(early_verdict.c.record_id.in_(record_ids))
            .order_by(early_verdict.c.position)
        )
        for row in found:
            said = Said(
                position=row.position,
                journal_pk=row.journal_pk,
                kind=row.kind,
                speaker=bytes(row.speaker),
                key=ReturnKey(pack=row.pack, form=row.form, period=row.period, unit=row.unit),
                origin=bytes(row.origin),
                record_id=bytes(row.record_id),
                step=Step(row.step),
                reviewed_by=row.reviewed_by,
                reason=row.reason,
                faults=None if row.faults is None else bytes(row.faults),
            )
            self.early[said.key, said.origin, said.record_id].append(said)

    def _save_early(self) -> None:
        done = {(said.position, said.record_id) for said in self.settled}
        fresh = {(said.position, said.record_id): said for said in self.fresh_early}
        rows = [_early_row(said) for place, said in fresh.items() if place not in done]
        if rows:
            self.conn.execute(early_verdict.insert(), rows)
        table = early_verdict.c
        for position, record_id in done - set(fresh):
            self.conn.execute(
                delete(early_verdict).where(
                    table.position == position, table.record_id == record_id
                )
            )

    def _hand_in(self, item: StoredRecord, key: ReturnKey) -> None:
        line = _new_line(item, key, self.paths.of(item.header.node_id), own=self.reader.own.node_id)
        if line is None:
            return
        self.books[key].add(line)
        if line.state is not State.SUBMITTED:
            return
        self._source(key, item.journal_pk)
        for said in self.early.pop((key, line.origin, line.record_id), ()):
            self.settled.append(said)
            self._say(said, item.position)

    def _say(self, said: Said, position: int) -> None:
        """Let a verdict take effect; `position` is where it and its return are both known."""
        line = self.books[said.key].find(said.origin, said.record_id)
        if line is None:
            self._keep_early(said)
            return
        if not self._may_say(said, line):
            return
        if said.step is Step.WITHDRAW and not line.withdrawn_by:
            # Kept also where a verdict holds: who asked and why is part of the story.
            line.withdrawn_by, line.withdrawn_reason = said.reviewed_by, said.reason
            line.changed = True
        try:
            self.books[said.key].step(line, said.step)
        except ReturnStateWrong:
            # A verdict that comes too late or twice; the first one stands, but
            # the figures may have come only with the second.
            if said.step is Step.ACCEPT and line.state is State.ACCEPTED:
                self._release(line, position)
            return
        line.changed = True
        if said.step is Step.WITHDRAW:
            return
        line.reason = said.reason or line.reason
        line.faults = said.faults or line.faults
        if said.step is Step.DOUBT:
            return
        line.reviewed_by = said.reviewed_by
        if said.step is Step.ACCEPT:
            self._release(line, position)
            self._source(said.key, said.journal_pk)

    def _keep_early(self, said: Said) -> None:
        self.fresh_early.append(said)
        self.early[said.key, said.origin, said.record_id].append(said)

    def _may_say(self, said: Said, line: Line) -> bool:
        own = self.reader.own
        if said.kind == records.DOUBTED:
            return said.speaker == own.node_id
        if said.kind == records.WITHDRAWN:
            return said.speaker == line.origin
        origin = self.paths.of(line.origin)
        speaker = self.paths.of(said.speaker)
        return origin is not None and speaker is not None and origin.parent == speaker

    def _release(self, line: Line, position: int) -> None:
        if line.payload is None:
            self.released[line.position] = line
            self.released_by = max(self.released_by, position)

    def _take_figures(self) -> None:
        """Take in the figures that came with acceptances, those of one journal at once."""
        by_journal: dict[int, list[Line]] = defaultdict(list)
        for line in self.released.values():
            by_journal[line.journal_pk].append(line)
        for journal_pk, lines in by_journal.items():
            seqs = sorted(line.seq for line in lines)
            found = self.reader.many_parts(journal_pk, seqs, self.released_by)
            for line in lines:
                parts = found.get(line.seq, {})
                if (core := parts.get("core")) is not None:
                    line.payload = core
                    line.digest = payload_digest(core, parts.get("pii", b""))
                    line.changed = line.filled = True

    def _source(self, key: ReturnKey, journal_pk: int) -> None:
        self.sources.add((key.pack, key.form, key.period, journal_pk))

    def _save_sources(self) -> None:
        if not self.sources:
            return
        table = rollup_source.c
        columns = (table.pack, table.form, table.period, table.journal_pk)
        found = self.conn.execute(
            select(*columns).where(tuple_(*columns[:3]).in_({each[:3] for each in self.sources}))
        )
        fresh = self.sources - {(row[0], row[1], row[2], row[3]) for row in found}
        if fresh:
            names = [column.name for column in columns]
            self.conn.execute(
                rollup_source.insert(),
                [dict(zip(names, each, strict=True)) for each in sorted(fresh)],
            )


def _early_row(said: Said) -> dict[str, object]:
    return {
        "position": said.position,
        "record_id": said.record_id,
        "journal_pk": said.journal_pk,
        "kind": said.kind,
        "speaker": said.speaker,
        "pack": said.key.pack,
        "form": said.key.form,
        "period": said.key.period,
        "unit": said.key.unit,
        "origin": said.origin,
        "step": said.step.value,
        "reviewed_by": said.reviewed_by,
        "reason": said.reason,
        "faults": said.faults,
    }


def _is_to_another(item: StoredRecord, own: NodeId) -> bool:
    """Whether it is a letter about verdicts to somebody else: a parent has said them before."""
    return item.header.kind == records.NOTIFIED and item.journal.audience.to != own


def _is_touched(book: Book) -> bool:
    return any(line.fresh or line.changed for line in book.lines)


def _new_line(item: StoredRecord, key: ReturnKey, path: Path | None, *, own: NodeId) -> Line | None:
    header = item.header
    schema = header.schema.split("/")
    # Only what is submitted leaves its node; a child cannot refuse or record here.
    if header.kind != records.SUBMITTED and header.node_id != own:
        return None
    # A refused row may be of no known form; every other one names its schema.
    if path is None or (header.kind != records.REFUSED and len(schema) != 3):
        return None
    line = Line(
        key=key,
        position=item.position,
        journal_pk=item.journal_pk,
        seq=item.seq,
        version=header.object_version,
        state=HAND_INS[header.kind],
        pack_version=schema[1] if len(schema) == 3 else "",
        schema_sha256=header.schema_sha256,
        origin=header.node_id,
        origin_path=str(path),
        record_id=header.record_id,
        submitted_by=header.actor,
        created_ms=header.created_ms,
        payload=None,
        digest=None,
        leaf=leaf_hash(item.raw)[:LEAF_BYTES],
        fresh=True,
    )
    if line.state is State.REFUSED:
        return _with_refusal(line, item)
    if (core := item.parts.get("core")) is not None:
        line.payload = core
        line.digest = payload_digest(core, item.parts.get("pii", b""))
    return line


def _with_refusal(line: Line, item: StoredRecord) -> Line | None:
    try:
        refusal = records.Refusal.decode(item.parts.get("core"))
    except YidaoError:
        return None
    line.payload = refusal.payload
    line.digest = records.raw_digest(refusal.payload)
    line.faults = records.encode_faults(refusal.faults)
    return line
