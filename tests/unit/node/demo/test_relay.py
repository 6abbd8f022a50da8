"""The relay does to a line what its state says."""

import asyncio

import pytest

from yidao.node.demo.relay import LineState, Relay


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _line() -> tuple[Relay, int, asyncio.Server]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    relay = Relay(server.sockets[0].getsockname()[1])
    return relay, await relay.start(), server


async def _close(relay: Relay, server: asyncio.Server) -> None:
    await relay.stop()
    server.close()


def test_an_open_line_copies_both_ways() -> None:
    """Bytes sent through an open relay come back from the echo server."""

    async def run() -> bytes:
        relay, port, server = await _line()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        answer = await asyncio.wait_for(reader.readexactly(5), 5)
        await _close(relay, server)
        return answer

    assert asyncio.run(run()) == b"hello"


def test_a_dropped_line_cuts_and_refuses() -> None:
    """Dropping ends open connections and lets no new one through."""

    async def run() -> tuple[bytes, bytes]:
        relay, port, server = await _line()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"a")
        await reader.readexactly(1)
        await relay.set_state(LineState.DROPPED)
        ends: list[bytes] = []
        for connect in (False, True):
            if connect:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                ends.append(await asyncio.wait_for(reader.read(1), 5))
            except ConnectionError:
                ends.append(b"")
        await _close(relay, server)
        return ends[0], ends[1]

    assert asyncio.run(run()) == (b"", b"")


def test_a_half_open_line_keeps_the_connection_and_delivers_nothing() -> None:
    """Half-open: no answer and no end of file, until the line is mended, which cuts it."""

    async def run() -> str:
        relay, port, server = await _line()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"a")
        await reader.readexactly(1)
        await relay.set_state(LineState.HALF_OPEN)
        writer.write(b"b")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
        await relay.set_state(LineState.OPEN)
        try:
            end = await asyncio.wait_for(reader.read(1), 5)
        except ConnectionError:
            end = b""
        await _close(relay, server)
        return "cut" if end == b"" else "delivered"

    assert asyncio.run(run()) == "cut"
