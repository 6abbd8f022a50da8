"""A node served on a socket for the tests of this folder, and how a refusal is looked at."""

import asyncio
import functools
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from types import SimpleNamespace

import pytest

from yidao.node.access.mode import Mode
from yidao.node.access.passwords import Hasher
from yidao.node.access.service import AccessOptions
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.locate import locate
from yidao.node.affairs.publishing.commands import Publishing
from yidao.node.api.follow_service import FollowServicer
from yidao.node.api.node_service import NodeServicer
from yidao.node.api.parts_service import PartsServicer
from yidao.node.api.records_service import RecordsServicer
from yidao.node.api.server import LocalServer
from yidao.node.api.servicers import affair_servicers
from yidao.node.client import Client, ClientError, User
from yidao.node.keys import Chain, Identity
from yidao.node.received import Received
from yidao.node.removals import Progress
from yidao.node.store.pruning import PruneOrder
from yidao.node.store.store import Store
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.revocation import Reason, Revocation
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

START_MS = 1_795_140_000_000
FIRST, OWN = "Sample-first-1", "Sample-own-22"
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
#: As on a test network, and as on a real one.
LENIENT, STRICT = Mode(), Mode.of(test_network=False)


class Office:
    """A root node served on a socket, with a clock that the test moves.

    What it revokes is written down in `revoked`, and what it prunes in `pruned`; nothing
    else happens.
    """

    def __init__(self, folder: FilePath, mode: Mode = LENIENT) -> None:
        seed = bytes(32)
        numbers = itertools.count(1)
        self.now_ms = START_MS
        self.folder = folder
        self.revoked: list[str] = []
        self.pruned: list[str] = []

        def random(size: int) -> bytes:
            return hashlib.shake_128(next(numbers).to_bytes(8, "big")).digest(size)

        identity = Identity(
            network=NetworkId(seed[:16]),
            node_id=NodeId(seed[:16]),
            path=Path(),
            epoch="1",
            suite=ED25519_SHA256,
            journal=Ed25519Signer(b"j" * 32),
            cosign=Ed25519Signer(b"c" * 32),
        )
        self.store = Store.open(f"sqlite:///{folder}/store.db", clock_ms=self.clock, random=random)
        self.store.bind(identity)
        options = AccessOptions(hasher=Hasher(memory_kib=64, passes=1, lanes=1), mode=mode)
        self.affairs = Affairs(
            self.store, identity, clock_ms=self.clock, random=random, access=options
        )
        self.store.start(self.affairs.projectors, self.affairs.deciders)
        self.socket = folder / "local.sock"
        self.received = Received()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        node = NodeServicer(
            self.store,
            identity,
            SimpleNamespace(),
            SimpleNamespace(revoke=self.revoke),
            chain=lambda: Chain(statement=b"", proofs=()),
            locate=functools.partial(locate, self.store),
            tree=SimpleNamespace(),
            fields=self.affairs.access.fields,
        )
        parts = PartsServicer(SimpleNamespace(prune=self.prune), self.affairs.access.fields)
        self.server = self.run(self.serve([*affair_servicers(self.affairs), node, parts]))
        self.machine = Client.open(self.socket, timeout_seconds=60)

    async def serve(self, servicers: list[object]) -> LocalServer:
        follow = FollowServicer(self.store, self.affairs.access.fields)
        publishing = Publishing(self.affairs.desk)
        records = RecordsServicer(publishing, self.received, self.clock)
        server = LocalServer(self.socket, [*servicers, follow, records])
        await server.start()
        return server

    async def revoke(
        self, path: Path, *, reason: str, operator: str, dry_run: bool, earlier: object = ()
    ) -> Revocation:
        assert not earlier
        if not dry_run:
            self.revoked.append(f"{path} {operator}")
        return Revocation(
            node_id=NodeId(bytes(16)),
            path=path,
            reason=Reason(reason),
            operator=operator,
            cut=(),
        )

    def prune(self, order: PruneOrder, *, dry_run: bool) -> Iterator[Progress]:
        if not dry_run:
            self.pruned.append(order.reason)
        yield Progress(position=1, up_to=1, records=1, bodies_bytes=1, kept={}, is_last=True)

    def clock(self) -> int:
        return self.now_ms

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def later(self, milliseconds: int) -> None:
        """Move the clock, once what was written beside calls is written."""
        self.store.run(lambda tx: None)
        self.now_ms += milliseconds

    def add(self, name: str, *roles: str, unit: str = "") -> None:
        """Add a user by the machine's account, who has chosen a password already."""
        self.machine.put_user(User(name=name, roles=roles, unit=unit), actor="", password=FIRST)
        self.enter(name, FIRST).change_password(FIRST, OWN)

    def enter(self, name: str, password: str = OWN, **more: str) -> Client:
        session = self.machine.sign_in(name, password, **more)
        return self.machine.with_token(session.token, source=more.get("source", ""))

    def events(self, **wanted: str) -> list[tuple[str, str, str, str]]:
        return [
            (each.event, each.actor, each.object, each.result)
            for each in self.machine.audit(**wanted)
        ]

    def close(self) -> None:
        self.machine.close()
        self.run(self.server.stop(0.1))
        # While the loop runs: the writer wakes it.
        self.store.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def refused(code: str, call: Callable[[], object]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.code == code
    return caught.value
