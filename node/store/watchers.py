"""Who is told of what the writer has done: of each commit, and of how far it can be read."""

import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future

from yidao.node.store import errors
from yidao.node.store.linkreads import Arrivals


class Watchers:
    """Callbacks, called in the writer's thread, and futures of the applied position.

    Args:
        stalled: Names the projectors that cannot go on; nobody waits for those.
    """

    def __init__(self, stalled: Callable[[], Collection[str]]) -> None:
        self._stalled = stalled
        self._lock = threading.Lock()
        self._waiters: list[tuple[int, Future[int]]] = []
        self.on_commit: list[Callable[[Arrivals | None], None]] = []
        self.on_applied: list[Callable[[int], None]] = []
        self.on_followed: list[Callable[[], None]] = []

    def committed(self, arrivals: Arrivals | None) -> None:
        """Tell what a commit stored; None where that has to be looked for."""
        for callback in self.on_commit:
            callback(arrivals)

    def applied(self, position: int) -> None:
        """Tell that projections have moved, and how far."""
        for callback in self.on_applied:
            callback(position)

    def followed(self) -> None:
        """Tell that this daemon writes in an epoch that another one opened."""
        for callback in self.on_followed:
            callback()

    def wait(self, position: int) -> "Future[int]":
        """Return a future for the next `answer` that reaches `position`; from any thread."""
        future: Future[int] = Future()
        with self._lock:
            self._waiters.append((position, future))
        return future

    def answer(self, applied_position: int) -> None:
        """Answer who waits for no more than that, and everybody once a projector stalls."""
        with self._lock:
            ready = [one for one in self._waiters if one[0] <= applied_position]
            waiting = [one for one in self._waiters if one[0] > applied_position]
            stalled = self._stalled()
            failed = waiting if stalled else []
            self._waiters = [] if stalled else waiting
        for _, future in ready:
            if future.set_running_or_notify_cancel():
                future.set_result(applied_position)
        for _, future in failed:
            if future.set_running_or_notify_cancel():
                future.set_exception(errors.ProjectionStalled(name=",".join(sorted(stalled))))

    def fail(self, error: errors.StoreError) -> None:
        """Answer everybody with an error."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for _, future in waiters:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
