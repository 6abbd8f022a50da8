"""Drives one session: the sans-IO machine of `yidao.sync.session` on real streams and a real store.

A driver belongs to one connection and lives on the event loop. It has four
tasks: read control, read data, send what the store holds for the peer, and
finish ingests in the order in which they were submitted. Both sides of a
connection run the same code; only who opens the streams differs.

What reaches the store is durable before the session hears of it, and so
before the peer sees an acknowledgement.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeVar

from yidao.api.errors import YidaoError
from yidao.node.link.errors import LinkFrameAfterFailure, LinkQuotaExceeded
from yidao.node.link.peercheck import Peer as CheckedPeer
from yidao.node.link.quota import Quota
from yidao.node.logging import get_logger
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Outcome, Peer
from yidao.sync.effects import (
    Close,
    Effect,
    Ingest,
    Locate,
    Opened,
    PeerRefused,
    SendControl,
    SendFrame,
    StoreAck,
    StoreReceipt,
)
from yidao.sync.ids import Lane
from yidao.sync.lanes import ReadRequest
from yidao.sync.message import Held, Hello, Holding, Item, Receipt, Refusal
from yidao.sync.session import Session
from yidao.sync.wire import decode_control, decode_frame, encode_control

P = ParamSpec("P")
R = TypeVar("R")

_TICK_SECONDS = 1.0

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a Resume says beside cursors.

    Attributes:
        lost: Own journals that the peer is asked to give back.
        held: What is held of the peer's journals.
        receipts: Own checkpoints that the peer must know.
    """

    lost: tuple[Holding, ...] = ()
    held: tuple[Held, ...] = ()
    receipts: tuple[Held, ...] = ()


class Surroundings(Protocol):
    """What a driver needs of the node around it."""

    store: Store
    readers: ThreadPoolExecutor

    async def greeted(self, driver: "Driver", hello: Hello) -> None:
        """Check what the peer says of itself. Raises a typed error to refuse it."""

    async def receipt_arrived(self, driver: "Driver", receipt: Receipt) -> None:
        """Keep a receipt, and pass it on if it is for a node below."""

    def refused(self, driver: "Driver", refusal: Refusal) -> None:
        """The peer refused a journal that this node sent."""

    def quota_of(self, peer: CheckedPeer) -> Quota | None:
        """What a child may still cost; None for the parent."""

    def over_quota(self, peer: CheckedPeer) -> None:
        """A child sent too much that had to be refused; its session ends."""

    def told(self, peer: Peer) -> Told:
        """Return what to tell the peer of who holds what. Called in a reader's thread."""

    async def heard(self, driver: "Driver", told: Locate, said: Told) -> str:
        """Judge what the peer holds; returns why the session must end, empty to go on."""

    def ingested(self, driver: "Driver", outcome: Outcome) -> None:
        """A frame of the peer is durable."""


@dataclass(slots=True)
class Progress:
    """What `status` shows of one connection."""

    acked: dict[int, int] = field(default_factory=dict)
    last_seen_ms: int = 0
    flowing: bool = False


