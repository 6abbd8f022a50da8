"""Taking returns back: who may, what counts, and what holds where a verdict crosses."""

import itertools

import pytest
from sqlalchemy import select

from yidao.node.access.errors import ActorElsewhere
from yidao.node.affairs.errors import (
    ReasonMissing,
    ReasonTooLong,
    ReturnForeign,
    ReturnStateWrong,
    ReturnUnknown,
    WithdrawScopeInvalid,
)
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.queries import ReturnFilter, list_returns, roll_up
from yidao.node.affairs.reporting.review import Choice
from yidao.node.affairs.reporting.rules import Decision
from yidao.node.affairs.reporting.tables import return_version, rollup
from yidao.node.affairs.reporting.views import ReturnProjector
from yidao.node.affairs.standards.queries import list_packs
from yidao.node.store.records import Reader
from yidao.node.store.values import DraftPart, StoredRecord
from yidao.sync.ids import JournalId, RecordId
from yidao.sync.record import Header

ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"
Q2 = "2025-Q2"
WHY = "样例: 电量填错"


def listed(node, **wanted):
    with node.desk.read() as conn:
        return list_returns(conn, ReturnFilter(**wanted))[0]


def states(node) -> list[str]:
    return [row.state for row in listed(node, form="consumption")]


def totals(node):
    return roll_up(node.desk, "energy", "consumption", Q2)


def withdraw(node, *record_ids: bytes, reason: str = WHY):
    return node.affairs.withdrawal.withdraw(node.actor, record_ids, reason)


def review(node, decision: str, *record_ids: bytes):
    reason = "样例: 缺凭证" if decision == "return" else ""
    return node.affairs.review.review(node.actor, Choice(record_ids=record_ids), decision, reason)


def rebuilt_equal(tree) -> None:
    for node in tree.nodes.values():
        report = node.store.rebuild()
        assert report.equal, [each.name for each in report.tables if each.before != each.after]


def test_what_is_withdrawn_counts_no_longer_and_is_handed_in_anew(registered, rows):
    """Every tier takes it out of the submitted sums, shows who and why, and counts version 2."""
    tree = registered()
    done = tree[AGENCY].submit(rows.consumption(0), rows.consumption(1))
    tree.exchange()
    assert totals(tree[ROOT]).submitted.returns == 2
    assert withdraw(tree[AGENCY], done.results[0].record_id).withdrawn == 1
    tree.exchange()
    for node in tree.nodes.values():
        assert states(node) == ["withdrawn", "submitted"]
        assert totals(node).submitted.returns == 1
        [row] = listed(node, state="withdrawn")
        assert (row.withdrawn_by, row.withdrawn_reason) == (tree[AGENCY].actor, WHY)
        assert (row.reviewed_by, row.reason) == ("", "")
    assert totals(tree[COUNTY]).submitted.fields["elec_kwh"] == "50001.00"

    again = tree[AGENCY].submit(rows.consumption(0)).results[0]
    assert (again.outcome.value, again.version) == ("submitted", 2)
    tree.exchange()
    review(tree[COUNTY], "accept", again.record_id, done.results[1].record_id)
    tree.exchange()
    for node in tree.nodes.values():
        assert totals(node).accepted.fields["elec_kwh"] == "100001.00"
        assert states(node) == ["superseded", "accepted", "accepted"]
        assert listed(node)[0].withdrawn_reason == WHY
    rebuilt_equal(tree)


def test_an_older_version_counts_again_when_the_newer_is_withdrawn(registered, rows):
    """New minus old, both ways."""
    tree = registered()
    tree[AGENCY].submit(rows.consumption(0))
    newer = tree[AGENCY].submit(rows.consumption(0, elec_kwh="60000.00")).results[0]
    tree.exchange()
    assert totals(tree[COUNTY]).submitted.fields["elec_kwh"] == "60000.00"
    withdraw(tree[AGENCY], newer.record_id)
    tree.exchange()
    assert totals(tree[COUNTY]).submitted.fields["elec_kwh"] == "50000.00"
    assert totals(tree[ROOT]).submitted.returns == 1


REFUSED = {
    "of another node": (COUNTY, "first", WHY, ReturnForeign),
    "unknown": (AGENCY, "unknown", WHY, ReturnUnknown),
    "accepted already": (AGENCY, "accepted", WHY, ReturnStateWrong),
    "refused at its origin": (AGENCY, "refused", WHY, ReturnStateWrong),
    "one of several": (AGENCY, "first accepted", WHY, ReturnStateWrong),
    "nothing": (AGENCY, "", WHY, WithdrawScopeInvalid),
    "without a reason": (AGENCY, "first", " ", ReasonMissing),
    "with too long a reason": (AGENCY, "first", "长" * 501, ReasonTooLong),
}


