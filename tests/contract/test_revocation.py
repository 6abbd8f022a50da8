"""Revocation by position, over three tiers: what lies before the cut stays, nothing else comes."""

import asyncio
import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from yidao.node.frontiers import Stated, StatementDecider, encode
from yidao.node.revocations import ChildRevoked, ChildUnknown, Revocations
from yidao.node.store.errors import EnrolmentConflict, JournalRevoked
from yidao.node.store.trust import NODE_REVOKED
from yidao.sync.admissionerrors import ReenrolmentUnapproved
from yidao.sync.approval import DECIDED_CHANNELS, KIND_DECIDED, Decided, claim_of
from yidao.sync.enrolment import KIND as ENROLLED
from yidao.sync.errors import RevocationMalformed, RevocationUnauthorised
from yidao.sync.ids import JournalId, Lane, NodeId, Path, RecordId
from yidao.sync.message import Frame
from yidao.sync.revocation import CHANNELS, KIND, CutLine, Reason, Revocation
from yidao.sync.suite import Ed25519Signer

Carry = Callable[..., Any]
Road = tuple[Any, Any, Any]
REVOKED = JournalRevoked.code


@pytest.fixture
def road(tree: Any) -> Road:
    """Root, province and city."""
    root = tree.node("/")
    province = tree.node("/33", root)
    return root, province, tree.node("/33/3301", province)


def revoke(node: Any, tree: Any, path: str, **more: Any) -> Revocation:
    """Revoke as a daemon does; there are no streams to close."""

    async def nobody() -> None:
        pass

    revocations = Revocations(node.store, tree.clock, tree.random, nobody)
    operator = f"admin@{node.identity.path}"
    given = {"reason": "key-stolen", "operator": operator} | more
    return asyncio.run(revocations.revoke(Path.parse(path), **given))


def write(node: Any, found: Revocation, *channels: str) -> None:
    """Append a revocation with whatever cut."""
    for channel in channels or CHANNELS:
        name = hashlib.sha256(found.encode() + channel.encode()).hexdigest()
        node.append(channel, node.draft(name, found.encode(), kind=KIND))


def made(city: Any, **sizes: int) -> Revocation:
    """A revocation of the city with those sizes of its journals: `up` stands for `up:15`."""
    names = {"up": "up:15"}
    cut = [CutLine(channel=names.get(n, n), epoch="1", size=s) for n, s in sizes.items()]
    return Revocation(
        node_id=city.identity.node_id,
        path=city.identity.path,
        reason=Reason.KEY_STOLEN,
        operator="admin@/33",
        cut=tuple(sorted(cut)),
    )


def held(node: Any, origin: Any, channel: str = "up:15") -> int:
    """How many records of a journal a node holds."""
    name = JournalId(node_id=origin.identity.node_id, channel=channel, epoch="1")
    return next((each.size for each in node.store.heads() if each.journal == name), 0)


def verdict(node: Any, origin: Any, channel: str = "up:15") -> str | None:
    """The code by which a journal is put aside."""
    name = JournalId(node_id=origin.identity.node_id, channel=channel, epoch="1")
    return next((h.quarantine_code for h in node.store.heads() if h.journal == name), None)


def codes(node: Any) -> set[str]:
    """Codes of the open problems."""
    return {problem.code for problem in node.store.problems()}


def carry_lane(source: Any, target: Any, lane: Lane) -> None:
    """Send what is new of one lane alone."""
    known = {cursor.lane: cursor.position for cursor in target.store.cursors(source.peer)}
    after, head = known.get(lane, 0), source.store.last_position()
    items, _ = source.store.read_lane(target.peer, lane, after, head, 1 << 20)
    if items:
        frame = Frame(lane=lane, items=items, after_position=after)
        target.store.run(lambda tx: tx.ingest(source.peer, frame))


def twin(tree: Any, parent: Any, path: str) -> Any:
    """Another machine for a path: a node of its own, with its own keys."""
    seed = hashlib.sha256(b"twin" + path.encode()).digest()
    identity = dataclasses.replace(
        tree.identity(path),
        node_id=NodeId(seed[:16]),
        journal=Ed25519Signer(seed),
        cosign=Ed25519Signer(hashlib.sha256(seed).digest()),
    )
    above = {"/": (), "/33": (tree.nodes[0].enrolment,)}[str(parent.identity.path)]
    return tree.open(tree._new_url(), identity, (*above, parent.enrolment))