class Driver:
    """One connection's session, from hello to close."""

    def __init__(
        self,
        *,
        session: Session,
        peer: CheckedPeer,
        around: Surroundings,
        clock_ms: Callable[[], int],
    ) -> None:
        self.session = session
        self.peer = peer
        self.progress = Progress()
        self.control_out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.data_out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.opened_data = asyncio.Event()
        self.located = asyncio.Event()
        self.closed = asyncio.Event()
        self.close_code = ""
        self._around = around
        self._clock_ms = clock_ms
        self._wake = asyncio.Event()
        self._store_peer: Peer | None = None
        self._told = Told()
        self._receipts_mark = 0
        self._ingest_failed = False
        self._noted_acks: dict[int, int] = {}
        self._ingests: asyncio.Queue[tuple[Ingest, Future[Outcome]]] = asyncio.Queue()

    async def run(self, control_in: AsyncIterator[bytes]) -> None:
        """Hold the session until it closes; returns in good order, whatever ended it."""
        work = {
            "control": self._read_control(control_in),
            "send": self._send(),
            "ingest": self._finish_ingests(),
            "tick": self._tick(),
            "closing": self._until_closed(),
        }
        tasks = [asyncio.create_task(each, name=name) for name, each in work.items()]
        try:
            await self._run_effects(self.session.start())
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and (error := task.exception()) is not None:
                    await self._fail(error)
        finally:
            self._shut()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def read_data(self, data_in: AsyncIterator[bytes]) -> None:
        """Take frames until the stream or the session ends."""
        self.opened_data.set()
        self.wake()
        try:
            async for data in data_in:
                if self.closed.is_set():
                    return
                await self._run_effects(self.session.receive_frame(decode_frame(data), len(data)))
        except YidaoError as error:
            await self._fail(error)

    def wake(self) -> None:
        """Look again whether there is something to send."""
        self._wake.set()

    async def close(self, code: str, retry_after_ms: int = 0) -> None:
        """Say goodbye and end the session."""
        if not self.closed.is_set():
            await self._run_effects(self.session.close(code, retry_after_ms))

    async def _read_control(self, control_in: AsyncIterator[bytes]) -> None:
        async for data in control_in:
            self.progress.last_seen_ms = self._clock_ms()
            await self._run_effects(self.session.receive(decode_control(data)))

    async def _send(self) -> None:
        store = self._around.store
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self.progress.flowing or not self.opened_data.is_set():
                continue
            while (request := self.session.next_read(store.last_position())) is not None:
                items, scanned_to = await self._in_reader(self._read_store, request)
                await self._run_effects(self.session.frame_read(request, items, scanned_to))
            await self._send_receipts()

    async def _send_receipts(self) -> None:
        """Send the cosignatures that came up since the last time towards their origins."""
        while True:
            receipts, mark = await self._in_reader(
                self._around.store.receipts, self._peer_in_store(), self._receipts_mark
            )
            self._receipts_mark = mark
            if not receipts:
                return
            await self._run_effects(self.session.send_receipts(receipts))

    async def _in_reader(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._around.readers, functools.partial(function, *args, **kwargs)
        )

    async def _finish_ingests(self) -> None:
        while True:
            ingest, future = await self._ingests.get()
            outcome = await asyncio.wrap_future(future)
            self._around.ingested(self, outcome)
            quota = self._around.quota_of(self.peer)
            if quota is not None:
                # Before the wait, in which what it costs would go on.
                quota.refused(outcome.refused_items)
                # It is durable; what waits is the acknowledgement, and the credit in it.
                await asyncio.sleep(quota.spend(ingest.size_bytes))
            await self._run_effects(self.session.ingested(ingest, outcome.refusals))

    async def _until_closed(self) -> None:
        await self.closed.wait()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._note_acks()
            await self._run_effects(self.session.tick(time.monotonic(), self._clock_ms()))

    def _note_acks(self) -> None:
        """Remember, once a second, how far the peer is: `status` shows it after a restart too."""
        if self._store_peer is None or self.progress.acked == self._noted_acks:
            return
        peer, acked = self._store_peer, dict(self.progress.acked)
        self._noted_acks = acked

        def note(tx: Tx) -> None:
            for lane, position in acked.items():
                tx.peer_acked(peer, Lane(lane), position)

        self._around.store.submit(note)

    async def _run_effects(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendControl():
                    self.control_out.put_nowait(encode_control(effect.message))
                case SendFrame():
                    self.data_out.put_nowait(effect.data)
                case Ingest():
                    self._submit(effect)
                case Close():
                    self.close_code = effect.code
                    self._shut()
                case _:
                    await self._attend(effect)

    async def _attend(
        self, effect: Opened | Locate | StoreAck | StoreReceipt | PeerRefused
    ) -> None:
        """Do what needs the node around the session."""
        match effect:
            case Opened():
                await self._greet(effect.hello)
            case Locate():
                await self._locate(effect)
            case StoreAck():
                self.progress.acked[int(effect.lane)] = effect.position
                self.wake()
            case StoreReceipt():
                await self._around.receipt_arrived(self, effect.receipt)
            case PeerRefused():
                self._around.refused(self, effect.refusal)

    def _submit(self, effect: Ingest) -> None:
        peer, frame = self._peer_in_store(), effect.frame

        def ingest(tx: Tx) -> Outcome:
            # In the writer's thread, so that it holds for what is queued already: after a
            # failed frame a later one could pass the declaration that the failed one carried.
            if self._ingest_failed:
                raise LinkFrameAfterFailure
            try:
                return tx.ingest(peer, frame)
            except BaseException:
                self._ingest_failed = True
                raise

        self._ingests.put_nowait((effect, self._around.store.submit(ingest)))

    async def _greet(self, hello: Hello) -> None:
        await self._around.greeted(self, hello)
        store = self._around.store
        peer = self._store_peer = Peer(
            node_id=self.peer.node_id, path=self.peer.path, store_id=hello.store_id
        )
        cursors = store.cursors(peer)
        holdings = () if cursors else store.holdings(peer)
        told = await self._in_reader(self._around.told, peer)
        self._told = told
        await self._run_effects(
            self.session.resume(
                cursors,
                holdings=holdings,
                wanted=(*told.lost, *store.wanted(peer)),
                held=told.held,
                receipts=told.receipts,
            )
        )

    async def _locate(self, effect: Locate) -> None:
        store = self._around.store
        right = [cursor for cursor in effect.cursors if store.cursor_is_ours(cursor)]
        # A cursor is an acknowledgement too: the one that the last session sent may be lost.
        self.progress.acked.update({int(each.lane): each.position for each in right})
        reason = await self._around.heard(self, effect, self._told)
        if reason:
            await self._run_effects(self.session.close(reason))
            return
        await self._run_effects(self.session.located([each.lane for each in right]))
        self.progress.flowing = True
        self.located.set()
        self.wake()

    def _peer_in_store(self) -> Peer:
        if self._store_peer is None:
            raise RuntimeError("the session moved records before its hello")
        return self._store_peer

    async def _fail(self, error: BaseException) -> None:
        if self.closed.is_set():
            return
        if isinstance(error, LinkQuotaExceeded):
            self._around.over_quota(self.peer)
            wait_ms = int(error.params["seconds"]) * 1_000
            await self.close(error.code, retry_after_ms=wait_ms)
        elif isinstance(error, YidaoError):
            log.warning("link.session.failed", peer=str(self.peer.path), code=error.code)
            await self._run_effects(self.session.fail(error))
        else:
            self.close_code = "LINK_LOST"
            self._shut()
            raise error

    def _shut(self) -> None:
        self.progress.flowing = False
        self.control_out.put_nowait(None)
        self.data_out.put_nowait(None)
        self.closed.set()

    def _read_store(self, request: ReadRequest) -> tuple[tuple[Item, ...], int]:
        store, peer = self._around.store, self._peer_in_store()
        if request.journal is not None:
            items = store.read_backfill(
                peer,
                request.journal,
                request.from_seq,
                request.up_to_position,
                request.max_bytes,
            )
            return items, request.up_to_position
        return store.read_lane(
            peer,
            request.lane,
            request.after_position,
            request.up_to_position,
            request.max_bytes,
        )
