"""A roll-up taken apart adds up to itself, however it is cut."""

import random
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yidao.node.affairs.errors import BreakdownInvalid, CursorInvalid
from yidao.node.affairs.reporting.breakdown import By, Wanted, break_down
from yidao.node.affairs.reporting.owed import Page
from yidao.node.affairs.reporting.queries import ReturnFilter, list_returns, roll_up
from yidao.node.affairs.reporting.review import Choice

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"
OTHER_COUNTY, OTHER_AGENCY = "/33/07", "/33/06/b"
Q2 = "2025-Q2"
SCOPES = ("submitted", "accepted")


def apart(node, by: str, scope: str = "submitted", *, path: str = "", form="consumption", **page):
    wanted = Wanted(
        pack="energy", form=form, period=Q2, by=by, scope=scope, path=path, page=Page(**page)
    )
    return break_down(node.desk, wanted)


def pages(node, by: str, scope: str, *, path: str = "", limit: int = 1_000):
    found, after = [], ""
    while True:
        page = apart(node, by, scope, path=path, limit=limit, after=after)
        found.extend(page.rows)
        after = page.next
        if not after:
            return found


def added(rows) -> tuple[int, int, dict[str, Decimal]]:
    fields: Counter[str] = Counter()
    for row in rows:
        for name, value in row.totals.fields.items():
            fields[name] += Decimal(value)
    return (
        sum(row.totals.returns for row in rows),
        sum(row.totals.summed for row in rows),
        {name: value for name, value in fields.items() if value},
    )


def whole(node, scope: str, form: str = "consumption"):
    totals = getattr(roll_up(node.desk, "energy", form, Q2), scope)
    fields = {name: Decimal(value) for name, value in totals.fields.items()}
    return totals.returns, totals.summed, {name: value for name, value in fields.items() if value}


@pytest.fixture
def wide(tree, rows):
    """Two counties, one of them with two agencies, and units of several regions and classes."""
    tree.grow(ROOT, CITY, COUNTY, OTHER_COUNTY, AGENCY, OTHER_AGENCY)
    tree.publish("2022", "2025")
    hosts = {COUNTY: (0,), OTHER_COUNTY: (1, 2), AGENCY: (3, 4, 5), OTHER_AGENCY: (6,)}
    for path, indexes in hosts.items():
        tree[path].submit(
            *(
                rows.institution(
                    index,
                    region_code=("330106", "330108")[index % 2],
                    inst_type=("01", "021")[index % 3 == 0],
                )
                for index in indexes
            )
        )
    tree.exchange()
    return tree, hosts


def submit(node, *given):
    done = node.submit(*given)
    assert {each.outcome.value for each in done.results} == {"submitted"}, done.results


def report_all(tree, hosts, rows):
    """Every unit reports; the counties and the city accept what their children sent."""
    for path, indexes in hosts.items():
        submit(tree[path], *(rows.profile(index) for index in indexes))
        submit(tree[path], *(rows.consumption(index) for index in indexes))
    tree.exchange()
    for path in (COUNTY, CITY):
        tree[path].affairs.review.review(tree[path].actor, Choice(period=Q2), "accept", "")
    tree.exchange()


def test_a_reviewer_drills_down_from_the_nation_to_a_unit(wide, rows):
    """The next node below, then the next; own units stand under the path itself."""
    tree, hosts = wide
    report_all(tree, hosts, rows)

    def children(path: str) -> list[tuple[str, str, int]]:
        found = apart(tree[ROOT], "child", "accepted", path=path)
        return [(row.key, row.title, row.totals.returns) for row in found.rows]

    assert children("") == [(CITY, "33", 7)]
    assert children(CITY) == [(COUNTY, "06", 5), (OTHER_COUNTY, "07", 2)]
    assert children(COUNTY) == [(COUNTY, "06", 1), (AGENCY, "a", 3), (OTHER_AGENCY, "b", 1)]
    units = apart(tree[ROOT], "unit", "accepted", path=AGENCY).rows
    assert [(row.key, row.title) for row in units] == [
        (rows.unit(index), f"样例单位{index:04d}") for index in hosts[AGENCY]
    ]
    assert all(row.totals.indicators["EPC"] for row in units)


