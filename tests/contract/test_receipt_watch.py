"""A node notices that a tier in between keeps its records back: nobody above confirms them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from yidao.node.receiptwatch import GRACE_MS, PROBLEM, ReceiptWatch

pytestmark = pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)

Carry = Callable[..., list[Any]]
Road = tuple[Any, Any, Any]


def pass_receipts(source: Any, target: Any) -> None:
    """Bring every receipt that the target should have."""
    for receipt in source.store.receipts(target.peer, 0)[0]:
        target.store.run(lambda tx, r=receipt: tx.add_receipt(source.peer, r))


def shown(county: Any) -> list[tuple[str, str, int, int]]:
    """Look, and give what is shown: channel, path, confirmed, held."""
    for _ in range(2):
        asyncio.run(ReceiptWatch(county.store, county.clock).run())
    return sorted(
        (str(p.params["channel"]), str(p.params["path"]), p.params["confirmed"], p.params["held"])
        for p in county.store.problems()
        if p.code == PROBLEM
    )


@pytest.fixture
def road(tree: Any, carry_all: Carry) -> Road:
    """Nation, province and county; one record of the county went all the way, with receipts."""
    nation = tree.node("/")
    province = tree.node("/33", nation)
    county = tree.node("/33/3301", province)
    carry_all(province, nation)
    county.append("up:15", county.draft("a"))
    whole_way(nation, province, county, carry_all)
    return nation, province, county


def whole_way(nation: Any, province: Any, county: Any, carry_all: Carry) -> None:
    """Up to the nation, and its receipts back down."""
    carry_all(county, province)
    carry_all(province, nation)
    nation.store.run(lambda tx: tx.cosign_due(0))
    pass_receipts(nation, province)
    pass_receipts(province, county)


def test_r32_a_county_sees_that_its_province_keeps_its_records_back(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """The province confirms and passes nothing on: after an hour the county says so.

    It clears by itself once the nation confirms.
    """
    nation, province, county = road
    assert shown(county) == []
    county.append("up:15", county.draft("b"), county.draft("c"))
    carry_all(county, province)
    pass_receipts(province, county)
    tree.clock.now_ms += GRACE_MS - 1
    assert shown(county) == []
    tree.clock.now_ms += 1
    assert shown(county) == [("up:15", "/", 1, 3)]
    whole_way(nation, province, county, carry_all)
    assert shown(county) == []


def test_what_the_parent_has_not_confirmed_either_is_a_matter_of_the_line(
    tree: Any, road: Road
) -> None:
    """A county whose own line is cut accuses nobody."""
    county = road[2]
    county.append("up:15", county.draft("b"))
    tree.clock.now_ms += 10 * GRACE_MS
    assert shown(county) == []


def test_a_journal_that_ends_at_the_parent_needs_no_other_receipt(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """Who reads a journal is in its channel; nobody else has to confirm it."""
    _, province, county = road
    for channel in ("up:1", "local", "down"):
        county.append(channel, county.draft(f"in {channel}"))
    carry_all(county, province)
    pass_receipts(province, county)
    tree.clock.now_ms += 2 * GRACE_MS
    assert [channel for channel, *_ in shown(county)] == ["node"]


def test_the_lowest_tier_that_is_late_is_named(tree: Any, carry_all: Carry) -> None:
    """Of several tiers that have not confirmed, the one where it stops."""
    nation = tree.node("/")
    province = tree.node("/33", nation)
    city = tree.node("/33/3301", province)
    county = tree.node("/33/3301/a", city)
    county.append("up:15", county.draft("a"))
    carry_all(city, province)
    carry_all(county, city)
    carry_all(city, province)
    province.store.run(lambda tx: tx.cosign_due(0))
    pass_receipts(province, city)
    pass_receipts(city, county)
    county.append("up:15", county.draft("b"))
    carry_all(county, city)
    pass_receipts(city, county)
    tree.clock.now_ms += 3 * GRACE_MS
    # Opening the journal was a record of the county's own, and came to the province too.
    assert shown(county) == [("node", "/", 0, 1), ("up:15", "/33", 1, 2)]
