"""Of several daemons on one database the one that leads dials, each time under a new life."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from yidao.node.link.leader import LeaderDialer
from yidao.node.store.errors import StoreUnreachable

#: Turns of the event loop in which whoever is not held back would have gone on.
_MOMENTS = 20


class FakeStore:
    """A store of several daemons, whose lead the test gives and takes."""

    is_shared = True

    def __init__(self) -> None:
        self.leads = False
        self._told: list[Callable[[bool], None]] = []

    def on_lead(self, callback: Callable[[bool], None]) -> None:
        """Keep whom to tell."""
        self._told.append(callback)

    def lead(self, *, leads: bool) -> None:
        """Give or take the lead."""
        self.leads = leads
        for callback in self._told:
            callback(leads)


class FakeHub:
    """Notes what happens in which order."""

    def __init__(self, done: "asyncio.Queue[str]", refusals: int) -> None:
        self.store = FakeStore()
        self._done = done
        self._refusals = refusals

    async def begin_life(self) -> None:
        """Write a life down, if the database lets it."""
        if self._refusals:
            self._refusals -= 1
            self._done.put_nowait("refused")
            raise StoreUnreachable(reason="test")
        self._done.put_nowait("life")


class FakeDialer:
    """Dials until it is cancelled."""

    def __init__(self, done: "asyncio.Queue[str]") -> None:
        self._done = done

    async def run(self) -> None:
        """Dial."""
        self._done.put_nowait("dial")
        try:
            await asyncio.Event().wait()
        finally:
            self._done.put_nowait("hang up")


async def _turns(refusals: int, *turns: tuple[bool, list[str]]) -> None:
    done: asyncio.Queue[str] = asyncio.Queue()
    hub: Any = FakeHub(done, refusals)
    dialer: Any = FakeDialer(done)
    running = asyncio.create_task(LeaderDialer(hub, dialer).run())
    for leads, expected in turns:
        hub.store.lead(leads=leads)
        async with asyncio.timeout(60):
            assert [await done.get() for _ in expected] == expected
        for _ in range(_MOMENTS):
            await asyncio.sleep(0)
        assert done.empty()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_each_time_that_it_leads_it_speaks_under_a_new_life() -> None:
    """It dials after the life is written down, and hangs up when another daemon leads."""
    dials = ["life", "dial"]
    asyncio.run(_turns(0, (False, []), (True, dials), (False, ["hang up"]), (True, dials)))


def test_whose_life_cannot_be_written_down_does_not_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent must hear no life that the database does not know; it is tried again."""
    monkeypatch.setattr("yidao.node.link.leader._AGAIN_SECONDS", 0.0)
    asyncio.run(_turns(2, (False, []), (True, ["refused", "refused", "life", "dial"])))
