"""Users, sessions and the audit over a real socket: who gets in, as whom, to what, and what stays."""

import asyncio
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import pytest

from yidao.node.access.passwords import Hasher
from yidao.node.access.service import AccessOptions
from yidao.node.affairs.affairs import Affairs
from yidao.node.api.server import LocalServer
from yidao.node.api.servicers import affair_servicers
from yidao.node.client import Client, ClientError, User
from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

START_MS = 1_795_140_000_000
FIRST, OWN = "Sample-first-1", "Sample-own-22"
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class Office:
    """A root node served on a socket, with a clock that the test moves."""

    def __init__(self, folder: FilePath) -> None:
        seed = bytes(32)
        numbers = itertools.count(1)
        self.now_ms = START_MS
        self.folder = folder

        def random(size: int) -> bytes:
            return hashlib.shake_128(next(numbers).to_bytes(8, "big")).digest(size)

        identity = Identity(
            network=NetworkId(seed[:16]),
            node_id=NodeId(seed[:16]),
            path=Path(),
            epoch="1",
            suite=ED25519_SHA256,
            journal=Ed25519Signer(b"j" * 32),
            cosign=Ed25519Signer(b"c" * 32),
        )
        self.store = Store.open(f"sqlite:///{folder}/store.db", clock_ms=self.clock, random=random)
        self.store.bind(identity)
        options = AccessOptions(hasher=Hasher(memory_kib=64, passes=1, lanes=1))
        self.affairs = Affairs(
            self.store, identity, clock_ms=self.clock, random=random, access=options
        )
        self.store.start(self.affairs.projectors, self.affairs.deciders)
        self.socket = folder / "local.sock"
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.server = LocalServer(self.socket, affair_servicers(self.affairs))
        self.run(self.server.start())
        self.machine = Client.open(self.socket, timeout_seconds=60)

    def clock(self) -> int:
        return self.now_ms

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def later(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    def add(self, name: str, *roles: str, unit: str = "") -> None:
        """Add a user by the machine's account, who has chosen a password already."""
        self.machine.put_user(User(name=name, roles=roles, unit=unit), actor="", password=FIRST)
        self.enter(name, FIRST).change_password(FIRST, OWN)

    def enter(self, name: str, password: str = OWN, **more: str) -> Client:
        session = self.machine.sign_in(name, password, **more)
        return self.machine.with_token(session.token, source=more.get("source", ""))

    def events(self, **wanted: str) -> list[tuple[str, str, str, str]]:
        return [
            (each.event, each.actor, each.object, each.result)
            for each in self.machine.audit(**wanted)
        ]

    def close(self) -> None:
        self.machine.close()
        self.run(self.server.stop(0.1))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self.store.close()


@pytest.fixture
def office(tmp_path: FilePath) -> Iterator[Office]:
    """A node without users."""
    made = Office(tmp_path)
    yield made
    made.close()


def refused(code: str, call: Callable[[], object]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.code == code
    return caught.value


def test_a_person_gets_in_works_and_leaves(office: Office) -> None:
    """Added with a first password, changed at once, one name and its permissions, out again."""
    office.machine.put_user(
        User(name="li", title="样例填报人", roles=("filler",)), actor="", password=FIRST
    )
    session = office.machine.sign_in("li", FIRST, source="192.0.2.7")
    assert session.user.must_change_password
    assert session.idle_seconds == 1_200
    mine = office.machine.with_token(session.token)
    refused("PASSWORD_CHANGE_DUE", mine.packs)
    mine.change_password(FIRST, OWN)
    assert mine.packs() == ()
    told = mine.who_am_i()
    assert (told.user.name, told.actor) == ("li", "li@/")
    assert "reporting.submit" in told.permissions
    assert "reporting.review" not in told.permissions
    refused("PERMISSION_DENIED", lambda: mine.review(actor="", decision="accept", form="profile"))
    mine.sign_out()
    refused("SESSION_ENDED", mine.packs)
    assert [event for event, *_ in reversed(office.events(user="li"))] == [
        "access.user.added",
        "access.session.opened",
        "access.call.refused",
        "access.password.changed",
        "access.call.refused",
        "access.session.closed",
    ]
