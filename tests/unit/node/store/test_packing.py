"""Blobs: what goes in comes out, and what was cut is told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yidao.node.store.errors import StoreInconsistent
from yidao.node.store.packing import (
    as_sent,
    pack_headers,
    pack_parts,
    pack_seqs,
    unpack_headers,
    unpack_parts,
    unpack_seqs,
)
from yidao.sync.partsrun import unpack_records
from yidao.sync.record import Part

headers = st.lists(st.binary(max_size=60), max_size=12)
parts = st.lists(
    st.tuples(
        st.integers(100, 2_100),
        st.builds(
            Part,
            name=st.sampled_from(["core", "pii", "ext:/33", "file:1", "名"]),
            salt=st.binary(min_size=32, max_size=32),
            body=st.binary(max_size=80),
        ),
    ),
    max_size=8,
)


@given(headers, st.integers(0, 14), st.none() | st.integers(0, 14))
@settings(max_examples=100, deadline=None)
def test_headers_come_back(given: list[bytes], start: int, limit: int | None) -> None:
    """Headers come back byte for byte, all of them or any slice."""
    blob = pack_headers(given)
    assert unpack_headers(blob) == tuple(given)
    end = None if limit is None else start + limit
    assert unpack_headers(blob, start, limit) == tuple(given[start:end])


@given(parts)
@settings(max_examples=100, deadline=None)
def test_parts_come_back(given: list[tuple[int, Part]]) -> None:
    """Parts come back with the sequence numbers of their records, of all or of some."""
    assert unpack_parts(100, pack_parts(given)) == given
    some = {seq for seq, _ in given[::2]}
    expected = [each for each in given if each[0] in some]
    assert unpack_parts(100, pack_parts(given), some) == expected


def test_parts_of_older_stores_are_read() -> None:
    """Until revision 0019 they lay otherwise: two parts of records 100 and 103."""
    blob = b"".join(
        (
            bytes.fromhex("02000000"),
            bytes.fromhex("00000000 04 02000000"),
            b"core" + bytes(32) + b"ab",
            bytes.fromhex("03000000 03 00000000"),
            b"pii" + bytes(range(32)),
        )
    )
    held = [(100, Part("core", bytes(32), b"ab")), (103, Part("pii", bytes(range(32)), b""))]
    assert unpack_parts(100, blob) == held
    assert unpack_parts(100, blob, {103}) == held[1:]
    assert as_sent(blob) == b""
    assert unpack_records(as_sent(pack_parts(held))) == (held, len(held))


@given(st.lists(st.integers(0, 2**63 - 1), unique=True, max_size=20))
@settings(max_examples=50, deadline=None)
def test_seqs_come_back_sorted(given: list[int]) -> None:
    """Sequence numbers come back in order."""
    assert unpack_seqs(pack_seqs(given)) == tuple(sorted(given))


def test_a_cut_or_longer_blob_is_told() -> None:
    """A blob of another length than it says is an error at every cut."""
    part = Part(name="core", salt=bytes(32), body=b"body")
    packed = (
        (pack_headers([b"abc", b"de"]), unpack_headers),
        (pack_parts([(0, part), (3, part)]), lambda blob: unpack_parts(0, blob)),
        (pack_parts([(0, part), (3, part)]), lambda blob: unpack_parts(0, blob, {0})),
    )
    for blob, unpack in packed:
        for cut in range(len(blob)):
            with pytest.raises(StoreInconsistent):
                unpack(blob[:cut])
        with pytest.raises(StoreInconsistent):
            unpack(blob + b"x")
    with pytest.raises(StoreInconsistent):
        unpack_seqs(b"1234567")
