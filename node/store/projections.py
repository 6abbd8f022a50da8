"""Projections and decisions: what runs over the records after every commit.

Both see each record once, in position order, in the writer's thread; their
cursor moves in the transaction of what they write. A projector only folds: no
clock, no settings, no emission. A decider may append. A record of another
node that breaks one of them is left out (see `poison`); one that breaks by
itself is stalled, with a problem, and the others go on. The last decider is the
store's own eraser, so that what is to go is folded by everybody first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog
from sqlalchemy import Connection, Table, delete, insert, select

from yidao.node.store import poison, rawsql, snapshots
from yidao.node.store.deaths import Deaths
from yidao.node.store.engine import is_fatal, may_pass
from yidao.node.store.errors import StoreInconsistent
from yidao.node.store.group import Group, GroupBroken
from yidao.node.store.parterrors import PruningUnready
from yidao.node.store.records import Reader, read_records
from yidao.node.store.redacting import Eraser
from yidao.node.store.snapshots import digest_table
from yidao.node.store.tables import cursor as table
from yidao.node.store.tables import head as head_table
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, RebuildReport, StoredRecord, TableDigest
from yidao.sync.removal import KIND_SEALED, SealedSnapshot

BATCH_RECORDS: Final = 2_000
#: So many records that nobody folds are looked at again at most after a crash.
KEPT_RECORDS: Final = 20_000
PROJECTION_STALLED: Final = "PROJECTION_STALLED"
_MOVE: Final = "UPDATE cursor SET position = ? WHERE name = ?"

log = structlog.get_logger()


class Ahead(NamedTuple):
    """Records that were read before the transaction that gives them to somebody.

    Attributes:
        after: The position that they follow.
        scanned: The position up to which these are all.
    """

    after: int
    records: Sequence[StoredRecord]
    scanned: int


class Projector(Protocol):
    """Folds records into tables of its own."""

    name: str
    tables: tuple[Table, ...]

    def fold(self, conn: Connection, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold records, in position order, into the tables."""


