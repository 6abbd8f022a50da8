"""RFC 6962 Merkle trees: roots, frontiers and proofs, equal to any other implementation's.

leaf = H(0x00 || input), node = H(0x01 || left || right), the empty tree is H("").
H is the hash of the journal's suite, SHA-256 where none is named. Verification
follows RFC 9162 §2.1.3.2 and §2.1.4.2.

A perfect subtree is named by (height, index): it covers the leaves from
index * 2**height on, 2**height of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from yidao.sync import errors
from yidao.sync.suite import ED25519_SHA256, hasher

HASH_BYTES: Final = 32
MAX_PROOF_HASHES: Final = 63
MAX_TREE_SIZE: Final = 2**63 - 1

_SIZE_BYTES: Final = 8

NodeAt = Callable[[int, int], bytes]
"""Gives the hash of the perfect subtree (height, index)."""


def leaf_hash(data: bytes, suite: int = ED25519_SHA256) -> bytes:
    """Return the hash of one leaf input."""
    return hasher(suite)(b"\x00" + data).digest()


def leaf_hashes(inputs: Iterable[bytes], suite: int = ED25519_SHA256) -> list[bytes]:
    """Return the hashes of leaf inputs, in order."""
    new = hasher(suite)
    return [new(b"\x00" + data).digest() for data in inputs]


def node_hash(left: bytes, right: bytes, suite: int = ED25519_SHA256) -> bytes:
    """Return the hash of an inner node."""
    return hasher(suite)(b"\x01" + left + right).digest()


def parents(row: Sequence[bytes], suite: int = ED25519_SHA256) -> list[bytes]:
    """Return the hashes of the nodes above pairs of nodes; the row has an even length."""
    new = hasher(suite)
    pairs = iter(row)
    return [new(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]


def empty_root(suite: int = ED25519_SHA256) -> bytes:
    """Return the root of a tree without leaves."""
    return hasher(suite)(b"").digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The compact form of a tree: all that is needed to append to it.

    Attributes:
        size: Number of leaves.
        nodes: Roots of the perfect subtrees of `size`'s binary expansion,
            the largest (leftmost) first.
        suite: Whose hash the tree is made with.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()
    suite: int = ED25519_SHA256

    def append_many(self, hashes: Sequence[bytes]) -> Self:
        """Return the frontier after appending leaf hashes."""
        return self.grow(hashes)[0]

    def grow(self, hashes: Sequence[bytes]) -> tuple[Self, list[tuple[int, int, list[bytes]]]]:
        """Return the new frontier and the perfect subtrees that closed on the way.

        The closed subtrees come as runs (height, first index, hashes), one for
        each height from 0 (the leaves themselves) to the highest that closed.

        Working height by height instead of leaf by leaf keeps the cost near one
        hash a leaf: whatever is new at a height pairs up in one sweep, with the
        old frontier's node of that height in front if there is one.
        """
        new = hasher(self.suite)
        old = list(self.nodes)
        odd: list[bytes] = []
        runs: list[tuple[int, int, list[bytes]]] = []
        fresh = list(hashes)
        height = 0
        size = self.size
        while fresh or size >> height:
            if fresh:
                runs.append((height, size >> height, fresh))
            row = fresh
            if size >> height & 1:
                row = [old.pop(), *fresh]
            if len(row) & 1:
                odd.append(row[-1])
            rights = iter(row)
            fresh = [
                new(b"\x01" + left + right).digest()
                for left, right in zip(rights, rights, strict=False)
            ]
            height += 1
        return type(self)(size + len(hashes), tuple(reversed(odd)), self.suite), runs

    def root(self) -> bytes:
        """Return the root of the tree."""
        if not self.nodes:
            return empty_root(self.suite)
        root = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            root = node_hash(left, root, self.suite)
        return root

    def to_bytes(self) -> bytes:
        """Return the frontier as bytes: 8-byte big-endian size, then the nodes."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.nodes)

    @classmethod
    def from_bytes(cls, data: bytes, suite: int = ED25519_SHA256) -> Self:
        """Return the frontier of `to_bytes`, of a tree of that suite.

        Raises:
            FrontierMalformed: The length does not belong to the size.
        """
        size = int.from_bytes(data[:_SIZE_BYTES], "big")
        nodes = data[_SIZE_BYTES:]
        if (
            len(data) < _SIZE_BYTES
            or size > MAX_TREE_SIZE
            or len(nodes) != size.bit_count() * HASH_BYTES
        ):
            raise errors.FrontierMalformed
        return cls(
            size,
            tuple(nodes[at : at + HASH_BYTES] for at in range(0, len(nodes), HASH_BYTES)),
            suite,
        )


EMPTY_FRONTIER: Final = Frontier()


