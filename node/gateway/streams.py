"""Streams to a caller: one JSON text a line, or server-sent events, from a thread that waits."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import orjson

from yidao.api.errors import YidaoError
from yidao.node.gateway.errors import StreamsTooMany
from yidao.node.gateway.problems import status_of
from yidao.node.web.refusal import problem_of

#: Proxies close a connection that says nothing for a minute.
_HEARTBEAT_SECONDS: Final = 15.0
#: Each waits in a thread of its own.
MAX_STREAMS: Final = 32


class Source(Protocol):
    """What gives items until it is closed; `close` may be called by any thread."""

    def __next__(self) -> object: ...

    def close(self) -> None:
        """End it; what waits for an item ends too."""


class Places:
    """The places for streams of one gateway, each with a thread that waits.

    Attributes:
        threads: Where the streams wait.
    """

    def __init__(self, limit: int = MAX_STREAMS) -> None:
        self.threads = ThreadPoolExecutor(limit, thread_name_prefix="yidao-stream")
        self._limit = limit
        self._lock = threading.Lock()
        self._taken = 0

    def take(self) -> None:
        """Take a place.

        Raises:
            StreamsTooMany: All are taken.
        """
        with self._lock:
            if self._taken >= self._limit:
                raise StreamsTooMany(limit=self._limit)
            self._taken += 1

    def give_back(self) -> None:
        """Give a place back."""
        with self._lock:
            self._taken -= 1

    def close(self) -> None:
        """Begin no stream any more."""
        self.threads.shutdown(wait=False)


async def lines(
    source: Source,
    *,
    line: Callable[[object], bytes],
    heartbeat: bytes,
    problem: Callable[[bytes], bytes],
    language: str,
    places: Places,
) -> AsyncIterator[bytes]:
    """Give each item as a line, and a sign of life while there is none.

    An error after the stream has begun is its last line.

    Args:
        source: Closed at the end, also when the caller goes away.
        line: How an item is written.
        heartbeat: The sign of life.
        problem: How the JSON of problem details is written.
        language: Of the problem's texts.
        places: Where the stream has a place; given back at the end.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[object] | None = None
    try:
        while True:
            waiting = waiting or loop.run_in_executor(places.threads, _next, source)
            finished, _ = await asyncio.wait({waiting}, timeout=_HEARTBEAT_SECONDS)
            if not finished:
                yield heartbeat
                continue
            item, waiting = waiting.result(), None
            if item is _END:
                return
            yield line(item)
    except YidaoError as error:
        yield problem(_json(problem_of(error, status_of(error), language)))
    finally:
        # The thread that waits ends by it too.
        source.close()
        places.give_back()


_END: Final = object()


def _next(source: Source) -> object:
    # StopIteration cannot be the result of a task.
    try:
        return next(source)
    except StopIteration:
        return _END


def _json(told: dict[str, object]) -> bytes:
    return orjson.dumps({"problem": told})
