"""Drives one session: the sans-IO machine of `yidao.sync.session` on real streams and a real store.

A driver belongs to one connection and lives on the event loop. It reads control
and data all the time; it sends what the store holds for the peer, and finishes
ingests in the order in which they were submitted, in tasks that end when there is
nothing more to do, since a parent may have thousands of drivers that wait. Both
sides of a connection run the same code; only who opens the streams differs.

What reaches the store is durable before the session hears of it, and so
before the peer sees an acknowledgement.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from yidao.api.errors import YidaoError
from yidao.node.link.errors import LinkFrameAfterFailure, LinkQuotaExceeded
from yidao.node.link.lookout import Lookout
from yidao.node.link.outbox import Outbox
from yidao.node.link.peercheck import Peer as CheckedPeer
from yidao.node.link.quota import Quota
from yidao.node.link.resumption import Resumption, Told
from yidao.node.link.room import Room
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
from yidao.sync.ids import Lane, NodeId
from yidao.sync.lanes import ReadRequest
from yidao.sync.message import Hello, Receipt, Refusal
from yidao.sync.session import Session
from yidao.sync.wire import decode_control, decode_frame, encode_control

log = get_logger()


class Surroundings(Protocol):
    """What a driver needs of the node around it."""

    store: Store
    lookout: Lookout
    room: Room
    resumption: Resumption
    #: Nothing is sent while an epoch is opened: what is written in it must not come before the
    #: chain of epochs, which a session begins with.
    holds_back: bool

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
        self.control_out = Outbox()
        self.data_out = Outbox()
        self.opened_data = False
        self.located = asyncio.Event()
        self.closed = False
        self.close_code = ""
        self._around = around
        self._clock_ms = clock_ms
        self._ended: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._look_again = False
        self._heads: dict[Lane, int] = {}
        self._located_to = 0
        self._receipts_due = False
        self._store_peer: Peer | None = None
        self._told = Told()
        self._receipts_mark = 0
        self._ingest_failed = False
        self._lent_bytes = 0
        self._noted_acks: dict[int, int] = {}
        self._ingests: list[tuple[Ingest, Future[Outcome]]] = []
        self._finishing: asyncio.Task[None] | None = None

    async def run(self, control_in: AsyncIterator[bytes]) -> None:
        """Hold the session until it closes; returns in good order, whatever ended it."""
        self._ended = asyncio.get_running_loop().create_future()
        reading = self._task(self._read_control(control_in), ends=True)
        try:
            await self._run_effects(self.session.start())
            await self._ended
        except Exception as error:  # noqa: BLE001 - a defect of ours is raised again
            await self._fail(error)
        finally:
            self._shut()
            tasks = [each for each in (reading, self._sending, self._finishing) if each]
            for task in tasks:
                task.cancel()
            # Nothing lends any more, and who is cancelled in the wait below gives it back too.
            self._around.room.give_back(self._lent_bytes)
            self._lent_bytes = 0
            await asyncio.gather(*tasks, return_exceptions=True)

    async def read_data(self, data_in: AsyncIterator[bytes]) -> None:
        """Take frames until the stream or the session ends."""
        self.opened_data = True
        self.wake()
        try:
            async for data in data_in:
                if self.closed:
                    return
                await self._run_effects(self.session.receive_frame(decode_frame(data), len(data)))
        except YidaoError as error:
            await self._fail(error)
        except Exception as error:  # noqa: BLE001 - raised again by `run`
            if self._ended is not None and not self._ended.done():
                self._ended.set_exception(error)

    def wake(self) -> None:
        """Look again whether there is something to send."""
        self._look_again = True
        if not self.progress.flowing or not self.opened_data:
            return
        if self._sending is None or self._sending.done():
            self._sending = self._task(self._send())

    def arrived(self, heads: Mapping[Lane, int], *, receipts: bool) -> None:
        """Hear how far lanes to this peer reach now, and whether there are receipts for it."""
        for lane, position in heads.items():
            self._heads[lane] = max(position, self._heads.get(lane, 0))
        self._receipts_due = self._receipts_due or receipts
        if heads or receipts:
            self.wake()

    async def tick(self, now_seconds: float, wall_ms: int) -> None:
        """Let time pass; about once a second."""
        await self._run_effects(self.session.tick(now_seconds, wall_ms))

    def new_acks(self) -> tuple[NodeId, Mapping[int, int]] | None:
        """Return who acknowledged and up to where, if that is not noted yet."""
        if self._store_peer is None or self.progress.acked == self._noted_acks:
            return None
        self._noted_acks = dict(self.progress.acked)
        return self._store_peer.node_id, self._noted_acks

    async def close(self, code: str, retry_after_ms: int = 0) -> None:
        """Say goodbye and end the session."""
        if not self.closed:
            await self._run_effects(self.session.close(code, retry_after_ms))

    async def _read_control(self, control_in: AsyncIterator[bytes]) -> None:
        async for data in control_in:
            self.progress.last_seen_ms = self._clock_ms()
            await self._run_effects(self.session.receive(decode_control(data)))

    async def _send(self) -> None:
        lookout = self._around.lookout
        while self._look_again:
            self._look_again = False
            while (request := self._next_read()) is not None:
                items, scanned_to = await lookout.read(self._peer_in_store(), request)
                await self._run_effects(self.session.frame_read(request, items, scanned_to))
            if self._receipts_due:
                self._receipts_due = False
                await self._send_receipts()

    def _next_read(self) -> ReadRequest | None:
        if self._around.holds_back:
            return None
        head = max(self._located_to, self._around.lookout.position)
        return self.session.next_read(head, self._heads)

    async def _send_receipts(self) -> None:
        """Send the cosignatures that came up since the last time towards their origins."""
        while True:
            receipts, mark = await self._around.lookout.in_reader(
                self._around.store.receipts, self._peer_in_store(), self._receipts_mark
            )
            self._receipts_mark = mark
            if not receipts:
                return
            await self._run_effects(self.session.send_receipts(receipts))

    async def _finish_ingests(self) -> None:
        while self._ingests:
            ingest, future = self._ingests.pop(0)
            outcome = await asyncio.wrap_future(future)
            self._around.resumption.ingested(self.peer, outcome)
            waits, more = 0.0, 0
            quota = self._around.quota_of(self.peer)
            if quota is not None:
                # Before the wait, in which what it costs would go on.
                try:
                    quota.refused(outcome.refused_items)
                except LinkQuotaExceeded:
                    # The child hears what was wrong with it.
                    await self._run_effects(self.session.ingested(ingest, outcome.refusals))
                    raise
                # It is durable; what waits is the acknowledgement, and the credit in it.
                waits = quota.spend(ingest.size_bytes)
                await asyncio.sleep(waits)
            # Who is slowed down gets no more room to fill.
            if waits == 0.0 and self.session.wants_room():
                more = self._around.room.lend(self._lent_bytes)
                self._lent_bytes += more
            await self._run_effects(self.session.ingested(ingest, outcome.refusals, more))
            if outcome.receipts:
                await self._run_effects(self.session.send_receipts(outcome.receipts))

    def _task(self, work: Coroutine[Any, Any, None], *, ends: bool = False) -> asyncio.Task[None]:
        """Run something beside; the session ends with its error, or with it if it `ends`."""
        task = asyncio.create_task(work)

        def done(task: asyncio.Task[None]) -> None:
            if self._ended is None or self._ended.done():
                return
            error = None if task.cancelled() else task.exception()
            if error is not None:
                self._ended.set_exception(error)
            elif ends:
                self._ended.set_result(None)

        task.add_done_callback(done)
        return task

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

        self._ingests.append((effect, self._around.store.submit(ingest)))
        if self._finishing is None or self._finishing.done():
            self._finishing = self._task(self._finish_ingests())

    async def _greet(self, hello: Hello) -> None:
        await self._around.greeted(self, hello)
        peer = self._store_peer = Peer(
            node_id=self.peer.node_id, path=self.peer.path, store_id=hello.store_id
        )
        told = self._told = await self._around.resumption.told(peer)
        said = told.greeting
        await self._run_effects(
            self.session.resume(
                said.cursors,
                holdings=said.holdings,
                wanted=(*told.lost, *said.wanted),
                held=said.held,
                receipts=told.receipts,
            )
        )

    async def _locate(self, effect: Locate) -> None:
        located = await self._around.resumption.locate(self._peer_in_store(), effect.cursors)
        right = located.right
        # A cursor is an acknowledgement too: the one that the last session sent may be lost.
        self.progress.acked.update({int(each.lane): each.position for each in right})
        reason = await self._around.resumption.heard(self.peer, effect, self._told)
        if reason:
            await self._run_effects(self.session.close(reason))
            return
        await self._run_effects(self.session.located([each.lane for each in right]))
        self._located_to = located.position
        self.progress.flowing = True
        self.located.set()
        # Said and heard; thousands of sessions would keep it for hours.
        self._told = Told()
        self.arrived(located.heads, receipts=located.receipts)

    def _peer_in_store(self) -> Peer:
        if self._store_peer is None:
            raise RuntimeError("the session moved records before its hello")
        return self._store_peer

    async def _fail(self, error: BaseException) -> None:
        if self.closed:
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
        self.closed = True
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
