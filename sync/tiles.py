"""Merkle tiles: the few inner hashes that are stored so that proofs cost the same at any size.

A tile is 256 hashes wide (C2SP tlog-tiles): entry i of level L is the hash of
the perfect subtree of height 8 * L with index i. Level 0 are the leaf hashes,
which are recomputed from headers; entries of level >= 1 are stored when the
seal that closes their subtree is stored: 32 bytes for 256 records and 32 more
for 65,536, 0.13 bytes a record.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from yidao.sync import errors
from yidao.sync.merkle import Frontier, NodeAt, parents
from yidao.sync.suite import ED25519_SHA256

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT

ReadHashes = Callable[[int, int, int], Sequence[bytes]]
"""Gives `count` hashes of a level from `first` on: (level, first, count)."""


@dataclass(frozen=True, slots=True)
class TileEntries:
    """New entries of one level, to store in the transaction of their seal.

    Attributes:
        level: 1 or more.
        first: Index of the first entry.
        hashes: The entries' hashes in order.
    """

    level: int
    first: int
    hashes: tuple[bytes, ...]


def grow(
    frontier: Frontier, leaf_hashes: Sequence[bytes]
) -> tuple[Frontier, tuple[TileEntries, ...]]:
    """Return the frontier after appending, and the tile entries that closed."""
    grown, runs = frontier.grow(leaf_hashes)
    entries = tuple(
        TileEntries(height // TILE_HEIGHT, first, tuple(hashes))
        for height, first, hashes in runs
        if height and height % TILE_HEIGHT == 0
    )
    return grown, entries


def node_reader(read: ReadHashes, suite: int = ED25519_SHA256) -> NodeAt:
    """Return a function that gives any perfect subtree's hash out of stored tiles.

    A subtree of height 8 * L + k is folded from 2**k entries of level L, so that
    no call reads more than 128 hashes.

    Args:
        read: Reads entries; for level 0, leaf hashes of stored headers.
        suite: Whose hash the tree is made with.

    Returns:
        A `NodeAt`; it raises `TreeReadFailed` if `read` gives too few hashes.
    """

    def node_at(height: int, index: int) -> bytes:
        level, rest = divmod(height, TILE_HEIGHT)
        count = 1 << rest
        first = index << rest
        row = list(read(level, first, count))
        if len(row) != count:
            raise errors.TreeReadFailed(level=level, first=first)
        while len(row) > 1:
            row = parents(row, suite)
        return row[0]

    return node_at
