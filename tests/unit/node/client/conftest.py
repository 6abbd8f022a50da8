"""A node's affairs behind a real socket, and rows to hand in at it."""

import asyncio
import hashlib
import itertools
import threading
from collections.abc import Coroutine, Iterator
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, TypeVar

import pytest

from yidao.catalog.codes import sample_uscc
from yidao.node.affairs.affairs import Affairs
from yidao.node.api.follow_service import FollowServicer
from yidao.node.api.server import LocalServer
from yidao.node.api.servicers import affair_servicers
from yidao.node.client import Client, Row
from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

ACTOR = "sample@/"
NOW_MS = 1_795_140_000_000
T = TypeVar("T")


class Served:
    """A root node without links; its server stops and starts on the same store."""

    def __init__(self, folder: FilePath, *, max_followers: int = 8) -> None:
        numbers = itertools.count(1)

        def random(size: int) -> bytes:
            return hashlib.shake_128(next(numbers).to_bytes(8, "big")).digest(size)

        identity = Identity(
            network=NetworkId(bytes(16)),
            node_id=NodeId(bytes(16)),
            path=Path(),
            epoch="1",
            suite=ED25519_SHA256,
            journal=Ed25519Signer(b"j" * 32),
            cosign=Ed25519Signer(b"c" * 32),
        )
        self.store = Store.open(
            f"sqlite:///{folder}/store.db", clock_ms=lambda: NOW_MS, random=random
        )
        self.store.bind(identity)
        self.affairs = Affairs(self.store, identity, clock_ms=lambda: NOW_MS, random=random)
        self.store.start(self.affairs.projectors, self.affairs.deciders)
        self.socket = folder / "local.sock"
        self._max_followers = max_followers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.start()

    def start(self) -> None:
        self.do(self._start())

    def stop(self) -> None:
        self.do(self._server.stop(5))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        self.stop()
        self.store.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        follow = FollowServicer(
            self.store, self.affairs.access.fields, max_followers=self._max_followers
        )
        self._server = LocalServer(self.socket, [*affair_servicers(self.affairs), follow])
        await self._server.start()


@pytest.fixture
def served(tmp_path: FilePath) -> Iterator[Served]:
    """A node that knows the standard."""
    made = Served(tmp_path)
    with Client.open(made.socket) as client:
        client.publish_pack(pack(), actor=ACTOR)
    yield made
    made.close()


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    """A client of it."""
    with Client.open(served.socket, timeout_seconds=60) as made:
        yield made


def pack() -> bytes:
    return (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()


@pytest.fixture
def standard() -> bytes:
    """The exact bytes of the standard."""
    return pack()


class Rows:
    """Sample rows (样例)."""

    actor = ACTOR

    @staticmethod
    def institution(number: int, *, key: str = "", **more: str) -> Row:
        cells = {
            "uscc": sample_uscc(number, "330106"),
            "name": f"样例单位{number}",
            "region_code": "330106",
            "inst_type": "01",
            "reg_status": "1",
        }
        return Row.of("institution", cells | more, row=number, key=key)

    @staticmethod
    def profile(number: int, area: str = "5000.00", *, key: str = "", **more: str | int) -> Row:
        cells: dict[str, str | int] = {
            "uscc": sample_uscc(number, "330106"),
            "period": "2025-Q2",
            "floor_area": area,
            "energy_users": 100,
        }
        return Row.of("profile", cells | more, period="2025-Q2", row=number, key=key)


@pytest.fixture
def rows() -> type[Rows]:
    """Makes sample rows."""
    return Rows
