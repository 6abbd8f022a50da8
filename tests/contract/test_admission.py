"""A node in another one's place, over four tiers: believed only with approval one tier above."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from yidao.node.store.approving import REENROLMENT_ASKED
from yidao.node.store.records import Reader
from yidao.node.store.trust import NODE_REVOKED
from yidao.sync.admissionerrors import PaperMalformed, PaperUnauthorised, ReenrolmentUnapproved
from yidao.sync.approval import (
    DECIDED_CHANNELS,
    KIND_ASKED,
    KIND_DECIDED,
    Asked,
    Decided,
    claim_of,
)
from yidao.sync.enrolment import KIND as ENROLLED
from yidao.sync.ids import JournalId, NodeId, RecordId
from yidao.sync.revocation import CHANNELS, Reason, Revocation
from yidao.sync.revocation import KIND as REVOKED
from yidao.sync.suite import Ed25519Signer

Carry = Callable[..., Any]
Road = tuple[Any, Any, Any, Any]


@pytest.fixture
def road(tree: Any, carry_all: Carry) -> Road:
    """Root, province, city, and the county of which the city was robbed."""
    root = tree.node("/")
    province = tree.node("/33", root)
    city = tree.node("/33/3301", province)
    county = tree.node("/33/3301/330106", city)
    county.append("up:15", county.draft("a"))
    for source, target in ((county, city), (city, province), (province, root)):
        carry_all(source, target)
    return root, province, city, county


def fresh_node(tree: Any, road: Road, seed: str = "fresh") -> Any:
    """Another machine for the county's path."""
    root, province, city, county = road
    drawn = hashlib.sha256(seed.encode()).digest()
    identity = dataclasses.replace(
        tree.identity(str(county.identity.path)),
        node_id=NodeId(drawn[:16]),
        journal=Ed25519Signer(drawn),
        cosign=Ed25519Signer(hashlib.sha256(drawn).digest()),
    )
    chain = tuple(node.enrolment for node in (root, province, city))
    return tree.open(tree._new_url(), identity, chain)


def revoke(city: Any, county: Any) -> None:
    """The city revokes its county as a whole."""
    found = Revocation(
        node_id=county.identity.node_id,
        path=county.identity.path,
        reason=Reason.MACHINE_LOST,
        operator="admin@/33/3301",
        cut=(),
    )
    for channel in CHANNELS:
        city.append(channel, city.draft(f"revoked {channel}", found.encode(), kind=REVOKED))


def ask(city: Any, fresh: Any) -> RecordId:
    """The city asks the tier above."""
    claim = claim_of(fresh.enrolment)
    asked = Asked(claim=claim, reason="机器丢失", operator="admin@/33/3301")
    name = hashlib.sha256(b"asked" + claim.digest).digest()[:16]
    draft = city.draft("asked", asked.encode(), kind=KIND_ASKED, record_id=name)
    city.append("node", draft)
    return RecordId(name)


def decide(node: Any, fresh: Any, *, approved: bool = True, by: str = "admin@/33") -> str:
    """A node decides on it; returns what the enrolment must cite."""
    claim = claim_of(fresh.enrolment)
    name = hashlib.sha256(b"decided" + node.identity.node_id + claim.digest).digest()[:16]
    decided = Decided(
        claim=claim,
        record_id=RecordId(name),
        asked=RecordId(hashlib.sha256(b"asked" + claim.digest).digest()[:16]),
        asked_by="admin@/33/3301",
        approved=approved,
        reason="",
        operator=by,
    )
    for channel in DECIDED_CHANNELS:
        own = {"record_id": name} if channel == "node" else {}
        title = f"decided {channel} {claim.claim_id}"
        node.append(channel, node.draft(title, decided.encode(), kind=KIND_DECIDED, **own))
    return name.hex()


