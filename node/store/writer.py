"""The single writer: one thread, one connection, one commit for all who wait.

It takes the first job and all that wait, up to 2,000 records, and never sleeps
to collect more: while one group is being fsynced the next one gathers. A job
gets its answer after the COMMIT that made it durable, never before.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine

from yidao.node.keys import Identity
from yidao.node.store import errors
from yidao.node.store.committimes import CommitTimes
from yidao.node.store.drafting import prepare
from yidao.node.store.engine import is_fatal, is_from_database, translate, truncate_wal
from yidao.node.store.fence import Fence
from yidao.node.store.group import Group, GroupBroken
from yidao.node.store.highwater import HighWater, NoHighWater
from yidao.node.store.jobs import Append, Errand, Job, JobQueue
from yidao.node.store.leading import GREW, Alone, Leading, News
from yidao.node.store.linkreads import Arrivals
from yidao.node.store.projections import Ahead, Runner
from yidao.node.store.transaction import Tx
from yidao.node.store.values import MAX_GROUP_RECORDS, Draft, Ticket
from yidao.node.store.watchers import Watchers
from yidao.sync.mold import Mold

T = TypeVar("T")
FATAL_EXIT_CODE: Final = 70

log = structlog.get_logger()


def end_process(error: BaseException) -> None:
    """End the process at once: after a failed fsync nothing here may be believed."""
    cause = getattr(error, "orig", error)
    reason = getattr(cause, "sqlite_errorname", type(cause).__name__)
    log.critical("store.disk.failed", error=type(error).__name__, reason=reason)
    os._exit(FATAL_EXIT_CODE)


@contextmanager
def _unknown_where_lost(group: Group) -> Iterator[None]:
    """Say of a COMMIT whose answer was lost with the connection what can be said of it.

    Raises:
        StoreCommitUnknown: It may have happened; who repeats a record id learns it.
    """
    try:
        yield
    except Exception as error:
        if group.is_shared and is_from_database(error):
            found = translate(error)
            if isinstance(found, errors.StoreUnreachable):
                raise errors.StoreCommitUnknown(**found.params) from error
        raise


#: How soon a database is asked again that let no transaction begin.
_AGAIN_SECONDS: Final = 0.2
#: How soon a full disk is asked again, unless a job comes.
_FULL_SECONDS: Final = 1.0


class Writer:
    """Runs jobs in groups, and the projections behind them."""

    def __init__(
        self,
        engine: Engine,
        identity: Identity,
        runner: Runner,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
        last_position: int,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._leading: Leading = Alone()
        self._is_shared = engine.dialect.name == "postgresql"
        self._news = False
        self._told_position = last_position
        self._fence = Fence()
        self._high_water: HighWater = NoHighWater()
        self._engine = engine
        self.identity = identity
        self._mold = Mold(identity.network, identity.node_id)
        self._runner = runner
        self._clock_ms = clock_ms
        self._random = random
        self._on_fatal = on_fatal
        self._jobs = JobQueue()
        self._watchers = Watchers(runner.stalled_projectors)
        self.last_position = last_position
        self.applied_position = runner.applied()
        self.commits = 0
        self.commit_times = CommitTimes()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def obey(self, fence: Fence, high_water: HighWater, leading: Leading) -> None:
        """Seal nothing while the fence is closed, and tell how far commits are; before `start`."""
        self._fence, self._high_water, self._leading = fence, high_water, leading

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, work: Callable[[Tx], T]) -> "Future[T]":
        """Queue a job; its future is done once it is durable, or has failed."""
        future: Future[T] = Future()
        self._jobs.put(Job(work, future))
        return future

    def append_later(
        self, channel: str, drafts: Sequence[Draft], then: Callable[[list[Ticket]], T]
    ) -> "Future[T]":
        """Queue records; see `Store.append_later`."""
        work = Append(channel, lambda: prepare(self._mold, self._random, drafts), then)
        return self.submit(work)

    def errand(self, work: Callable[[Engine], T]) -> "Future[T]":
        """Queue work on the writer's connection outside of any transaction."""
        future: Future[T] = Future()
        self._jobs.put(Errand(work, future))
        return future

    def on_commit(self, callback: Callable[[Arrivals | None], None]) -> None:
        """Call back in this thread after each commit (see `Store.on_commit`)."""
        self._watchers.on_commit.append(callback)

    def on_applied(self, callback: Callable[[int], None]) -> None:
        """Call back in this thread when projections have moved, with the applied position."""
        self._watchers.on_applied.append(callback)

    def on_followed(self, callback: Callable[[], None]) -> None:
        """Call back in this thread once this daemon writes in an epoch that another opened."""
        self._watchers.on_followed.append(callback)

    def applied(self, position: int) -> "Future[int]":
        """Return a future that is done once every projector has folded up to `position`."""
        future = self._watchers.wait(position)
        # What was applied since may be what it waits for.
        self._watchers.answer(self.applied_position)
        return future

    def hear(self, news: News | None) -> None:
        """Take what another daemon has told of its commits; from any thread."""
        with self._jobs.waking():
            if news is not None and news.kind == GREW:
                self._told_position = max(self._told_position, int(news.text))
            else:
                self._news = True

    def close(self) -> None:
        """Run what is queued, then stop the thread."""
        self._jobs.close()
        if self._thread.is_alive():
            self._thread.join()
        self._fail_everything(errors.StoreClosed())

    def _run(self) -> None:
        try:
            while self._jobs.wait(self._is_due):
                self._turn()
        except BaseException as error:
            self._jobs.close()
            log.exception("store.writer.stopped")
            self._on_fatal(error)
            self._fail_everything(errors.StoreClosed())

    def _is_due(self) -> bool:
        return self._has_news() or self._is_behind()

    def _has_news(self) -> bool:
        return self._news or self._told_position > self.last_position

    def _turn(self) -> None:
        if self._has_news():
            self._follow_news()
        item = self._jobs.take()
        if isinstance(item, Errand):
            self._run_errand(item)
        elif item is not None:
            self._run_group(item)
        if self._is_behind():
            self._project()

    def _follow_news(self) -> None:
        """Take over how far other daemons have come."""
        position, applied = self._told_position, self.applied_position
        if self._news:
            # Before it is read: what comes while it is, is read the next time.
            self._news = False
            try:
                with self._engine.connect() as conn, conn.begin():
                    position = max(position, self._runner.follow(conn))
            except Exception as error:  # noqa: BLE001 - raised again unless it can be tried again
                self._news = True
                self._fail_group(error, [])
                self._jobs.pause(_FULL_SECONDS)
                return
        grew = position > self.last_position
        self.last_position = self._told_position = max(position, self.last_position)
        self.applied_position = self._runner.applied()
        self._watchers.answer(self.applied_position)
        if grew:
            self._watchers.committed(None)
        if self.applied_position != applied:
            self._watchers.applied(self.applied_position)

    def _is_behind(self) -> bool:
        return self._leading.leads and self._runner.behind(
            self.last_position, fenced=bool(self._fence.reason)
        )

    def _run_errand(self, errand: Errand) -> None:
        if not errand.future.set_running_or_notify_cancel():
            return
        try:
            errand.future.set_result(errand.work(self._engine))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self._answer_error(errand.future, error)

    def _run_group(self, first: Job) -> None:
        done: list[tuple[Future[Any], Any]] = []
        ready = self._jobs.prepared(first, MAX_GROUP_RECORDS) if self._is_shared else deque([first])
        try:
            with self._engine.connect() as conn, conn.begin() as transaction:
                group = self._group(conn)
                self._run_jobs(group, ready, done)
                position = self._finish(group)
                with self.commit_times.measured(), _unknown_where_lost(group):
                    transaction.commit()
        except BaseException as error:  # noqa: BLE001 - raised again unless a caller can react
            self._jobs.put_back(ready)
            self._fail_group(error, [future for future, _ in done])
            if ready:
                self._hold_off(error)
            return
        self._jobs.put_back(ready)
        self.identity = group.identity
        for callback in group.tx.after_commit:
            callback()
        if group.has_followed:
            self._watchers.followed()
        applied = self.applied_position
        if not group.folds and not self._is_shared:
            self._runner.pass_over(group.first_position, position)
        self._committed(position)
        for future, result in done:
            future.set_result(result)
        self._watchers.committed(self._arrivals(group))
        if self.applied_position != applied:
            self._watchers.applied(self.applied_position)

    def _group(self, conn: Connection) -> Group:
        return Group(
            conn,
            self.identity,
            self._clock_ms(),
            self._random,
            self._fence,
            self._leading,
            self._mold,
        )

    def _finish(self, group: Group, *, applied: bool = False) -> int:
        position = group.finish(applied=applied)
        self._high_water.reaching(position)
        return position

    def _run_jobs(
        self, group: Group, ready: deque[Job], done: list[tuple["Future[Any]", Any]]
    ) -> None:
        """Run jobs until none waits or the group is full; takes from the left of `ready`."""
        count = 0
        while True:
            job = ready.popleft() if ready else self._jobs.take_job(made=self._is_shared)
            if job is None:
                return
            count += 1
            self._run_job(group, job, done)
            if group.records + count >= MAX_GROUP_RECORDS:
                return

    def _run_job(self, group: Group, job: Job, done: list[tuple["Future[Any]", Any]]) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        callbacks = len(group.tx.after_commit)
        try:
            result = group.attempt(job.work)
        except GroupBroken:
            done.append((job.future, None))
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's
            del group.tx.after_commit[callbacks:]
            self._answer_error(job.future, error)
        else:
            done.append((job.future, result))

    def _fail_group(self, error: BaseException, futures: "list[Future[Any]]") -> None:
        """Tell everybody that nothing of the group has happened, or that nobody knows.

        Raises:
            BaseException: `error` again, if it is no word of the database: a defect
                of ours, after which nothing more is written.
        """
        cause = error.cause if isinstance(error, GroupBroken) else error
        log.error("store.commit.failed", reason=type(cause).__name__)
        is_lost = isinstance(cause, errors.StoreCommitUnknown)
        if self._is_shared:
            # Whatever the connection is good for now.
            self._engine.dispose()
        for future in futures:
            future.set_exception(cause if is_lost else translate(cause))
        if is_lost:
            # What was committed after all must be told to links and projections.
            self.hear(None)
        elif not is_from_database(cause) or is_fatal(cause):
            raise cause

    def _answer_error(self, future: "Future[Any]", error: Exception) -> None:
        """Tell a caller why its work failed; a broken disk is everybody's matter."""
        future.set_exception(translate(error) if is_from_database(error) else error)
        if is_fatal(error):
            raise error

    def _project(self) -> None:
        """Give the projections one batch, in a transaction of its own."""
        try:
            with self._engine.connect() as conn:
                ahead = self._read_ahead(conn)
                transaction = conn.begin()
                group = self._group(conn)
                moved = self._runner.step(group, ahead, fenced=bool(self._fence.reason))
                position = self._finish(group, applied=bool(moved))
                transaction.commit()
        except Exception as error:  # noqa: BLE001 - raised again unless it can be tried again
            self._fail_group(error, [])
            self._jobs.pause(_FULL_SECONDS)
            return
        self._runner.moved(moved)
        if self._runner.has_erased:
            # The log still holds pages as they were.
            self._run_errand(Errand(truncate_wal, Future()))
        grew = position != self.last_position
        self._committed(position)
        if grew:
            self._watchers.committed(self._arrivals(group))
        self._watchers.applied(self.applied_position)

    def _read_ahead(self, conn: Connection) -> Ahead | None:
        """Read what comes next before other daemons have to wait."""
        if not self._is_shared:
            return None
        with conn.begin():
            return self._runner.read_ahead(conn, fenced=bool(self._fence.reason))

    def _hold_off(self, error: BaseException) -> None:
        """Wait a moment before jobs that nobody could begin are tried again; never at the end."""
        if self._jobs.hold_off(_AGAIN_SECONDS):
            self._fail_everything(translate(error))

    def _committed(self, position: int) -> None:
        self.commits += 1
        self.last_position = max(self.last_position, position)
        self._high_water.reached(position)
        self.applied_position = self._runner.applied()
        self._watchers.answer(self.applied_position)

    def _arrivals(self, group: Group) -> Arrivals | None:
        # Between two groups of this daemon another one may have written.
        return None if self._is_shared else group.arrivals()

    def _fail_everything(self, error: errors.StoreError) -> None:
        for item in self._jobs.drain():
            if item.future.set_running_or_notify_cancel():
                item.future.set_exception(error)
        self._watchers.fail(error)
