import itertools
from collections import defaultdict
from collections.abc import Sequence

import pytest

from yidao.sync import errors, tiles
from yidao.sync.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)

COUNT = 70_000  # over 65,536, so that level 2 gets its first entry
LEAVES = [leaf_hash(b"%d" % number) for number in range(COUNT)]


class TileStore:
    """Stored entries by level; level 0 stands for hashes recomputed from headers."""

    def __init__(self) -> None:
        self.levels: defaultdict[int, list[bytes]] = defaultdict(list)
        self.largest_read = 0

    def put(self, entries: Sequence[tiles.TileEntries]) -> None:
        for run in entries:
            assert run.first == len(self.levels[run.level]), "entries must come without a gap"
            self.levels[run.level].extend(run.hashes)

    def read(self, level: int, first: int, count: int) -> Sequence[bytes]:
        self.largest_read = max(self.largest_read, count)
        row = LEAVES if level == 0 else self.levels[level]
        return row[first : first + count]


@pytest.fixture(scope="module")
def grown() -> tuple[TileStore, dict[int, Frontier]]:
    """A journal of 70,000 records that was sealed in uneven batches."""
    store, frontier, seen, at = TileStore(), Frontier(), {}, 0
    for number in range(COUNT):
        size = (1, 2_000, 255, 256, 257, 999)[number % 6]
        frontier, entries = tiles.grow(frontier, LEAVES[at : at + size])
        store.put(entries)
        at = frontier.size
        seen[at] = frontier
        if at == COUNT:
            break
    return store, seen


def test_entries_close_one_for_256_and_one_for_65536(
    grown: tuple[TileStore, dict[int, Frontier]],
) -> None:
    """Level 1 has a hash for each 256 records, level 2 one for each 65,536."""
    store, _ = grown
    assert {level: len(row) for level, row in store.levels.items()} == {
        1: COUNT // 256,
        2: COUNT // 65_536,
    }


def test_an_entry_is_the_hash_of_its_perfect_subtree(
    grown: tuple[TileStore, dict[int, Frontier]],
) -> None:
    """Any other reader of the headers computes the same."""
    store, _ = grown
    assert store.levels[1][3] == Frontier().append_many(LEAVES[768:1024]).root()
    assert store.levels[2][0] == Frontier().append_many(LEAVES[:65_536]).root()


def test_proofs_out_of_tiles_verify_at_any_size_and_read_little(
    grown: tuple[TileStore, dict[int, Frontier]],
) -> None:
    """Proofs for old and new sizes verify, and no read is over 128 hashes."""
    store, seen = grown
    node_at = tiles.node_reader(store.read)
    sizes = sorted(seen)
    chosen = [sizes[0], sizes[3], sizes[len(sizes) // 2], sizes[-1]]
    for size in chosen:
        root = seen[size].root()
        for index in {0, 1, size // 3, size // 2, size - 1} & set(range(size)):
            path = inclusion_proof(size, index, node_at)
            verify_inclusion(LEAVES[index], index, size, path, root)
    for old, new in itertools.pairwise(chosen):
        proof = consistency_proof(old, new, node_at)
        verify_consistency(old, new, proof, seen[old].root(), seen[new].root())
    assert store.largest_read <= 128


def test_missing_entries_are_an_error_and_not_a_wrong_proof() -> None:
    """A store that lost a tile says so."""
    node_at = tiles.node_reader(lambda _level, _first, count: [bytes(32)] * (count - 1))
    with pytest.raises(errors.TreeReadFailed):
        inclusion_proof(512, 0, node_at)