def enrol(city: Any, fresh: Any, basis: str = "") -> None:
    """The city enrols the fresh node."""
    core = dataclasses.replace(fresh.enrolment, basis=basis).encode()
    city.append("node", city.draft(f"enrol {basis}", core, kind=ENROLLED))


def enrol_against_the_rule(city: Any, fresh: Any, basis: str = "") -> None:
    """The same by a store that was tampered with: an honest one refuses to write it."""
    with pytest.raises(ReenrolmentUnapproved):
        enrol(city, fresh, basis)
    with patch("yidao.node.store.approving.check_enrolment", lambda *_args: None):
        enrol(city, fresh, basis)


def held(node: Any, origin: Any) -> int:
    """How many returns of an origin a node holds."""
    name = JournalId(node_id=origin.identity.node_id, channel="up:15", epoch="1")
    return next((each.size for each in node.store.heads() if each.journal == name), 0)


def codes(node: Any) -> set[str]:
    """Codes of the open problems."""
    return {problem.code for problem in node.store.problems()}


def is_believed(node: Any, fresh: Any) -> bool:
    """Whether a node takes the fresh one for the county."""
    standing = node.store.enrolled_at(fresh.identity.path)
    return standing is not None and standing.node_id == fresh.identity.node_id


def test_with_approval_one_tier_above_every_tier_believes_the_new_node(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """Asked upward, decided downward and upward, and cited: what it writes reaches the root."""
    root, province, city, county = road
    revoke(city, county)
    fresh = fresh_node(tree, road)
    ask(city, fresh)
    carry_all(city, province)
    carry_all(province, root)
    # Only who must decide is troubled.
    assert REENROLMENT_ASKED in codes(province)
    assert REENROLMENT_ASKED not in codes(root)
    cited = decide(province, fresh)
    assert REENROLMENT_ASKED not in codes(province)
    carry_all(province, city)
    enrol(city, fresh, cited)
    fresh.append("up:15", fresh.draft("b"))
    for source, target in ((fresh, city), (city, province), (province, root)):
        carry_all(source, target)
    for node in (city, province, root):
        assert is_believed(node, fresh)
        assert (held(node, county), held(node, fresh)) == (1, 1)
        assert codes(node) & {ReenrolmentUnapproved.code, NODE_REVOKED} == set()
    # Its units are the heir's, and never the other way round.
    for node in (city, province, root):
        with node.store.read() as conn:
            reader = Reader(conn, node.identity)
            ids = (fresh.identity.node_id, county.identity.node_id)
            assert (reader.succeeds(*ids), reader.succeeds(*reversed(ids))) == (True, False)
    # The enrolment in the chain of evidence names a record that the root can prove.
    assert root.store.lookup(bytes.fromhex(cited)) is None
    assert province.store.lookup(bytes.fromhex(cited)) is not None


SKIPS: dict[str, Callable[[Any, Any, Any], str]] = {
    "cites nothing": lambda _province, _fresh, _other: "",
    "cites a record that is not there": lambda _province, _fresh, _other: "ab" * 16,
    "cites the approval of other keys": lambda province, _fresh, other: decide(province, other),
    "cites a no": lambda province, fresh, _other: decide(province, fresh, approved=False),
}


@pytest.mark.parametrize("cite", SKIPS.values(), ids=SKIPS)
def test_a_tier_that_skips_the_approval_is_exposed_at_every_tier_above(
    tree: Any, road: Road, carry_all: Carry, cite: Callable[[Any, Any, Any], str]
) -> None:
    """R34: it cannot put a node of its own in a county's place, revoked or not."""
    root, province, city, county = road
    revoke(city, county)
    fresh = fresh_node(tree, road)
    basis = cite(province, fresh, fresh_node(tree, road, "other"))
    carry_all(province, city)
    enrol_against_the_rule(city, fresh, basis)
    fresh.append("up:15", fresh.draft("b"))
    for source, target in ((fresh, city), (city, province), (province, root)):
        carry_all(source, target)
    assert is_believed(city, fresh)
    for node in (province, root):
        assert ReenrolmentUnapproved.code in codes(node)
        assert not is_believed(node, fresh)
        assert held(node, fresh) == 0


def test_an_approval_that_comes_late_mends_what_was_refused(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """In whatever order the two come, the outcome is the same; the journals are asked for again."""
    root, province, city, county = road
    revoke(city, county)
    fresh = fresh_node(tree, road)
    cited = hashlib.sha256(
        b"decided" + province.identity.node_id + claim_of(fresh.enrolment).digest
    ).digest()[:16]
    enrol_against_the_rule(city, fresh, cited.hex())
    fresh.append("up:15", fresh.draft("b"))
    for source, target in ((fresh, city), (city, province), (province, root)):
        carry_all(source, target)
    assert not is_believed(root, fresh)
    assert decide(province, fresh) == cited.hex()
    carry_all(province, root)
    for node in (province, root):
        assert is_believed(node, fresh)
        assert ReenrolmentUnapproved.code not in codes(node)
    wanted = {holding.journal.node_id for holding in province.store.wanted(city.peer)}
    assert fresh.identity.node_id in wanted


@pytest.mark.parametrize("writer", ["the city itself", "the root", "a sibling of the province"])
def test_an_approval_by_who_does_not_stand_one_tier_above_is_a_verdict(
    tree: Any, road: Road, carry_all: Carry, writer: str
) -> None:
    """It is named, and lets nobody in."""
    root, province, city, county = road
    node = {
        "the city itself": lambda: city,
        "the root": lambda: root,
        "a sibling of the province": lambda: tree.node("/44", root),
    }[writer]()
    revoke(city, county)
    fresh = fresh_node(tree, road)
    with pytest.raises(PaperUnauthorised):
        decide(node, fresh)
    with patch("yidao.node.store.papering.fold", lambda *_args: None):
        cited = decide(node, fresh)
    for source, target in ((root, province), (province, city)):
        carry_all(source, target)
    enrol_against_the_rule(city, fresh, cited)
    if node not in (city, root):
        carry_all(node, root)
    for source, target in ((city, province), (province, root)):
        carry_all(source, target)
    assert not is_believed(province, fresh)
    assert not is_believed(root, fresh)
    noticed = {"the city itself": (province, root), "the root": (province,)}.get(writer, (root,))
    assert all(PaperUnauthorised.code in codes(each) for each in noticed)


def test_papers_that_are_wrong_or_come_twice_change_nothing(
    tree: Any, road: Road, carry_all: Carry
) -> None:
    """A malformed one is a problem and stops no journal; of two decisions the first counts."""
    root, province, city, county = road
    revoke(city, county)
    fresh = fresh_node(tree, road)
    with patch("yidao.node.store.papering.fold", lambda *_args: None):
        city.append("node", city.draft("junk", b"{}", kind=KIND_ASKED))
    ask(city, fresh)
    carry_all(city, province)
    assert {PaperMalformed.code, REENROLMENT_ASKED} <= codes(province)
    cited = decide(province, fresh, approved=False)
    assert REENROLMENT_ASKED not in codes(province)
    later = hashlib.sha256(b"later").digest()[:16]
    again = Decided(
        claim=claim_of(fresh.enrolment),
        record_id=RecordId(later),
        asked=RecordId(hashlib.sha256(b"asked" + claim_of(fresh.enrolment).digest).digest()[:16]),
        asked_by="admin@/33/3301",
        approved=True,
        reason="",
        operator="admin@/33",
    )
    for channel in DECIDED_CHANNELS:
        own = {"record_id": later} if channel == "node" else {}
        title = f"again {channel}"
        province.append(channel, province.draft(title, again.encode(), kind=KIND_DECIDED, **own))
    carry_all(province, root)
    carry_all(province, city)
    for basis in (cited, later.hex()):
        with pytest.raises(ReenrolmentUnapproved):
            enrol(city, fresh, basis)