def enrol(parent: Any, child: Any, basis: str = "") -> None:
    """Enrol a node at a path where another one may have stood."""
    core = dataclasses.replace(child.enrolment, basis=basis).encode()
    draft = parent.draft(child.identity.node_id.hex() + basis, core, kind=ENROLLED)
    parent.append("node", draft)


def approve(decider: Any, child: Any) -> str:
    """Approve a node in another one's place, and return what its enrolment must cite."""
    record_id = hashlib.sha256(b"approval" + child.identity.node_id).digest()[:16]
    decided = Decided(
        claim=claim_of(child.enrolment),
        record_id=RecordId(record_id),
        asked=RecordId(bytes(16)),
        asked_by="admin@/33",
        approved=True,
        reason="",
        operator="admin@/",
    )
    for channel in DECIDED_CHANNELS:
        own = {"record_id": record_id} if channel == "node" else {}
        name = f"{channel} {child.identity.node_id.hex()}"
        decider.append(channel, decider.draft(name, decided.encode(), kind=KIND_DECIDED, **own))
    return record_id.hex()


def test_what_lies_before_the_cut_stays_and_nothing_more_comes_at_any_tier(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """The parent cuts where it stands; the root honours that cut, and proves what lies before."""
    root, province, city = road
    city.append("up:15", city.draft("a"))
    carry_all(city, province)
    decided = revoke(province, tree, "/33/3301")
    assert CutLine(channel="up:15", epoch="1", size=1) in decided.cut
    city.append("up:15", city.draft("b"))
    (outcome,) = [each for each in carry_all(city, province) if each.refusals]
    assert [each.code for each in outcome.refusals] == [REVOKED]
    # The record that is valid reaches the root behind the revocation, in whatever order.
    carry_lane(province, root, Lane.CONTROL)
    assert held(root, city) == 0
    carry_all(province, root)
    assert (held(province, city), held(root, city)) == (1, 1)
    assert verdict(province, city) == REVOKED
    assert verdict(root, city) is None
    # A province that passes more on than it may is refused at the root.
    carry_lane_of_thief(city, province, root)
    assert (held(root, city), verdict(root, city)) == (1, REVOKED)
    proven = root.store.prove(held_position(root, city))
    assert proven.journal.node_id == city.identity.node_id


def held_position(node: Any, origin: Any) -> int:
    """Where the first record of the origin's journal stands."""
    return next(
        record.position
        for record in node.store.records(0, 1_000)
        if record.journal.node_id == origin.identity.node_id and record.journal.channel == "up:15"
    )


def carry_lane_of_thief(city: Any, province: Any, root: Any) -> None:
    """Hand the root what the city wrote after its revocation, as if the province passed it on."""
    lane = Lane.BULK
    items, _ = city.store.read_lane(province.peer, lane, 0, city.store.last_position(), 1 << 20)
    known = {cursor.lane: cursor.position for cursor in root.store.cursors(province.peer)}
    after = known.get(lane, 0)
    late = tuple(
        dataclasses.replace(item, position=after + 1 + item.seal.first_seq)
        for item in items
        if item.seal.first_seq >= 1
    )
    frame = Frame(lane=lane, items=late, after_position=after)
    root.store.run(lambda tx: tx.ingest(province.peer, frame))


ORDERS = {"the revocation first": True, "the records first": False}


@pytest.mark.parametrize("revoked_first", ORDERS.values(), ids=ORDERS)
def test_in_either_order_the_journal_comes_to_the_same_verdict(
    tree: Any, road: Road, carry_all: Carry, revoked_first: bool
) -> None:
    """One record is valid, two were written: the journal is put aside as revoked, and stays so."""
    root, province, city = road
    carry_all(city, province)
    carry_all(province, root)
    city.append("up:15", city.draft("a"))
    carry_all(city, province)
    city.append("up:15", city.draft("b"))
    if not revoked_first:
        carry_all(city, province)
    write(province, made(city, node=held(province, city, "node"), up=1))
    carry_all(city, province)
    carry_all(province, root)
    for _ in range(2):
        assert verdict(province, city) == REVOKED
        assert {"JOURNAL_REFUSED", NODE_REVOKED} <= codes(province)
        assert province.store.wanted(city.peer) == ()
        # More of it changes nothing, nor does the same revocation again.
        city.append("up:15", city.draft("c"))
        carry_all(city, province)
        write(province, made(city, node=0))
    # Nobody above takes what lies beyond, whatever a tier holds.
    assert held(root, city) == 1
    assert NODE_REVOKED in codes(root)


def test_a_journal_that_is_not_listed_counts_for_nothing(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """Declared before the cut and empty then: its first record is one too many. Others go on."""
    _, province, city = road
    city.append("up:15", city.draft("a"))
    carry_all(city, province)
    sizes = {"node": held(province, city, "node")}
    write(province, made(city, **sizes))
    assert verdict(province, city) == REVOKED
    city.append("up:1", city.draft("b"))
    carry_all(city, province)
    assert held(province, city, "up:1") == 0


def test_what_does_not_come_here_is_cut_where_its_author_last_stated_it(
    tree: Any, carry_all: Carry
) -> None:
    """The journals for a node's own subtree never reach its parent; its statement does."""
    root = tree.node("/", deciders=[StatementDecider()])
    province = tree.node("/33", root)
    word = Stated(channel="down", epoch="1", size=5, root=bytes(32))
    lie = Stated(channel="up:15", epoch="1", size=9, root=bytes(32))
    province.append("up:15", province.draft("a"))
    province.append(
        "node", province.draft("word", encode([word, lie]), kind="node.journals.stated")
    )
    carry_all(province, root)
    deadline = 200
    while not any(line.channel == "down" for line in revoke(root, tree, "/33", dry_run=True).cut):
        deadline -= 1
        assert deadline, "the decider did not note the statement"
        root.store.run(lambda tx: None)
    cut = {line.channel: line.size for line in revoke(root, tree, "/33").cut}
    # What should have come here and has not is not taken on the word of a thief.
    assert cut == {"down": 5, "node": held(root, province, "node"), "up:15": 1}


@pytest.mark.parametrize("writer", ["sibling", "itself", "child"])
def test_a_revocation_by_who_does_not_stand_above_is_a_verdict(
    tree: Any, road: Road, carry_all: Carry, writer: str
) -> None:
    """It is named, and has no effect."""
    root, province, city = road
    other = {
        "sibling": lambda: tree.node("/33/3302", province),
        "itself": lambda: city,
        "child": lambda: tree.node("/33/3301/330106", city),
    }[writer]()
    carry_all(city, province)
    # Its own store refuses to write that; a thief's would not.
    with pytest.raises(RevocationUnauthorised):
        write(other, made(city), "node")
    with patch("yidao.node.store.revoking.fold", lambda *_args: None):
        write(other, made(city), "node")
    if writer == "child":
        carry_all(other, city)
    carry_all(other if writer == "sibling" else city, province)
    carry_all(province, root)
    for node in (province, root):
        assert RevocationUnauthorised.code in codes(node)
        assert not node.store.enrolled(city.identity.node_id).revoked


def test_an_ancestor_may_revoke_and_everybody_on_the_way_learns_it(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """The root revokes a city by its `down.control`: the province puts it out; siblings know."""
    root, province, city = road
    sibling = tree.node("/33/3302", province)
    carry_all(city, province)
    carry_all(province, root)
    revoke(root, tree, "/33/3301")
    carry_all(root, province)
    carry_all(province, sibling)
    carry_all(province, city)
    assert province.store.enrolled(city.identity.node_id).revoked
    assert NODE_REVOKED in codes(province)
    # The city sees it of itself; a sibling, which it does not concern, is not alarmed.
    assert NODE_REVOKED in codes(city)
    assert NODE_REVOKED not in codes(sibling)
    city.append("up:15", city.draft("a"))
    carry_all(city, province)
    assert held(province, city) == 0


def test_two_revocations_of_one_node_add_up(tree: Any, road: Road, carry_all: Carry) -> None:
    """The smaller cut counts, at the tier that heard of the larger one first too."""
    root, province, city = road
    city.append("up:15", city.draft("a"), city.draft("b"))
    carry_all(city, province)
    carry_all(province, root)
    sizes = {"node": held(province, city, "node")}
    write(province, made(city, up=2, **sizes))
    write(root, made(city, up=1, **sizes))
    assert (verdict(province, city), verdict(root, city)) == (None, REVOKED)
    carry_all(root, province)
    carry_all(province, root)
    assert (verdict(province, city), verdict(root, city)) == (REVOKED, REVOKED)


def test_a_path_is_free_for_another_node_once_its_node_is_revoked(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """Without a revocation it is a conflict, and without approval refused; else both stand."""
    root, province, city = road
    city.append("up:15", city.draft("a"))
    carry_all(city, province)
    carry_all(province, root)
    fresh = twin(tree, province, "/33/3301")
    with pytest.raises(EnrolmentConflict):
        enrol(province, fresh)
    revoke(province, tree, "/33/3301")
    carry_all(province, root)
    assert NODE_REVOKED in codes(root)
    with pytest.raises(ReenrolmentUnapproved):
        enrol(province, fresh)
    cited = approve(root, fresh)
    carry_all(root, province)
    enrol(province, fresh, cited)
    fresh.append("up:15", fresh.draft("n"))
    carry_all(fresh, province)
    carry_all(province, root)
    for node in (province, root):
        assert held(node, fresh) == 1
        assert held(node, city) == 1
        assert node.store.enrolled_at(city.identity.path).node_id == fresh.identity.node_id
        assert [each.node_id for each in node.store.revoked()] == [city.identity.node_id]
        # The place is filled: nothing is left to do.
        assert NODE_REVOKED not in codes(node)
        assert node.store.prove(held_position(node, city)).journal.node_id
    # The old one is revoked for good.
    city.append("up:15", city.draft("b"))
    carry_all(city, province)
    assert held(province, city) == 1


def test_a_second_enrolment_without_a_revocation_stays_a_verdict_above(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """A province cannot put another node in a city's place unseen."""
    root, province, city = road
    carry_all(province, root)
    fresh = twin(tree, province, "/33/3301")
    # An honest store refuses to write that; a thief's does not.
    with patch("yidao.node.store.trust.fold_enrolled", lambda *_args: None):
        enrol(province, fresh)
    carry_all(province, root)
    assert EnrolmentConflict.code in codes(root)
    assert root.store.enrolled_at(city.identity.path).node_id == city.identity.node_id


def test_a_revoked_authority_enrols_nobody_any_more(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """Beyond its cut an enrolment is no enrolment: what the new node writes is refused."""
    root, province, city = road
    carry_all(city, province)
    carry_all(province, root)
    revoke(root, tree, "/33")
    late = tree.node("/33/3303", province)
    late.append("up:15", late.draft("a"))
    carry_all(late, province)
    carry_all(province, root)
    assert root.store.enrolled(late.identity.node_id) is None
    assert held(root, late) == 0
    # Who was enrolled before stays known, and what it wrote provable.
    assert root.store.enrolled(city.identity.node_id) is not None


def test_what_cannot_be_revoked_is_refused_by_type(tree: Any, road: Road, carry_all: Carry) -> None:
    """Nobody there, already revoked, no such reason; a dry run writes nothing."""
    root, province, _ = road
    before = province.store.last_position()
    revoke(province, tree, "/33/3301", dry_run=True)
    assert province.store.last_position() == before
    for path in ("/33/3309", "/33", "/", "/34"):
        with pytest.raises(ChildUnknown):
            revoke(province, tree, path)
    with pytest.raises(RevocationMalformed):
        revoke(province, tree, "/33/3301", reason="bored")
    revoke(province, tree, "/33/3301")
    with pytest.raises(ChildRevoked):
        revoke(province, tree, "/33/3301")
    assert root
