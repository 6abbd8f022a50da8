"""Who owes what: the clerk's list, the reviewer's list, pages and counts."""

from datetime import date

import pytest

from yidao.catalog.errors import FormUnknown, PackNotInForce, PackUnknown, PeriodInvalid
from yidao.node.affairs.errors import CursorInvalid, RowPeriodKindWrong
from yidao.node.affairs.reporting.owed import Page, list_due, list_missing
from yidao.node.affairs.reporting.review import Choice

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"
TODAY = date(2026, 10, 9)
Q3 = "2026-Q3"
# Fifteen days after 30 September 2026; a Thursday.
DUE = date(2026, 10, 15)


def weekday(day: date) -> bool:
    return day.weekday() < 5


def due(node, **wanted):
    page = Page(after=wanted.pop("after", ""), limit=wanted.pop("limit", 0))
    with node.desk.read() as conn:
        return list_due(conn, node.identity.node_id, TODAY, weekday, page=page, **wanted)


def missing(node, form: str = "consumption", period: str = Q3, *, pack: str = "energy", **page):
    with node.desk.read() as conn:
        return list_missing(conn, pack, form, period, Page(**page))


def test_a_clerk_sees_what_each_unit_owes_until_it_is_handed_in(registered, rows):
    """Missing, refused, returned and withdrawn are owed; submitted and accepted are not."""
    tree = registered(5)
    agency, county = tree[AGENCY], tree[COUNTY]
    found, following = due(agency)
    assert following == ""
    assert [(each.form, each.unit) for each in found] == [
        (form, rows.unit(index)) for form in ("consumption", "profile") for index in range(5)
    ]
    assert {(e.period, e.due, e.days_left, e.state, e.record_id) for e in found} == {
        (Q3, DUE, 6, "missing", b"")
    }
    assert found[0].unit_name == "样例单位0000"

    done = agency.submit(
        rows.consumption(0, Q3, water_tap_m3="1.00"),
        *(rows.consumption(index, Q3) for index in range(1, 5)),
    ).results
    tree.exchange()
    county.affairs.review.review(
        county.actor, Choice(record_ids=(done[1].record_id,)), "return", "样例"
    )
    county.affairs.review.review(
        county.actor, Choice(record_ids=(done[2].record_id,)), "accept", ""
    )
    agency.affairs.withdrawal.withdraw(agency.actor, [done[3].record_id], "样例")
    tree.exchange()
    found, _ = due(agency)
    states = {each.unit: each for each in found if each.form == "consumption"}
    assert {rows.unit(0): "refused", rows.unit(1): "returned", rows.unit(3): "withdrawn"} == {
        code: each.state for code, each in states.items()
    }
    assert states[rows.unit(1)].record_id == done[1].record_id
    assert [each.form for each in due(agency, of_unit=rows.unit(4))[0]] == ["profile"]
    assert due(county) == ((), "")


def test_what_is_due_pages_without_gap_or_repeat(registered, rows):
    """Pages of any size put together are the whole list."""
    tree = registered(4)
    tree[AGENCY].submit(rows.consumption(1, Q3))
    whole, _ = due(tree[AGENCY])
    assert len(whole) == 7
    for limit in (1, 2, 3, 7, 8):
        seen, after = [], ""
        while True:
            page, after = due(tree[AGENCY], limit=limit, after=after)
            assert 1 <= len(page) <= limit
            seen.extend(page)
            if not after:
                break
        assert tuple(seen) == whole
    with pytest.raises(CursorInvalid):
        due(tree[AGENCY], after="x")


def test_a_reviewer_sees_who_of_the_subtree_has_not_reported(registered, rows):
    """At every tier the same units, with the state of their newest version and the counts."""
    tree = registered(4)
    done = tree[AGENCY].submit(*(rows.consumption(index, Q3) for index in range(3))).results
    tree.exchange()
    tree[COUNTY].affairs.review.review(
        tree[COUNTY].actor, Choice(record_ids=(done[1].record_id,)), "return", "样例"
    )
    tree[AGENCY].affairs.withdrawal.withdraw(tree[AGENCY].actor, [done[2].record_id], "样例")
    tree.exchange()
    for path in tree.nodes:
        found = missing(tree[path])
        assert [(each.unit, each.state, each.origin_path) for each in found.missing] == [
            (rows.unit(1), "returned", AGENCY),
            (rows.unit(2), "withdrawn", AGENCY),
            (rows.unit(3), "missing", AGENCY),
        ]
        assert (found.units, found.reported, found.next) == (4, 1, "")
    first = missing(tree[ROOT], limit=2)
    rest = missing(tree[ROOT], limit=2, after=first.next)
    assert [each.unit for each in (*first.missing, *rest.missing)] == [
        rows.unit(index) for index in (1, 2, 3)
    ]
    assert (rest.next, rest.reported) == ("", 1)


WRONG = {
    "another pack": ({"pack": "x"}, PackUnknown),
    "no version of that time": ({"period": "1999-Q1"}, PackNotInForce),
    "no such form": ({"form": "x"}, FormUnknown),
    "no period": ({"period": "2026-Q9"}, PeriodInvalid),
    "a period of another kind": ({"period": "2026-07"}, RowPeriodKindWrong),
    "a form that stays at its node": (
        {"form": "monthly_ledger", "period": "2026-07"},
        CursorInvalid,
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_question_about_no_standard_is_refused(agency, case):
    """A typed error, not an empty list."""
    wanted, error = case
    with pytest.raises(error):
        missing(agency, **wanted)
