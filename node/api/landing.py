"""Brings results of the writer's thread to the event loop, once for all of a commit."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Landing:
    """Calls back on the event loop that it was made on.

    `asyncio.wrap_future` wakes the loop for each future. A group of the writer finishes many
    at once, and a wake-up costs more than the rest of a small answer.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done: deque[Callable[[], None]] = deque()

    def watch(self, future: "Future[T]", then: "Callable[[Future[T]], None]") -> None:
        """Call `then` with the future on the event loop once it is done."""
        future.add_done_callback(lambda done: self._put(lambda: then(done)))

    def _put(self, call: Callable[[], None]) -> None:
        is_first = not self._done
        self._done.append(call)
        if is_first:
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        while self._done:
            self._done.popleft()()
