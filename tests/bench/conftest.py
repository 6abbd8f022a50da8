"""Stores to measure, and yardsticks of the same run.

A time says what a machine is like; a ratio to a yardstick that was measured
beside it says what the code is like. Yardsticks are the least that the job
could cost: SHA-256 over the same bytes, or the same bytes written as rows by
SQLite itself, in as many fsynced commits.
"""

import hashlib
import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as FilePath

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.bench.rows import REPORT, Row, Rows, lines
from yidao.node.affairs.affairs import Affairs
from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart, Peer
from yidao.sync.enrolment import KIND, Enrolment
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.sealing import X25519Box
from yidao.sync.suite import Ed25519Signer, Signer

NETWORK = NetworkId(bytes(range(16)))
# 2026-11-20 in China.
NOW_MS = 1_795_140_000_000
YARDSTICK_RUNS = 5

Batch = Sequence[tuple[bytes, ...]]
table = pytest.StashKey[Rows]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[table] = Rows()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table, with the rows of earlier calls, and write it to `build/bench.json`."""
    if not config.stash[table].found:
        return
    terminalreporter.section("what was measured")
    for line in lines(config.stash[table].save()):
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"written to {REPORT.relative_to(REPORT.parents[1])}")


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> Rows:
    """The table that this call makes."""
    return request.config.stash[table]


@pytest.fixture
def against(
    request: pytest.FixtureRequest, benchmark: BenchmarkFixture, rows: Rows
) -> Callable[[str, Callable[[], float]], None]:
    """Compares the best round of this benchmark with the best of a yardstick's runs."""

    def compare(name: str, yardstick: Callable[[], float]) -> None:
        if benchmark.stats is None:
            return
        best = benchmark.stats.stats.min
        least = [yardstick() for _ in range(YARDSTICK_RUNS)]
        rows.add(
            Row(
                name=request.node.name.removeprefix("test_"),
                unit="ms",
                runs=tuple(second * 1_000 for second in benchmark.stats.stats.data),
                ratios=(best / min(least),),
                yardstick=name,
                note="ratio of the best rounds",
            )
        )

    return compare


def sha256_seconds(parts: Sequence[bytes]) -> float:
    """Seconds to hash these bytes in one go."""
    data = b"".join(parts)
    started = time.perf_counter()
    hashlib.sha256(data).digest()
    return time.perf_counter() - started


@pytest.fixture
def hashing() -> Callable[[Sequence[bytes]], float]:
    """The yardstick of what only computes."""
    return sha256_seconds


@pytest.fixture
def sqlite_full(tmp_path: FilePath) -> Callable[[Sequence[Batch]], float]:
    """The yardstick of what stores: seconds to commit batches of rows with `executemany`."""
    numbers = itertools.count(1)

    def run(batches: Sequence[Batch]) -> float:
        database = sqlite3.connect(tmp_path / f"raw{next(numbers)}.db", isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            marks = ", ".join("?" * len(batches[0][0]))
            columns = ", ".join(f"c{number}" for number in range(len(batches[0][0])))
            database.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})")
            started = time.perf_counter()
            for batch in batches:
                database.execute("BEGIN IMMEDIATE")
                database.executemany(f"INSERT INTO t ({columns}) VALUES ({marks})", batch)
                database.execute("COMMIT")
            return time.perf_counter() - started
        finally:
            database.close()

    return run


class Node:
    """A store on a file of its own, with its identity."""

    def __init__(
        self,
        folder: FilePath,
        path: str,
        chain: tuple[Enrolment, ...] = (),
        signers: tuple[Signer, Signer] | None = None,
    ) -> None:
        seed = hashlib.sha256(path.encode()).digest()
        usual = (Ed25519Signer(seed), Ed25519Signer(hashlib.sha256(seed).digest()))
        journal, cosign = signers or usual
        self.identity = Identity(
            network=NETWORK,
            node_id=NodeId(seed[:16]),
            path=Path.parse(path),
            epoch="1",
            suite=journal.suite,
            journal=journal,
            cosign=cosign,
            boxes=(X25519Box(hashlib.sha256(seed).digest()),),
        )
        self._numbers = itertools.count(1)
        self._random = itertools.count(1)
        self.now_ms = NOW_MS
        folder.mkdir()
        self._url, self._chain = f"sqlite:///{folder}/store.db", chain
        self.store = self._opened()

    def _opened(self) -> Store:
        store = Store.open(self._url, clock_ms=lambda: self.now_ms, random=self.random)
        store.bind(self.identity, self._chain)
        return store

    def restart(self) -> float:
        """Close the store, open it again and start it; gives the seconds of the latter two."""
        self.store.close()
        started = time.perf_counter()
        self.store = self._opened()
        self.store.start()
        return time.perf_counter() - started

    def start(self) -> None:
        """Start the store alone."""
        self.store.start()

    def start_with_affairs(self) -> Affairs:
        """Start the store with all projectors and deciders, as a daemon does."""
        affairs = Affairs(self.store, self.identity, clock_ms=lambda: NOW_MS, random=self.random)
        self.store.start(affairs.projectors, affairs.deciders)
        return affairs

    def random(self, size: int) -> bytes:
        """Bytes that differ from call to call."""
        return hashlib.shake_256(self.identity.node_id + next(self._random).to_bytes(8)).digest(
            size
        )

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
            tls_sha256=hashlib.sha256(self.identity.node_id).digest(),
        )

    def enrol(self, child: "Node") -> None:
        """Write the child's enrolment."""
        draft = Draft(
            record_id=self.random(16),
            kind=KIND,
            actor=f"sample@{self.identity.path}",
            object_id=f"node/{child.identity.node_id.hex()}",
            object_version=1,
            created_ms=NOW_MS,
            parts=(DraftPart(name="core", body=child.enrolment.encode()),),
        )
        self.store.run(lambda tx: tx.append("node", [draft]))

    def drafts(self, count: int) -> list[Draft]:
        """New records with a core of the size of a return's."""
        return [
            Draft(
                record_id=hashlib.sha256(b"%d" % number).digest()[:16],
                kind="test.thing.made",
                actor=f"sample@{self.identity.path}",
                object_id=f"thing/{number}",
                object_version=1,
                created_ms=NOW_MS,
                parts=(DraftPart(name="core", body=b'{"n": %0200d}' % number),),
            )
            for number in itertools.islice(self._numbers, count)
        ]

    def append(self, drafts: Sequence[Draft]) -> int:
        """Append in one commit and give the last position."""
        tickets = self.store.run(lambda tx: tx.append("up:15", drafts))
        return tickets[-1].position


@pytest.fixture
def new_node(tmp_path: FilePath) -> Iterator[Callable[..., Node]]:
    """Makes nodes, each in a folder of its own, and closes them."""
    made: list[Node] = []

    def make(
        path: str,
        chain: tuple[Enrolment, ...] = (),
        signers: tuple[Signer, Signer] | None = None,
    ) -> Node:
        made.append(Node(tmp_path / f"node{len(made)}", path, chain, signers))
        return made[-1]

    yield make
    for node in made:
        node.store.close()
