"""Approvals one tier above: who may ask, who may decide, and what a claim binds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from yidao.sync.admissionerrors import FourEyesNeeded, PaperMalformed, PaperUnauthorised
from yidao.sync.approval import Asked, Claim, Decided, claim_of
from yidao.sync.enrolment import Enrolment
from yidao.sync.errors import IdInvalid, PathInvalid, SyncError
from yidao.sync.ids import NodeId, Path, RecordId
from yidao.sync.suite import Ed25519Signer

KEYS = [Ed25519Signer(bytes([n]) * 32).public_key for n in (1, 2)]
CLAIM = Claim(
    node_id=NodeId(b"n" * 16),
    path=Path.parse("/33/3301"),
    journal_key=KEYS[0],
    cosign_key=KEYS[1],
    tls_sha256=b"t" * 32,
)
ASKED = Asked(claim=CLAIM, reason="机器丢失", operator="admin@/33")
DECIDED = Decided(
    claim=CLAIM,
    record_id=RecordId(b"d" * 16),
    asked=RecordId(b"a" * 16),
    asked_by="admin@/33",
    approved=True,
    reason="",
    operator="admin@/",
)


def test_both_papers_read_back_as_they_were() -> None:
    """And have one form of bytes."""
    assert Asked.decode(ASKED.encode(), Path.parse("/33")) == ASKED
    assert Decided.decode(DECIDED.encode(), Path()) == DECIDED


def test_a_node_of_the_gm_suite_may_be_asked_for() -> None:
    """Its two keys have 64 bytes; one of each length is none."""
    gm = replace(CLAIM, journal_key=b"j" * 64, cosign_key=b"c" * 64)
    asked = replace(ASKED, claim=gm)
    assert Asked.decode(asked.encode(), Path.parse("/33")) == asked
    mixed = replace(ASKED, claim=replace(gm, cosign_key=KEYS[1]))
    with pytest.raises(PaperMalformed):
        Asked.decode(mixed.encode(), Path.parse("/33"))


OTHER_CLAIMS: dict[str, dict[str, Any]] = {
    "another node": {"node_id": NodeId(b"m" * 16)},
    "another path": {"path": Path.parse("/33/3302")},
    "another journal key": {"journal_key": KEYS[1]},
    "another cosigning key": {"cosign_key": KEYS[0]},
    "another TLS key": {"tls_sha256": b"u" * 32},
}


@pytest.mark.parametrize("given", OTHER_CLAIMS.values(), ids=OTHER_CLAIMS)
def test_a_claim_is_of_exactly_these_keys_at_this_place(given: dict[str, Any]) -> None:
    """Name and fingerprint change with every part, so that an approval lets nobody else in."""
    other = replace(CLAIM, **given)
    assert other.claim_id != CLAIM.claim_id
    assert other.fingerprint != CLAIM.fingerprint


def test_an_enrolment_makes_the_claim_true_that_was_approved() -> None:
    """The child, its parent and the tiers above come to one name and one fingerprint."""
    made = Enrolment(
        node_id=CLAIM.node_id,
        path=CLAIM.path,
        journal_key=CLAIM.journal_key,
        cosign_key=CLAIM.cosign_key,
        tls_sha256=CLAIM.tls_sha256,
        basis="ab" * 16,
    )
    assert claim_of(Enrolment.decode(made.encode())) == CLAIM
    assert [len(group) for group in CLAIM.fingerprint.split("-")] == [4] * 5
    # Enrolments that rest on nothing are byte for byte what they always were.
    assert b"basis" not in replace(made, basis="").encode()


DECIDERS = {
    "a county's is its province": ("/33/3301", "/33/3301/330106", "/33"),
    "a city's is the root": ("/33", "/33/3301", "/"),
    "a province's is the root itself": ("/", "/33", "/"),
}


@pytest.mark.parametrize(("parent", "path", "decider"), DECIDERS.values(), ids=DECIDERS)
def test_who_decides_stands_one_tier_above_the_parent(parent: str, path: str, decider: str) -> None:
    """And nobody else's word counts, higher up or elsewhere."""
    claim = replace(CLAIM, path=Path.parse(path))
    asked = replace(ASKED, claim=claim).encode()
    decided = replace(DECIDED, claim=claim).encode()
    places = ["/", "/33", "/33/3301", "/33/3301/330106", "/44"]
    for place in map(Path.parse, places):
        for is_right, decode in (
            (str(place) == parent, lambda p: Asked.decode(asked, p)),
            (str(place) == decider, lambda p: Decided.decode(decided, p)),
        ):
            if is_right:
                decode(place)
            else:
                with pytest.raises(PaperUnauthorised):
                    decode(place)


def test_below_the_root_two_people_must_agree() -> None:
    """Nobody stands above the root: whoever asked there cannot approve, but may withdraw."""
    own = replace(DECIDED, claim=replace(CLAIM, path=Path.parse("/33")), asked_by="admin@/")
    with pytest.raises(FourEyesNeeded):
        Decided.decode(own.encode(), Path())
    Decided.decode(replace(own, approved=False, reason="no").encode(), Path())
    Decided.decode(replace(own, operator="second@/").encode(), Path())


def _edited(**given: object) -> Callable[[], bytes]:
    return lambda: orjson.dumps(
        {**orjson.loads(DECIDED.encode()), **given}, option=orjson.OPT_SORT_KEYS
    )


MALFORMED: dict[str, tuple[type[SyncError], Callable[[], bytes | None]]] = {
    "no core": (PaperMalformed, lambda: None),
    "no JSON": (PaperMalformed, lambda: b"{"),
    "too much": (PaperMalformed, _edited(reason="x" * 5000)),
    "a text too long": (PaperMalformed, _edited(reason="x" * 513)),
    "another order of members": (PaperMalformed, lambda: DECIDED.encode().replace(b":", b": ")),
    "a list": (PaperMalformed, lambda: b"[]"),
    "a flag that is a number": (PaperMalformed, _edited(approved=1)),
    "a key in upper case": (PaperMalformed, _edited(journal_key="AB" * 32)),
    "a short key": (PaperMalformed, _edited(cosign_key="ab" * 31)),
    "no hex": (PaperMalformed, _edited(tls_sha256="xy" * 32)),
    "a number for a text": (PaperMalformed, _edited(operator=1)),
    "a short id": (IdInvalid, _edited(asked="ab")),
    "a path that is none": (PathInvalid, _edited(path="33")),
    "the root's own path": (PaperUnauthorised, _edited(path="/")),
}


@pytest.mark.parametrize(("error", "core"), MALFORMED.values(), ids=MALFORMED)
def test_another_form_is_refused(error: type[SyncError], core: Callable[[], bytes | None]) -> None:
    """By type; members that a newer version adds are allowed."""
    with pytest.raises(error):
        Decided.decode(core(), Path())
    assert Decided.decode(_edited(added="later")(), Path()) == DECIDED
