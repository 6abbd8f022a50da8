"""Units change hosts: handed over, or taken by the node in their host's place."""

import dataclasses
import hashlib
from typing import Any

import orjson
import pytest

from yidao.catalog.codes import sample_uscc
from yidao.node.affairs.errors import HandOverUnfit, UnitHostedElsewhere, UnitUnknown
from yidao.node.affairs.registry.commands import hand_over
from yidao.node.affairs.registry.queries import find_unit
from yidao.node.affairs.registry.rules import Effect, Held, Kinship, decide_entry
from yidao.node.affairs.reporting.judging import RowIn
from yidao.node.affairs.reporting.queries import roll_up
from yidao.sync.ids import Path

PERIOD = "2025-Q2"
UNIT = sample_uscc(1, "330106")
A, B, C = "/33", "/44", "/55"


def entry(name: str = "样例单位") -> RowIn:
    given = {"uscc": UNIT, "region_code": "330106", "inst_type": "01", "reg_status": "1"}
    return RowIn(
        row=1, form="institution", period="", payload=orjson.dumps({**given, "name": name})
    )


def profile(area: str) -> RowIn:
    row = {"uscc": UNIT, "period": PERIOD, "floor_area": area, "energy_users": 50}
    return RowIn(row=1, form="profile", period=PERIOD, payload=orjson.dumps(row))


def outcome(node: Any, row: RowIn) -> str:
    """What becomes of a row, or of which error it dies."""
    (result,) = node.submit(row).results
    return result.faults[0].code if result.faults else result.outcome.value


def hand(node: Any, to: str) -> None:
    hand_over(node.desk, node.actor, [UNIT], Path.parse(to), "样例")


def host(node: Any) -> tuple[str, bool]:
    """Who hosts the unit as a node sees it, or is waited for, and whether others claim it."""
    with node.desk.read() as conn:
        found = find_unit(conn, UNIT)
    return (found.origin_path, found.contested)


@pytest.fixture
def offices(tree: Any) -> Any:
    """A root with three provinces, and a unit at the first."""
    tree.grow("/", A, B, C)
    tree.publish("2022")
    assert outcome(tree[A], entry()) == "submitted"
    tree.exchange()
    return tree


def test_a_unit_has_one_host_at_a_time_and_is_counted_once(offices: Any) -> None:
    """The old host keeps what it reported; the new one reports on; the root counts each once."""
    old, new, root = offices[A], offices[B], offices["/"]
    assert outcome(old, profile("1000.00")) == "submitted"
    assert outcome(new, profile("2000.00")) == "UNIT_UNKNOWN"
    offices.exchange()
    hand(old, B)
    assert outcome(old, profile("1500.00")) == "UNIT_HOSTED_ELSEWHERE"
    offices.exchange()
    assert host(root) == (B, False)
    assert outcome(new, entry("接收后的样例单位")) == "submitted"
    assert outcome(new, profile("2000.00")) == "submitted"
    offices.exchange()
    assert host(root) == (B, False)
    totals = roll_up(root.desk, "energy", "profile", PERIOD)
    assert totals.submitted.returns == 1
    # Who stands above sees the unit wait for itself, and may take it.
    hand(new, "/")
    offices.exchange()
    assert outcome(root, entry("根")) == "submitted"
    assert host(root) == ("/", False)
    for node in (root, old, new):
        assert node.store.rebuild().equal


ORDERS = {"hand-over first": (A, B), "entry first": (B, A)}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_in_whatever_order_hand_over_and_entry_come_the_outcome_is_one(
    offices: Any, order: tuple[str, str]
) -> None:
    """Also where the new host has handed it on already."""
    hand(offices[A], B)
    outcome(offices[B], entry("乙"))
    hand(offices[B], C)
    outcome(offices[C], entry("丙"))
    # C's word comes first of all, and is a claim until both hand-overs are here.
    for path in (C, *order):
        while offices._carry(offices[path], offices["/"]):
            offices["/"].settle()
    assert host(offices["/"]) == (C, False)
    with offices["/"].desk.read() as conn:
        assert find_unit(conn, UNIT).name == "丙"
    assert offices["/"].store.rebuild().equal


def refuse_what_is_unfit(old: Any) -> None:
    """By type, and nothing is done; without a list it is all that the node hosts."""
    before = old.store.last_position()
    cases = [
        (HandOverUnfit, [UNIT], A, ""),
        (HandOverUnfit, [UNIT], B, "two\nlines"),
        (UnitUnknown, [UNIT, sample_uscc(9, "330106")], B, ""),
    ]
    for error, units, to, reason in cases:
        with pytest.raises(error):
            hand_over(old.desk, old.actor, units, Path.parse(to), reason)
    assert old.store.last_position() == before
    assert hand_over(old.desk, old.actor, [], Path.parse(B), "") == (UNIT,)
    with pytest.raises(UnitHostedElsewhere):
        hand(old, C)
    with pytest.raises(HandOverUnfit):
        hand_over(old.desk, old.actor, [], Path.parse(B), "")


def test_who_was_not_handed_a_unit_only_claims_it(offices: Any) -> None:
    """It is contested, stays with its host, and a forged hand-over does nothing."""
    assert outcome(offices[C], entry("非其所管")) == "submitted"
    hand(offices[C], B)
    offices.exchange()
    assert host(offices["/"]) == (A, True)
    refuse_what_is_unfit(offices[A])
    outcome(offices[B], entry("乙"))
    offices.exchange()
    assert host(offices["/"]) == (B, True)
    assert offices["/"].store.rebuild().equal


HOST = b"h" * 16
HELD = Held(origin=HOST, version=3, path=A)
FREE = dataclasses.replace(HELD, origin=b"", path=B)
OTHER = hashlib.sha256(b"other").digest()[:16]
ENTRIES = {
    "nobody has it": (None, OTHER, 1, C, Kinship.NONE, Effect.ENTER),
    "its host, newer": (HELD, HOST, 4, A, Kinship.NONE, Effect.REPLACE),
    "its host, older": (HELD, HOST, 3, A, Kinship.NONE, Effect.IGNORE),
    "another node": (HELD, OTHER, 9, C, Kinship.NONE, Effect.CONTEST),
    "the node in its host's place": (HELD, OTHER, 1, A, Kinship.HEIR, Effect.TAKE),
    "the node whose place the host has": (HELD, OTHER, 9, A, Kinship.FOREBEAR, Effect.IGNORE),
    "whom it waits for": (FREE, OTHER, 1, B, Kinship.NONE, Effect.TAKE),
    "whom it does not wait for": (FREE, OTHER, 9, C, Kinship.NONE, Effect.CONTEST),
}


@pytest.mark.parametrize("case", ENTRIES.values(), ids=ENTRIES)
def test_what_an_entry_does(case: Any) -> None:
    """One table of decisions."""
    held, origin, version, path, kinship, effect = case
    assert decide_entry(held, origin, version, path, kinship) is effect
