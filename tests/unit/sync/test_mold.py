"""A mold makes the bytes that `Header.encode` makes, and finds the faults that it finds."""

from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yidao.sync import errors
from yidao.sync.ids import NetworkId, NodeId
from yidao.sync.mold import Described, Mold
from yidao.sync.record import Grade, Header, PartDigest, Release

NETWORK, NODE = NetworkId(bytes(range(16))), NodeId(bytes(range(1, 17)))

described = st.builds(
    Described,
    record_id=st.binary(min_size=16, max_size=16),
    kind=st.sampled_from(["app.meter.reading", "a.b.c"]),
    actor=st.sampled_from(["meter@/33", "表@/33/3301", "x@/"]),
    object_id=st.one_of(
        st.from_regex(r"meter/[0-9]{1,6}", fullmatch=True), st.sampled_from(["表/1", "o" * 200])
    ),
    object_version=st.integers(1, 2**63 - 1),
    created_ms=st.integers(1, 253_402_300_799_999),
    unit=st.sampled_from(["", "11330000000000000A"]),
    causes=st.lists(st.binary(min_size=16, max_size=16), max_size=10).map(tuple),
    schema=st.sampled_from(["", "energy/profile", "标准"]),
    schema_sha256=st.sampled_from([b"", bytes(32)]),
    period=st.sampled_from(["", "2026-11"]),
)
digest = st.builds(
    PartDigest,
    name=st.sampled_from(["core", "pii", *(f"file:{number}" for number in range(9))]),
    commitment=st.binary(min_size=32, max_size=32),
    length=st.integers(0, 256 * 1024),
    grade=st.sampled_from(Grade),
    reach=st.integers(0, 15),
    release=st.sampled_from(Release),
)
digests = st.lists(digest, max_size=10, unique_by=lambda each: each.name)


def plainly(given: Described, parts: tuple[PartDigest, ...]) -> bytes:
    """The header's bytes, the long way."""
    fields: Any = asdict(given)
    return Header(network=NETWORK, node_id=NODE, parts=parts, **fields).encode()


@given(st.lists(st.tuples(described, digests), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_the_bytes_are_those_of_a_header(records: list[tuple[Described, list[PartDigest]]]) -> None:
    """Whether a piece is met for the first time or again."""
    mold = Mold(NETWORK, NODE)
    for _ in range(2):
        for each, parts in records:
            assert mold.header(each, parts) == plainly(each, tuple(parts))


GOOD = Described(
    record_id=bytes(16),
    kind="app.meter.reading",
    actor="meter@/33",
    object_id="meter/1",
    object_version=1,
    created_ms=1,
)
PART = PartDigest("core", bytes(32), 7, Grade.L2, 15, Release.AT_ONCE)


@pytest.mark.parametrize(
    "change",
    [
        {"record_id": bytes(15)},
        {"kind": "meter"},
        {"actor": "nobody"},
        {"object_id": ""},
        {"object_id": "a\u202eb"},
        {"object_id": "\ud800"},
        {"object_id": "x" * 257},
        {"object_version": 0},
        {"object_version": 2**63},
        {"created_ms": 0},
        {"created_ms": 253_402_300_800_000},
        {"unit": "short"},
        {"unit": "一一330000000000000"},
        {"causes": (b"",)},
        {"causes": (bytes(16), bytes(17))},
        {"causes": (bytes(16),) * 257},
        {"schema_sha256": b"x"},
        {"period": "a b"},
    ],
    ids=lambda change: str(change)[:60],
)
def test_what_is_wrong_is_found_also_among_known_pieces(change: dict[str, Any]) -> None:
    """The way that joins pieces checks what it does not know."""
    mold = Mold(NETWORK, NODE)
    mold.header(GOOD, [PART])
    with pytest.raises(errors.HeaderFieldInvalid):
        mold.header(replace(GOOD, **change), [PART])
    assert mold.header(GOOD, [PART]) == plainly(GOOD, (PART,))


@pytest.mark.parametrize(
    "part",
    [
        PART._replace(commitment=bytes(31)),
        PART._replace(length=256 * 1024 + 1),
        PART._replace(name="body"),
        PART._replace(reach=16),
    ],
    ids=str,
)
def test_what_is_wrong_in_a_part_is_found(part: PartDigest) -> None:
    """As by `Header.encode`."""
    mold = Mold(NETWORK, NODE)
    mold.header(GOOD, [PART])
    with pytest.raises(errors.HeaderFieldInvalid):
        mold.header(GOOD, [part])
    with pytest.raises(errors.HeaderFieldInvalid):
        mold.header(GOOD, [PART, part])


def test_a_header_has_a_size() -> None:
    """Also where each of its pieces is known."""
    mold = Mold(NETWORK, NODE)
    long = replace(GOOD, actor=f"x@{'/' + '/'.join(['a' * 32] * 200)}")
    mold.header(long, [PART])
    with pytest.raises(errors.HeaderTooLarge):
        mold.header(replace(long, causes=(bytes(16),) * 200), [PART])


def test_parts_are_as_many_as_a_header_may_have() -> None:
    """Also where each of them is known."""
    mold = Mold(NETWORK, NODE)
    parts = [PART._replace(name=f"file:{number}") for number in range(17)]
    assert mold.header(GOOD, parts[:16]) == plainly(GOOD, tuple(parts[:16]))
    mold.header(GOOD, parts[16:])
    with pytest.raises(errors.HeaderFieldInvalid):
        mold.header(GOOD, parts)


def test_a_part_stands_in_a_header_once() -> None:
    """Also where both are known."""
    mold = Mold(NETWORK, NODE)
    mold.header(GOOD, [PART])
    with pytest.raises(errors.HeaderFieldInvalid):
        mold.header(GOOD, [PART, PART])


def test_a_mold_does_not_grow_without_end() -> None:
    """A program that gives each record a kind of its own costs no memory."""
    mold = Mold(NETWORK, NODE)
    for number in range(5_000):
        each = replace(GOOD, period=f"p{number}")
        assert mold.header(each, [PART]) == plainly(each, (PART,))
    assert len(mold._texts) <= 4_097
