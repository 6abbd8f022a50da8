"""New epochs over three tiers: one key an epoch, one end for each old journal, in any order."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from yidao.node.keys import Identity
from yidao.node.store import epochs
from yidao.node.store.errors import EpochNotLive
from yidao.sync.epoch import CHANNELS, KIND, Cause, EpochOpened, next_epoch
from yidao.sync.epocherrors import EpochClosed, EpochConflict, EpochUnknown, EpochUnproven
from yidao.sync.errors import HeaderFieldInvalid
from yidao.sync.ids import JournalId, Lane
from yidao.sync.message import Frame
from yidao.sync.revocation import CutLine
from yidao.sync.suite import Ed25519Signer

Carry = Callable[..., Any]
Road = tuple[Any, Any, Any]


@pytest.fixture
def road(tree: Any) -> Road:
    """Root, province and city."""
    root = tree.node("/")
    province = tree.node("/33", root)
    return root, province, tree.node("/33/3301", province)


def signer(name: str) -> Ed25519Signer:
    """A key that follows from its name."""
    return Ed25519Signer(hashlib.sha256(name.encode()).digest())


def renewed(node: Any, name: str = "new") -> Identity:
    """The node's identity in its next epoch, with new keys."""
    old = node.store.identity
    return dataclasses.replace(
        old,
        epoch=next_epoch(old.epoch),
        journal=signer(f"{name} journal"),
        cosign=signer(f"{name} cosign"),
    )


def rotate(node: Any, name: str = "new") -> EpochOpened:
    """Change a node's keys as a daemon does."""
    fresh = renewed(node, name)
    opened: EpochOpened = node.store.run(lambda tx: tx.open_epoch(fresh, Cause.KEY_ROTATED))
    return opened


def head(node: Any, origin: Any, channel: str = "up:15", epoch: str = "1") -> Any:
    """How far a node holds a journal; None if it never heard of it."""
    name = JournalId(node_id=origin.identity.node_id, channel=channel, epoch=epoch)
    return next((each for each in node.store.heads() if each.journal == name), None)


def held(node: Any, origin: Any, channel: str = "up:15", epoch: str = "1") -> int:
    """How many records of a journal a node holds."""
    found = head(node, origin, channel, epoch)
    return found.size if found else 0


def reasons(node: Any) -> set[str]:
    """Why journals were refused, and codes of other problems."""
    return {str(each.params.get("reason", each.code)) for each in node.store.problems()}


def forge(node: Any, *, epoch: str | None = None, size: int = 1) -> None:
    """Let a thief of the first key write on in an epoch, past every check of our own store."""
    identity = node.identity if epoch is None else dataclasses.replace(node.identity, epoch=epoch)

    def write(tx: Any) -> None:
        mine, tx._scope.identity = tx._scope.identity, identity
        tx.append("up:15", [node.draft(f"thief {epoch} {n}") for n in range(size)])
        tx._scope.identity = mine

    node.store.run(write)


