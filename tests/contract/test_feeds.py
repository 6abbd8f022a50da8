"""What comes from above is fresh, or everybody below says that it is not."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from yidao.node.completeness import GRACE_MS, WITHHELD, Completeness
from yidao.node.expiries import Expiries
from yidao.node.feeds import CHANNEL, INTERVALS, MAX_VALID_MS, STATED, FeedDecider, Feeds, encode
from yidao.node.frontiers import Stated, StatementDecider
from yidao.node.store import tables
from yidao.sync.ids import Lane
from yidao.sync.message import Frame

Carry = Callable[..., Any]
HOUR_MS = 3600 * 1000
INTERVAL_MS = 6 * HOUR_MS
VALID_MS = INTERVALS * INTERVAL_MS


@pytest.fixture
def road(tree: Any) -> tuple[Any, Any, Any]:
    """Root, province and city, each noting what is stated."""
    deciders = [StatementDecider(), FeedDecider()]
    root = tree.node("/", deciders=deciders)
    province = tree.node("/33", root, deciders=deciders)
    return root, province, tree.node("/33/3301", province, deciders=deciders)


def state(node: Any, tree: Any) -> int:
    """Let a node's job run, and give how many statements it has made."""
    asyncio.run(Feeds(node.store, tree.clock, tree.random, INTERVAL_MS).run())
    own = node.identity.node_id
    found = node.store.records(0, 1_000)
    return sum(r.header.kind == STATED and r.header.node_id == own for r in found)


def carry_lanes(source: Any, target: Any, *lanes: Lane) -> None:
    """Pass some lanes on and keep the others back."""
    known = {cursor.lane: cursor.position for cursor in target.store.cursors(source.peer)}
    for lane in lanes:
        after, head = known.get(lane, 0), source.store.last_position()
        items, _ = source.store.read_lane(target.peer, lane, after, head, 1 << 20)
        if items:
            frame = Frame(lane=lane, items=items, after_position=after)
            target.store.run(lambda tx, f=frame: tx.ingest(source.peer, f))
    settle(target)


def settle(node: Any) -> None:
    """Wait until the deciders have seen everything."""
    name = select(tables.cursor.c.position).where(tables.cursor.c.name == FeedDecider.name)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with node.store.read() as conn:
            if (conn.execute(name).scalar() or 0) >= node.store.last_position():
                return
        time.sleep(0.01)
    raise AssertionError("the decider did not come to the end")


def told(node: Any, tree: Any) -> dict[str, list[Any]]:
    """Look at everything once, and give the parameters of the open problems by code."""
    asyncio.run(Expiries(node.store, tree.clock, lambda: ()).run())
    asyncio.run(Completeness(node.store, tree.clock).run())
    found: dict[str, list[Any]] = {}
    for problem in node.store.problems():
        found.setdefault(problem.code, []).append(problem.params)
    return found


def test_a_node_with_nodes_below_states_once_an_interval(tree: Any, road: Any) -> None:
    """Not at each run, again when the time has come, and never where nobody is below."""
    root, _, city = road
    assert [state(root, tree) for _ in range(3)] == [1, 1, 1]
    tree.clock.now_ms += INTERVAL_MS
    assert state(root, tree) == 2
    assert state(city, tree) == 0


def test_a_feed_that_is_kept_back_is_late_and_then_stale_and_fresh_again(
    tree: Any, road: Any, carry_all: Carry
) -> None:
    """A province with a line passes nothing on: the city says so, by the root's own word (R36)."""
    root, province, city = road
    state(root, tree)
    state(city, tree)
    carry_all(root, province)
    carry_all(province, city)
    settle(city)
    assert told(city, tree) == {}
    tree.clock.now_ms += VALID_MS * 2 // 3 + 1
    assert {each["path"] for each in told(city, tree)["FEED_LATE"]} == {"/", "/33"}
    tree.clock.now_ms += VALID_MS // 3 + 3 * HOUR_MS
    stale = told(city, tree)["FEED_STALE"]
    assert {(each["path"], each["hours"]) for each in stale} == {("/", 3), ("/33", 3)}
    for node in (root, province):
        state(node, tree)
    carry_all(root, province)
    carry_all(province, city)
    settle(city)
    assert told(city, tree) == {}


def test_directives_that_are_kept_back_are_missed_though_the_control_lane_comes(
    tree: Any, road: Any
) -> None:
    """The root states its journal of directives; whoever has fewer of them says so."""
    root, province, _ = road
    root.append("down", root.draft("a"), root.draft("b"))
    state(root, tree)
    carry_lanes(root, province, Lane.CONTROL)
    assert told(province, tree) == {}
    tree.clock.now_ms += GRACE_MS
    (missed,) = told(province, tree)[WITHHELD]
    assert (missed["path"], missed["channel"], missed["stated"], missed["held"]) == (
        "/",
        "down",
        2,
        0,
    )
    carry_lanes(root, province, Lane.URGENT)
    assert told(province, tree) == {}


def test_a_statement_that_says_too_much_is_mended_by_the_next(
    tree: Any, road: Any, carry_all: Carry
) -> None:
    """A thief claims all time and all numbers; a week at most, and the next word counts (R38)."""
    root, province, _ = road
    root.append("down", root.draft("a"))
    root_of = next(h.root for h in root.store.heads() if h.own and h.journal.channel == "down")
    far = Stated(channel="down", epoch="1", size=2**63 - 1, root=root_of)
    core = encode(tree.clock.now_ms, 2**62, [far])
    root.append(CHANNEL, root.draft("thief", core, kind=STATED))
    carry_all(root, province)
    settle(province)
    tree.clock.now_ms += GRACE_MS
    assert told(province, tree)[WITHHELD][0]["stated"] == 2**63 - 1
    state(root, tree)
    carry_all(root, province)
    settle(province)
    assert told(province, tree) == {}
    # The time it named was cut to a week, and would have run out.
    root.append(CHANNEL, root.draft("thief again", core, kind=STATED))
    carry_all(root, province)
    settle(province)
    tree.clock.now_ms += MAX_VALID_MS
    assert [each["path"] for each in told(province, tree)["FEED_STALE"]] == ["/"]
