"""What the driver promises beyond the session: nothing is stored behind a frame that failed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock, patch

import pytest

from yidao.node.link.driver import Driver
from yidao.node.link.errors import LinkFrameAfterFailure
from yidao.node.link.hub import Hub
from yidao.node.link.peercheck import Peer
from yidao.node.link.room import Room
from yidao.node.link.server import LinkServer
from yidao.node.store.forlinks import Located
from yidao.node.store.values import Peer as StorePeer
from yidao.sync.effects import Ingest, Locate
from yidao.sync.errors import LaneGap
from yidao.sync.ids import Lane, NodeId, Path
from yidao.sync.message import LaneCursor


class _Queue:
    """A writer that has not run yet: the jobs wait, as they do behind a slow commit."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[Any], object], Future[object]]] = []

    def submit(self, job: Callable[[Any], object]) -> "Future[object]":
        future: Future[object] = Future()
        self.jobs.append((job, future))
        return future

    def run(self, tx: object) -> list[BaseException | None]:
        for job, future in self.jobs:
            try:
                future.set_result(job(tx))
            except Exception as error:  # noqa: BLE001 (a future carries whatever a job raised)
                future.set_exception(error)
        return [future.exception() for _, future in self.jobs]


def test_nothing_is_stored_behind_a_frame_that_failed() -> None:
    """Frames that wait in the writer's queue when one fails are refused, not ingested."""
    ingested: list[str] = []

    def ingest(peer: StorePeer, frame: str) -> str:
        if frame == "second":
            raise LaneGap(lane="CONTROL", held=0, after=7)
        ingested.append(frame)
        return frame

    async def run() -> list[BaseException | None]:
        queue = _Queue()
        node_id = NodeId(bytes(16))
        driver = Driver(
            session=SimpleNamespace(),  # type: ignore[arg-type]
            peer=Peer(node_id=node_id, path=Path.parse("/33"), tls_sha256=bytes(32)),
            around=SimpleNamespace(store=queue),  # type: ignore[arg-type]
            clock_ms=lambda: 0,
        )
        driver._store_peer = StorePeer(node_id=node_id, path=Path.parse("/33"), store_id=bytes(16))
        for frame in ("first", "second", "third"):
            driver._submit(Ingest(frame=frame, size_bytes=1))  # type: ignore[arg-type]
        assert driver._finishing is not None
        driver._finishing.cancel()
        return queue.run(SimpleNamespace(ingest=ingest))

    first, second, third = asyncio.run(run())
    assert first is None
    assert isinstance(second, LaneGap)
    assert isinstance(third, LinkFrameAfterFailure)
    assert ingested == ["first"]


def test_the_cursor_of_a_new_session_acknowledges_what_the_old_one_did_not() -> None:
    """An ack that was lost with its line does not leave records shown as waiting for ever."""
    cursors = (
        LaneCursor(lane=Lane.BULK, position=9, checkpoint_sha256=bytes(32)),
        LaneCursor(lane=Lane.URGENT, position=4, checkpoint_sha256=bytes(32)),
    )
    located = Located(right=cursors[:1], heads={}, position=9, receipts=False)

    async def locate(*_asked: object) -> Located:
        return located

    async def heard(*_said: object) -> str:
        return ""

    driver = Driver(
        session=SimpleNamespace(located=lambda _lanes: ()),  # type: ignore[arg-type]
        peer=Peer(node_id=NodeId(bytes(16)), path=Path.parse("/33"), tls_sha256=bytes(32)),
        around=SimpleNamespace(  # type: ignore[arg-type]
            resumption=SimpleNamespace(locate=locate, heard=heard)
        ),
        clock_ms=lambda: 0,
    )
    driver._store_peer = StorePeer(
        node_id=NodeId(bytes(16)), path=Path.parse("/33"), store_id=bytes(16)
    )
    asyncio.run(driver._locate(Locate(cursors=cursors)))
    assert driver.progress.acked == {int(Lane.BULK): 9}


def test_records_do_not_move_before_the_hello() -> None:
    """A frame without a known store behind it is a defect of ours and says so."""
    driver = Driver(
        session=SimpleNamespace(),  # type: ignore[arg-type]
        peer=Peer(node_id=NodeId(bytes(16)), path=Path.parse("/33"), tls_sha256=bytes(32)),
        around=SimpleNamespace(),  # type: ignore[arg-type]
        clock_ms=lambda: 0,
    )
    with pytest.raises(RuntimeError):
        driver._peer_in_store()