def test_regions_and_classes_have_names(wide, rows):
    """Of the registry that every tier holds."""
    tree, hosts = wide
    report_all(tree, hosts, rows)
    regions = apart(tree[ROOT], "region", "accepted").rows
    assert [(row.key, row.title, row.totals.returns) for row in regions] == [
        ("330106", "西湖区", 4),
        ("330108", "滨江区", 3),
    ]
    classes = apart(tree[CITY], "inst_type", "accepted").rows
    assert [(row.key, row.totals.returns) for row in classes] == [("01", 4), ("021", 3)]
    assert all(row.title for row in classes)
    whole_of = roll_up(tree[CITY].desk, "energy", "consumption", Q2).accepted
    [one] = apart(tree[ROOT], "child", "accepted").rows
    assert dict(one.totals.indicators) == dict(whole_of.indicators)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_rows_add_up_to_the_roll_up(wide, rows, seed):
    """After any run of hand-ins, corrections, verdicts, withdrawals, at any tier, cut anyhow."""
    tree, hosts = wide
    chance = random.Random(seed)
    for _ in range(chance.randrange(1, 4)):
        happen(tree, hosts, rows, chance)
    for path in (ROOT, CITY, COUNTY):
        for scope in SCOPES:
            expected = whole(tree[path], scope)
            for by in By:
                limit = chance.randrange(1, 5)
                found = pages(tree[path], by.value, scope, limit=limit)
                assert added(found) == expected
                assert len({row.key for row in found}) == len(found)
            below = [
                row
                for child in pages(tree[path], "child", scope)
                for row in pages(tree[path], "unit", scope, path=child.key)
                if child.key != path
            ]
            own = [
                row
                for row in pages(tree[path], "unit", scope)
                if row.key in {rows.unit(index) for index in hosts.get(path, ())}
            ]
            assert added([*below, *own]) == expected


def happen(tree, hosts, rows, chance) -> None:
    """Let each node do something, and the links carry some of it."""
    for path, indexes in hosts.items():
        node = tree[path]
        for index in indexes:
            if chance.random() < 0.6:
                kwh = f"{chance.randrange(1, 90_000)}.{chance.randrange(100):02d}"
                row = rows.consumption(index, elec_kwh=kwh, elec_fee="5.00", coal_t="1.250")
                node.submit(row)
        with node.desk.read() as conn:
            mine = list_returns(conn, ReturnFilter(state="submitted", limit=1_000))[0]
        own = [row.record_id for row in mine if row.origin_path == path]
        if own and chance.random() < 0.4:
            node.affairs.withdrawal.withdraw(node.actor, [chance.choice(own)], "样例")
    tree.exchange()
    for path in (COUNTY, CITY):
        decision = chance.choice(["accept", "accept", "return"])
        choice = Choice(period=Q2, limit=chance.randrange(1, 5))
        tree[path].affairs.review.review(tree[path].actor, choice, decision, "样例")
    tree.exchange()


WRONG = {
    "a cut that is none": ({"by": "colour"}, BreakdownInvalid),
    "a scope that is none": ({"by": "unit", "scope": "all"}, BreakdownInvalid),
    "a path that is none": ({"by": "unit", "path": "33"}, BreakdownInvalid),
    "a path above": ({"by": "unit", "path": "/"}, BreakdownInvalid),
    "a mark that is none": ({"by": "unit", "after": "x"}, CursorInvalid),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_cut_is_refused(agency, case):
    """A typed error that names the field."""
    wanted, error = case
    with pytest.raises(error):
        apart(agency, **wanted)
