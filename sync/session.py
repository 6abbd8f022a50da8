"""The session between two nodes, without IO: values in, effects out.

Which order the two may speak in is `yidao.sync.states`; what may be read and sent
next is `yidao.sync.lanes`, what may come next `yidao.sync.inbound`; this module joins
them. Whoever catches a `PeerError` calls `Session.fail`. A closed session neither
hears nor speaks: what was under way when it closed is dropped, and the next session
resumes.

Nothing here is durable. Losing a session at any point loses nothing, because
cursors live in the receiver's store and positions in the sender's.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from yidao.api.errors import YidaoError
from yidao.sync import effects, errors
from yidao.sync.effects import Effects
from yidao.sync.ids import Lane, NodeId, Path
from yidao.sync.inbound import Inbound
from yidao.sync.lanes import Outbound, ReadRequest
from yidao.sync.message import (
    MAX_CLAIMS,
    MAX_HELD,
    MAX_HOLDINGS,
    MAX_WANTED,
    Ack,
    Control,
    Frame,
    Goodbye,
    Heartbeat,
    Held,
    Hello,
    Holding,
    Item,
    LaneCursor,
    Receipt,
    Refusal,
    Resume,
)
from yidao.sync.pace import Pace, Pulse
from yidao.sync.routing import is_adjacent
from yidao.sync.states import Event, State, next_state
from yidao.sync.wire import encode_frame

_EVENT_OF: Final[Mapping[type, Event]] = {
    Hello: Event.HELLO,
    Resume: Event.RESUME,
    Ack: Event.ACK,
    Receipt: Event.RECEIPT,
    Refusal: Event.REFUSAL,
    Heartbeat: Event.HEARTBEAT,
    Goodbye: Event.GOODBYE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes and times of one session.

    Attributes:
        window_bytes: What the peer may send before it is durable here; less than
            one segment (1 MiB) is exceeded by one frame at most.
        frame_bytes: A frame on a fast line: where the cost of a message vanishes.
        min_frame_bytes: A frame on the slowest line.
        heartbeat_seconds: How often we give a sign of life.
        silence_seconds: How long the peer may give none.
        stall_seconds: How long the peer may live and acknowledge nothing: longer than
            a struggling disk needs for one frame, since a new session would only
            send the same again.
    """

    window_bytes: int = 1 << 20
    frame_bytes: int = 256 << 10
    min_frame_bytes: int = 16 << 10
    heartbeat_seconds: float = 15.0
    silence_seconds: float = 45.0
    stall_seconds: float = 180.0


