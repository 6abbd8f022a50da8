"""A group: the jobs that share one transaction, each of which can fail alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from sqlalchemy import Connection

from yidao.node.keys import Identity
from yidao.node.store import epochs, rawsql, trust, vouching
from yidao.node.store.appending import Appender
from yidao.node.store.engine import is_from_database
from yidao.node.store.fence import Fence
from yidao.node.store.journals import Heads
from yidao.node.store.leading import APPLIED, GREW, Leading, News
from yidao.node.store.linkreads import Arrivals, arrivals_of
from yidao.node.store.scope import Scope
from yidao.node.store.transaction import Tx
from yidao.sync.mold import Mold

T = TypeVar("T")
_POSITION: Final = "SELECT last_position FROM store_head WHERE id = 1"
_MOVE: Final = "UPDATE store_head SET last_position = ? WHERE id = 1"
_LOCK: Final = (
    "SELECT last_position FROM store_head WHERE id = 1 FOR UPDATE;"
    "SELECT value FROM meta WHERE key = 'vouched';"
    "SAVEPOINT job"
)


class GroupBroken(Exception):
    """The database gave the whole transaction up; no job of the group has happened."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


class Group:
    """One open transaction of the writer.

    On PostgreSQL the lock on `store_head` makes the groups of several daemons
    follow each other: positions are given in commit order. Behind that lock, and not
    before, is read what another daemon may have changed: the position, and
    whether anything vouches for this run of the server.

    Attributes:
        has_followed: It writes in an epoch that another daemon has opened.
        first_position: The last one that was taken before.
    """

    def __init__(
        self,
        conn: Connection,
        identity: Identity,
        now_ms: int,
        random: Callable[[int], bytes],
        fence: Fence,
        leading: Leading,
        mold: Mold,
    ) -> None:
        self.conn = conn
        self._leading = leading
        known = identity.epoch
        self.is_shared = conn.dialect.name == "postgresql"
        if self.is_shared:
            ((position,),), words, _ = rawsql.fetch_each(conn, _LOCK)
            if words:
                identity = _follow(conn, identity, vouching.Word.decode(words[0][0]), fence)
        else:
            ((position,),) = rawsql.fetch(conn, _POSITION, ())
        self._scope = Scope(
            conn=conn,
            identity=identity,
            now_ms=now_ms,
            random=random,
            heads=Heads(conn),
            last_position=position,
            fence=fence,
        )
        self.has_followed = identity.epoch != known
        self.first_position = position
        # An exchange with a server costs more than the statement: the first savepoint
        # comes with the lock, and each further one with the end of the one before.
        self._is_marked = self.is_shared
        self._depth = 0
        self._appender = Appender(self._scope, mold)
        self.tx = Tx(self._scope, self._appender, leading)

    @property
    def identity(self) -> Identity:
        """Who writes after this group: another than before where it opened an epoch."""
        return self._scope.identity

    @property
    def records(self) -> int:
        """How many records this group will store, as far as is known."""
        stored: int = self._scope.last_position - self.first_position
        return stored + self._appender.count

    @property
    def folds(self) -> bool:
        """Whether something was stored that a projection or a decision may care for."""
        return self._scope.folds

    def arrivals(self) -> Arrivals:
        """Return what this group stored, by where it goes."""
        scope = self._scope
        return arrivals_of(scope.placed, scope.cosigned, self.first_position, scope.last_position)

    def attempt(self, work: Callable[[Tx], T]) -> T:
        """Run one job so that nothing of it stays if it raises; a job may attempt others.

        Raises:
            GroupBroken: The database could not even undo the job.
            Exception: What the job raised.
        """
        scope = self._scope
        mark, position = self._appender.mark(), scope.last_position
        placed = len(scope.placed)
        # One that is within another job must leave that one its savepoint.
        is_released = not self.is_shared or self._depth > 0
        self._set_savepoint(is_released=is_released)
        self._depth += 1
        try:
            result = work(self.tx)
            scope.heads.flush()
            if is_released:
                rawsql.run(self.conn, "RELEASE SAVEPOINT job")
        except BaseException as error:
            try:
                rawsql.run(self.conn, "ROLLBACK TO SAVEPOINT job")
                if is_released:
                    rawsql.run(self.conn, "RELEASE SAVEPOINT job")
                else:
                    # What is left of it is as good as a new one.
                    self._is_marked = True
            except Exception as undo:  # noqa: BLE001 - raised again as what it means
                # SQLite undoes everything by itself when its disk is full.
                raise GroupBroken(error if is_from_database(error) else undo) from error
            self._appender.roll_back(mark)
            scope.heads.forget()
            scope.last_position = position
            del scope.placed[placed:]
            raise
        finally:
            self._depth -= 1
            # Who opens an epoch passes the fence alone.
            scope.opening = False
        return result

    def _set_savepoint(self, *, is_released: bool) -> None:
        if is_released:
            rawsql.run(self.conn, "SAVEPOINT job")
        elif self._is_marked:
            self._is_marked = False
        else:
            rawsql.fetch_each(self.conn, "RELEASE SAVEPOINT job;SAVEPOINT job")

    def finish(self, *, applied: bool = False) -> int:
        """Seal what was appended and return the last position; the caller commits.

        Args:
            applied: The projections have moved.
        """
        scope = self._scope
        self._appender.read_heads()
        with rawsql.together(self.conn):
            self._appender.seal_all()
            scope.heads.flush()
            grew = scope.last_position != self.first_position
            if grew:
                rawsql.run_many(self.conn, _MOVE, [(scope.last_position,)])
            if grew or applied:
                news = News(APPLIED if applied else GREW, str(scope.last_position))
                if telling := self._leading.telling(news):
                    rawsql.run(self.conn, telling)
        return scope.last_position


def _follow(conn: Connection, identity: Identity, word: vouching.Word, fence: Fence) -> Identity:
    """Take over what another daemon has learnt; return who writes from here on."""
    if word.run != conn.info[vouching.RUN]:
        fence.follow(vouching.UNVOUCHED)
        return identity
    if word.epoch == identity.epoch:
        fence.follow("")
        return identity
    own = trust.enrolled(conn, identity.node_id)
    assert own is not None, "bind() wrote the node's own enrolment"
    live = epochs.live_of(conn, own)
    if live.journal_key != identity.journal.public_key:
        fence.follow(vouching.KEYS_ELSEWHERE)
        return identity
    fence.follow("")
    return replace(identity, epoch=live.epoch)
