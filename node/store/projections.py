"""Projections and decisions: what runs over the records after every commit.

Both see each record once, in position order, in the writer's thread; their
cursor moves in the transaction of what they write. A projector only folds: no
clock, no settings, no emission. A decider may append. One that raises is
stalled, with a problem, and the others go on.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol

import structlog
from sqlalchemy import Connection, Table, delete, func, insert, select, update

from yidao.node.store.engine import is_fatal, may_pass
from yidao.node.store.errors import StoreInconsistent
from yidao.node.store.group import Group, GroupBroken
from yidao.node.store.records import Reader, read_records
from yidao.node.store.tables import cursor as table
from yidao.node.store.transaction import Tx
from yidao.node.store.values import RebuildReport, StoredRecord, TableDigest

BATCH_RECORDS: Final = 2_000
PROJECTION_STALLED: Final = "PROJECTION_STALLED"

log = structlog.get_logger()


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

    def __init__(self, projectors: Sequence[Projector], deciders: Sequence[Decider]) -> None:
        self._projectors = {projector.name: projector for projector in projectors}
        self._deciders = {decider.name: decider for decider in deciders}
        self._cursors: dict[str, int] = {}
        self._stalled: set[str] = set()

    def load(self, conn: Connection) -> None:
        """Read where everybody stands; who is new begins at the first record."""
        rows = {row.name: row.position for row in conn.execute(select(table))}
        for name in (*self._projectors, *self._deciders):
            if name not in rows:
                conn.execute(insert(table).values(name=name, position=0))
            self._cursors[name] = rows.get(name, 0)

    def stalled_projectors(self) -> frozenset[str]:
        """Return which projectors failed and wait for a person."""
        return frozenset(self._stalled.intersection(self._projectors))

    def applied(self, last_position: int) -> int:
        """Return the position up to which every projector has folded."""
        return min((self._cursors[name] for name in self._projectors), default=last_position)

    def behind(self, last_position: int, *, fenced: bool = False) -> bool:
        """Whether somebody who may run has records to see; deciders wait behind a fence."""
        return any(
            position < last_position
            for name, position in self._cursors.items()
            if self._runs(name, fenced=fenced)
        )

    def _runs(self, name: str, *, fenced: bool) -> bool:
        return name not in self._stalled and not (fenced and name in self._deciders)

    def step(self, group: Group, *, fenced: bool = False) -> dict[str, int]:
        """Give one batch to those who are furthest behind.

        Returns:
            Their new cursors; `moved` takes them once the transaction is committed.
        """
        # Another daemon on the same database may have moved them.
        self._cursors |= {
            row.name: row.position
            for row in group.conn.execute(select(table))
            if row.name in self._cursors
        }
        running = {
            name: position
            for name, position in self._cursors.items()
            if self._runs(name, fenced=fenced)
        }
        if not running:
            # The fence was closed, or somebody stalled, since it was looked.
            return {}
        after = min(running.values())
        names = [name for name, position in running.items() if position == after]
        try:
            records, scanned = read_records(group.conn, after, BATCH_RECORDS)
        except StoreInconsistent as error:
            # Skipping what cannot be read would give tables that no journal proves.
            for name in names:
                self._stall(name, group.tx, error)
            return {}
        reader = Reader(group.conn, group.tx.identity)
        moved = {}
        for name in names:
            if self._give(name, group, records, reader):
                self._move(group.conn, name, scanned)
                moved[name] = scanned
        return moved

    def moved(self, cursors: dict[str, int]) -> None:
        """Take over cursors whose transaction is committed."""
        self._cursors.update(cursors)

    def rebuild(self, tx: Tx) -> tuple[RebuildReport, int]:
        """Empty the projectors' tables and fold everything again, in this transaction.

        Returns:
            The report, and the position that everything is folded up to.

        Raises:
            Exception: Whatever a projector raises; the transaction is then rolled back.
        """
        tables = [one for projector in self._projectors.values() for one in projector.tables]
        before = {one.name: digest_table(tx.conn, one)[1] for one in tables}
        for one in reversed(tables):
            tx.conn.execute(delete(one))
        after = count = 0
        reader = Reader(tx.conn, tx.identity)
        while True:
            records, scanned = read_records(tx.conn, after, BATCH_RECORDS)
            if scanned == after:
                break
            after = scanned
            count += len(records)
            for projector in self._projectors.values():
                projector.fold(tx.conn, records, reader)
        for name in self._projectors:
            self._move(tx.conn, name, after)
        digests = []
        for one in tables:
            rows, digest = digest_table(tx.conn, one)
            digests.append(
                TableDigest(name=one.name, rows=rows, before=before[one.name], after=digest)
            )
        return RebuildReport(records=count, tables=tuple(digests)), after

    def rebuilt(self, position: int) -> None:
        """Take over that a rebuild is committed: nobody who folds is stalled any more."""
        for name in self._projectors:
            self._cursors[name] = position
            self._stalled.discard(name)

    def _give(
        self, name: str, group: Group, records: Sequence[StoredRecord], reader: Reader
    ) -> bool:
        def work(tx: Tx) -> None:
            projector = self._projectors.get(name)
            if projector is not None:
                projector.fold(tx.conn, records, reader)
            else:
                self._deciders[name].decide(tx, records, reader)

        try:
            group.attempt(work)
        except GroupBroken:
            raise
        except Exception as error:
            if may_pass(error) or is_fatal(error):
                raise
            self._stall(name, group.tx, error)
            return False
        return True

    def _stall(self, name: str, tx: Tx, error: Exception) -> None:
        self._stalled.add(name)
        log.error("store.projection.stalled", projection=name, exc_info=error)
        tx.raise_problem(PROJECTION_STALLED, name=name, error=type(error).__name__)

    def _move(self, conn: Connection, name: str, position: int) -> None:
        conn.execute(update(table).where(table.c.name == name).values(position=position))


def digest_table(conn: Connection, one: Table) -> tuple[int, bytes]:
    """Return a table's row count and a SHA-256 over its rows in key order."""
    digest = hashlib.sha256()
    order = list(one.primary_key.columns) or list(one.columns)
    rows = conn.execute(select(one).order_by(*order), execution_options={"yield_per": 1_000})
    for row in rows:
        digest.update(repr(tuple(row)).encode())
        digest.update(b"\n")
    count = conn.execute(select(func.count()).select_from(one)).scalar_one()
    return count, digest.digest()
