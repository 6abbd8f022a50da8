"""Streams to a caller: items that a thread waits for, one text each, with signs of life between."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import orjson
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from yidao.api.errors import YidaoError
from yidao.node.gateway.errors import StreamsTooMany
from yidao.node.gateway.problems import status_of
from yidao.node.web.refusal import problem_of

NDJSON: Final = "application/x-ndjson"
#: Proxies close a connection that says nothing for a minute.
_HEARTBEAT_SECONDS: Final = 15.0
#: A refusal comes at once; after so long without one the stream begins.
_PATIENCE_SECONDS: Final = 1.0
#: Each waits in a thread of its own.
MAX_STREAMS: Final = 32
_END: Final = object()


class Source(Protocol):
    """What gives items until it is closed; `close` may be called by any thread."""

    def __next__(self) -> object: ...

    def close(self) -> None:
        """End it; what waits for an item ends too."""


class Writing(Protocol):
    """How a stream is written.

    Attributes:
        media_type: Of the whole.
        heartbeat: The sign of life.
    """

    media_type: str
    heartbeat: bytes

    def item(self, item: object) -> bytes:
        """Write an item."""

    def problem(self, json: bytes) -> bytes:
        """Write `{"problem": …}`, the last text of a stream that failed after it had begun."""


class AsLines:
    """One JSON object a line.

    Args:
        shape: Gives the shape of an item.
    """

    media_type = NDJSON
    heartbeat = b"\n"

    def __init__(self, shape: Callable[[Any], BaseModel]) -> None:
        self._shape = shape

    def item(self, item: object) -> bytes:
        """Write an item."""
        return self.problem(self._shape(item).model_dump_json().encode())

    def problem(self, json: bytes) -> bytes:
        """Write the problem that ends the stream."""
        return json + b"\n"


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


async def streamed(
    source: Source, writing: Writing, places: Places, language: str
) -> "StreamedResponse":
    """Begin a stream.

    Args:
        source: Closed at the end, also when the caller goes away.
        writing: How it is written.
        places: Where it takes a place.
        language: Of the texts of a problem.

    Raises:
        StreamsTooMany: There is no place.
        YidaoError: The source failed before anything was sent; so the answer has its status.
    """
    places.take()
    waiting = asyncio.get_running_loop().run_in_executor(places.threads, _next, source)
    try:
        await asyncio.wait({waiting}, timeout=_PATIENCE_SECONDS)
        if waiting.done():
            waiting.result()
    except BaseException:
        source.close()
        places.give_back()
        raise
    return StreamedResponse(source, waiting, writing, places, language)


class StreamedResponse(StreamingResponse):
    """A stream that has begun; however it ends, its source is closed and its place is free."""

    def __init__(
        self,
        source: Source,
        first: asyncio.Future[object],
        writing: Writing,
        places: Places,
        language: str,
    ) -> None:
        super().__init__(self._texts(first), media_type=writing.media_type)
        self._source = source
        self._writing = writing
        self._places = places
        self._language = language

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it, until its end or until the caller is gone."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # The thread that waits ends by it too.
            self._source.close()
            self._places.give_back()

    async def _texts(self, waiting: asyncio.Future[object]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            while True:
                finished, _ = await asyncio.wait({waiting}, timeout=_HEARTBEAT_SECONDS)
                if not finished:
                    yield self._writing.heartbeat
                    continue
                item = waiting.result()
                if item is _END:
                    return
                yield self._writing.item(item)
                waiting = loop.run_in_executor(self._places.threads, _next, self._source)
        except YidaoError as error:
            told = problem_of(error, status_of(error), self._language)
            yield self._writing.problem(orjson.dumps({"problem": told}))


def _next(source: Source) -> object:
    # StopIteration cannot be the result of a future.
    try:
        return next(source)
    except StopIteration:
        return _END
