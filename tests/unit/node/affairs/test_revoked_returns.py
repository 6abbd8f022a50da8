"""What a thief handed in before it was noticed counts no more once the cut lies before it."""

import asyncio

import pytest

from yidao.node.affairs.reporting.queries import ReturnFilter, list_returns, roll_up
from yidao.node.affairs.reporting.review import Choice
from yidao.node.revocations import Revocations
from yidao.sync.errors import RevocationMalformed
from yidao.sync.ids import Path
from yidao.sync.revocation import CutLine

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"
Q2 = "2025-Q2"


def states(node) -> list[str]:
    with node.desk.read() as conn:
        found = list_returns(conn, ReturnFilter(form="consumption"))[0]
    return [row.state for row in found]


def totals(node):
    return roll_up(node.desk, "energy", "consumption", Q2)


def accept(node, *record_ids: bytes):
    return node.affairs.review.review(node.actor, Choice(record_ids=record_ids), "accept", "")


def revoke(tree, *earlier: CutLine):
    async def nobody() -> None:
        pass

    county = tree[COUNTY]
    revocations = Revocations(county.store, tree.clock, tree.random, nobody)
    given = {"reason": "key-stolen", "operator": county.actor, "earlier": earlier}
    return asyncio.run(revocations.revoke(Path.parse(AGENCY), **given))


def place(node, record_id: bytes):
    """Journal and number of a record in its own store."""
    return node.store.record_at(node.store.lookup(record_id))


def test_returns_beyond_an_earlier_cut_are_taken_back_at_every_tier(registered, rows):
    """A changed version and a new return of the thief vanish from all sums; the old one is back."""
    tree = registered(3)
    agency, county = tree[AGENCY], tree[COUNTY]
    honest, _ = agency.submit(rows.consumption(0), rows.consumption(1)).results
    tree.exchange()
    accept(county, honest.record_id)
    tree.exchange()
    stolen, invented = agency.submit(
        rows.consumption(0, elec_kwh="1.00"), rows.consumption(2, elec_kwh="2.00")
    ).results
    tree.exchange()
    accept(county, stolen.record_id, invented.record_id)
    tree.exchange()
    above = [tree[path] for path in (ROOT, CITY, COUNTY)]
    for node in above:
        assert states(node) == ["superseded", "accepted", "submitted", "accepted"]
        assert totals(node).accepted.fields["elec_kwh"] == "3.00"
    first = place(agency, stolen.record_id)
    cut = CutLine(channel=first.journal.channel, epoch=first.journal.epoch, size=first.seq)
    assert cut in revoke(tree, cut).cut
    tree.exchange()
    for node in above:
        assert states(node) == ["accepted", "revoked", "submitted", "revoked"]
        assert totals(node).accepted.fields["elec_kwh"] == "50000.00"
        assert (totals(node).accepted.returns, totals(node).submitted.returns) == (1, 2)
        assert node.store.rebuild().equal
    # What was accepted of it stays evidence: the record is held, and can be shown.
    assert place(agency, invented.record_id).raw in {r.raw for r in county.store.records(0, 1_000)}


def test_a_cut_is_never_later_than_what_is_held(registered, rows):
    """A size beyond what came, or of a journal that is not known, is refused."""
    tree = registered(1)
    [done] = tree[AGENCY].submit(rows.consumption(0)).results
    tree.exchange()
    found = place(tree[AGENCY], done.record_id)
    for channel, size in ((found.journal.channel, found.seq + 2), ("up:1", 0)):
        with pytest.raises(RevocationMalformed):
            revoke(tree, CutLine(channel=channel, epoch="1", size=size))
    assert states(tree[COUNTY]) == ["submitted"]
