"""What a read costs goes by what is asked for, not by how long the history is."""

import hashlib
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from tests.contract.conftest import Node, Tree
from yidao.node.store import letters, parts, proving, records
from yidao.node.store.lanes import LaneReader
from yidao.node.store.store import Store
from yidao.node.store.values import Peer
from yidao.sync.ids import Lane, NodeId, Path
from yidao.sync.partsrun import SealedPart

YOUNG, OLD = 20, 300
#: Sizes of numbers and heights of the tree grow a little; a look through the history by 15.
MOST = 1.5
PARENT = Peer(node_id=NodeId(bytes(16)), path=Path.parse("/"), store_id=bytes(16))


def _make(node: Node, segments: int) -> None:
    for number in range(segments):
        node.append("up:15", node.draft(f"{number}a"), node.draft(f"{number}b"))


def _steps(store: Store, work: Callable[[Connection], object]) -> int:
    """How many instructions of SQLite's machine this work takes."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    with store.read() as conn:
        work(conn)
        raw = conn.connection.driver_connection
        assert raw is not None
        raw.set_progress_handler(step, 1)
        try:
            assert work(conn)
        finally:
            raw.set_progress_handler(None, 1)
    return steps


WORK: dict[str, Callable[[Node, int], Callable[[Connection], object]]] = {
    "the next records": lambda _, last: lambda conn: records.read_records(conn, last - 4, 4)[0],
    "records out of the middle": lambda _, last: (
        lambda conn: records.read_records(conn, last // 2, 4)[0]
    ),
    "one record": lambda _, last: lambda conn: records.record_at(conn, last - 1),
    "its parts": lambda _, last: lambda conn: parts.read_parts(conn, 2, [2 * YOUNG - 1]),
    "a frame": lambda node, last: (
        lambda conn: LaneReader(conn, node.identity, PARENT, bytes).lane(
            Lane.BULK, last - 4, last, 65_536
        )[0]
    ),
    "a proof": lambda node, last: lambda conn: proving.prove(conn, node.identity, last - 1),
}


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", WORK)
def test_a_read_costs_the_same_in_an_old_store(
    tree: Tree, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite once read a journal's whole index to find the parts of one segment."""
    # Runs that may reach to a record are passed over one by one: as many in both stores.
    monkeypatch.setattr(parts, "MAX_SPAN", 2 * YOUNG)
    young, old = tree.node("/33"), tree.node("/34")
    _make(young, YOUNG)
    _make(old, OLD)
    steps = [
        _steps(node.store, WORK[what](node, node.store.last_position())) for node in (young, old)
    ]
    assert steps[0] > 10
    assert steps[1] <= steps[0] * MOST, steps


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
def test_letters_cost_the_same_in_an_old_store(tree: Tree) -> None:
    """A letter is found by the segment that it came with."""
    young, old = tree.node("/33"), tree.node("/34")
    steps = []
    part = SealedPart(name="core", ciphertext=hashlib.sha256(b"sealed").digest())
    for node, count in ((young, YOUNG), (old, OLD)):
        for seq in range(count):
            node.store.run(
                lambda tx, at=seq: letters.write_sealed(tx.conn, 1, at + 1, [(at, part)])
            )
        steps.append(_steps(node.store, lambda conn: letters.read_sealed(conn, 1, 7)))
    assert steps[1] <= steps[0] * MOST, steps
