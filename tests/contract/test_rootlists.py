"""Root lists on their way down: every node keeps each step, and none goes back."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from yidao.node.link.certificates import issue_root, to_pem
from yidao.node.store import tables
from yidao.node.store.rootlists import ROOT_LIST_REFUSED
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.errors import RootStatementInvalid
from yidao.sync.ids import NetworkId
from yidao.sync.rootlist import CHANNEL, KIND, Listing, RootList, SignedRootList
from yidao.sync.rootstatement import RootStatement
from yidao.sync.suite import Ed25519Signer
from yidao.sync.trusterrors import (
    RootListConflict,
    RootListForeign,
    RootListUnsigned,
    RootListVersionWrong,
    SuitesUnverifiable,
)

Carry = Callable[..., Any]
NOW_MS = 1_790_000_000_000
CA_KEYS = [ec.derive_private_key(number, ec.SECP256R1()) for number in (7, 8)]
HOLDERS = [Ed25519Signer(sha256(b"sample holder %d" % number).digest()) for number in range(5)]


@pytest.fixture
def road(tree: Any) -> tuple[Any, Any, Any]:
    """Root, province and city."""
    root = tree.node("/")
    province = tree.node("/33", root)
    return root, province, tree.node("/33/3301", province)


@lru_cache
def pem(network: NetworkId, ca: int) -> bytes:
    """One of two root certificates; made once, since no two signatures are alike."""
    now = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    return to_pem(issue_root(CA_KEYS[ca], network, now))


def listing(
    root: Any, version: int = 1, by: Sequence[int] = range(3), ca: int = 0, **more: Any
) -> Listing:
    """A list that those holders signed, with the statement of the root."""
    network = root.identity.network
    given: dict[str, Any] = {
        "network": network,
        "version": version,
        "issued_ms": NOW_MS,
        "expires_ms": NOW_MS + 1_000,
        "threshold": 3,
        "holders": tuple(sorted(holder.public_key for holder in HOLDERS)),
        "certificates": (pem(network, ca),),
    }
    found = SignedRootList.of(RootList(**(given | more)))
    for number in by:
        found = found.sign(HOLDERS[number])
    statement = RootStatement(
        network=network,
        node_id=root.identity.node_id,
        journal_key=root.identity.journal.public_key,
        cosign_key=root.identity.cosign.public_key,
    )
    return Listing(data=found.encode(), statement=statement.sign(CA_KEYS[ca]))


def publish(node: Any, what: Listing, *, unchecked: bool = False) -> None:
    """Append a list as the root does; `unchecked` as a root whose program was changed."""
    record_id = sha256(what.encode() + bytes([unchecked])).digest()[:16]
    draft = Draft(
        record_id=record_id,
        kind=KIND,
        actor="admin@/",
        object_id="root-list",
        object_version=1,
        created_ms=NOW_MS,
        parts=(DraftPart(name="core", body=what.encode()),),
    )
    if unchecked:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("yidao.node.store.rootlists.fold", lambda *_: None)
            node.append(CHANNEL, draft)
    else:
        node.append(CHANNEL, draft)


def version(node: Any) -> int:
    """The version in force at a node; 0 for none."""
    held = node.store.root_list()
    return held.content.version if held else 0


def refusals(node: Any) -> list[str]:
    """Why lists were refused."""
    found = node.store.problems()
    return [str(each.params["reason"]) for each in found if each.code == ROOT_LIST_REFUSED]


def test_every_node_takes_each_step_and_keeps_it(tree: Any, road: Any, carry_all: Carry) -> None:
    """Two lists go down three tiers; the newest is in force after a restart too."""
    root, province, city = road
    for number in (1, 2):
        publish(root, listing(root, number, ca=number - 1))
        carry_all(root, province)
        carry_all(province, city)
    assert [version(node) for node in road] == [2, 2, 2]
    reopened = tree.reopen(city)
    assert version(reopened) == 2
    with reopened.store.read() as conn:
        kept = conn.execute(select(tables.root_list.c.version)).scalars().all()
    assert sorted(kept) == [1, 2]
    # The same again is nothing new.
    publish(root, listing(root, 2, ca=1, by=(0, 1, 2, 3)))
    carry_all(root, province)
    assert version(province) == 2
    assert refusals(province) == []


WRONG: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "a list that skips one": ({"version": 4}, RootListVersionWrong),
    "a list as far as numbers go": ({"version": 2**63 - 1}, RootListVersionWrong),
    "a list that two holders signed": ({"version": 3, "by": (0, 1)}, RootListUnsigned),
    "other content under a number that is taken": (
        {"version": 1, "expires_ms": NOW_MS + 2},
        RootListConflict,
    ),
    "a list of another network": ({"version": 3, "network": bytes(16)}, RootListForeign),
}


def test_what_is_no_next_list_is_refused_and_the_next_one_is_taken(
    road: Any, carry_all: Carry
) -> None:
    """The root refuses it; below a root whose program was changed it is a problem (R35, R38)."""
    root, province, _ = road
    with pytest.raises(RootListVersionWrong):
        publish(root, listing(root, 2))
    publish(root, listing(root, 1))
    publish(root, listing(root, 2))
    for wrong, error in WRONG.values():
        with pytest.raises(error):
            publish(root, listing(root, **wrong))
        publish(root, listing(root, **wrong), unchecked=True)
    carry_all(root, province)
    assert version(province) == 2
    assert sorted(refusals(province)) == sorted(error.code for _, error in WRONG.values())  # type: ignore[attr-defined]
    publish(root, listing(root, 3))
    carry_all(root, province)
    assert version(province) == 3


def test_only_the_root_lists_and_only_with_its_own_statement(road: Any, carry_all: Carry) -> None:
    """A province that lists, also itself as a root, and a statement by a certificate left out."""
    root, province, city = road
    publish(province, listing(root), unchecked=True)
    publish(province, listing(province, ca=1), unchecked=True)
    carry_all(province, city)
    assert (version(city), refusals(city)) == (0, [RootListForeign.code] * 2)
    good, other = listing(root), listing(root, ca=1)
    with pytest.raises(RootStatementInvalid):
        publish(root, replace(good, statement=other.statement))
    assert version(root) == 0


def test_the_list_of_a_join_bundle_is_where_a_node_begins(road: Any, carry_all: Carry) -> None:
    """A node that joined with version 3 passes over 1 and 2, and takes 4."""
    root, province, _ = road
    for number in (1, 2, 3):
        publish(root, listing(root, number))
    pinned = listing(root, 3)
    province.store.pin_root_list(pinned.data, pinned.statement, root.identity.network)
    carry_all(root, province)
    assert (version(province), refusals(province)) == (3, [])
    province.store.pin_root_list(listing(root).data, listing(root).statement, root.identity.network)
    assert version(province) == 3, "an older bundle takes nothing back"
    publish(root, listing(root, 4))
    carry_all(root, province)
    assert version(province) == 4


def test_suites_that_cannot_be_verified_are_a_problem(road: Any, carry_all: Carry) -> None:
    """The list is in force, and whoever looks after the node is told before its next start."""
    root, province, _ = road
    publish(root, listing(root, suites=(1, 250)))
    carry_all(root, province)
    found = {problem.code: problem.params for problem in province.store.problems()}
    assert found[SuitesUnverifiable.code] == {"suites": "250"}
