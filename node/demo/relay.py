"""A TCP relay that can be broken on purpose: the bad line between two offices.

It stands between a child and its parent on the loopback interface. While it
is `open` it copies bytes both ways; `dropped` cuts what is open and refuses
what comes; `half_open` keeps every connection and copies nothing, which is
what a dead line without a reset looks like to both ends.
"""

import asyncio
from enum import Enum

_CHUNK_BYTES = 65_536


class LineState(Enum):
    """What the line does with bytes."""

    OPEN = "open"
    DROPPED = "dropped"
    HALF_OPEN = "half_open"


class Relay:
    """Forwards one loopback port to another until told to misbehave."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._state = LineState.OPEN
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.bytes_copied = 0

    async def start(self) -> int:
        """Listen on a free loopback port and return it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def set_state(self, state: LineState) -> None:
        """Change the line's behaviour; leaving a fault cuts what hung on it."""
        was, self._state = self._state, state
        if state is LineState.OPEN:
            self._open.set()
        else:
            self._open.clear()
        if state is LineState.DROPPED or was is LineState.HALF_OPEN:
            for writer in list(self._writers):
                writer.transport.abort()

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state is LineState.DROPPED:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, up_writer}
        try:
            await asyncio.gather(self._copy(reader, up_writer), self._copy(up_reader, writer))
        finally:
            self._writers -= {writer, up_writer}
            writer.transport.abort()
            up_writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                # A half-open line swallows nothing and delivers nothing: it waits.
                await self._open.wait()
                writer.write(chunk)
                await writer.drain()
                self.bytes_copied += len(chunk)
        except (ConnectionError, OSError):
            pass
        finally:
            writer.transport.abort()
