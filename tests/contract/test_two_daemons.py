"""Several daemons over one PostgreSQL database: they share journals, positions and cursors."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, insert, select

from yidao.node.store.records import Reader
from yidao.node.store.values import StoredRecord

sample = MetaData()
seen = Table(
    "sample_seen",
    sample,
    Column("position", BigInteger, primary_key=True),
    Column("object_id", Text, nullable=False),
)


class Noter:
    """Notes each record; a second time would break the key."""

    name = "sample.noter"
    tables = (seen,)

    def fold(self, conn: Connection, records: list[StoredRecord], reader: Reader) -> None:
        """Note."""
        for record in records:
            conn.execute(
                insert(seen).values(position=record.position, object_id=record.header.object_id)
            )


@pytest.fixture(params=["postgresql"])
def new_url(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Databases of the server; one daemon a file is SQLite's rule."""
    new_database: Callable[[], str] = request.getfixturevalue("postgresql")
    return new_database


def test_two_daemons_write_one_journal(tree: Any) -> None:
    """Both append at once: no position twice, no gap, one sound tree, each record folded once."""
    first = tree.node("/")
    first.store.run(lambda tx: sample.create_all(tx.conn))
    first = tree.reopen(first, projectors=[Noter()])
    second = tree.open(first.url, first.identity, projectors=[Noter()])
    assert first.store.store_id == second.store.store_id
    positions: dict[str, list[int]] = {"first": [], "second": []}

    def write(node: Any, name: str) -> None:
        for number in range(40):
            positions[name] += node.append("up:15", node.draft(f"{name} {number}"))

    threads = [
        threading.Thread(target=write, args=(node, name))
        for node, name in ((first, "first"), (second, "second"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    given = sorted(positions["first"] + positions["second"])
    assert given == list(range(2, 82))
    assert first.store.scrub().faults == ()
    for node in (first, second):
        node.store.run(lambda _tx: None)
        node.store.applied(81).result(timeout=60)
    assert not first.store.problems()
    with first.store.read() as conn:
        assert conn.execute(select(seen.c.position)).scalars().all() == list(range(1, 82))


def test_an_id_that_the_other_daemon_took(tree: Any) -> None:
    """A repeat that reaches the other daemon gives the first position too."""
    first = tree.node("/")
    second = tree.open(first.url, first.identity)
    position = first.append("up:15", first.draft("a"))
    assert second.append("up:15", first.draft("a")) == position
