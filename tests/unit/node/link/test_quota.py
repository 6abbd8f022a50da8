"""One child cannot cost more than its quota: it alone is slowed down, or kept away."""

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from yidao.node.link.driver import Driver
from yidao.node.link.errors import LinkQuotaExceeded
from yidao.node.link.peercheck import Peer
from yidao.node.link.quota import BURST_SECONDS, MIN_WINDOW_BYTES, MINUTE, Quota, Quotas
from yidao.node.link.room import Room
from yidao.sync.effects import Ingest
from yidao.sync.ids import NodeId, Path

MIB = 1 << 20
CHILD = NodeId(bytes(16))
SIBLING = NodeId(bytes(15) + b"1")


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def quota(clock: Clock) -> Quota:
    """A thousand bytes a second, ten refusals a minute."""
    return Quota(bytes_per_second=1_000, refusals_per_minute=10, clock=clock)


def test_a_burst_passes_and_an_average_holds() -> None:
    """Four seconds' worth at once costs nothing; from then on each second brings a second's."""
    clock = Clock()
    child = quota(clock)
    assert child.spend(int(1_000 * BURST_SECONDS)) == 0
    assert child.spend(500) == pytest.approx(0.5)
    clock.now += 0.5
    assert child.spend(1_000) == pytest.approx(1.0)
    clock.now += 1_000
    assert child.spend(int(1_000 * BURST_SECONDS)) == 0
    assert child.spend(1) > 0


def test_at_a_hundred_times_its_quota_a_child_gets_its_quota() -> None:
    """Whatever it has ready, what is acknowledged in a minute is a minute's worth and the burst."""
    clock = Clock()
    child, came = quota(clock), 0
    while clock.now < 160.0:
        came += 1_000
        # Its window is full until this one is acknowledged.
        clock.now += max(0.01, child.spend(1_000))
    assert came == pytest.approx(60 * 1_000 + 1_000 * BURST_SECONDS, rel=0.05)


def test_refusals_end_a_session_and_keep_the_child_away_for_a_minute() -> None:
    """Ten a minute are borne; the eleventh is one too many, and dialling anew does not help."""
    clock = Clock()
    child = quota(clock)
    for _ in range(10):
        child.refused(1)
    child.check()
    with pytest.raises(LinkQuotaExceeded) as raised:
        child.refused(1)
    assert raised.value.params["seconds"] == int(MINUTE)
    clock.now += MINUTE - 1
    with pytest.raises(LinkQuotaExceeded) as early:
        child.check()
    assert early.value.params["seconds"] == 2
    clock.now += 1
    child.check()
    child.refused(1)


def test_what_is_well_costs_no_refusal() -> None:
    """A child that is over its bytes is slowed, never sent away."""
    child = quota(Clock())
    child.spend(1_000_000)
    child.refused(0)
    child.check()


def test_a_child_has_one_quota_and_its_sibling_another() -> None:
    """A new session of the same child finds the quota as it was left."""
    quotas = Quotas(bytes_per_second=1_000, refusals_per_minute=1)
    quotas.of(CHILD).refused(1)
    with pytest.raises(LinkQuotaExceeded):
        quotas.of(CHILD).refused(1)
    with pytest.raises(LinkQuotaExceeded):
        quotas.of(CHILD).check()
    quotas.of(SIBLING).check()


def test_room_is_lent_in_steps_and_shared() -> None:
    """At most 7 MiB to one session, and never all that is left; what comes back is lent again."""
    room, lent = Room(256 * MIB), 0
    for _ in range(7):
        lent += room.lend(lent)
    assert (lent, room.lend(lent)) == (7 * MIB, 0)
    all_lent = lent
    for _ in range(400):
        more = room.lend(0)
        assert 0 < more <= MIB, "whoever comes later gets some"
        all_lent += more
    assert all_lent <= 256 * MIB
    before = room.lend(0)
    room.give_back(lent)
    assert room.lend(0) > before


