"""The tree against RFC 6962's own recursive definition and its published test data."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.sync import errors
from yidao.sync.merkle import (
    MAX_TREE_SIZE,
    Frontier,
    consistency_proof,
    empty_root,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    verify_consistency,
    verify_inclusion,
)

# The leaves and roots of the Certificate Transparency reference implementation.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(b"%d" % number) for number in range(70)]


def reference_root(hashes: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    left, right = reference_root(hashes[:split]), reference_root(hashes[split:])
    return sha256(b"\x01" + left + right).digest()


def reference_path(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962 §2.1.1, word for word."""
    if len(hashes) == 1:
        return []
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    if index < split:
        return [*reference_path(index, hashes[:split]), reference_root(hashes[split:])]
    return [*reference_path(index - split, hashes[split:]), reference_root(hashes[:split])]


def reference_proof(old: int, hashes: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """PROOF and SUBPROOF of RFC 6962 §2.1.2, word for word."""
    if old == len(hashes):
        return [] if whole else [reference_root(hashes)]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    if old <= split:
        return [*reference_proof(old, hashes[:split], whole=whole), reference_root(hashes[split:])]
    rest = reference_proof(old - split, hashes[split:], whole=False)
    return [*rest, reference_root(hashes[:split])]


def node_at(height: int, index: int) -> bytes:
    return reference_root(LEAVES[index << height : (index + 1) << height])


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    """The published test data comes out, leaf by leaf and in one go."""
    hashes = leaf_hashes(CT_LEAVES[:size])
    assert Frontier().append_many(hashes).root().hex() == CT_ROOTS[size]
    assert reference_root(hashes).hex() == CT_ROOTS[size]


def test_any_split_into_batches_gives_the_same_frontier() -> None:
    """How records were batched leaves no trace in the tree."""
    for size in range(len(LEAVES)):
        whole = Frontier().append_many(LEAVES[:size])
        assert whole.size == size
        assert whole.root() == reference_root(LEAVES[:size])
        assert len(whole.nodes) == size.bit_count()
        for cut in range(size + 1):
            parts = Frontier().append_many(LEAVES[:cut]).append_many(LEAVES[cut:size])
            assert parts == whole


@given(st.lists(st.integers(0, 40), max_size=12))
def test_random_batches_give_the_same_frontier(batches: list[int]) -> None:
    """Also in many batches, empty ones among them."""
    frontier = Frontier()
    everything: list[bytes] = []
    for number, count in enumerate(batches):
        batch = [leaf_hash(b"%d.%d" % (number, leaf)) for leaf in range(count)]
        frontier = frontier.append_many(batch)
        everything += batch
    assert frontier == Frontier().append_many(everything)
    assert frontier.root() == reference_root(everything)


def test_a_frontier_is_stored_and_read_back() -> None:
    """Bytes and back, with the length that belongs to the size."""
    for size in (0, 1, 2, 3, 63, 64):
        frontier = Frontier().append_many(LEAVES[:size])
        assert Frontier.from_bytes(frontier.to_bytes()) == frontier


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(7),
        bytes(9),
        (1).to_bytes(8, "big"),
        (3).to_bytes(8, "big") + bytes(32),
        (2).to_bytes(8, "big") + bytes(64),
        (2**63).to_bytes(8, "big") + bytes(32),
    ],
)
def test_frontier_bytes_of_another_length_are_refused(data: bytes) -> None:
    """A torn or foreign value never becomes a frontier."""
    with pytest.raises(errors.FrontierMalformed):
        Frontier.from_bytes(data)


def test_every_inclusion_proof_is_the_rfcs_and_verifies() -> None:
    """For each leaf of each tree up to 40."""
    for size in range(1, 41):
        root = reference_root(LEAVES[:size])
        for index in range(size):
            path = inclusion_proof(size, index, node_at)
            assert path == reference_path(index, LEAVES[:size])
            verify_inclusion(LEAVES[index], index, size, path, root)


def test_every_consistency_proof_is_the_rfcs_and_verifies() -> None:
    """For each pair of sizes up to 40."""
    for new in range(1, 41):
        new_root = reference_root(LEAVES[:new])
        for old in range(new + 1):
            proof = consistency_proof(old, new, node_at)
            expected = reference_proof(old, LEAVES[:new]) if old else []
            assert proof == expected
            verify_consistency(old, new, proof, reference_root(LEAVES[:old]), new_root)


