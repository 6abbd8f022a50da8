"""The store's contract, the same on SQLite and on PostgreSQL: receipts of all tiers."""

from collections.abc import Callable
from typing import Any

import pytest

from yidao.sync.checkpoint import verify_cosignature
from yidao.sync.ids import cosigner_name
from yidao.sync.message import Receipt
from yidao.sync.note import parse_note
from yidao.sync.proof import parse_proof

Carry = Callable[..., list[Any]]


def pass_receipts(source: Any, target: Any, after: int = 0) -> int:
    """Bring every receipt that the target should have."""
    receipts, mark = source.store.receipts(target.peer, after)
    for receipt in receipts:
        target.store.run(lambda tx, r=receipt: tx.add_receipt(source.peer, r))
    return mark


@pytest.fixture
def line(tree: Any) -> tuple[Any, Any, Any]:
    """A root, a city and a county below each other."""
    root = tree.node("/")
    city = tree.node("/33", root)
    return root, city, tree.node("/33/3301", city)


def position_of(node: Any, name: str) -> int:
    """Where a sample record stands in a node's store."""
    records = node.store.records(0, 100_000)
    return next(r.position for r in records if r.header.object_id == f"thing/{name}")


def test_the_parent_cosigns_once_a_frame_and_the_origin_gets_it(
    line: Any, carry_all: Carry
) -> None:
    """Several seals in one frame end in one cosignature, on the newest, with the parent's clock."""
    _, city, county = line
    for name in "abc":
        county.append("up:15", county.draft(name))
    carry_all(county, city)
    receipts, _ = city.store.receipts(county.peer)
    sizes = {receipt.journal.channel: receipt.size for receipt in receipts}
    assert sizes == {"node": 1, "up:15": 3}
    pass_receipts(city, county)
    proven = county.store.prove(position_of(county, "a"))
    assert proven.cosigners == (city.identity.node_id,)
    line_text = parse_note(proven.checkpoint).signatures[-1].line()
    name = cosigner_name(city.identity.network, city.identity.node_id)
    key = city.identity.cosign.public_key
    assert verify_cosignature(proven.checkpoint, line_text, name, key) == city.clock() // 1000


def test_every_tier_cosigns_and_all_of_them_hold_all_lines(line: Any, carry_all: Carry) -> None:
    """City by itself, root when asked; then origin, city and root prove with both cosignatures."""
    root, city, county = line
    county.append("up:15", county.draft("a"))
    for source, target in ((city, root), (county, city), (city, root)):
        carry_all(source, target)
    assert root.store.run(lambda tx: tx.cosign_due(0)) == 2
    pass_receipts(root, city)
    pass_receipts(city, county)
    both = {root.identity.node_id, city.identity.node_id}
    for node in line:
        proven = node.store.prove(position_of(node, "a"))
        assert set(proven.cosigners) == both
        assert len(parse_note(parse_proof(proven.proof).checkpoint).signatures) == 3
        assert node.store.problems() == ()


def test_higher_tiers_wait_for_their_interval(line: Any, carry_all: Carry) -> None:
    """A deeper journal is cosigned at most once in the interval, and not without news."""
    root, city, county = line

    def grow(name: str) -> None:
        county.append("up:15", county.draft(name))
        carry_all(county, city)
        carry_all(city, root)

    carry_all(city, root)
    grow("a")
    assert root.store.run(lambda tx: tx.cosign_due(60)) == 2
    assert root.store.run(lambda tx: tx.cosign_due(0)) == 0
    grow("b")
    assert root.store.run(lambda tx: tx.cosign_due(60)) == 0
    root.clock.now_ms += 60_000
    assert root.store.run(lambda tx: tx.cosign_due(60)) == 1


def test_a_clock_that_was_ahead_does_not_stop_higher_tiers(line: Any, carry_all: Carry) -> None:
    """What was cosigned in a wrong year counts for nothing once the clock is right again."""
    root, city, county = line
    right_ms = root.clock.now_ms
    carry_all(city, root)
    for name, now_ms in (("a", right_ms + 400 * 86_400_000), ("b", right_ms)):
        root.clock.now_ms = now_ms
        county.append("up:15", county.draft(name))
        carry_all(county, city)
        carry_all(city, root)
        assert root.store.run(lambda tx: tx.cosign_due(60)) >= 1


def test_a_tier_two_above_learns_of_the_middle_ones_receipt(tree: Any, carry_all: Carry) -> None:
    """What the city cosigns on demand goes up as a receipt, so that the root can add its own."""
    root = tree.node("/")
    city = tree.node("/33", root)
    county = tree.node("/33/3301", city)
    agency = tree.node("/33/3301/a", county)
    agency.append("up:15", agency.draft("a"))
    for source, target in ((city, root), (county, city), (city, root)):
        carry_all(source, target)
    for source, target in ((agency, county), (county, city), (city, root)):
        carry_all(source, target)
    assert root.store.run(lambda tx: tx.cosign_due(0)) == 1
    city.store.run(lambda tx: tx.cosign_due(0))
    pass_receipts(city, root)
    assert root.store.run(lambda tx: tx.cosign_due(0)) == 2
    for source, target in ((root, city), (city, county), (county, agency)):
        pass_receipts(source, target)
    proven = agency.store.prove(position_of(agency, "a"))
    assert set(proven.cosigners) == {n.identity.node_id for n in (root, city, county)}


