"""A refusal is said once in the `node` journal and its mending once; every tier above shows it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update

from yidao.node.alarms import MENDED, PROBLEM, REFUSED, AlarmDecider, Alarms
from yidao.node.store import tables
from yidao.sync.ids import Lane
from yidao.sync.message import Frame

Carry = Callable[..., Any]


def _run_alarms(node: Any, tree: Any) -> None:
    # More often than it would take: what was said is not said again.
    for _ in range(3):
        asyncio.run(Alarms(node.store, tree.clock, tree.random).run())


def _said(node: Any) -> list[str]:
    own = node.identity.node_id
    return [
        record.header.kind
        for record in node.store.records(0, 1_000)
        if record.header.kind in (REFUSED, MENDED) and record.journal.node_id == own
    ]


def _wait_for_decider(node: Any) -> None:
    """Wait until the decider's cursor stands behind everything: views do not wait for it."""
    cursor, last = tables.cursor, node.store.last_position()
    name = select(cursor.c.position).where(cursor.c.name == AlarmDecider.name)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with node.store.read() as connection:
            if (connection.execute(name).scalar() or 0) >= last:
                return
        time.sleep(0.01)
    raise AssertionError("the decider did not come to the end")


def _shown(node: Any) -> list[tuple[str, str]]:
    _wait_for_decider(node)
    return [
        (problem.journal.partition("/")[2], str(problem.params["reason"]))
        for problem in node.store.problems()
        if problem.code == PROBLEM
    ]


def _flip(node: Any, channel: str) -> None:
    """Change one byte of the newest headers of a journal, as an insider with the file would."""
    segment, journal = tables.segment, tables.journal

    def change(tx: Any) -> None:
        row = tx.conn.execute(
            select(segment.c.position, segment.c.headers)
            .join(journal, journal.c.id == segment.c.journal_id)
            .where(journal.c.channel == channel)
            .order_by(segment.c.position.desc())
            .limit(1)
        ).one()
        changed = row.headers[:-1] + bytes([row.headers[-1] ^ 1])
        tx.conn.execute(
            update(segment).where(segment.c.position == row.position).values(headers=changed)
        )

    node.store.run(change)


@pytest.fixture
def road(tree: Any) -> tuple[Any, Any, Any, Any]:
    """Root, province, city and county; alarms are decided at each."""
    root = tree.node("/", deciders=[AlarmDecider()])
    province = tree.node("/33", root, deciders=[AlarmDecider()])
    city = tree.node("/33/3301", province, deciders=[AlarmDecider()])
    county = tree.node("/33/3301/330106", city, deciders=[AlarmDecider()])
    return root, province, city, county


def test_a_byte_changed_below_is_named_at_the_root_until_it_is_mended(
    tree: Any, road: tuple[Any, Any, Any, Any], carry_all: Carry
) -> None:
    """The province refuses, the root hears of it and never gets the changed record."""
    root, province, city, county = road
    county.append("up:15", county.draft("a"))
    carry_all(county, city)
    _flip(city, "up:15")
    carry_all(city, province)
    _run_alarms(province, tree)
    carry_all(province, root)
    assert _said(province) == [REFUSED]
    assert _shown(root) == [("up:15/1", "SEAL_ROOT_MISMATCH")]
    # Who refuses knows it as its own problem; the alarm is for those above.
    assert _shown(province) == []
    assert all(r.journal.channel != "up:15" for r in root.store.records(0, 1_000))

    _flip(city, "up:15")
    (wanted,) = province.store.wanted(city.peer)
    items = city.store.read_backfill(
        province.peer, wanted.journal, wanted.size, city.store.last_position(), 1 << 20
    )
    frame = Frame(lane=Lane.BULK, items=items, after_position=0, backfill=True)
    province.store.run(lambda tx: tx.ingest(city.peer, frame))
    _run_alarms(province, tree)
    carry_all(province, root)
    assert _said(province) == [REFUSED, MENDED]
    assert _shown(root) == []
    assert any(r.journal.channel == "up:15" for r in root.store.records(0, 1_000))


@pytest.mark.parametrize(
    "core",
    [b"", b"[]", b'{"journal": 7}', b'{"journal": "x/y", "seq": 1, "code": "C"}', b"\xff"],
)
def test_a_malformed_alarm_stops_nothing(
    tree: Any, road: tuple[Any, Any, Any, Any], carry_all: Carry, core: bytes
) -> None:
    """It is kept as a record; a good one behind it is shown."""
    root, province, _, _ = road
    name = f"{province.identity.node_id.hex()}/up:15/1"
    good = orjson.dumps({"journal": name, "seq": 3, "code": "SEAL_GAP"})
    province.append("node", province.draft("bad", core, kind=REFUSED))
    province.append("node", province.draft("good", good, kind=REFUSED))
    carry_all(province, root)
    assert _shown(root) == [("up:15/1", "SEAL_GAP")]