def range_root(first: int, end: int, node_at: NodeAt, suite: int = ED25519_SHA256) -> bytes:
    """Return the RFC 6962 hash of leaves `first` up to `end`, not included.

    `first` must be aligned, as it is for every subtree that a proof names: a
    multiple of the smallest power of two that is at least `end - first`.
    """
    hashes = []
    while first < end:
        height = (end - first).bit_length() - 1
        hashes.append(node_at(height, first >> height))
        first += 1 << height
    root = hashes.pop()
    while hashes:
        root = node_hash(hashes.pop(), root, suite)
    return root


def inclusion_proof(
    size: int, index: int, node_at: NodeAt, suite: int = ED25519_SHA256
) -> list[bytes]:
    """Return the path from the leaf's sibling up to the root of a tree of `size`.

    Raises:
        TreeRangeInvalid: No such leaf in a tree of that size.
    """
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise errors.TreeRangeInvalid(index=index, size=size)
    path: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        split = first + (1 << ((end - first - 1).bit_length() - 1))
        if index < split:
            path.append(range_root(split, end, node_at, suite))
            end = split
        else:
            path.append(range_root(first, split, node_at, suite))
            first = split
    path.reverse()
    return path


def verify_inclusion(
    leaf: bytes,
    index: int,
    size: int,
    path: Sequence[bytes],
    root: bytes,
    suite: int = ED25519_SHA256,
) -> None:
    """Return only if `leaf` (a leaf hash) is at `index` of the tree of `size` and `root`.

    Raises:
        ProofInvalid: It is not, or the path has a hash too many or too few.
    """
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise errors.ProofInvalid(reason="index")
    _check_hashes(path)
    position, last = index, size - 1
    computed = leaf
    for sibling in path:
        if last == 0:
            raise errors.ProofInvalid(reason="length")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed, suite)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling, suite)
        position >>= 1
        last >>= 1
    if last != 0:
        raise errors.ProofInvalid(reason="length")
    if computed != root:
        raise errors.ProofInvalid(reason="root")


def consistency_proof(
    old: int, new: int, node_at: NodeAt, suite: int = ED25519_SHA256
) -> list[bytes]:
    """Return the hashes that join a tree of `old` leaves to the same tree at `new`.

    Empty if the sizes are equal or `old` is 0.

    Raises:
        TreeRangeInvalid: `old` is larger than `new`.
    """
    if not 0 <= old <= new <= MAX_TREE_SIZE:
        raise errors.TreeRangeInvalid(index=old, size=new)
    if old in (0, new):
        return []
    proof: list[bytes] = []
    first, end = 0, new
    # RFC 6962 §2.1.2, without recursion: walk down the right edge of the old tree.
    while old != end:
        split = first + (1 << ((end - first - 1).bit_length() - 1))
        if old <= split:
            proof.append(range_root(split, end, node_at, suite))
            end = split
        else:
            proof.append(range_root(first, split, node_at, suite))
            first = split
    if first != 0:
        proof.append(range_root(first, end, node_at, suite))
    proof.reverse()
    return proof


def verify_consistency(
    old: int,
    new: int,
    proof: Sequence[bytes],
    old_root: bytes,
    new_root: bytes,
    suite: int = ED25519_SHA256,
) -> None:
    """Return only if the tree (`new`, `new_root`) extends the tree (`old`, `old_root`).

    Raises:
        ProofInvalid: It does not, or the proof has a hash too many or too few.
    """
    if not 0 <= old <= new <= MAX_TREE_SIZE:
        raise errors.ProofInvalid(reason="size")
    _check_hashes(proof)
    if old in (0, new):
        expected = empty_root(suite) if old == 0 else new_root
        if proof or old_root != expected:
            raise errors.ProofInvalid(reason="root")
        return
    if not proof:
        raise errors.ProofInvalid(reason="length")
    if _roots_of_consistency(old, new, proof, old_root, suite) != (old_root, new_root):
        raise errors.ProofInvalid(reason="root")


def _roots_of_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, suite: int
) -> tuple[bytes, bytes]:
    """Return both roots that a proof leads to, for 0 < old < new (RFC 9162 §2.1.4.2)."""
    # A perfect old tree is a node of the new one, so the proof leaves it out.
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_computed = new_computed = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise errors.ProofInvalid(reason="length")
        if position & 1 or position == last:
            old_computed = node_hash(sibling, old_computed, suite)
            new_computed = node_hash(sibling, new_computed, suite)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_computed = node_hash(new_computed, sibling, suite)
        position >>= 1
        last >>= 1
    if last != 0:
        raise errors.ProofInvalid(reason="length")
    return old_computed, new_computed


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise errors.ProofInvalid(reason="hash")
