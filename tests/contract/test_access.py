"""Sessions, users and the audit on every database."""

from typing import Any

import pytest

from yidao.node.access.accounts import Profile
from yidao.node.access.caller import LOCAL
from yidao.node.access.errors import SessionEnded, SignInRefused, UserLocked
from yidao.node.access.passwords import Hasher
from yidao.node.access.roles import Role
from yidao.node.access.service import Access, AccessOptions
from yidao.node.store.store import Store

FIRST, OWN = "Sample-first-1", "Sample-own-22"


@pytest.fixture
def access(tree: Any) -> Access:
    """Access to a node whose store is opened again with the audit's projector."""
    node = tree.node("/33", tree.node("/"))
    node.store.close()
    node.store = Store.open(node.url, clock_ms=tree.clock, random=tree.random)
    node.store.bind(node.identity)
    options = AccessOptions(hasher=Hasher(memory_kib=64, passes=1, lanes=1))
    made = Access(node.store, options, clock_ms=tree.clock, random=tree.random)
    node.store.start(made.projectors)
    return made


def test_a_person_comes_and_goes_the_same_way_on_every_database(access: Access, tree: Any) -> None:
    """Added, in, changed, locked, unlocked, out; the audit folds again to the same."""
    store = access._store
    roles = frozenset({Role.FILLER})
    access.users.put(LOCAL, Profile(name="li", roles=roles), FIRST)
    opened = access.sessions.open("li", FIRST, source="192.0.2.7")
    caller = access.sessions.caller(opened.token)
    assert (caller.actor, caller.must_change_password) == ("li@/33", True)
    access.users.change_password(caller, FIRST, OWN)
    assert not access.sessions.caller(opened.token).must_change_password
    for name in ("li", "ghost", "gh\x00st" * 10_000):
        for _ in range(5):
            with pytest.raises(SignInRefused):
                access.sessions.open(name, "wrong")
    with pytest.raises(UserLocked):
        access.sessions.open("li", OWN)
    access.users.unlock(LOCAL, "li")
    for _ in range(9):
        tree.clock.now_ms += 1
        access.sessions.open("li", OWN)
    with pytest.raises(SessionEnded):
        access.sessions.caller(opened.token)
    last = access.sessions.open("li", OWN)
    access.sessions.close(access.sessions.caller(last.token))
    with pytest.raises(SessionEnded):
        access.sessions.caller(last.token)
    access.auditor.flush(everything=True)
    store.applied(store.last_position()).result(30)
    entries = access.entries(limit=1_000)
    assert sum(each.times for each in entries if each.event == "access.session.refused") == 16
    assert {each.source for each in access.entries(user="li", event="access.session.closed")} == {
        ""
    }
    assert access.entries(user="gh\x00st") == ()
    assert store.rebuild().equal
    assert access.entries(limit=1_000) == entries
