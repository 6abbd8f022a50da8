"""What the driver promises beyond the session: nothing is stored behind a frame that failed."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from yidao.node.link.driver import Driver
from yidao.node.link.errors import LinkFrameAfterFailure
from yidao.node.link.peercheck import Peer
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
        around=SimpleNamespace(locate=locate, heard=heard),  # type: ignore[arg-type]
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