def test_nothing_is_read_while_an_epoch_is_opened() -> None:
    """What is written in it must not come before the chain that the next session begins with."""
    around = SimpleNamespace(holds_back=True, lookout=SimpleNamespace(position=9))
    driver = Driver(
        session=SimpleNamespace(next_read=lambda head, _heads: f"up to {head}"),  # type: ignore[arg-type]
        peer=Peer(node_id=NodeId(bytes(16)), path=Path.parse("/33"), tls_sha256=bytes(32)),
        around=around,  # type: ignore[arg-type]
        clock_ms=lambda: 0,
    )
    assert driver._next_read() is None
    around.holds_back = False
    assert driver._next_read() == "up to 9"  # type: ignore[comparison-overlap]


CHILD = Peer(node_id=NodeId(bytes(16)), path=Path.parse("/33"), tls_sha256=bytes(32))


class Alone:
    """What a driver needs around it while nothing comes."""

    def __init__(self) -> None:
        self.room = Room(16 << 20)


def session_of(**does: object) -> Any:
    """A session that does nothing but what is said here."""
    return SimpleNamespace(**({"start": lambda: (), "close": lambda *_: ()} | does))


async def nothing_comes() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


def test_room_comes_back_however_often_a_session_is_cancelled() -> None:
    """The second time in the middle of its end."""

    async def run() -> int:
        around = Alone()
        whole = around.room.lend(0)
        around.room.give_back(whole)
        driver = Driver(session=session_of(), peer=CHILD, around=around, clock_ms=lambda: 0)  # type: ignore[arg-type]
        driver._lent_bytes = sum(around.room.lend(each << 20) for each in range(7))

        async def slow_to_end() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.05)

        driver._sending = asyncio.create_task(slow_to_end())
        running = asyncio.create_task(driver.run(nothing_comes()))
        for _ in range(2):
            await asyncio.sleep(0.01)
            running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return around.room.lend(0) - whole

    assert asyncio.run(run()) == 0


def test_a_defect_in_the_reading_of_data_ends_the_session() -> None:
    """It would live on without reading, until the peer gives up."""

    def breaks(*_frame: object) -> tuple[()]:
        raise ZeroDivisionError

    async def one_frame() -> AsyncIterator[bytes]:
        yield b"x"

    async def run() -> None:
        driver = Driver(
            session=session_of(receive_frame=breaks),
            peer=CHILD,
            around=Alone(),  # type: ignore[arg-type]
            clock_ms=lambda: 0,
        )
        running = asyncio.create_task(driver.run(nothing_comes()))
        await asyncio.sleep(0)
        with patch("yidao.node.link.driver.decode_frame"):
            await driver.read_data(one_frame())
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(running, 10)

    asyncio.run(run())


def test_a_stream_beside_a_session_that_is_over_is_checked_in_full() -> None:
    """The chain that a session was admitted by says nothing once it was expelled."""

    async def run() -> list[str]:
        driver = MagicMock(closed=False, peer=CHILD)
        hub = SimpleNamespace(find=lambda _key: driver)
        server = LinkServer(hub, cast("Any", None), cast("Any", None))  # type: ignore[arg-type]
        server._chains[cast("Any", driver)] = b"chain"
        checked: list[str] = []

        async def admit(_context: object) -> tuple[Peer, bytes]:
            checked.append("in full")
            return CHILD, b"chain"

        context = SimpleNamespace(invocation_metadata=lambda: ())
        with (
            patch.object(server, "_admit", admit),
            patch("yidao.node.link.server._chain", return_value=b"chain"),
        ):
            for driver.closed in (False, True):
                checked.append(f"closed {driver.closed}")
                await server._admit_beside(cast("Any", context))
        return checked

    assert asyncio.run(run()) == ["closed False", "closed True", "in full"]


def test_a_sessions_name_is_not_taken_over() -> None:
    """The driver that has it keeps its time and its streams."""
    store = SimpleNamespace(identity=SimpleNamespace(path=Path()))
    hub = Hub.__new__(Hub)
    hub._sessions = {}
    hub.clock_ms = lambda: 0
    hub.lookout = SimpleNamespace(encode=None)  # type: ignore[assignment]
    hub.store = store  # type: ignore[assignment]
    hello = SimpleNamespace(path=Path())
    with (
        patch.object(Hub, "hello", return_value=hello),
        patch.object(Hub, "_limits", return_value=None),
    ):
        (first, key), (second, other) = (hub.open(CHILD, "name") for _ in range(2))
    assert (key, hub._sessions["name"]) == ("name", first)
    assert hub._sessions[other] is second
    assert other != "name"
