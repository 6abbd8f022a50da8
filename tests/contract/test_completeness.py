"""What a node states of its journals exposes whoever keeps them back, and two histories of one."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from yidao.node.completeness import (
    CONTRADICTED,
    GRACE_MS,
    SILENT,
    SILENT_MS,
    WITHHELD,
    Completeness,
)
from yidao.node.frontiers import (
    DAILY_MS,
    STATED,
    Stated,
    StatementDecider,
    Statements,
    decode,
    encode,
)
from yidao.node.store import tables
from yidao.sync.ids import Lane, NodeId
from yidao.sync.message import Frame

Carry = Callable[..., Any]


def _state(node: Any, tree: Any) -> None:
    # More often than it would take: what was stated is not stated again.
    for _ in range(3):
        asyncio.run(Statements(node.store, tree.clock, tree.random).run())


def _statements(node: Any) -> int:
    return sum(record.header.kind == STATED for record in node.store.records(0, 1_000))


def _carry_control(source: Any, target: Any) -> None:
    """Pass on what a tier must pass on to look honest: the control lane alone."""
    head = source.store.last_position()
    cursors = {cursor.lane: cursor.position for cursor in target.store.cursors(source.peer)}
    after = cursors.get(Lane.CONTROL, 0)
    items, _ = source.store.read_lane(target.peer, Lane.CONTROL, after, head, 1 << 20)
    if items:
        frame = Frame(lane=Lane.CONTROL, items=items, after_position=after)
        target.store.run(lambda tx: tx.ingest(source.peer, frame))


def _looked(node: Any, tree: Any) -> list[tuple[str, str]]:
    """Let the decider come to the end, look twice, and give the open problems."""
    cursor, last = tables.cursor, node.store.last_position()
    name = select(cursor.c.position).where(cursor.c.name == StatementDecider.name)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with node.store.read() as connection:
            if (connection.execute(name).scalar() or 0) >= last:
                break
        time.sleep(0.01)
    else:
        raise AssertionError("the decider did not come to the end")
    for _ in range(2):
        asyncio.run(Completeness(node.store, tree.clock).run())
    return [
        (problem.code, problem.journal.split("/")[1])
        for problem in node.store.problems()
        if problem.code in (WITHHELD, CONTRADICTED, SILENT)
    ]


@pytest.fixture
def road(tree: Any) -> tuple[Any, Any, Any]:
    """Root, province and city; statements are noted at each."""
    root = tree.node("/", deciders=[StatementDecider()])
    province = tree.node("/33", root, deciders=[StatementDecider()])
    city = tree.node("/33/3301", province, deciders=[StatementDecider()])
    return root, province, city


def test_a_node_states_what_has_grown_once(
    tree: Any, road: tuple[Any, Any, Any], carry_all: Carry
) -> None:
    """Nothing new, no new statement; something new, one; a day without anything, one."""
    _, _, city = road
    city.append("up:15", city.draft("a"))
    _state(city, tree)
    assert _statements(city) == 1
    city.append("local", city.draft("b"))
    _state(city, tree)
    assert _statements(city) == 2
    tree.clock.now_ms += DAILY_MS
    _state(city, tree)
    assert _statements(city) == 3


def test_a_province_that_keeps_records_back_is_found_out_and_cleared_when_it_gives_them(
    tree: Any, road: tuple[Any, Any, Any], carry_all: Carry
) -> None:
    """The root holds the city's word and not the city's records: after the grace it says so."""
    root, province, city = road
    city.append("up:15", city.draft("a"), city.draft("b"))
    _state(city, tree)
    carry_all(city, province)
    _carry_control(province, root)
    assert _looked(root, tree) == []
    tree.clock.now_ms += GRACE_MS
    assert _looked(root, tree) == [(WITHHELD, "up:15")]
    (problem,) = [each for each in root.store.problems() if each.code == WITHHELD]
    assert (problem.params["path"], problem.params["stated"], problem.params["held"]) == (
        "/33/3301",
        2,
        0,
    )
    assert _looked(province, tree) == []
    carry_all(province, root)
    assert _looked(root, tree) == []


def test_what_is_not_for_a_tier_is_not_missed_there(
    tree: Any, road: tuple[Any, Any, Any], carry_all: Carry
) -> None:
    """Local journals, and those that reach the parent only, are stated and do not come."""
    root, province, city = road
    city.append("local", city.draft("a"))
    city.append("up:1", city.draft("b"))
    _state(city, tree)
    carry_all(city, province)
    carry_all(province, root)
    tree.clock.now_ms += GRACE_MS
    assert _looked(root, tree) == []
    assert _looked(province, tree) == []


def test_two_histories_of_one_journal_are_exposed(
    tree: Any, road: tuple[Any, Any, Any], carry_all: Carry
) -> None:
    """The statement and the held tree are both the author's word, and do not agree."""
    root, province, city = road
    city.append("up:15", city.draft("a"))
    other = Stated(channel="up:15", epoch="1", size=1, root=bytes(32))
    city.append("node", city.draft("lie", encode([other]), kind=STATED, object_id="journals"))
    carry_all(city, province)
    carry_all(province, root)
    assert _looked(root, tree) == [(CONTRADICTED, "up:15")]
    # It never clears by itself: the proof stays.
    city.append("up:15", city.draft("b"))
    carry_all(city, province)
    carry_all(province, root)
    assert _looked(root, tree) == [(CONTRADICTED, "up:15")]


def test_a_node_that_falls_silent_is_named(
    tree: Any, road: tuple[Any, Any, Any], carry_all: Carry
) -> None:
    """Two days without the daily word; the next word clears it."""
    root, province, city = road
    city.append("up:15", city.draft("a"))
    _state(city, tree)
    carry_all(city, province)
    carry_all(province, root)
    tree.clock.now_ms += SILENT_MS - 1
    assert _looked(root, tree) == []
    tree.clock.now_ms += 1
    assert _looked(root, tree) == [(SILENT, "node")]
    _state(city, tree)
    carry_all(city, province)
    carry_all(province, root)
    assert _looked(root, tree) == []


LINE = {"channel": "up:15", "epoch": "1", "size": 1, "root": "00" * 32}


@pytest.mark.parametrize(
    "core",
    [
        b"",
        b"[]",
        b"\xff",
        orjson.dumps({"journals": 7}),
        *(
            orjson.dumps({"journals": [LINE | {name: value}]})
            for name, value in [
                ("channel", "sideways"),
                ("epoch", "0"),
                ("size", 0),
                ("size", True),
                ("size", "1"),
                ("size", 2**63),
                ("root", "00"),
                ("root", "xx" * 32),
            ]
        ),
        orjson.dumps({"journals": [LINE] * 1_001}),
    ],
    ids=lambda core: core[:60].decode("latin-1"),
)
def test_a_malformed_statement_says_nothing(core: bytes) -> None:
    """It is kept as a record; nothing of it is believed."""
    author = NodeId(bytes(16))
    assert decode(core, author) == ()
    assert len(decode(orjson.dumps({"journals": [LINE]}), author)) == 1
