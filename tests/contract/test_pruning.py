"""Snapshots and prunings on both databases: every type of column, and a step that is cut short."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    select,
)

from yidao.node.removals import Removals
from yidao.node.store import tables
from yidao.node.store.pruning import PruneOrder
from yidao.node.store.records import Reader
from yidao.node.store.values import StoredRecord
from yidao.sync.removal import KIND_PRUNED

sample = MetaData()
kept = Table(
    "sample_kept",
    sample,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary),
    Column("text", Text, nullable=False),
    Column("odd", Boolean, nullable=False),
)


class Keeper:
    """Keeps what records say, in columns of every type that views use."""

    name = "sample.keeper"
    tables = (kept,)

    def fold(self, conn: Connection, records: Sequence[StoredRecord], _reader: Reader) -> None:
        """Keep."""
        for record in records:
            if record.header.kind == "test.thing.made":
                conn.execute(
                    insert(kept).values(
                        position=record.position,
                        body=record.parts.get("core"),
                        text=f"样例 {record.header.object_id}",
                        odd=record.position % 2 == 1,
                    )
                )


@pytest.fixture
def root(tree: Any) -> Any:
    """A root with six records that were folded, one without a body."""
    made = tree.node("/")
    made.store.run(lambda tx: sample.create_all(tx.conn))
    made = tree.reopen(made, projectors=[Keeper()])
    drafts = [made.draft(f"{n}", bytes(range(n, n + 40))) for n in range(5)]
    made.append("up:15", *drafts, made.draft("bare", parts=()))
    made.store.applied(made.store.last_position()).result(10)
    return made


def prune(node: Any) -> int:
    order = PruneOrder(before_ms=node.clock() + 1, reason="样例：到期", operator="li@/")
    removals = Removals(node.store, lambda _: None)
    return sum(step.records for step in removals.prune(order))


def rows(node: Any) -> list[tuple[Any, ...]]:
    with node.store.read() as conn:
        return [tuple(row) for row in conn.execute(select(kept).order_by(kept.c.position))]


def bodies(node: Any) -> int:
    return sum("core" in r.parts for r in node.store.records(0, 999) if "test." in r.header.kind)


def test_a_rebuild_starts_from_the_snapshot_whatever_the_columns_hold(root: Any) -> None:
    """Bytes, texts, booleans and nothing come back; records after it are folded on top."""
    before = rows(root)
    assert prune(root) == 5
    assert bodies(root) == 0
    assert root.store.rebuild().equal
    assert rows(root) == before
    root.append("up:15", root.draft("later"))
    root.store.applied(root.store.last_position()).result(10)
    report = root.store.rebuild()
    assert (report.equal, len(rows(root))) == (True, 7)


def test_a_pruning_that_is_cut_short_says_too_much_and_is_done_again(root: Any) -> None:
    """Its record is there before the parts go; the next run removes them."""
    cut_short = patch("yidao.node.store.pruning.remove", side_effect=ZeroDivisionError)
    with cut_short, pytest.raises(ZeroDivisionError):
        prune(root)
    assert bodies(root) == 5
    assert prune(root) == 5
    assert bodies(root) == 0
    kinds = [record.header.kind for record in root.store.records(0, 999)]
    assert kinds.count(KIND_PRUNED) == 2
    assert root.store.rebuild().equal


def test_only_the_newest_snapshot_is_kept(root: Any) -> None:
    """It holds all that an older one held."""
    for _ in range(2):
        root.store.seal_snapshot()
        root.store.applied(root.store.last_position()).result(10)
    with root.store.read() as conn:
        assert len(conn.execute(select(tables.snapshot)).all()) == 1
        chunks = conn.execute(select(tables.snapshot_chunk.c.position).distinct()).all()
    assert len(chunks) == 1
