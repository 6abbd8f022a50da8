"""What waits for a verdict here: the queue of a reviewer, page by page, and its count."""

import pytest

from yidao.node.affairs.reporting.queries import ReturnFilter, list_returns
from yidao.node.affairs.reporting.review import Choice, waits_here
from yidao.node.affairs.reporting.rules import State

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"
Q2 = "2025-Q2"


def queue(node, **wanted):
    waits = waits_here(node.desk, State.SUBMITTED, State.DOUBTFUL)
    with node.desk.read() as conn:
        return list_returns(conn, ReturnFilter(form="consumption", **wanted), waits)


def count(node) -> int:
    choice = Choice(form="consumption", period=Q2, dry_run=True)
    done = node.affairs.review.review(node.actor, choice, "accept")
    assert done.reviewed == 0
    return done.left


@pytest.fixture
def tree(registered, rows):
    """Three returns of an agency; the first came in two versions."""
    tree = registered(3)
    tree[AGENCY].submit(*(rows.consumption(index) for index in range(3)))
    tree[AGENCY].submit(rows.consumption(0, elec_kwh="60000.00"))
    tree.exchange()
    return tree


def test_only_the_parent_has_it_in_the_queue(tree):
    """Whose child submitted it; tiers above know of it, and have nothing to decide."""
    assert {path: len(queue(tree[path])[0]) for path in tree.nodes} == {
        ROOT: 0,
        CITY: 0,
        COUNTY: 3,
        AGENCY: 0,
    }
    assert {path: count(tree[path]) for path in (ROOT, CITY, COUNTY)} == {
        ROOT: 0,
        CITY: 0,
        COUNTY: 3,
    }


def test_the_queue_holds_the_newest_with_names(tree):
    """What is overtaken needs no verdict; the registry says what the units are called."""
    found, _ = queue(tree[COUNTY])
    assert sorted(row.version for row in found) == [1, 1, 2]
    assert all(row.unit_name for row in found)


def test_pages_skip_nothing(tree):
    """One row a page gives the same rows as one page, whatever states they have."""
    whole, _ = queue(tree[COUNTY])
    paged, after = [], ""
    while True:
        page, after = queue(tree[COUNTY], limit=1, after=after)
        paged += page
        if not after:
            break
    assert [row.record_id for row in paged] == [row.record_id for row in whole]


def test_counting_writes_nothing(tree):
    """What was counted is what is then accepted."""
    counted = count(tree[COUNTY])
    before = tree[COUNTY].desk.store.last_position()
    assert count(tree[COUNTY]) == counted
    assert tree[COUNTY].desk.store.last_position() == before
    choice = Choice(form="consumption", period=Q2)
    done = tree[COUNTY].affairs.review.review(tree[COUNTY].actor, choice, "accept")
    assert (done.reviewed, count(tree[COUNTY])) == (counted, 0)
