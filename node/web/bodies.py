"""A body that is counted and timed as it comes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from yidao.node.web import errors

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Body:
    """Stands between server and application; remembers why it was cut.

    An application whose body is cut sees its caller go away, since that is what
    every framework ends a request on; the guard then answers in its place.

    Attributes:
        error: Why the body was cut, or None.
    """

    def __init__(
        self, receive: Receive, *, limit_bytes: int, idle_seconds: float, seconds: float
    ) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._idle_seconds = idle_seconds
        self._seconds = seconds
        self._ends = time.monotonic() + seconds
        self._count_bytes = 0
        self._complete = False
        self.error: errors.WebError | None = None

    async def receive(self) -> Message:
        """Give the next message of the body, or that the caller is gone."""
        if self.error is not None:
            return {"type": "http.disconnect"}
        if self._complete:
            return await self._receive()
        left_seconds = max(0.0, self._ends - time.monotonic())
        try:
            async with asyncio.timeout(min(self._idle_seconds, left_seconds)):
                message = await self._receive()
        except TimeoutError:
            return self._cut(errors.BodyTooSlow(seconds=int(self._seconds)))
        self._count_bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._count_bytes > self._limit_bytes:
            return self._cut(errors.BodyTooLarge(limit_bytes=self._limit_bytes))
        return message

    def _cut(self, error: errors.WebError) -> Message:
        self.error = error
        return {"type": "http.disconnect"}
