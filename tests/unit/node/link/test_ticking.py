"""Time and arrivals reach the sessions that they concern."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from yidao.node.link.ticking import Ticker, deliver
from yidao.node.store.linkreads import Arrivals, Seen
from yidao.sync.ids import Lane, NodeId, Path

OWN = Path.parse("/33")


class Driver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[Lane, int], bool]] = []
        self.ticks = 0
        self.acks: tuple[NodeId, dict[int, int]] | None = None
        self.breaks = False

    def arrived(self, heads: Any, *, receipts: bool) -> None:
        self.told.append((dict(heads), receipts))

    def new_acks(self) -> tuple[NodeId, dict[int, int]] | None:
        acks, self.acks = self.acks, None
        return acks

    async def tick(self, _now: float, _wall: int) -> None:
        self.ticks += 1
        if self.breaks:
            self.breaks = False
            raise ZeroDivisionError


@pytest.fixture
def drivers() -> dict[Path, Driver]:
    """A parent and two children."""
    return {Path.parse(path): Driver() for path in ("/", "/33/01", "/33/02")}


def told(drivers: dict[Path, Driver], **arrived: Any) -> list[list[tuple[dict[Lane, int], bool]]]:
    """What parent, first and second child hear of something."""
    arrivals = Arrivals(since=0, seen=Seen(position=9), **arrived)
    deliver(arrivals, OWN, drivers)  # type: ignore[arg-type]
    return [driver.told for driver in drivers.values()]


def test_what_goes_up_is_told_to_the_parent_alone(drivers: dict[Path, Driver]) -> None:
    """No child is woken for it."""
    assert told(drivers, up={Lane.BULK: 9}) == [[({Lane.BULK: 9}, False)], [], []]


def test_what_goes_down_is_told_to_every_child(drivers: dict[Path, Driver]) -> None:
    """And not to the parent."""
    every = [({Lane.URGENT: 9}, False)]
    assert told(drivers, down={Lane.URGENT: 9}) == [[], every, every]


def test_what_goes_to_one_is_told_on_its_way(drivers: dict[Path, Driver]) -> None:
    """A node two tiers below is reached by a child; one that nobody leads to is left out."""
    to = {Path.parse("/33/02/7"): {Lane.URGENT: 9}, Path.parse("/33/05"): {Lane.BULK: 8}}
    assert told(drivers, to=to) == [[], [], [({Lane.URGENT: 9}, False)]]


def test_receipts_are_told_where_the_journal_began_and_above(drivers: dict[Path, Driver]) -> None:
    """The parent may get what was cosigned here, the child what was cosigned for it."""
    origins = (Path.parse("/33/01/3"), OWN)
    assert told(drivers, receipts_of=origins) == [[({}, True)], [({}, True)], []]


def test_a_session_that_breaks_does_not_stop_the_time_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes on at the next tick; what was acknowledged is noted in one job for all."""
    monkeypatch.setattr("yidao.node.link.ticking._TICK_SECONDS", 0.0)
    first, second = Driver(), Driver()
    first.breaks = True
    jobs: list[Any] = []
    noted: list[Any] = []
    looks: list[None] = []
    store = SimpleNamespace(submit=jobs.append)
    lookout = SimpleNamespace(catch_up=lambda: looks.append(None))
    ids = [NodeId(bytes([number]) * 16) for number in (1, 2)]

    async def run() -> None:
        ticker = Ticker(store, lookout, {"a": first, "b": second}, lambda: 0)  # type: ignore[arg-type,dict-item]
        ticking = asyncio.create_task(ticker.run())
        for _ in range(20):
            await asyncio.sleep(0)
        first.acks, second.acks = (ids[0], {1: 5}), (ids[1], {1: 6})
        for _ in range(20):
            await asyncio.sleep(0)
        ticking.cancel()

    asyncio.run(run())
    assert first.ticks > second.ticks
    assert looks
    (job,) = jobs
    job(SimpleNamespace(note_acks=noted.append))
    assert noted == [{ids[0]: {1: 5}, ids[1]: {1: 6}}]