def test_a_withdrawal_that_may_not_be_writes_nothing(registered, rows):
    """Wrong node, wrong state, no reason: a typed error, and every store as it was."""
    tree = registered(3)
    done = tree[AGENCY].submit(
        rows.consumption(0), rows.consumption(1), rows.consumption(2, water_tap_m3="1.00")
    )
    first, accepted, refused = (each.record_id for each in done.results)
    named = {"first": first, "accepted": accepted, "refused": refused, "unknown": bytes(16)}
    tree.exchange()
    review(tree[COUNTY], "accept", accepted)
    tree.exchange()
    sizes = {path: tree[path].store.last_position() for path in tree.nodes}
    for path, which, reason, error in REFUSED.values():
        with pytest.raises(error):
            withdraw(tree[path], *(named[name] for name in which.split()), reason=reason)
    with pytest.raises(ActorElsewhere):
        tree[AGENCY].affairs.withdrawal.withdraw("li@/33", [first], WHY)
    with pytest.raises(WithdrawScopeInvalid):
        withdraw(tree[AGENCY], *([first] * 501))
    assert {path: tree[path].store.last_position() for path in tree.nodes} == sizes


def test_the_parent_gives_no_verdict_on_what_it_saw_withdrawn(registered, rows):
    """Neither by name nor with all that waits."""
    tree = registered()
    [done] = tree[AGENCY].submit(rows.consumption(0)).results
    tree.exchange()
    withdraw(tree[AGENCY], done.record_id)
    tree.exchange()
    for decision in ("accept", "return"):
        with pytest.raises(ReturnStateWrong):
            review(tree[COUNTY], decision, done.record_id)
    found = tree[COUNTY].affairs.review.review(tree[COUNTY].actor, Choice(period=Q2), "accept")
    assert (found.reviewed, found.left) == (0, 0)


def test_nobody_but_the_origin_withdraws(registered, rows):
    """A withdrawal that the parent writes of its child's return changes nothing anywhere."""
    tree = registered()
    [done] = tree[AGENCY].submit(rows.consumption(0)).results
    tree.exchange()
    key = records.ReturnKey(pack="energy", form="consumption", period=Q2, unit=rows.unit(0))
    for path in (COUNTY, CITY, ROOT):
        tree[path].forge(
            "up:15",
            kind=records.WITHDRAWN,
            object_id=key.object_id,
            causes=(done.record_id,),
            parts=(DraftPart(name="core", body=records.Withdrawal(reason="x").encode()),),
        )
    tree.exchange()
    for node in tree.nodes.values():
        assert states(node) == ["submitted"]
        assert listed(node)[0].withdrawn_by == ""


@pytest.mark.parametrize("decision", ["accept", "return"])
def test_a_verdict_that_crosses_a_withdrawal_holds_at_every_tier(registered, rows, decision):
    """The agency withdraws while the county decides: the verdict stands, and the wish is shown."""
    tree = registered()
    [done] = tree[AGENCY].submit(rows.consumption(0)).results
    tree.exchange()
    withdraw(tree[AGENCY], done.record_id)
    review(tree[COUNTY], decision, done.record_id)
    assert (states(tree[AGENCY]), totals(tree[AGENCY]).submitted.returns) == (["withdrawn"], 0)
    tree.exchange()
    expected = "accepted" if decision == "accept" else "returned"
    seen = {
        (row.state, row.withdrawn_by, row.withdrawn_reason, row.reviewed_by, row.reason)
        for node in tree.nodes.values()
        for row in listed(node)
    }
    assert len(seen) == 1
    assert seen.pop()[:3] == (expected, tree[AGENCY].actor, WHY)
    assert {totals(node).accepted.returns for node in tree.nodes.values()} == {
        1 if decision == "accept" else 0
    }
    rebuilt_equal(tree)


# Every order in which the records of two authors can come to a tier above both.

AGENCY_SAYS = {
    "withdraws": ("submit 1", "withdraw 1"),
    "withdraws and hands in anew": ("submit 1", "withdraw 1", "submit 2"),
    "withdraws the older of two": ("submit 1", "submit 2", "withdraw 1"),
}
COUNTY_SAYS = {
    "accepts": ("accept 1",),
    "returns": ("return 1",),
    "accepts both": ("accept 1", "accept 2"),
    "returns one and accepts the other": ("return 1", "accept 2"),
    "accepts the newer": ("accept 2",),
}