def test_marks_give_only_what_is_new(line: Any, carry_all: Carry) -> None:
    """Asked with the last mark, the store gives no receipt twice."""
    _, city, county = line
    county.append("up:15", county.draft("a"))
    carry_all(county, city)
    mark = pass_receipts(city, county)
    assert city.store.receipts(county.peer, mark) == ((), mark)
    county.append("up:15", county.draft("b"))
    carry_all(county, city)
    receipts, _ = city.store.receipts(county.peer, mark)
    assert [(receipt.journal.channel, receipt.size) for receipt in receipts] == [("up:15", 2)]


def test_a_child_cosigns_what_came_down_one_hop(line: Any, carry_all: Carry) -> None:
    """The city's receipt for the root's order reaches the root, the county's goes no further."""
    root, city, county = line
    root.append("down", root.draft("order"))
    carry_all(root, city)
    carry_all(city, county)
    pass_receipts(county, city)
    pass_receipts(city, root)
    proven = root.store.prove(position_of(root, "order"))
    assert city.identity.node_id in proven.cosigners


@pytest.mark.parametrize("kind", ["wrong size", "flipped", "stranger"])
def test_a_forged_receipt_is_a_problem_and_stored_nowhere(
    line: Any, carry_all: Carry, kind: str
) -> None:
    """A line that does not verify, or is of no known node, is stored nowhere."""
    _, city, county = line
    county.append("up:15", county.draft("a"), county.draft("b"))
    county.append("up:15", county.draft("c"))
    carry_all(county, city)
    receipts, _ = city.store.receipts(county.peer)
    good = next(receipt for receipt in receipts if receipt.journal.channel == "up:15")
    text = good.cosignatures[0]
    forged = {
        "wrong size": Receipt(journal=good.journal, size=2, cosignatures=(text,)),
        "flipped": Receipt(
            journal=good.journal,
            size=good.size,
            cosignatures=(text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:],),
        ),
        "stranger": Receipt(
            journal=good.journal,
            size=good.size,
            cosignatures=(text.replace(city.identity.node_id.hex(), "ab" * 16),),
        ),
    }[kind]
    county.store.run(lambda tx: tx.add_receipt(city.peer, forged))
    assert county.store.prove(position_of(county, "a")).cosigners == ()
    expected = [] if kind == "stranger" else ["RECEIPT_INVALID"]
    assert [problem.code for problem in county.store.problems()] == expected


def test_lines_do_not_grow_without_end(line: Any, carry_all: Carry) -> None:
    """However often a journal is cosigned, the store keeps few lines of it."""
    from sqlalchemy import func, select

    from yidao.node.store import tables

    root, city, county = line
    carry_all(city, root)
    for number in range(20):
        county.append("up:15", county.draft(f"{number}"))
        carry_all(county, city)
        carry_all(city, root)
        root.clock.now_ms += 60_000
        root.store.run(lambda tx: tx.cosign_due(60))
    with root.store.read() as conn:
        rows = conn.execute(
            select(func.count())
            .select_from(tables.cosignature)
            .group_by(tables.cosignature.c.journal_id)
        ).scalars()
        assert max(rows) <= 2 * 16
    assert len(root.store.prove(position_of(root, "0")).cosigners) == 2


def test_who_sent_a_frame_is_answered_with_what_was_cosigned_of_it(
    line: Any, carry_all: Carry
) -> None:
    """Upwards and downwards; no look has to find it, and a look for others does not name it."""
    _, city, county = line
    county.append("up:15", county.draft("a"))
    told: list[Any] = []
    city.store.on_commit(told.append)
    (*_, outcome) = carry_all(county, city)
    receipts = {receipt.journal.channel: receipt for receipt in outcome.receipts}
    assert receipts["up:15"].size == 1
    city.store.run(lambda _tx: None)
    assert not any(arrivals.receipts_of for arrivals in told if arrivals is not None)
    receipt = receipts["up:15"]
    assert county.store.run(lambda tx: tx.add_receipt(city.peer, receipt))
    proven = county.store.prove(position_of(county, "a"))
    assert proven.cosigners == (city.identity.node_id,)
    city.append("down", city.draft("b"))
    (*_, below) = carry_all(city, county)
    (downward,) = [each for each in below.receipts if each.journal.channel == "down"]
    assert city.store.run(lambda tx: tx.add_receipt(county.peer, downward))
    assert city.store.prove(position_of(city, "b")).cosigners == (county.identity.node_id,)


def test_whom_a_cosignature_from_above_concerns_is_told(line: Any, carry_all: Carry) -> None:
    """A receipt of the root for the county's journal wakes the city's link to the county."""
    root, city, county = line
    county.append("up:15", county.draft("a"))
    for source, target in ((city, root), (county, city), (city, root)):
        carry_all(source, target)
    root.store.run(lambda tx: tx.cosign_due(0))
    seen = city.store.seen()
    told: list[Any] = []
    city.store.on_commit(told.append)
    pass_receipts(root, city)
    city.store.run(lambda _tx: None)
    looked = city.store.arrivals(seen).receipts_of
    assert county.identity.path in looked
    if not city.store.is_shared:
        named = {path for arrivals in told for path in arrivals.receipts_of}
        assert named == set(looked) - {city.identity.path}