class Around:
    """The node around a driver, with a quota for its child."""

    def __init__(self, child: Quota) -> None:
        self.child = child
        self.room = Room(MIB * 16)
        # Nothing but the quota is looked at.
        self.resumption = SimpleNamespace(ingested=lambda _peer, _outcome: None)
        self.shown: list[str] = []

    def quota_of(self, _peer: Peer) -> Quota:
        return self.child

    def over_quota(self, peer: Peer) -> None:
        self.shown.append(str(peer.path))


class Session:
    """Notes what a driver does with its session."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.room_bytes = 0

    def start(self) -> tuple[()]:
        return ()

    def wants_room(self) -> bool:
        return True

    def ingested(self, done: Ingest, refusals: object, room_bytes: int = 0) -> tuple[()]:
        self.said.append(("ingested", done.size_bytes, refusals))
        self.room_bytes += room_bytes
        return ()

    def close(self, code: str, retry_after_ms: int) -> tuple[()]:
        self.said.append(("close", code, retry_after_ms))
        return ()


def drive(child: Quota, *refused_items: int) -> tuple[Session, Around, list[float]]:
    """Let a driver finish ingests, one for each number of refused items."""
    session, around, slept = Session(), Around(child), []
    driver = Driver(
        session=session,  # type: ignore[arg-type]
        peer=Peer(node_id=CHILD, path=Path.parse("/33"), tls_sha256=bytes(32)),
        around=around,  # type: ignore[arg-type]
        clock_ms=lambda: 0,
    )

    async def run() -> None:
        for number in refused_items:
            future: Future[Any] = Future()
            future.set_result(SimpleNamespace(refusals=(), refused_items=number, receipts=()))
            ingest = Ingest(frame=SimpleNamespace(), size_bytes=3_000)  # type: ignore[arg-type]
            driver._ingests.append((ingest, future))
        finishing = asyncio.create_task(driver._finish_ingests())
        await asyncio.wait([finishing], timeout=0.05)
        finishing.cancel()
        (error,) = await asyncio.gather(finishing, return_exceptions=True)
        if isinstance(error, Exception):
            await driver._fail(error)

    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await real_sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yidao.node.link.driver.asyncio.sleep", sleep)
        asyncio.run(run())
    return session, around, [seconds for seconds in slept if seconds]


def test_the_acknowledgement_waits_and_with_it_the_credit() -> None:
    """The third frame of 3,000 bytes is 5,000 over the burst: five seconds until it is said."""
    session, around, slept = drive(quota(Clock()), 0, 0, 0)
    assert [said[0] for said in session.said] == ["ingested"] * 3
    # Room is lent to who is not slowed down: with the first of the three, not with the third.
    assert session.room_bytes == MIB
    assert slept == [pytest.approx(2.0), pytest.approx(5.0)]
    assert around.shown == []


def test_a_child_over_its_refusals_is_told_when_to_come_again() -> None:
    """Its last frame is acknowledged, its session ends with a time, an operator is shown who."""
    session, around, _ = drive(quota(Clock()), 10, 1)
    assert [said[0] for said in session.said] == ["ingested", "ingested", "close"]
    assert session.said[-1] == ("close", "LINK_QUOTA_EXCEEDED", 60_000)
    assert around.shown == ["/33"]


def test_a_new_session_gets_no_new_window_while_the_old_one_is_owed() -> None:
    """What was sent beyond the quota is out of the next window, until time has paid for it."""
    clock = Clock()
    child = quota(clock)
    assert child.window(1 << 20) == 1 << 20
    child.spend(104_000)
    assert child.window(1 << 20) == (1 << 20) - 100_000
    child.spend(10 << 20)
    assert child.window(1 << 20) == MIN_WINDOW_BYTES
    clock.now += 1_000_000
    assert child.window(1 << 20) == 1 << 20