class Decider(Protocol):
    """Answers records with records."""

    name: str

    def decide(self, tx: Tx, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Look at records, in position order, and append what follows."""


class Runner:
    """Runs projectors and deciders, each from its own cursor."""

    def __init__(
        self,
        projectors: Sequence[Projector],
        deciders: Sequence[Decider],
        deaths: Deaths | None = None,
    ) -> None:
        self._deaths = deaths or Deaths()
        self._projectors = {projector.name: projector for projector in projectors}
        self._eraser = Eraser()
        self._deciders = {decider.name: decider for decider in (*deciders, self._eraser)}
        self._cursors: dict[str, int] = {}
        self._stalled: set[str] = set()
        # In the transaction that is not committed yet.
        self._stalling: set[str] = set()
        self._kept = 0

    def load(self, conn: Connection) -> None:
        """Read where everybody stands; who is new begins at the first record.

        But the eraser: before it there was nothing to erase.
        """
        rows = {row.name: row.position for row in conn.execute(select(table))}
        if self._eraser.name not in rows:
            last = conn.execute(select(head_table.c.last_position)).scalar_one()
            conn.execute(insert(table).values(name=self._eraser.name, position=last))
            rows[self._eraser.name] = last
        for name in (*self._projectors, *self._deciders):
            if name not in rows:
                conn.execute(insert(table).values(name=name, position=0))
            self._cursors[name] = rows.get(name, 0)

    def _read_cursors(self, conn: Connection) -> None:
        """Take over what another daemon on the same database has moved on."""
        for row in conn.execute(select(table)):
            if row.name in self._cursors:
                self._cursors[row.name] = max(self._cursors[row.name], row.position)

    def follow(self, conn: Connection) -> int:
        """Take over how far another daemon has brought everybody; return the last position."""
        self._read_cursors(conn)
        position: int = conn.execute(select(head_table.c.last_position)).scalar_one()
        return position

    @property
    def has_erased(self) -> bool:
        """Whether the last step removed parts for good."""
        return self._eraser.erased > 0

    def stalled_projectors(self) -> frozenset[str]:
        """Return which projectors failed and wait for a person, the eraser among them."""
        return frozenset(self._stalled.intersection({*self._projectors, self._eraser.name}))

    def applied(self) -> int:
        """Return the position up to which every projector has folded and all is erased."""
        return min(self._cursors[name] for name in (*self._projectors, self._eraser.name))

    def behind(self, last_position: int, *, fenced: bool = False) -> bool:
        """Whether somebody who may run has records to see; deciders wait behind a fence."""
        return any(
            position < last_position
            for name, position in self._cursors.items()
            if self._runs(name, fenced=fenced)
        )

    def _runs(self, name: str, *, fenced: bool) -> bool:
        return name not in self._stalled and not (fenced and name in self._deciders)

    def read_ahead(self, conn: Connection, *, fenced: bool = False) -> Ahead | None:
        """Read the batch that `step` will give, as far as is known; None if nobody runs."""
        positions = [at for name, at in self._cursors.items() if self._runs(name, fenced=fenced)]
        if not positions:
            return None
        after = min(positions)
        try:
            records, scanned = read_records(conn, after, BATCH_RECORDS, to_fold=True)
        except StoreInconsistent:
            # The step itself finds it, and stalls whom it concerns.
            return None
        return Ahead(after, records, scanned)

    def step(
        self, group: Group, ahead: Ahead | None = None, *, fenced: bool = False
    ) -> dict[str, int]:
        """Give one batch to those who are furthest behind.

        Args:
            group: The transaction.
            ahead: What was read before it; of use if nobody has moved since.
            fenced: Deciders wait.

        Returns:
            Their new cursors; `moved` takes them once the transaction is committed.
        """
        self._stalling.clear()
        self._read_cursors(group.conn)
        running = {
            name: position
            for name, position in self._cursors.items()
            if self._runs(name, fenced=fenced)
        }
        if not running:
            # The fence was closed, or somebody stalled, since it was looked.
            return {}
        self._eraser.erased = 0
        after = min(running.values())
        names = [name for name, position in running.items() if position == after]
        try:
            if ahead is not None and ahead.after == after:
                _, records, scanned = ahead
            else:
                records, scanned = read_records(group.conn, after, BATCH_RECORDS, to_fold=True)
        except StoreInconsistent as error:
            # Skipping what cannot be read would give tables that no journal proves.
            for name in names:
                self._stall(name, group.tx, error)
            return {}
        is_late = scanned >= self._kept + KEPT_RECORDS
        if not records and after < scanned and not (is_late or group.is_shared):
            # Nothing to fold: where everybody stands is written down the next time. But other
            # daemons on the database learn there how far this one is.
            return dict.fromkeys(names, scanned)
        self._kept = scanned
        reader = Reader(group.conn, group.tx.identity)
        moved = {}
        for name in names:
            if self._give(name, group, records, reader):
                moved[name] = scanned
        self._move(group.conn, moved, scanned)
        if self.has_erased and snapshots.has_snapshot(group.conn):
            # The snapshot still holds what is to be forgotten.
            self._seal(group.tx, {**self._cursors, **moved})
        return moved

    def pass_over(self, after: int, position: int) -> None:
        """Take over that what was stored between two positions is nobody's matter.

        Where everybody stands is written down with the next step; what passed until then is
        looked at again after a crash.
        """
        if position < self._kept + KEPT_RECORDS:
            self.moved({name: position for name, at in self._cursors.items() if at == after})

    def moved(self, cursors: dict[str, int]) -> None:
        """Take over cursors whose transaction is committed, and who stalled in it."""
        self._cursors.update(cursors)
        self._stalled |= self._stalling
        self._stalling.clear()
        for name, position in cursors.items():
            self._deaths.passed(name, position)

    def seal_snapshot(self, tx: Tx, last_position: int) -> SealedSnapshot:
        """Keep the projected tables as they are, and write down what they are.

        Raises:
            PruningUnready: Somebody has not seen every record yet, or is stalled.
        """
        self._read_cursors(tx.conn)
        cursors = self._cursors
        behind = min(cursors.values())
        if behind < last_position or self._stalled:
            raise PruningUnready(applied=behind, position=last_position)
        return self._seal(tx, cursors)

    def _seal(self, tx: Tx, cursors: Mapping[str, int]) -> SealedSnapshot:
        mine = {name: cursors[name] for name in self._projectors}
        position = min(mine.values(), default=0)
        made = snapshots.write_snapshot(tx.conn, self._tables(), mine, position)
        core = DraftPart(name="core", body=made.encode(), reach=0)
        draft = Draft(
            record_id=tx.mint(),
            kind=KIND_SEALED,
            actor=f"node@{tx.identity.path}",
            object_id=f"snapshot/{position}",
            object_version=1,
            created_ms=tx.now_ms,
            parts=(core,),
        )
        tx.append("local", [draft])
        return made

    def _tables(self) -> list[Table]:
        return [one for projector in self._projectors.values() for one in projector.tables]

    def rebuild(self, tx: Tx) -> tuple[RebuildReport, int]:
        """Empty the projectors' tables and fold everything again, in this transaction.

        Where a snapshot was sealed, it takes the place of the records before it.

        Returns:
            The report, and the position that everything is folded up to.

        Raises:
            SnapshotDamaged: The snapshot is not what was sealed.
            Exception: Whatever a projector raises; the transaction is then rolled back.
        """
        tables = self._tables()
        before = {one.name: digest_table(tx.conn, one)[1] for one in tables}
        for one in reversed(tables):
            tx.conn.execute(delete(one))
        poison.clear(tx, poison.BREAKS_VIEW)
        starts = self._restore(tx.conn)
        after, count = min(starts.values(), default=0), 0
        reader = Reader(tx.conn, tx.identity)
        while True:
            records, scanned = read_records(tx.conn, after, BATCH_RECORDS, to_fold=True)
            if scanned == after:
                break
            after = scanned
            count += len(records)
            for name, projector in self._projectors.items():
                fresh = [record for record in records if record.position > starts[name]]
                _fold_again(tx, projector, fresh, reader, self._deaths)
        self._move(tx.conn, self._projectors, after)
        digests = []
        for one in tables:
            rows, digest = digest_table(tx.conn, one)
            digests.append(
                TableDigest(name=one.name, rows=rows, before=before[one.name], after=digest)
            )
        return RebuildReport(records=count, tables=tuple(digests)), after

    def _restore(self, conn: Connection) -> dict[str, int]:
        """Fill the empty tables from the snapshot; return where each projector goes on."""
        sealed = snapshots.read_snapshot(conn)
        if sealed is None:
            return dict.fromkeys(self._projectors, 0)
        known = dict(sealed.cursors)
        starts = {}
        for name, projector in self._projectors.items():
            found = [snapshots.restore_table(conn, sealed, one) for one in projector.tables]
            # A projector that is newer than the snapshot folds what is left.
            starts[name] = known.get(name, 0) if all(found) else 0
        return starts

    def rebuilt(self, position: int) -> None:
        """Take over that a rebuild is committed: nobody who folds is stalled any more."""
        for name in self._projectors:
            self._cursors[name] = position
            self._stalled.discard(name)
            self._deaths.passed(name, position)

    def _give(
        self, name: str, group: Group, records: Sequence[StoredRecord], reader: Reader
    ) -> bool:
        projector = self._projectors.get(name)

        def work(tx: Tx, some: Sequence[StoredRecord]) -> None:
            with self._deaths.reading(name, some):
                if projector is not None:
                    projector.fold(tx.conn, some, reader)
                else:
                    self._deciders[name].decide(tx, some, reader)

        def single(record: StoredRecord) -> None:
            self._deaths.check(name, record)
            group.attempt(lambda tx: work(tx, [record]))

        def apart(tx: Tx) -> None:
            code = poison.BREAKS_DECISION if projector is None else poison.BREAKS_VIEW
            failed = poison.one_by_one(records, single, reader.own.node_id)
            poison.show(tx, code, name, failed)

        if self._deaths.suspects(name, records):
            return self._give_apart(name, group, apart)
        try:
            group.attempt(lambda tx: work(tx, records))
        except GroupBroken:
            raise
        except Exception as error:
            if may_pass(error) or is_fatal(error):
                raise
            return self._give_apart(name, group, apart)
        return True

    def _give_apart(self, name: str, group: Group, apart: Callable[[Tx], None]) -> bool:
        try:
            group.attempt(apart)
        except GroupBroken:
            raise
        except Exception as error:
            if may_pass(error) or is_fatal(error):
                raise
            self._stall(name, group.tx, error)
            return False
        return True

    def _stall(self, name: str, tx: Tx, error: Exception) -> None:
        self._stalling.add(name)
        log.error("store.projection.stalled", projection=name, exc_info=error)
        tx.raise_problem(PROJECTION_STALLED, name=name, error=type(error).__name__)

    def _move(self, conn: Connection, names: Iterable[str], position: int) -> None:
        rawsql.run_many(conn, _MOVE, [(position, name) for name in names])


def _fold_again(
    tx: Tx,
    projector: Projector,
    records: Sequence[StoredRecord],
    reader: Reader,
    deaths: Deaths,
) -> None:
    """Fold a batch in a rebuild, leaving out what was left out, or would be, the first time."""

    def attempt(some: Sequence[StoredRecord]) -> None:
        rawsql.run(tx.conn, "SAVEPOINT fold")
        try:
            with deaths.reading(projector.name, some):
                projector.fold(tx.conn, some, reader)
        except Exception:
            rawsql.run(tx.conn, "ROLLBACK TO SAVEPOINT fold")
            raise
        finally:
            rawsql.run(tx.conn, "RELEASE SAVEPOINT fold")

    def single(record: StoredRecord) -> None:
        deaths.check(projector.name, record)
        attempt([record])

    try:
        if not deaths.suspects(projector.name, records):
            attempt(records)
            return
    except Exception as error:
        if may_pass(error) or is_fatal(error):
            raise
    failed = poison.one_by_one(records, single, reader.own.node_id)
    poison.show(tx, poison.BREAKS_VIEW, projector.name, failed)
