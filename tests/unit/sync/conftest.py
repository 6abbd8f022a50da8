"""Sample identities and records, all from fixed seeds, so that a failure repeats."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from yidao.sync.ids import JournalId, NetworkId, NodeId, RecordId
from yidao.sync.journal import Seal
from yidao.sync.message import Item
from yidao.sync.record import Header, Part
from yidao.sync.suite import Ed25519Signer

NETWORK = NetworkId(sha256(b"sample network").digest()[:16])
NODE = NodeId(sha256(b"sample node").digest()[:16])


@pytest.fixture
def network() -> NetworkId:
    return NETWORK


@pytest.fixture
def journal() -> JournalId:
    return JournalId(node_id=NODE, channel="up:15", epoch="1")


@pytest.fixture
def signer() -> Ed25519Signer:
    return Ed25519Signer(sha256(b"sample journal key").digest())


@pytest.fixture
def cosigner() -> Ed25519Signer:
    return Ed25519Signer(sha256(b"sample cosigning key").digest())


@pytest.fixture
def make_part() -> Callable[..., Part]:
    def make(name: str = "core", body: bytes = b'{"v":"1"}') -> Part:
        return Part(name=name, salt=sha256(b"salt" + name.encode()).digest(), body=body)

    return make


@pytest.fixture
def make_header(make_part: Callable[..., Part]) -> Callable[..., Header]:
    def make(number: int = 0, **changes: object) -> Header:
        fields: dict[str, object] = {
            "network": NETWORK,
            "node_id": NODE,
            "record_id": RecordId(sha256(b"record %d" % number).digest()[:16]),
            "kind": "reporting.return.submitted",
            "actor": "li.na@/33/3301",
            "object_id": f"return:{number}",
            "object_version": 1,
            "created_ms": 1_750_000_000_000 + number,
            "unit": "91330100MA27X00X0X",
            "schema": "sample/form-1@1",
            "schema_sha256": sha256(b"sample pack").digest(),
            "period": "2025-Q2",
            "parts": (make_part().digest(),),
        }
        return Header(**(fields | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_item() -> Callable[..., Item]:
    """Items with sample bytes: for what moves sealed bytes and never opens them."""

    def make(
        position: int = 1,
        *,
        channel: str = "up:15",
        first_seq: int = 0,
        count: int = 1,
        size_bytes: int = 10,
        **changes: object,
    ) -> Item:
        journal = JournalId(node_id=NODE, channel=channel, epoch="1")
        seal = Seal(
            journal=journal,
            first_seq=first_seq,
            headers=(b"h" * size_bytes,) * count,
            checkpoint=b"checkpoint of position %d" % position,
        )
        return Item(position=position, seal=seal, **changes)  # type: ignore[arg-type]

    return make
