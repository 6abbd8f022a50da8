"""What each suite costs: signing, verifying, and a seal of 2,000 records. Run with `make bench`."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from yidao.node.store.values import Draft, DraftPart
from yidao.sync.ids import JournalId, NetworkId, NodeId
from yidao.sync.journal import MAX_SEAL_RECORDS, JournalState, extend, seal
from yidao.sync.merkle import Frontier
from yidao.sync.mldsa44 import MlDsa44Signer
from yidao.sync.sm2 import Sm2Signer, generate
from yidao.sync.suite import Ed25519Signer, Signer, verify

SIGNERS: dict[str, Signer] = {
    "Ed25519": Ed25519Signer(hashlib.sha256(b"sample").digest()),
    "SM2": Sm2Signer(*generate()),
    "ML-DSA-44": MlDsa44Signer(hashlib.sha256(b"sample").digest()),
}
NETWORK = NetworkId(bytes(16))
JOURNAL = JournalId(node_id=NodeId(bytes(16)), channel="up:15", epoch="1")
TEXT = b"sample checkpoint " * 12
HEADERS = [hashlib.sha256(b"%d" % number).digest() * 8 for number in range(MAX_SEAL_RECORDS)]


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS.keys())
def test_sign(benchmark: BenchmarkFixture, signer: Signer) -> None:
    """One signature over a note."""
    assert benchmark(signer.sign, TEXT)


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS.keys())
def test_verify(benchmark: BenchmarkFixture, signer: Signer) -> None:
    """One verification of it."""
    benchmark(verify, signer.suite, signer.public_key, signer.sign(TEXT), TEXT)


@pytest.mark.parametrize("signer", [SIGNERS["Ed25519"], SIGNERS["SM2"]], ids=["std", "gm"])
def test_seal_and_extend_2000_headers(benchmark: BenchmarkFixture, signer: Signer) -> None:
    """Both sides of a full seal: two trees, a signature, a verification."""
    empty = JournalState(journal=JOURNAL, frontier=Frontier(suite=signer.suite))

    def both() -> int:
        made = seal(empty, HEADERS, NETWORK, signer)
        return extend(empty, made.seal, NETWORK, signer.public_key).state.size

    assert benchmark(both) == MAX_SEAL_RECORDS


@pytest.mark.parametrize("suite", ["std", "gm"])
def test_append_100_records(
    benchmark: BenchmarkFixture, new_node: Callable[..., Any], suite: str
) -> None:
    """A store that writes a hundred records a commit, durable, as a node of that suite does."""
    signers = (SIGNERS["SM2"], Sm2Signer(*generate())) if suite == "gm" else None
    node = new_node("/", (), signers)
    numbers = ids()

    def append() -> int:
        drafts = [draft(next(numbers)) for _ in range(100)]
        return len(node.store.run(lambda tx: tx.append("up:15", drafts)))

    node.start()
    assert benchmark(append) == 100


def ids() -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield hashlib.sha256(b"%d" % number).digest()[:16]


def draft(record_id: bytes) -> Draft:
    return Draft(
        record_id=record_id,
        kind="test.thing.made",
        actor="sample@/",
        object_id=f"thing/{record_id.hex()}",
        object_version=1,
        created_ms=1_795_140_000_000,
        parts=(DraftPart(name="core", body=b'{"n": 1}'),),
    )
