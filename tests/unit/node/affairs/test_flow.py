"""Reports from an agency over county and city to the root, on real stores."""

import pytest
from sqlalchemy import select

from yidao.node.affairs.reporting.queries import ReturnFilter, list_returns, roll_up
from yidao.node.affairs.reporting.review import Choice

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"


def listed(node, **wanted):
    with node.desk.read() as conn:
        return list_returns(conn, ReturnFilter(**wanted))[0]


def test_a_return_goes_up_and_its_figures_follow_the_acceptance(registered, rows):
    """The city knows a submitted return by its header and its figures once it is accepted."""
    tree = registered()
    done = tree[AGENCY].submit(
        rows.profile(0), rows.consumption(0), rows.profile(1), rows.consumption(1)
    )
    assert [result.outcome.value for result in done.results] == ["submitted"] * 4
    assert not [fault for result in done.results for fault in result.faults]
    tree.exchange()

    city = roll_up(tree[CITY].desk, "energy", "consumption", "2025-Q2")
    assert (city.submitted.returns, city.submitted.summed) == (2, 0)
    assert city.accepted.returns == 0
    county = roll_up(tree[COUNTY].desk, "energy", "consumption", "2025-Q2")
    assert (county.submitted.returns, county.submitted.summed) == (2, 2)
    assert county.submitted.fields["elec_kwh"] == "100001.00"
    assert county.accepted.returns == 0

    reviewed = tree[COUNTY].affairs.review.review(
        tree[COUNTY].actor, Choice(period="2025-Q2"), "accept"
    )
    assert (reviewed.reviewed, reviewed.left) == (4, 0)
    tree.exchange()
    totals = [
        roll_up(tree[path].desk, "energy", "consumption", "2025-Q2").accepted
        for path in (ROOT, CITY, COUNTY, AGENCY)
    ]
    assert totals == [totals[0]] * 4
    assert totals[0].returns == totals[0].summed == 2
    assert totals[0].fields["elec_kwh"] == "100001.00"
    assert "EPC" in totals[0].indicators
    assert {row.state for path in tree.nodes for row in listed(tree[path])} == {"accepted"}
    assert {row.reviewed_by for row in listed(tree[AGENCY])} == {tree[COUNTY].actor}