def test_records_go_on_in_the_new_epoch_and_both_are_proved_at_every_tier(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """One commit ends the old journals and begins the new ones; nothing is lost or repeated."""
    root, province, city = road
    city.append("up:15", city.draft("a"))
    carry_all(city, province)
    opened = rotate(city)
    assert CutLine(channel="up:15", epoch="1", size=1) in opened.cut
    city.append("up:15", city.draft("b"))
    # The same record again is the first one, whatever epoch it stands in.
    assert city.append("up:15", city.draft("a")) == city.append("up:15", city.draft("a"))
    for _ in range(2):
        carry_all(city, province)
        carry_all(province, root)
    for node in (province, root):
        assert (held(node, city), held(node, city, epoch="2")) == (1, 1)
        ends = {line.channel: line.size for line in opened.cut}
        assert held(node, city, "node") == ends["node"]
        assert node.store.problems() == ()
        for record in node.store.records(0, 1_000):
            assert node.store.prove(record.position).journal == record.journal
        with node.store.read() as conn:
            origin = node.store.enrolled(city.identity.node_id)
            assert epochs.live_of(conn, origin) == opened.key
            assert epochs.key_of(conn, origin, "1").journal_key == origin.journal_key
    first, *_, last = [r for r in city.store.records(0, 99) if r.journal.channel == "node"]
    assert (first.journal.epoch, last.journal.epoch) == ("1", "2")
    assert root.store.scrub().faults == ()


def test_the_record_that_opens_is_last_in_the_old_journal_and_first_in_the_new(
    tree: Any, road: Road
) -> None:
    """Also where other jobs of the same commit write before it and after it."""
    _, province, _ = road
    fresh = renewed(province)
    before = province.store.submit(lambda tx: tx.append("up:15", [province.draft("a")]))
    change = province.store.submit(lambda tx: tx.open_epoch(fresh, Cause.KEY_ROTATED))
    after = province.store.submit(lambda tx: tx.append("up:15", [province.draft("b")]))
    assert before.result()[0].journal.epoch == "1"
    assert after.result()[0].journal.epoch == "2"
    opened = change.result()
    found = [r for r in province.store.records(0, 1_000) if r.header.kind == KIND]
    places = {(r.journal.channel, r.journal.epoch): r.seq for r in found}
    ends = {(line.channel, line.epoch): line.size - 1 for line in opened.cut}
    for channel in CHANNELS:
        assert places[channel, "1"] == ends[channel, "1"]
        assert places[channel, "2"] == 0
    assert ends["up:15", "1"] == 0
    assert {r.parts["core"] for r in found} == {opened.encode()}


def test_a_change_that_fails_has_not_happened(tree: Any, road: Road) -> None:
    """The old key stays; what others wrote in the same commit stays with it."""
    _, _, city = road

    def cut_short(tx: Any) -> None:
        tx.open_epoch(renewed(city), Cause.KEY_ROTATED)
        raise KeyError("cut short")

    failed = city.store.submit(cut_short)
    kept = city.store.submit(lambda tx: tx.append("up:15", [city.draft("a")]))
    with pytest.raises(KeyError):
        failed.result()
    assert kept.result()[0].journal.epoch == "1"
    assert city.store.identity == city.identity
    assert not [r for r in city.store.records(0, 1_000) if r.header.kind == KIND]
    with city.store.read() as conn:
        assert epochs.opened_of(conn, city.identity.node_id) == ()


ORDERS = {"the change first": True, "the thief's records first": False}


@pytest.mark.parametrize("change_first", ORDERS.values(), ids=ORDERS)
def test_in_either_order_what_lies_beyond_the_end_is_refused(
    tree: Any, road: Road, carry_all: Carry, change_first: bool
) -> None:
    """A thief of the old key writes on in the old journal: same verdict, and it is shown."""
    root, province, city = road
    city.append("up:15", city.draft("a"))
    carry_all(city, province)
    carry_all(province, root)
    opened = rotate(city)
    forge(city)
    order = (Lane.CONTROL, Lane.BULK) if change_first else (Lane.BULK, Lane.CONTROL)
    for lane in order:
        carry_lane(city, province, lane)
    assert head(province, city).quarantine_code == EpochClosed.code
    assert EpochClosed.code in reasons(province)
    # More of it changes nothing, and it is not asked for again.
    forge(city, size=2)
    carry_all(city, province)
    assert province.store.wanted(city.peer) == ()
    carry_all(province, root)
    assert held(root, city) == 1
    # The new journals are not harmed by what became of the old ones.
    city.append("up:15", city.draft("b"))
    carry_all(city, province)
    carry_all(province, root)
    assert held(root, city, epoch="2") == 1
    assert opened.size_of(JournalId(node_id=opened.node_id, channel="up:15", epoch="1")) == 1


def carry_lane(source: Any, target: Any, lane: Lane) -> None:
    """Send what is new of one lane alone."""
    known = {cursor.lane: cursor.position for cursor in target.store.cursors(source.peer)}
    after, last = known.get(lane, 0), source.store.last_position()
    items, _ = source.store.read_lane(target.peer, lane, after, last, 1 << 20)
    if items:
        frame = Frame(lane=lane, items=items, after_position=after)
        target.store.run(lambda tx: tx.ingest(source.peer, frame))


def test_an_epoch_that_nothing_opened_is_refused(tree: Any, road: Road, carry_all: Carry) -> None:
    """A journal of a second epoch under the good key, without the record: nobody takes it."""
    _, province, city = road
    carry_all(city, province)
    with patch("yidao.node.store.epochs.key_of", lambda _c, node, _e: epochs._first(node)):
        forge(city, epoch="2")
    carry_all(city, province)
    assert held(province, city, "node", "2") == 0
    assert EpochUnknown.code in reasons(province)


def test_an_epoch_declares_its_own_journals_alone(tree: Any, road: Road, carry_all: Carry) -> None:
    """What a journal of one epoch says of journals of another is a verdict, and has no effect."""
    _, province, city = road
    rotate(city)
    for epoch in ("1", "3"):
        name = f"journal/up:1/{epoch}"
        city.append("node", city.draft(name, kind="node.journal.opened", object_id=name))
    carry_all(city, province)
    assert [head(province, city, "up:1", epoch) for epoch in ("1", "3")] == [None, None]
    assert HeaderFieldInvalid.code in reasons(province)


def thief_opens(city: Any, *, old: Any, new: Any, closes: bool) -> None:
    """Open an epoch with whatever signers, as a store without our checks would."""
    mine = dataclasses.replace(city.store.identity, journal=old)
    fresh = dataclasses.replace(mine, epoch="2", journal=new, cosign=signer("thief cosign"))
    cut = None if closes else ()

    def write(tx: Any) -> None:
        kept, tx._scope.identity = tx._scope.identity, mine
        tx.open_epoch(fresh, Cause.KEY_ROTATED, cut=cut)
        if closes:
            tx._scope.identity = kept

    with patch("yidao.sync.epoch.suite.verify", lambda *_args: None):
        city.store.run(write)


def test_a_new_key_without_the_old_signature_is_refused_and_shown(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """A node that presents a key which nobody handed on does not speak for the path."""
    root, province, city = road
    carry_all(city, province)
    thief_opens(city, old=signer("thief"), new=signer("thief's new key"), closes=False)
    city.append("up:15", city.draft("a"))
    carry_all(city, province)
    assert held(province, city, "node", "2") == 0
    assert held(province, city, epoch="2") == 0
    assert EpochUnproven.code in reasons(province)
    with province.store.read() as conn:
        origin = province.store.enrolled(city.identity.node_id)
        assert epochs.live_of(conn, origin).epoch == "1"
    carry_all(province, root)
    assert held(root, city, epoch="2") == 0


def test_a_new_key_is_taken_from_the_old_journal_alone(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """Both keys have signed, and the old journal says nothing: not public, so not believed."""
    _, province, city = road
    carry_all(city, province)
    thief_opens(city, old=city.identity.journal, new=signer("new"), closes=False)
    carry_all(city, province)
    assert held(province, city, "node", "2") == 0
    assert EpochUnproven.code in reasons(province)


def test_a_restored_node_goes_on_under_the_same_key(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """The old journal is not written any more: the first record of the new one opens it."""
    root, province, city = road
    city.append("up:15", city.draft("a"), city.draft("b"))
    carry_all(city, province)
    cut = tuple(
        CutLine(channel=each.journal.channel, epoch="1", size=each.size)
        for each in province.store.heads()
        if each.journal.node_id == city.identity.node_id
    )
    fresh = dataclasses.replace(city.identity, epoch="2")
    city.store.run(lambda tx: tx.open_epoch(fresh, Cause.RESTORED, cut=cut))
    city.append("up:15", city.draft("c"))
    carry_all(city, province)
    carry_all(province, root)
    for node in (province, root):
        assert (held(node, city), held(node, city, epoch="2")) == (2, 1)
        assert node.store.problems() == ()
    # Two that follow one epoch are a conflict, and the first stays.
    again = dataclasses.replace(city.identity, epoch="2-0123456789abcdef")

    def second(tx: Any) -> None:
        tx._scope.identity = city.identity
        tx.open_epoch(again, Cause.UNWITNESSED, cut=cut)

    with pytest.raises(EpochConflict):
        city.store.run(second)


def test_who_stands_below_learns_the_key_of_a_parent_by_the_way(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """While connected, from the parent's own journal; a grandchild too."""
    root, province, city = road
    county = tree.node("/33/3301/330106", city)
    root.append("down", root.draft("a"))
    carry_all(root, province)
    opened = rotate(root)
    root.append("down", root.draft("b"))
    for _ in range(2):
        for above, below in ((root, province), (province, city), (city, county)):
            carry_all(above, below)
    for node in (province, city, county):
        assert (held(node, root, "down"), held(node, root, "down", "2")) == (1, 1)
        assert held(node, root, "down.control", "2") == 1
        assert node.store.problems() == ()
        with node.store.read() as conn:
            origin = node.store.enrolled(root.identity.node_id)
            assert epochs.live_of(conn, origin) == opened.key


def test_a_store_opens_for_the_keys_of_its_live_epoch_alone(tree: Any, road: Road) -> None:
    """Whoever restores one of the two without the other is told so."""
    _, _, city = road
    fresh = renewed(city)
    city.store.run(lambda tx: tx.open_epoch(fresh, Cause.KEY_ROTATED))
    assert city.store.identity == fresh
    with pytest.raises(EpochNotLive):
        tree.reopen(city)
    opened = tree.open(city.url, fresh)
    opened.append("up:15", opened.draft("a"))
    assert head(opened, opened, epoch="2").size == 1


def test_an_epoch_after_an_epoch(tree: Any, road: Road, carry_all: Carry) -> None:
    """A key is changed every year: three epochs, all of them proved above."""
    root, province, city = road
    for name in ("a", "b", "c"):
        city.append("up:15", city.draft(name))
        rotate(city, name)
    city.append("up:15", city.draft("d"))
    carry_all(city, province)
    carry_all(province, root)
    assert [held(root, city, epoch=str(n)) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert root.store.problems() == ()
    with root.store.read() as conn:
        found = epochs.opened_of(conn, city.identity.node_id)
    assert [each.epoch for each in found] == ["2", "3", "4"]
