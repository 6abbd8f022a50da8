"""A group: the jobs that share one transaction, each of which can fail alone."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, select, update

from yidao.node.keys import Identity
from yidao.node.store import rawsql
from yidao.node.store.appending import Appender
from yidao.node.store.engine import is_from_database
from yidao.node.store.fence import Fence
from yidao.node.store.journals import Heads
from yidao.node.store.scope import Scope
from yidao.node.store.tables import head as head_table
from yidao.node.store.transaction import Tx
from yidao.sync.mold import Mold

T = TypeVar("T")


class GroupBroken(Exception):
    """The database gave the whole transaction up; no job of the group has happened."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


class Group:
    """One open transaction of the writer.

    On PostgreSQL the lock on `store_head` makes the groups of several daemons
    follow each other: positions are given in commit order.
    """

    def __init__(
        self,
        conn: Connection,
        identity: Identity,
        now_ms: int,
        random: Callable[[int], bytes],
        fence: Fence,
        mold: Mold,
    ) -> None:
        self.conn = conn
        position: int = conn.execute(
            select(head_table.c.last_position).where(head_table.c.id == 1).with_for_update()
        ).scalar_one()
        self._scope = Scope(
            conn=conn,
            identity=identity,
            now_ms=now_ms,
            random=random,
            heads=Heads(conn),
            last_position=position,
            fence=fence,
        )
        self._first_position = position
        self._appender = Appender(self._scope, mold)
        self.tx = Tx(self._scope, self._appender)

    @property
    def identity(self) -> Identity:
        """Who writes after this group: another than before where it opened an epoch."""
        return self._scope.identity

    @property
    def records(self) -> int:
        """How many records this group will store, as far as is known."""
        stored: int = self._scope.last_position - self._first_position
        return stored + self._appender.count

    def attempt(self, work: Callable[[Tx], T]) -> T:
        """Run one job so that nothing of it stays if it raises.

        Raises:
            GroupBroken: The database could not even undo the job.
            Exception: What the job raised.
        """
        scope = self._scope
        mark, position = self._appender.mark(), scope.last_position
        rawsql.run(self.conn, "SAVEPOINT job")
        try:
            result = work(self.tx)
            scope.heads.flush()
            rawsql.run(self.conn, "RELEASE SAVEPOINT job")
        except BaseException as error:
            try:
                rawsql.run(self.conn, "ROLLBACK TO SAVEPOINT job")
                rawsql.run(self.conn, "RELEASE SAVEPOINT job")
            except Exception as undo:  # noqa: BLE001 - raised again as what it means
                # SQLite undoes everything by itself when its disk is full.
                raise GroupBroken(error if is_from_database(error) else undo) from error
            self._appender.roll_back(mark)
            scope.heads.forget()
            scope.last_position = position
            raise
        finally:
            # Who opens an epoch passes the fence alone.
            scope.opening = False
        return result

    def finish(self) -> int:
        """Seal what was appended and return the last position; the caller commits."""
        scope = self._scope
        self._appender.seal_all()
        scope.heads.flush()
        if scope.last_position != self._first_position:
            self.conn.execute(
                update(head_table)
                .where(head_table.c.id == 1)
                .values(last_position=scope.last_position)
            )
        return scope.last_position
