"""Founding a network and joining it, end to end: real stores, real TLS on loopback."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path as FilePath
from typing import Any, TypeVar

import pytest
from sqlalchemy import select

from yidao.api.link.v1 import link_pb2
from yidao.node import errors as node_errors
from yidao.node.clock import system_clock_ms, utc
from yidao.node.datadir import prepare
from yidao.node.keys import IDENTITY, JOURNAL_KEY, TLS_KEY, Identity, KeyFolder
from yidao.node.link import errors, join, tokens
from yidao.node.link.admission import Admission, Attempts, join_server, load_authority
from yidao.node.link.bundle import JoinBundle
from yidao.node.link.certificates import generate_key
from yidao.node.link.founding import found_network, record_founding
from yidao.node.link.joinrequest import ChildKeys, make_request
from yidao.node.store.store import Store
from yidao.node.store.tables import join_token
from yidao.sync.enrolment import KIND, verify_chain
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.suite import Ed25519Signer

T = TypeVar("T")
DAY = timedelta(days=1)


class Clock:
    """The wall clock, and a hand to turn it."""

    def __init__(self) -> None:
        self.offset_ms = 0

    def __call__(self) -> int:
        return system_clock_ms() + self.offset_ms


@dataclass
class Parent:
    """A node that children can join, with its store open."""

    folder: KeyFolder
    identity: Identity
    store: Store
    clock: Clock
    admission: Admission

    def bundle(self, label: str, port: int = 1, life: timedelta = DAY) -> JoinBundle:
        """Give out a bundle for a child."""
        return self.tokens.add(
            self.identity.path.child(label),
            operator="管理员",
            life=life,
            join_addresses=(f"127.0.0.1:{port}",),
            link_address="127.0.0.1:2",
        )

    @property
    def tokens(self) -> tokens.ChildTokens:
        """Where bundles come from."""
        return tokens.ChildTokens(
            store=self.store,
            identity=self.identity,
            chain=self.folder.load_chain(),
            root_pem=self.folder.load_certificates().root_pem,
            clock_ms=self.clock,
            random=os.urandom,
        )

    @property
    def enrolled_children(self) -> int:
        """How many enrolments of others this node's store has."""
        return sum(1 for node in self.store.enrolments() if node.path.parent == self.identity.path)

    def problem_codes(self) -> set[str]:
        """Codes of the problems that are open."""
        return {problem.code for problem in self.store.problems()}


def open_parent(data_dir: FilePath, identity: Identity, clock: Clock) -> Parent:
    """Open a node's store and make it ready to admit children."""
    folder = KeyFolder(data_dir)
    store = Store.open(f"sqlite:///{data_dir}/store.db", clock_ms=clock, random=os.urandom)
    if identity.path == Path():
        store.bind(identity)
        store.start()
        record_founding(store, folder, identity)
    else:
        chain = folder.load_chain()
        enrolments = verify_chain(
            folder.load_certificates().root_pem, chain.statement, chain.proofs
        )
        store.bind(identity, enrolments)
        store.start()
    admission = Admission(
        store=store,
        identity=identity,
        chain=folder.load_chain,
        authority=load_authority(folder.load_certificates()),
        clock_ms=clock,
        attempts_per_minute=1000,
    )
    return Parent(folder, identity, store, clock, admission)


@pytest.fixture
def root(tmp_path: FilePath) -> Any:
    """A newly founded network's root."""
    data_dir = prepare(tmp_path / "root")
    clock = Clock()
    identity = found_network(data_dir, now=utc(clock()), random=os.urandom)
    parent = open_parent(data_dir, identity, clock)
    yield parent
    parent.store.close()


@asynccontextmanager
async def serving(parent: Parent) -> Any:
    """Serve the parent's join port; give its number."""
    server = join_server(parent.admission, parent.folder.load_certificates(), "127.0.0.1:0")
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop(None)


def run(scene: Callable[[], Awaitable[T]]) -> T:
    """Run a scene on an event loop of its own."""

    async def limited() -> T:
        return await asyncio.wait_for(scene(), 60)

    return asyncio.run(limited())


def request_for(bundle: JoinBundle, node_id: bytes = b"n" * 16) -> link_pb2.JoinRequest:
    """Return a good request with new keys."""
    keys = ChildKeys(
        tls=generate_key(),
        ca=generate_key(),
        journal=Ed25519Signer(os.urandom(32)),
        cosign=Ed25519Signer(os.urandom(32)),
    )
    return make_request(bundle, NodeId(node_id), keys)


def admit(parent: Parent, *requests: link_pb2.JoinRequest) -> list[Any]:
    """Hand requests to the parent at once; return answers or errors."""

    async def scene() -> list[Any]:
        calls = (parent.admission.admit(request, "caller") for request in requests)
        return await asyncio.gather(*calls, return_exceptions=True)

    return run(scene)
