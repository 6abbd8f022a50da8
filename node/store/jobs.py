"""The jobs that wait for the writer, in their order, and the signal on which its thread sleeps."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine

from yidao.api.errors import YidaoError
from yidao.node.store import errors
from yidao.node.store.drafting import Prepared
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Ticket

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """Work in a transaction that it may share with others."""

    work: Callable[[Tx], Any]
    future: "Future[Any]"


@dataclass(frozen=True, slots=True)
class Errand:
    """Work on the writer's connection between transactions."""

    work: Callable[[Engine], Any]
    future: "Future[Any]"


class Append(Generic[T]):
    """Appends records that are made before the transaction begins, where it must be short."""

    def __init__(
        self,
        channel: str,
        make: Callable[[], list[Prepared]],
        then: Callable[[list[Ticket]], T],
    ) -> None:
        self._channel = channel
        self._make = make
        self._then = then
        self._prepared: list[Prepared] | None = None

    def prepare(self) -> list[Prepared]:
        """Make them, once."""
        if self._prepared is None:
            self._prepared = self._make()
        return self._prepared

    def __call__(self, tx: Tx) -> T:
        """Append them."""
        return self._then(tx.append_prepared(self._channel, self.prepare()))


class JobQueue:
    """What waits for the writer's thread, which alone takes from it; anybody may put."""

    def __init__(self) -> None:
        self._queue: deque[Job | Errand] = deque()
        self._wake = threading.Condition()
        self._is_closing = False

    def put(self, item: Job | Errand) -> None:
        """Queue something, and wake the thread.

        Raises:
            StoreClosed: Nothing is taken any more.
        """
        with self._wake:
            if self._is_closing:
                raise errors.StoreClosed
            self._queue.append(item)
            self._wake.notify()

    @contextmanager
    def waking(self) -> Iterator[None]:
        """Change something that `wait` looks at, while it does not look, and wake the thread."""
        with self._wake:
            yield
            self._wake.notify()

    def close(self) -> None:
        """Take nothing more, and wake the thread."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()

    def wait(self, is_due: Callable[[], bool]) -> bool:
        """Sleep until there is something to do.

        Args:
            is_due: Whether there is even while nothing is queued.

        Returns:
            False once it is closed and all that was queued is taken.
        """
        with self._wake:
            while not self._queue and not self._is_closing:
                if is_due():
                    return True
                self._wake.wait()
            return bool(self._queue) or not self._is_closing

    def take(self) -> Job | Errand | None:
        """Take what is next, if anything waits."""
        with self._wake:
            return self._queue.popleft() if self._queue else None

    def take_job(self, *, made: bool = False) -> Job | None:
        """Take the next job, if one waits.

        Args:
            made: Leave one that has something to make first to the next group.
        """
        with self._wake:
            item = self._queue[0] if self._queue else None
            if not isinstance(item, Job) or (made and isinstance(item.work, Append)):
                return None
            self._queue.popleft()
            return item

    def prepared(self, first: Job, limit: int) -> deque[Job]:
        """Return all jobs that wait, with everything done that needs no transaction.

        Other daemons wait for the end of this one's.

        Args:
            first: Has been taken already.
            limit: How many jobs at most.
        """
        ready = deque([first])
        while len(ready) < limit and (job := self.take_job()) is not None:
            ready.append(job)
        for job in ready:
            if isinstance(job.work, Append):
                # What is wrong with a draft is raised again in its job.
                with suppress(YidaoError):
                    job.work.prepare()
        return ready

    def put_back(self, jobs: deque[Job]) -> None:
        """Let jobs that were taken be the next again."""
        with self._wake:
            self._queue.extendleft(reversed(jobs))

    def hold_off(self, seconds: float) -> bool:
        """Wait that long, unless it is closed; return whether it is."""
        with self._wake:
            return self._wake.wait_for(lambda: self._is_closing, seconds)

    def pause(self, seconds: float) -> None:
        """Wait that long, unless something is queued or it is closed."""
        with self._wake:
            if not self._queue and not self._is_closing:
                self._wake.wait(timeout=seconds)

    def drain(self) -> list[Job | Errand]:
        """Take everything that waits."""
        with self._wake:
            queued, self._queue = list(self._queue), deque()
        return queued