def shuffles(left, right):
    """Every merge of two sequences that keeps the order of each."""
    size = len(left) + len(right)
    for places in itertools.combinations(range(size), len(left)):
        ours, theirs = iter(left), iter(right)
        yield [next(ours) if at in places else next(theirs) for at in range(size)]


class Telling:
    """Makes the records of a story as they would lie in the store of the city."""

    def __init__(self, tree, rows) -> None:
        self.tree = tree
        self.core = rows.consumption(0).payload
        self.key = records.ReturnKey(
            pack="energy", form="consumption", period=Q2, unit=rows.unit(0)
        )

    def record(self, told: str, position: int) -> StoredRecord:
        verb, version = told.split()
        agency, county = (self.tree[path].identity.node_id for path in (AGENCY, COUNTY))
        author = agency if verb in ("submit", "withdraw") else county
        kinds = {
            "submit": (records.SUBMITTED, self.core),
            "withdraw": (records.WITHDRAWN, records.Withdrawal(reason=WHY).encode()),
            "accept": (records.ACCEPTED, self._verdict(agency, Decision.ACCEPT)),
            "return": (records.RETURNED, self._verdict(agency, Decision.RETURN)),
        }
        kind, core = kinds[verb]
        submitted = RecordId(f"return {version}".encode().ljust(16, b"."))
        header = Header(
            network=self.tree[CITY].identity.network,
            node_id=author,
            record_id=submitted if verb == "submit" else RecordId(told.encode().ljust(16, b".")),
            kind=kind,
            actor=f"sample@{AGENCY if author == agency else COUNTY}",
            object_id=self.key.object_id,
            object_version=int(version),
            created_ms=1,
            unit=self.key.unit,
            causes=() if verb == "submit" else (submitted,),
            schema="energy/2022/consumption",
            schema_sha256=pack_digest(self.tree[CITY]),
            period=Q2,
        )
        return StoredRecord(
            position=position,
            journal=JournalId(node_id=author, channel="up:15", epoch="1"),
            journal_pk=1_000 + (author == county),
            seq=position,
            header=header,
            raw=told.encode(),
            parts={"core": core},
        )

    def _verdict(self, origin, decision: Decision) -> bytes:
        return records.Verdict(origin=origin, decision=decision, reason="样例").encode()


def pack_digest(node) -> bytes:
    with node.desk.read() as conn:
        return next(each.sha256 for each in list_packs(conn) if each.version == "2022")


def folded(tx, node, batches) -> tuple:
    """Fold batches of records, look at the views, and undo it."""
    savepoint = tx.conn.begin_nested()
    reader = Reader(tx.conn, node.identity)
    for batch in batches:
        ReturnProjector().fold(tx.conn, batch, reader)
    line = return_version.c
    of_line = (
        *(line.version, line.state, line.reviewed_by, line.reason),
        *(line.withdrawn_by, line.withdrawn_reason, line.excluded),
    )
    seen = (
        tuple(tx.conn.execute(select(*of_line).order_by(line.version)).all()),
        tuple(tx.conn.execute(select(rollup).order_by(rollup.c.scope)).all()),
    )
    savepoint.rollback()
    return seen


@pytest.mark.parametrize("county", COUNTY_SAYS.values(), ids=COUNTY_SAYS.keys())
@pytest.mark.parametrize("agency", AGENCY_SAYS.values(), ids=AGENCY_SAYS.keys())
def test_every_order_of_arrival_comes_to_the_same(crossing, agency, county):
    """States, sums and the story behind them are equal, record by record or all in one batch."""
    node, telling = crossing

    def job(tx) -> set:
        outcomes = set()
        for order in shuffles(agency, county):
            told = [telling.record(each, 10_000 + at) for at, each in enumerate(order)]
            outcomes.add(folded(tx, node, [[each] for each in told]))
            outcomes.add(folded(tx, node, [told]))
        return outcomes

    outcomes = node.store.run(job)
    assert len(outcomes) == 1
    [(lines, _)] = outcomes
    assert lines[0][4:6] == (f"sample@{AGENCY}", WHY)


@pytest.fixture
def crossing(four, rows):
    """A city that knows agency and county, and the records that they may write."""
    return four[CITY], Telling(four, rows)