def test_no_changed_inclusion_proof_verifies() -> None:
    """Another leaf, index, size, root, hash, order or length is refused."""
    for size in range(2, 18):
        root = reference_root(LEAVES[:size])
        for index in range(size):
            path = inclusion_proof(size, index, node_at)
            other = (index + 1) % size
            wrong: list[tuple[bytes, int, int, list[bytes], bytes]] = [
                (LEAVES[other], index, size, path, root),
                (LEAVES[index], other, size, path, root),
                (LEAVES[index], index, size, path, bytes(32)),
                (LEAVES[index], index, size, path[:-1], root),
                (LEAVES[index], index, size, path[1:], root),
                (LEAVES[index], index, size, [*path, bytes(32)], root),
                (LEAVES[index], index, size, [*path[:-1], bytes(32)], root),
                (LEAVES[index], index, size, [*path[:-1], path[-1][:-1]], root),
                (LEAVES[index], size, size, path, root),
                (LEAVES[index], -1, size, path, root),
            ]
            for arguments in wrong:
                with pytest.raises(errors.ProofInvalid):
                    verify_inclusion(*arguments)


def test_no_changed_consistency_proof_verifies() -> None:
    """Another size, root, hash or length is refused."""
    for new in range(2, 18):
        new_root = reference_root(LEAVES[:new])
        for old in range(1, new):
            old_root = reference_root(LEAVES[:old])
            proof = consistency_proof(old, new, node_at)
            wrong: list[tuple[int, int, list[bytes], bytes, bytes]] = [
                (old, new, proof[:-1], old_root, new_root),
                (old, new, [*proof, bytes(32)], old_root, new_root),
                (old, new, [bytes(32), *proof[1:]], old_root, new_root),
                (old, new, proof, bytes(32), new_root),
                (old, new, proof, old_root, bytes(32)),
                (old, new, proof, new_root, old_root),
                (new, old, proof, new_root, old_root),
                (old, old, proof, old_root, old_root),
                (old, new, [], old_root, new_root),
            ]
            for arguments in wrong:
                with pytest.raises(errors.ProofInvalid):
                    verify_consistency(*arguments)


def test_an_equal_or_empty_tree_needs_an_empty_proof() -> None:
    """Nothing is consistent with a false empty root or a false equal one."""
    root = reference_root(LEAVES[:5])
    verify_consistency(0, 5, [], empty_root(), root)
    verify_consistency(5, 5, [], root, root)
    for arguments in (
        (0, 5, [bytes(32)], empty_root(), root),
        (0, 5, [], root, root),
        (5, 5, [], bytes(32), root),
        (5, 5, [bytes(32)], root, root),
    ):
        with pytest.raises(errors.ProofInvalid):
            verify_consistency(*arguments)


def test_a_proof_for_another_size_is_refused_though_its_hashes_lead_to_the_root() -> None:
    """An inner node is no leaf, and the sizes are part of what is proved."""
    four, seven, eight = (reference_root(LEAVES[:size]) for size in (4, 7, 8))
    with pytest.raises(errors.ProofInvalid):
        verify_inclusion(node_at(1, 0), 0, 4, [node_at(1, 1)], four)
    with pytest.raises(errors.ProofInvalid):
        verify_inclusion(LEAVES[1], 0, 1, [LEAVES[0]], node_at(1, 0))
    verify_consistency(4, 8, consistency_proof(4, 8, node_at), four, eight)
    with pytest.raises(errors.ProofInvalid):
        verify_consistency(4, 16, consistency_proof(4, 8, node_at), four, eight)
    with pytest.raises(errors.ProofInvalid):
        verify_consistency(3, 4, consistency_proof(7, 8, node_at), seven, eight)


def test_sizes_and_hashes_out_of_range_are_refused() -> None:
    """Whatever else would fit."""
    with pytest.raises(errors.ProofInvalid):
        verify_consistency(0, MAX_TREE_SIZE + 1, [], empty_root(), bytes(32))
    with pytest.raises(errors.ProofInvalid) as caught:
        verify_inclusion(LEAVES[0], 0, 2, [bytes(33)], bytes(32))
    assert caught.value.params["reason"] == "hash"


def test_proofs_longer_than_any_tree_are_refused_at_once() -> None:
    """64 hashes are too many for every size (corpus row 64)."""
    path = [bytes(32)] * 64
    with pytest.raises(errors.ProofInvalid) as caught:
        verify_inclusion(bytes(32), 0, MAX_TREE_SIZE, path, bytes(32))
    assert caught.value.params["reason"] == "length"
    with pytest.raises(errors.ProofInvalid):
        verify_consistency(1, MAX_TREE_SIZE, path, bytes(32), bytes(32))


@pytest.mark.parametrize(("size", "index"), [(0, 0), (5, 5), (5, -1)])
def test_no_proof_is_made_for_a_leaf_that_is_not_there(size: int, index: int) -> None:
    """Asking is a local mistake, with a code."""
    with pytest.raises(errors.TreeRangeInvalid):
        inclusion_proof(size, index, node_at)
    with pytest.raises(errors.TreeRangeInvalid):
        consistency_proof(6, 5, node_at)
