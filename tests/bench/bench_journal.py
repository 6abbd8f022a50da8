"""What a seal costs its author and everybody who extends a journal by it. Run with `make bench`."""

import hashlib
from collections.abc import Callable, Sequence

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from yidao.sync.ids import JournalId, NetworkId, NodeId, RecordId
from yidao.sync.journal import MAX_SEAL_RECORDS, JournalState, extend, seal
from yidao.sync.record import Header, Part
from yidao.sync.suite import Ed25519Signer

NETWORK = NetworkId(bytes(range(16)))
SIGNER = Ed25519Signer(hashlib.sha256(b"sample").digest())
EMPTY = JournalState(journal=JournalId(node_id=NodeId(bytes(16)), channel="up:15", epoch="1"))

Against = Callable[[str, Callable[[], float]], None]
Hashing = Callable[[Sequence[bytes]], float]


@pytest.fixture(scope="module")
def headers() -> list[bytes]:
    """As many headers as one seal may hold."""
    return [_header(number) for number in range(MAX_SEAL_RECORDS)]


def _header(number: int) -> bytes:
    digest = hashlib.sha256(b"%d" % number).digest()
    core = Part(name="core", salt=digest, body=b"{}")
    return Header(
        network=NETWORK,
        node_id=EMPTY.journal.node_id,
        record_id=RecordId(digest[:16]),
        kind="test.thing.made",
        actor="sample@/",
        object_id=f"thing/{number}",
        object_version=1,
        created_ms=1_795_140_000_000,
        parts=(core.digest(),),
    ).encode()


def test_seal_2000_headers(
    benchmark: BenchmarkFixture, headers: list[bytes], against: Against, hashing: Hashing
) -> None:
    """Leaf hashes, tree, tiles and one signature."""
    sealed = benchmark(seal, EMPTY, headers, NETWORK, SIGNER)
    assert sealed.state.size == MAX_SEAL_RECORDS
    against("SHA-256 of the headers", lambda: hashing(headers))


def test_extend_by_2000_headers(
    benchmark: BenchmarkFixture, headers: list[bytes], against: Against, hashing: Hashing
) -> None:
    """The same tree and one verification."""
    sealed = seal(EMPTY, headers, NETWORK, SIGNER)
    extended = benchmark(extend, EMPTY, sealed.seal, NETWORK, SIGNER.public_key)
    assert extended.state == sealed.state
    against("SHA-256 of the headers", lambda: hashing(headers))