class Session:
    """One session on one connection. Every method returns what is to be done next.

    The caller carries effects out in order, from one thread. A method that raises
    a `PeerError` has changed nothing.

    Args:
        own: What we say of ourselves.
        peer_node_id: Who the peer's certificate says it is.
        peer_path: Where that node stands, our parent or our child.
        limits: Sizes and times.
        encode: Gives a frame's bytes; of `encode_frame`, which may be remembered.

    Raises:
        NotAdjacent: The peer is neither our parent nor our child.
    """

    def __init__(
        self,
        *,
        own: Hello,
        peer_node_id: NodeId,
        peer_path: Path,
        limits: Limits | None = None,
        encode: Callable[[Frame], bytes] = encode_frame,
    ) -> None:
        if not is_adjacent(own.path, peer_path):
            raise errors.NotAdjacent(own=str(own.path), peer=str(peer_path))
        self._own = own
        self._peer_node_id = peer_node_id
        self._peer_path = peer_path
        self._limits = limits or Limits()
        self._encode = encode
        self._state = State.NEW
        self._peer: Hello | None = None
        self._peer_resume: Resume | None = None
        self._inbound: Inbound | None = None
        self._outbound: Outbound | None = None
        self._read: ReadRequest | None = None
        pace = Pace(
            min_frame_bytes=self._limits.min_frame_bytes,
            max_frame_bytes=self._limits.frame_bytes,
        )
        self._pulse = Pulse(pace, self._limits.heartbeat_seconds)

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def peer(self) -> Hello | None:
        """What the peer said of itself, None before it did."""
        return self._peer

    # Opening.

    def start(self) -> Effects:
        """Say Hello."""
        self._state = next_state(self._state, Event.START)
        return (effects.SendControl(message=self._own),)

    def resume(
        self,
        cursors: Collection[LaneCursor] = (),
        *,
        holdings: Iterable[Holding] = (),
        wanted: Iterable[Holding] = (),
        held: Iterable[Held] = (),
        receipts: Iterable[Held] = (),
    ) -> Effects:
        """Answer `Opened`: say where we stand in the peer's store.

        Args:
            cursors: Our durable cursors in the store that the peer's Hello names.
            holdings: What we hold of journals that come from the peer; only sent if
                there is no cursor, and cut at what one message may name.
            wanted: What we refused and need again, cut likewise.
            held: The newest checkpoints that we hold of the peer's own journals, the most
                important first; cut likewise.
            receipts: Our checkpoints that the peer has cosigned; cut likewise.
        """
        if self._state is State.CLOSED:
            return ()
        after = next_state(self._state, Event.OWN_RESUME)
        peer = self._known_peer()
        resume = Resume(
            store_id=peer.store_id,
            credit_bytes=self._limits.window_bytes,
            cursors=tuple(cursors),
            holdings=() if cursors else tuple(holdings)[:MAX_HOLDINGS],
            wanted=tuple(wanted)[:MAX_WANTED],
            held=tuple(held)[:MAX_HELD],
            receipts=tuple(receipts)[:MAX_CLAIMS],
        )
        self._inbound = Inbound(
            window_bytes=resume.credit_bytes, cursors=resume.cursors, wanted=resume.wanted
        )
        self._state = after
        return (effects.SendControl(message=resume), *self._locate())

    def located(self, right: Collection[Lane]) -> Effects:
        """Answer `Locate`: from now on frames may be read and sent.

        Args:
            right: The lanes whose cursor agrees with our store; the others start over.
        """
        if self._state is State.CLOSED:
            return ()
        after = next_state(self._state, Event.LOCATED)
        resume = self._known_resume()
        self._outbound = Outbound(
            credit_bytes=resume.credit_bytes,
            starts={c.lane: c.position for c in self._our_cursors() if c.lane in right},
            holdings=resume.holdings,
            wanted=[each for each in resume.wanted if not self._is_peers(each)],
            returned=[each for each in resume.wanted if self._is_peers(each)],
        )
        self._state = after
        return ()

    # What the peer sends.

    def receive(self, message: Control) -> Effects:
        """Take one message of the control stream.

        Raises:
            PeerError: It is out of order or wrong; call `fail` with it.
        """
        if self._state is State.CLOSED:
            return ()
        after = next_state(self._state, _EVENT_OF[type(message)])
        done: Effects = ()
        match message:
            case Hello():
                done = self._greeted(message)
            case Resume():
                self._check_resume(message)
                self._peer_resume = message
            case Ack():
                done = self._acked(message)
            case Receipt():
                done = (effects.StoreReceipt(receipt=message),)
            case Refusal():
                done = (effects.PeerRefused(refusal=message),)
            case Goodbye(code=code, retry_after_ms=wait):
                done = (effects.Close(code=code, by_peer=True, retry_after_ms=wait),)
            case Heartbeat():
                pass
        self._state = after
        # Who has not said who it is may not live on signs of life.
        if self._peer is not None:
            self._pulse.heard()
        return (*done, *self._locate()) if isinstance(message, Resume) else done

    def receive_frame(self, frame: Frame, size_bytes: int) -> Effects:
        """Take one frame of the data stream; `size_bytes` as it came.

        Raises:
            PeerError: It is out of order or wrong; call `fail` with it.
        """
        if self._state is State.CLOSED:
            return ()
        after = next_state(self._state, Event.FRAME)
        self._known_inbound().accept(frame, size_bytes)
        self._state = after
        self._pulse.heard()
        return (effects.Ingest(frame=frame, size_bytes=size_bytes),)

    def wants_room(self) -> bool:
        """Whether the peer would send more than its credit lets it; asked once a frame."""
        return self._inbound is not None and self._inbound.take_crowded()

    def ingested(
        self, done: effects.Ingest, refusals: Iterable[Refusal] = (), room_bytes: int = 0
    ) -> Effects:
        """Tell the peer that a frame is durable, fsynced, and what of it was refused.

        Args:
            done: The frame.
            refusals: Of its journals.
            room_bytes: What the peer may have under way more than until now.

        Raises:
            SessionMisused: It is not the oldest frame that was to be stored.
        """
        if self._state is State.CLOSED:
            return ()
        after = next_state(self._state, Event.INGESTED)
        inbound = self._known_inbound()
        if not inbound.is_next(done.frame):
            raise errors.SessionMisused(state=self._state.value, event=Event.INGESTED.value)
        self._state = after
        said: list[Control] = [*refusals, inbound.durable()]
        if room_bytes:
            said.append(inbound.granted(room_bytes))
        return tuple([effects.SendControl(message=message) for message in said])

    # What we send.

    def next_read(
        self, head: int, lane_heads: Mapping[Lane, int] | None = None
    ) -> ReadRequest | None:
        """Return what to read from our store now.

        Answer it with `frame_read` before asking again.

        Args:
            head: The last position that is durable in our store.
            lane_heads: For each lane the last position that could go to this peer, or
                any later one; it saves reads that would find nothing.

        Returns:
            None while there is nothing to do before a commit of ours or an
            acknowledgement of the peer's.
        """
        if self._state is not State.FLOWING or self._read is not None:
            return None
        frame_bytes = self._pulse.pace.frame_bytes
        self._read = self._known_outbound().next_read(head, frame_bytes, lane_heads)
        return self._read

    def frame_read(self, request: ReadRequest, items: tuple[Item, ...], scanned_to: int) -> Effects:
        """Take what the store answered to `request`.

        Args:
            request: As `next_read` gave it.
            items: What was found, by ascending position.
            scanned_to: Up to where there is nothing else in this lane.

        Raises:
            SessionMisused, ReadInvalid: It answers another question.
            FrameTooLarge: It is more than one frame may hold; call `fail`.
        """
        if self._state is State.CLOSED:
            return ()
        after = next_state(self._state, Event.READ)
        if request is not self._read:
            raise errors.SessionMisused(state=self._state.value, event=Event.READ.value)
        outbound = self._known_outbound()
        frame = outbound.take(request, items, scanned_to)
        self._read = None
        self._state = after
        if frame is None:
            return ()
        return _sent(outbound.offer(frame, self._encode(frame)))

    def send_receipts(self, receipts: Iterable[Receipt]) -> Effects:
        """Pass cosignatures on towards their origins."""
        if self._state is State.CLOSED:
            return ()
        self._state = next_state(self._state, Event.OWN_RECEIPT)
        return tuple([effects.SendControl(message=receipt) for receipt in receipts])

    # Time and the end.

    def tick(self, now_seconds: float, wall_ms: int) -> Effects:
        """Let time pass; about once a second.

        Args:
            now_seconds: A clock that never goes back.
            wall_ms: The clock that people see, for the peer to compare.
        """
        if self._state in (State.NEW, State.CLOSED):
            return ()
        under_way = self._outbound.under_way_bytes if self._outbound else 0
        if self._outbound:
            self._outbound.tick()
        beat = self._pulse.tick(now_seconds, under_way)
        limits = self._limits
        if self._pulse.silent_seconds(now_seconds) >= limits.silence_seconds:
            return self.fail(errors.SessionSilent(seconds=int(limits.silence_seconds)))
        if self._pulse.stalled_seconds(now_seconds) >= limits.stall_seconds:
            return self.fail(errors.SessionStalled(seconds=int(limits.stall_seconds)))
        return (effects.SendControl(message=Heartbeat(now_ms=wall_ms)),) if beat else ()

    def fail(self, error: YidaoError, retry_after_ms: int = 0) -> Effects:
        """End the session because of an error, ours or the peer's."""
        return self.close(error.code, retry_after_ms)

    def close(self, code: str, retry_after_ms: int = 0) -> Effects:
        """End the session; the peer is told why, if it still listens."""
        if self._state is State.CLOSED:
            return ()
        self._state = next_state(self._state, Event.CLOSE)
        goodbye = Goodbye(code=code, retry_after_ms=retry_after_ms)
        return (effects.SendControl(message=goodbye), effects.Close(code=code))

    def _locate(self) -> Effects:
        if self._state is not State.LOCATING:
            return ()
        told = self._known_resume()
        return (
            effects.Locate(cursors=self._our_cursors(), held=told.held, receipts=told.receipts),
        )

    def _is_peers(self, holding: Holding) -> bool:
        return holding.journal.node_id == self._peer_node_id

    def _our_cursors(self) -> tuple[LaneCursor, ...]:
        return tuple([cursor for cursor in self._known_resume().cursors if cursor.position])

    def _greeted(self, hello: Hello) -> Effects:
        own = self._own
        if max(own.min_version, hello.min_version) > min(own.max_version, hello.max_version):
            raise errors.VersionUnsupported(minimum=hello.min_version, maximum=hello.max_version)
        if hello.network != own.network:
            raise errors.NetworkMismatch
        if hello.node_id != self._peer_node_id:
            raise errors.PeerMismatch(field="node_id")
        if hello.path != self._peer_path:
            raise errors.PeerMismatch(field="path")
        # The chain is for whoever opens the session, and then of no more use.
        self._peer = replace(hello, chain=())
        return (effects.Opened(hello=hello),)

    def _check_resume(self, resume: Resume) -> None:
        # The peer has our Hello, so cursors of another store of ours are a replay.
        if resume.store_id != self._own.store_id:
            raise errors.PeerMismatch(field="store_id")

    def _acked(self, ack: Ack) -> Effects:
        outbound = self._known_outbound()
        outbound.acked(ack.lane, ack.position, ack.credit_bytes)
        self._pulse.acked(ack.credit_bytes)
        kept = effects.StoreAck(lane=ack.lane, position=ack.position)
        return (kept, *_sent(outbound.release()))

    # The table promises that these are there in the states that ask for them.

    def _known_peer(self) -> Hello:
        assert self._peer is not None
        return self._peer

    def _known_resume(self) -> Resume:
        assert self._peer_resume is not None
        return self._peer_resume

    def _known_inbound(self) -> Inbound:
        assert self._inbound is not None
        return self._inbound

    def _known_outbound(self) -> Outbound:
        assert self._outbound is not None
        return self._outbound


def _sent(ready: Iterable[tuple[Frame, bytes]]) -> Effects:
    return tuple([effects.SendFrame(frame=frame, data=data) for frame, data in ready])
