"""Thousands of children in one process, for the bench of fan-in and fan-out.

Each child has a certificate and an enrolment of its own, a TCP connection of its own and
the real session machine; like a real node it opens a control, a data and a query stream.
Two things are missing: it stores nothing, so that it acknowledges a frame as soon as it
was parsed, and it dials only when it is told to.

The process is told what to do by lines on its input and answers each by one JSON line.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path as FilePath
from typing import Any, Final

import grpc
import grpc.aio
import uvloop

from tests.bench.fan_family import Enrolled, Family
from yidao.node.config import Settings
from yidao.node.link.credentials import target_name
from yidao.node.link.options import CONTROL, DATA, QUERY, SERVICE, SESSION_KEY, client_options
from yidao.sync.backoff import Backoff
from yidao.sync.effects import Effects, Ingest, Locate, Opened, SendControl
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.message import Frame, Hello, LaneCursor
from yidao.sync.session import Limits, Session
from yidao.sync.wire import decode_control, decode_frame, encode_control

# How long one dial may take until records flow.
DIAL_SECONDS: Final = 60.0
TICK_SECONDS: Final = 1.0


class Child:
    """One child: a connection, a session, and where it stands in the parent's store."""

    def __init__(self, family: Family, enrolled: Enrolled) -> None:
        self._family, self._enrolled = family, enrolled
        self._store_id = os.urandom(16)
        self._life = os.urandom(16)
        self._cursors: dict[int, LaneCursor] = {}
        self._channel: grpc.aio.Channel | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._session: Session | None = None
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.flowing = asyncio.Event()
        self.failed = asyncio.Event()
        self.acked_at = 0.0
        self.frames = 0
        self.why = ""
        self.dials = 0

    async def dial(self) -> str:
        """Connect, and again after the waits of a real dialer; "" when records flow, else why not.

        The first dial waits for nothing.
        """
        settings = Settings(data_dir=FilePath("/"))
        backoff = Backoff(
            min_seconds=settings.backoff_min_seconds, max_seconds=settings.backoff_max_seconds
        )
        deadline = time.monotonic() + DIAL_SECONDS
        self.dials = 1
        while (why := await self._dial_once()) and time.monotonic() < deadline:
            await self.drop()
            delay_seconds, backoff = backoff.next(random.random())
            await asyncio.sleep(delay_seconds)
            self.dials += 1
        return why

    async def _dial_once(self) -> str:
        family, mine = self._family, self._enrolled
        self.flowing.clear()
        self.failed.clear()
        self.why = ""
        self._out = asyncio.Queue()
        parent = Path.parse(family.parent_path)
        settings = Settings(data_dir=FilePath("/"), keepalive_seconds=family.keepalive_seconds)
        self._channel = grpc.aio.secure_channel(
            family.address,
            grpc.ssl_channel_credentials(family.root_pem, mine.tls_key, mine.tls_chain),
            options=client_options(settings, target_name(parent)),
        )
        beat = settings.keepalive_seconds
        self._session = Session(
            own=Hello(
                network=NetworkId(family.network),
                node_id=NodeId(mine.node_id),
                store_id=self._store_id,
                path=Path.parse(mine.path),
                epoch="1",
                chain=(*family.chain, mine.proof),
                life=self._life,
            ),
            peer_node_id=NodeId(family.parent_id),
            peer_path=parent,
            limits=Limits(
                heartbeat_seconds=beat,
                silence_seconds=2 * beat + settings.keepalive_timeout_seconds,
            ),
        )
        metadata = ((SESSION_KEY, os.urandom(16).hex()),)
        self._do(self._session.start())
        self._spawn(self._control(self._channel, metadata))
        waiting = [asyncio.create_task(event.wait()) for event in (self.flowing, self.failed)]
        await asyncio.wait(waiting, timeout=DIAL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return "" if self.flowing.is_set() else self.why or "TIMEOUT"

    async def drop(self) -> None:
        """Let the line go without a goodbye."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._session = None
        if self._channel is not None:
            await self._channel.close(grace=None)
            self._channel = None

    def tick(self, now_seconds: float) -> None:
        """Give a sign of life when one is due."""
        if self._session is not None:
            self._do(self._session.tick(now_seconds, int(time.time() * 1000)))

    async def _control(
        self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]
    ) -> None:
        stream = _method(channel, CONTROL)(_drain(self._out), metadata=metadata)
        async for message in stream:
            assert self._session is not None
            done = self._session.receive(decode_control(message))
            self._do(done)
            if any(isinstance(effect, Locate) for effect in done):
                self._spawn(self._data(channel, metadata))
                self._spawn(self._query(channel, metadata))
                self.flowing.set()
        self.why = self.why or f"control ended: {await stream.code()}"
        self.failed.set()

    async def _data(self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> None:
        stream = _method(channel, DATA)(_drain(asyncio.Queue()), metadata=metadata)
        async for message in stream:
            assert self._session is not None
            self.frames += 1
            self._do(self._session.receive_frame(decode_frame(message), len(message)))
            self.acked_at = time.monotonic()
        self.why = self.why or f"data ended: {await stream.code()}"
        self.failed.set()

    async def _query(
        self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]
    ) -> None:
        async for _ in _method(channel, QUERY)(_drain(asyncio.Queue()), metadata=metadata):
            pass

    def _do(self, effects: Effects) -> None:
        session = self._session
        assert session is not None
        for effect in effects:
            match effect:
                case SendControl():
                    self._out.put_nowait(encode_control(effect.message))
                case Opened():
                    self._do(session.resume(tuple(self._cursors.values())))
                case Locate():
                    self._do(session.located([each.lane for each in effect.cursors]))
                case Ingest():
                    self._keep(effect.frame)
                    self._do(session.ingested(effect))
                case _:
                    self.why = str(effect)[:200]

    def _keep(self, frame: Frame) -> None:
        last = frame.items[-1]
        self._cursors[int(frame.lane)] = LaneCursor(
            lane=frame.lane,
            position=last.last_position,
            checkpoint_sha256=last.checkpoint_sha256,
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def watched() -> None:
            try:
                await work
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 (told to the bench, which counts it)
                self.why = self.why or f"{type(error).__name__}: {error}"[:200]
                self.failed.set()

        self._tasks.append(asyncio.create_task(watched()))


class Children:
    """All children, and the words by which the bench commands them."""

    def __init__(self, family: Family) -> None:
        self._all = [Child(family, each) for each in family.children]
        self._words: dict[str, Callable[[], Coroutine[Any, Any, dict[str, Any]]]] = {
            "dial": self._dial,
            "drop": self._drop,
            "lost": self._lost,
            "mark": self._mark,
            "acked": self._acked,
        }

    async def run(self) -> None:
        """Obey until the input ends."""
        ticking = asyncio.create_task(self._tick())
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            answer = await self._words[line.decode().strip()]()
            print(json.dumps(answer), flush=True)
        ticking.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now_seconds = time.monotonic()
            for child in self._all:
                child.tick(now_seconds)

    async def _dial(self) -> dict[str, Any]:
        """Everybody at once, nobody waits for anybody."""
        started = time.monotonic()
        found = await asyncio.gather(*(child.dial() for child in self._all))
        failed = [why for why in found if why]
        return {
            "seconds": time.monotonic() - started,
            "failed": len(failed),
            "again": sum(child.dials - 1 for child in self._all),
            "why": sorted(set(failed))[:5],
        }

    async def _drop(self) -> dict[str, Any]:
        await asyncio.gather(*(child.drop() for child in self._all))
        return {}

    async def _lost(self) -> dict[str, Any]:
        """How many are no longer connected, though nobody dropped them."""
        lost = [child.why for child in self._all if child.failed.is_set()]
        return {"lost": len(lost), "why": sorted(set(lost))[:5]}

    async def _mark(self) -> dict[str, Any]:
        """Begin to wait for the next frame of each child."""
        for child in self._all:
            child.frames = 0
        return {}

    async def _acked(self) -> dict[str, Any]:
        """Wait until each child has acknowledged a frame since the mark; when the last one did."""
        deadline = time.monotonic() + DIAL_SECONDS
        while (  # noqa: ASYNC110 (an event would cost each acknowledgement a call)
            time.monotonic() < deadline and not all(child.frames for child in self._all)
        ):
            await asyncio.sleep(0.05)
        return {
            "at": max(child.acked_at for child in self._all),
            "missing": sum(not child.frames for child in self._all),
        }


def _method(
    channel: grpc.aio.Channel, name: str
) -> "grpc.aio.StreamStreamMultiCallable[bytes, bytes]":
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
        f"/{SERVICE}/{name}"
    )
    return method


async def _drain(queue: "asyncio.Queue[bytes | None]") -> AsyncIterator[bytes]:
    while (message := await queue.get()) is not None:
        yield message


if __name__ == "__main__":
    uvloop.run(Children(Family.load(FilePath(sys.argv[1]))).run())
