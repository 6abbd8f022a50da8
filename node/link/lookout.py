"""Looks into the store once for all links: what is new, for whom, and in which bytes.

A commit concerns few links or all of them. One look a commit says which, so that no other
one reads. What goes to every child is read once and encoded once: a directive to three
thousand children costs one read and three thousand writes.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Generic, ParamSpec, TypeVar

from yidao.api.errors import YidaoError
from yidao.node.logging import get_logger
from yidao.node.store.linkreads import Arrivals, Seen
from yidao.node.store.store import Store
from yidao.node.store.values import Peer
from yidao.sync.ids import Lane, NodeId
from yidao.sync.lanes import ReadRequest
from yidao.sync.message import Frame, Item
from yidao.sync.wire import encode_frame

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")

log = get_logger()

#: Items of a lane, and how far it is scanned with them.
Found = tuple[tuple[Item, ...], int]

# Reads that are kept until the next commit; each holds at most a frame.
_KEPT: Final = 8
# Sessions that are read for at once.
_GROUP: Final = 200


_ReadKey = tuple[Lane, int, int, int]
"""Lane, from where, up to where, how many bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """A read that serves every child if `is_for_all`, else only who asked for it."""

    found: Found
    is_for_all: bool
    node_id: NodeId


class Grouped(Generic[A, R]):
    """Asks for many at once: whoever comes while a reader is busy is in the next group.

    Each alone would cost a thread's turn and a snapshot, and after an outage all come.
    """

    def __init__(
        self,
        in_reader: Callable[[Callable[[], Sequence[R]]], Awaitable[Sequence[R]]],
        read: Callable[[Sequence[A]], Sequence[R]],
    ) -> None:
        """Take how to ask.

        Args:
            in_reader: Runs something in a reader's thread.
            read: Gives an answer for each that is asked for, in the same order.
        """
        self._in_reader = in_reader
        self._read = read
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def ask(self, asked: A) -> R:
        """Return the answer for one."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
            asked = [each for each, _ in group]
            try:
                answers = await self._in_reader(functools.partial(self._read, asked))
            except Exception as error:  # noqa: BLE001 - it is each asker's
                for _, waiting in group:
                    if not waiting.done():
                        waiting.set_exception(error)
                continue
            for (_, waiting), answer in zip(group, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)


class Lookout:
    """What all links of a node share. Lives on the event loop."""

    def __init__(
        self,
        store: Store,
        readers: ThreadPoolExecutor,
        publish: Callable[[Arrivals], None],
    ) -> None:
        """Take where to look.

        Args:
            store: Started before `start`.
            readers: Threads to read in.
            publish: Called with what is new after each look.
        """
        self._store = store
        self._readers = readers
        self._publish = publish
        self._seen = Seen()
        self._looking: asyncio.Task[None] | None = None
        self._again = False
        self._stopped = False
        self._reads: dict[_ReadKey, asyncio.Future[_Shared]] = {}
        self._encoded: tuple[Frame, bytes] | None = None

    @property
    def position(self) -> int:
        """How far the links have been told."""
        return self._seen.position

    def start(self) -> None:
        """Begin to look, with the store as it is."""
        self._seen = self._store.seen()
        loop = asyncio.get_running_loop()

        def committed(arrivals: Arrivals | None) -> None:
            loop.call_soon_threadsafe(self._committed, arrivals)

        self._store.on_commit(committed)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        if self._looking is not None:
            self._looking.cancel()

    def catch_up(self) -> None:
        """Look if there is something that no look has seen: one may have failed."""
        if self._store.last_position() > self._seen.position:
            self._committed(None)

    async def read(self, peer: Peer, request: ReadRequest) -> Found:
        """Return what a session asked for."""
        is_upward = self._store.identity.path.parent == peer.path
        if is_upward or request.journal is not None:
            return await self.in_reader(self._read, peer, request)
        key = (
            request.lane,
            request.after_position,
            request.up_to_position,
            request.max_bytes,
        )
        reading = self._reads.get(key)
        if reading is None:
            if len(self._reads) >= _KEPT:
                self._reads.clear()
            reading = asyncio.ensure_future(self.in_reader(self._read_shared, peer, request))
            self._reads[key] = reading
            reading.add_done_callback(functools.partial(self._forget_failed, key))
        # Who gives up must not take the read from the others.
        shared = await asyncio.shield(reading)
        if shared.is_for_all or shared.node_id == peer.node_id:
            return shared.found
        return await self.in_reader(self._read, peer, request)

    def encode(self, frame: Frame) -> bytes:
        """Return a frame's bytes; those of the last one again if it is the same."""
        if self._encoded is not None:
            last, data = self._encoded
            # The very same items: to compare them would cost as much as to encode them.
            if last.items is frame.items and _place(last) == _place(frame):
                return data
        data = encode_frame(frame)
        self._encoded = (frame, data)
        return data

    def in_reader(
        self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[R]:
        """Run what reads the store in a reader's thread."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._readers, functools.partial(function, *args, **kwargs))

    def _committed(self, arrivals: Arrivals | None) -> None:
        self._reads.clear()
        self._encoded = None
        if self._stopped:
            return
        is_looking = self._looking is not None and not self._looking.done()
        if arrivals is not None and not is_looking and arrivals.since == self._seen.position:
            # Nothing lies between what was seen and what this commit says of itself.
            self._seen = replace(self._seen, position=arrivals.seen.position)
            self._publish(arrivals)
        elif is_looking:
            self._again = True
        else:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        self._again = True
        while self._again:
            self._again = False
            try:
                arrivals = await self.in_reader(self._store.arrivals, self._seen)
            except YidaoError as error:
                log.warning("link.look.failed", code=error.code)
                return  # `catch_up` looks again
            self._seen = arrivals.seen
            self._publish(arrivals)

    def _forget_failed(self, key: _ReadKey, reading: "asyncio.Future[_Shared]") -> None:
        """Let the next session read again what could not be read."""
        if self._reads.get(key) is reading and (
            reading.cancelled() or reading.exception() is not None
        ):
            del self._reads[key]

    def _read(self, peer: Peer, request: ReadRequest) -> Found:
        if request.journal is not None:
            items = self._store.read_backfill(
                peer,
                request.journal,
                request.from_seq,
                request.up_to_position,
                request.max_bytes,
            )
            return items, request.up_to_position
        return self._store.read_lane(
            peer,
            request.lane,
            request.after_position,
            request.up_to_position,
            request.max_bytes,
        )

    def _read_shared(self, peer: Peer, request: ReadRequest) -> _Shared:
        found = self._read(peer, request)
        _, scanned_to = found
        return _Shared(
            found=found,
            is_for_all=self._store.is_for_all(request.lane, request.after_position, scanned_to),
            node_id=peer.node_id,
        )


def _place(frame: Frame) -> tuple[Lane, int, bool]:
    return frame.lane, frame.after_position, frame.backfill
