"""One look for all links: each hears what is for it, and what is for all is read once."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from yidao.node.link.lookout import Grouped, Lookout
from yidao.node.store.errors import StoreFull
from yidao.node.store.linkreads import Arrivals, Seen
from yidao.node.store.values import Peer
from yidao.sync.ids import Lane, NodeId, Path
from yidao.sync.lanes import ReadRequest

REQUEST = ReadRequest(lane=Lane.URGENT, after_position=0, up_to_position=9, max_bytes=1_000)


def child(number: int) -> Peer:
    """One of many children."""
    return Peer(
        node_id=NodeId(bytes([number]) * 16), path=Path.parse(f"/{number}"), store_id=bytes(16)
    )


class Store:
    """Counts what is read of it; its items tell for whom they were read."""

    def __init__(self, *, for_all: bool = True) -> None:
        self.identity = SimpleNamespace(path=Path())
        self.reads: list[Path] = []
        self.looks: list[Seen] = []
        self.fails = False
        self.position = 0
        self._for_all = for_all
        self.callbacks: list[Callable[[Arrivals | None], None]] = []

    def seen(self) -> Seen:
        return Seen(position=self.position)

    def last_position(self) -> int:
        return self.position

    def on_commit(self, callback: Callable[[Arrivals | None], None]) -> None:
        self.callbacks.append(callback)

    def arrivals(self, before: Seen) -> Arrivals:
        self.looks.append(before)
        if self.fails:
            self.fails = False
            raise StoreFull
        return Arrivals(since=before.position, seen=self.seen(), down={Lane.URGENT: self.position})

    def read_lane(self, peer: Peer, *_where: object) -> tuple[tuple[str, ...], int]:
        self.reads.append(peer.path)
        return (str(peer.path),), 9

    def is_for_all(self, *_where: object) -> bool:
        return self._for_all


def with_lookout(store: Store, work: Callable[[Lookout, list[Arrivals]], Any]) -> Any:
    """Run something with a lookout over a store."""

    async def run() -> Any:
        told: list[Arrivals] = []
        with ThreadPoolExecutor(2) as readers:
            return await work(Lookout(store, readers, told.append), told)  # type: ignore[arg-type]

    return asyncio.run(run())


def test_what_goes_to_all_is_read_once() -> None:
    """A hundred children ask for the same: one read, until the next commit."""
    store = Store()

    async def work(lookout: Lookout, _told: list[Arrivals]) -> None:
        found = await asyncio.gather(*(lookout.read(child(n), REQUEST) for n in range(100)))
        assert found == [(("/0",), 9)] * 100
        assert store.reads == [Path.parse("/0")]
        lookout._committed(None)
        await lookout.read(child(7), REQUEST)
        assert store.reads[1:] == [Path.parse("/7")]

    with_lookout(store, work)


def test_a_letter_is_read_for_its_reader_alone() -> None:
    """Where something goes to one child, nobody is given what was read for another."""
    store = Store(for_all=False)

    async def work(lookout: Lookout, _told: list[Arrivals]) -> None:
        found = await asyncio.gather(*(lookout.read(child(n), REQUEST) for n in range(5)))
        assert found == [((f"/{number}",), 9) for number in range(5)]

    with_lookout(store, work)


def test_who_gives_up_does_not_take_the_read_from_the_others() -> None:
    """The first to ask is cancelled while it waits."""
    store = Store()

    async def work(lookout: Lookout, _told: list[Arrivals]) -> None:
        first = asyncio.create_task(lookout.read(child(1), REQUEST))
        second = asyncio.create_task(lookout.read(child(2), REQUEST))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == (("/1",), 9)
        assert store.reads == [Path.parse("/1")]

    with_lookout(store, work)


def test_a_shared_read_that_failed_is_made_again() -> None:
    """Nobody who comes later gets the error of before."""
    store = Store()

    async def work(lookout: Lookout, _told: list[Arrivals]) -> None:
        with patch.object(store, "is_for_all", side_effect=StoreFull), pytest.raises(StoreFull):
            await lookout.read(child(1), REQUEST)
        assert await lookout.read(child(2), REQUEST) == (("/2",), 9)

    with_lookout(store, work)


def test_a_look_that_failed_is_made_up_for() -> None:
    """What it would have told is told by the next one."""
    store = Store()

    async def work(lookout: Lookout, told: list[Arrivals]) -> None:
        lookout.start()
        store.position, store.fails = 5, True
        store.callbacks[0](None)
        await asyncio.sleep(0)
        assert lookout._looking is not None
        await lookout._looking
        assert (lookout.position, told) == (0, [])
        lookout.catch_up()
        await lookout._looking
        assert lookout.position == 5
        assert [arrivals.down for arrivals in told] == [{Lane.URGENT: 5}]
        lookout.catch_up()
        assert lookout._looking.done(), "there is nothing to catch up with"

    with_lookout(store, work)


def test_a_commit_that_says_what_it_brought_is_not_looked_for() -> None:
    """But it is where something may lie between it and what was seen."""
    store = Store()

    async def work(lookout: Lookout, told: list[Arrivals]) -> None:
        lookout.start()
        brought = Arrivals(since=0, seen=Seen(position=3), up={Lane.BULK: 3})
        later = Arrivals(since=7, seen=Seen(position=9), up={Lane.BULK: 9})
        store.callbacks[0](brought)
        await asyncio.sleep(0)
        assert (told, store.looks, lookout.position) == ([brought], [], 3)
        store.position = 9
        store.callbacks[0](later)
        await asyncio.sleep(0)
        assert lookout._looking is not None
        await lookout._looking
        assert store.looks == [Seen(position=3)]
        assert lookout.position == 9

    with_lookout(store, work)


def test_what_comes_while_it_is_looked_is_looked_for_once_more() -> None:
    """One look at a time: the next one takes all that came meanwhile."""
    store = Store()

    async def work(lookout: Lookout, told: list[Arrivals]) -> None:
        lookout.start()
        store.position = 4
        store.callbacks[0](None)
        store.callbacks[0](None)
        await asyncio.sleep(0)
        looking = lookout._looking
        assert looking is not None
        await looking
        assert lookout._looking is looking
        assert len(store.looks) == 1
        assert [arrivals.seen.position for arrivals in told] == [4]

    with_lookout(store, work)


def test_all_who_wait_are_asked_for_at_once() -> None:
    """While one group is read the next gathers; each gets its own answer, or the error."""
    groups: list[list[int]] = []

    def read(asked: Sequence[int]) -> list[int]:
        groups.append(list(asked))
        if 99 in asked:
            raise OSError
        return [each * 2 for each in asked]

    async def work(lookout: Lookout, _told: list[Arrivals]) -> None:
        grouped: Grouped[int, int] = Grouped(lookout.in_reader, read)
        numbers = [*range(99), *range(100, 300)]
        found = await asyncio.gather(*(grouped.ask(number) for number in numbers))
        assert found == [number * 2 for number in numbers]
        assert [len(group) for group in groups] == [200, 99]

    async def broken(lookout: Lookout, _told: list[Arrivals]) -> None:
        grouped: Grouped[int, int] = Grouped(lookout.in_reader, read)
        errors = await asyncio.gather(grouped.ask(99), grouped.ask(1), return_exceptions=True)
        assert [type(each) for each in errors] == [OSError, OSError]
        assert await grouped.ask(4) == 8

    with_lookout(Store(), work)
    with_lookout(Store(), broken)
