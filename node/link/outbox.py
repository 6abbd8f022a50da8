"""What waits to be written to one stream.

A parent of thousands has three for each child, nearly always empty: an `asyncio.Queue` takes
3 KB, this 0.2.
"""

import asyncio


class Outbox:
    """A queue without a bound for one reader; `None` says that nothing more comes."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        self._messages: list[bytes | None] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, message: bytes | None) -> None:
        """Put a message behind those that wait."""
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> bytes | None:
        """Wait for the next message."""
        while not self._messages:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._messages.pop(0)

    def qsize(self) -> int:
        """How many messages wait."""
        return len(self._messages)
