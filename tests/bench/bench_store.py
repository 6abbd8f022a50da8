"""What a record costs in the store: appended, received, proved. Run with `make bench`."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from yidao.node.store.values import Draft
from yidao.sync.ids import Lane
from yidao.sync.message import Frame
from yidao.sync.proof import parse_proof

Against = Callable[[str, Callable[[], float]], None]
Hashing = Callable[[Sequence[bytes]], float]
SqliteFull = Callable[[Sequence[Sequence[tuple[bytes, ...]]]], float]

FRAME_BYTES = 256 * 1024


def rows_of(node: Any, after: int) -> list[tuple[bytes, bytes]]:
    """What a store holds behind a position, as plain rows: header, body."""
    return [
        (each.header.encode(), b"".join(each.parts.values()))
        for each in node.store.records(after, 20_000)
    ]


@pytest.mark.parametrize(("batch", "rounds"), [(1, 100), (500, 8)], ids=["1", "500"])
def test_append(
    benchmark: BenchmarkFixture,
    new_node: Callable[..., Any],
    against: Against,
    sqlite_full: SqliteFull,
    batch: int,
    rounds: int,
) -> None:
    """One commit of new records, fsynced."""
    node = new_node("/")
    node.start()
    before = node.append(node.drafts(1))

    def fresh() -> tuple[tuple[list[Draft]], dict[str, Any]]:
        return (node.drafts(batch),), {}

    benchmark.pedantic(node.append, setup=fresh, rounds=rounds)
    rows = rows_of(node, before)
    assert len(rows) == batch * rounds
    against(f"SQLite, one commit of {batch}", lambda: sqlite_full([rows[:batch]]))


def test_ingest_5000_records(
    benchmark: BenchmarkFixture,
    new_node: Callable[..., Any],
    against: Against,
    sqlite_full: SqliteFull,
) -> None:
    """Frames from a child's store, each verified and committed by its parent."""
    root, child, position = new_node("/"), new_node("/33"), 0
    root.start()
    child.start()
    for _ in range(10):
        position = child.append(child.drafts(500))
    frames: list[Frame] = []
    for lane in Lane:
        after = scanned = 0
        while scanned < position:
            items, scanned = child.store.read_lane(root.peer, lane, scanned, position, FRAME_BYTES)
            if items:
                frames.append(Frame(lane=lane, items=items, after_position=after))
                after = items[-1].last_position

    def fresh() -> tuple[tuple[Any], dict[str, Any]]:
        parent = new_node("/")
        parent.start()
        parent.enrol(child)
        return (parent,), {}

    def ingest(parent: Any) -> list[Any]:
        return [parent.store.run(lambda tx, f=frame: tx.ingest(child.peer, f)) for frame in frames]

    outcomes = benchmark.pedantic(ingest, setup=fresh, rounds=4)
    assert not any(outcome.refusals for outcome in outcomes)
    assert sum(outcome.records for outcome in outcomes) >= 5_000
    rows = rows_of(child, 0)
    assert len(rows) >= 5_000
    size = -(-len(rows) // len(frames))
    batches = [rows[at : at + size] for at in range(0, len(rows), size)]
    against(
        f"SQLite, the same rows in {len(batches)} commits",
        lambda: sqlite_full(batches),
    )


def test_prove_one_of_10000_records(
    benchmark: BenchmarkFixture,
    new_node: Callable[..., Any],
    against: Against,
    hashing: Hashing,
) -> None:
    """An inclusion proof from stored tiles, verified before it is given out."""
    node = new_node("/")
    node.start()
    positions = [node.append(node.drafts(500)) for _ in range(20)]
    proven = benchmark(node.store.prove, positions[7])
    assert parse_proof(proven.proof).index == 8 * 500 - 1
    headers = [header for header, _ in rows_of(node, 0)]
    assert len(headers) >= 10_000
    against("SHA-256 of the 10,000 headers", lambda: hashing(headers))
