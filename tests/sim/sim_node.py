"""The program around the sessions of one node, driven by virtual time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.model_state import (
    Enrolled,
    Outcome,
    State,
)
from sim.scheduler import CONTROL, DATA, Connection, End
from sim.sim_writer import SimWriter
from sim.warden import RESUMING, SimWarden
from yidao.sync import effects as fx
from yidao.sync import errors
from yidao.sync.backoff import Backoff
from yidao.sync.epoch import Cause, EpochOpened
from yidao.sync.fencing import Standing, Start
from yidao.sync.ids import Lane, NodeId
from yidao.sync.lanes import ReadRequest
from yidao.sync.lives import Heard, Lives
from yidao.sync.message import Hello, Holding, Refusal
from yidao.sync.session import Limits, Session
from yidao.sync.states import State as Stage
from yidao.sync.wire import decode_control, decode_frame, encode_control

if TYPE_CHECKING:
    from sim.world import World

LIMITS = Limits(
    window_bytes=6_000,
    frame_bytes=1_500,
    min_frame_bytes=300,
    heartbeat_seconds=2,
    silence_seconds=6,
    stall_seconds=10,
)


REPLACED = "REPLACED"
KEYS_CHANGED = "KEYS_CHANGED"


@dataclass(slots=True, eq=False)
class Link:
    """One session on one connection, as one of its two nodes sees it."""

    peer: Enrolled
    session: Session
    connection: Connection
    side: int
    refused: list[Refusal] = field(default_factory=list)
    # Which of its own journals this side has asked the other for.
    asked: tuple[Holding, ...] = ()
    # Set by the job that failed: what came after it in this session waits for its
    # successor, or a record could pass the declaration that was in that frame.
    broken: bool = False


class SimNode(SimWriter):
    """A node that is up or down; what is down has no links and no queue."""

    def __init__(self, world: "World", me: Enrolled, chain: list[Enrolled]) -> None:
        super().__init__(world, me, chain)
        self._parent_path = me.path.parent
        self.links: dict[NodeId, Link] = {}
        self.aside: set[NodeId] = set()
        self._must_reopen = False
        self._backoff = Backoff(min_seconds=0.5, max_seconds=world.plan.max_backoff_seconds)
        self._begin(Start.FIRST)

    def _begin(self, start: Start) -> None:
        """Become a new process, which knows nothing but what is on the disk."""
        self.lives: dict[NodeId, Lives] = {}
        self._life_id = self.random.randbytes(16)
        self.warden = SimWarden(self, start)

    def synced(self) -> None:
        """Let every link have what is durable now."""
        for link in list(self.links.values()):
            self._pump(link)

    def reopen(self, cause: Cause) -> None:
        """Open a new epoch, and go on in it once that is durable."""

        def job(state: State) -> Callable[[], None]:
            mark = self.random.randbytes(8) if cause is Cause.UNWITNESSED else b""
            self.store.open_epoch(state, cause, self.random.randbytes(16), mark)
            return self._reopened

        self.submit(job)

    def begin_line(self) -> None:
        """Name the line of positions anew, and let every neighbour ask from its beginning."""

        def job(state: State) -> Callable[[], None]:
            state.store_id = self.random.randbytes(16)
            return lambda: self._close_all(RESUMING)

        self.submit(job)

    def _reopened(self) -> None:
        self._must_reopen = False
        self.warden.opened()
        self._close_all(KEYS_CHANGED)

    def _close_all(self, code: str) -> None:
        for link in list(self.links.values()):
            self._run(link, link.session.close(code))

    # Links.

    def dial(self) -> None:
        """Connect to the parent unless there is a link; try again later if that fails."""
        parent_path = self._parent_path
        if not self.up or parent_path is None:
            return
        parent = self.world.nodes[parent_path]
        if parent.me.node_id in self.links:
            return
        is_out = self.warden.standing is Standing.CLONED or self.me.node_id in parent.aside
        if not parent.up or self.world.is_parted(self) or is_out:
            self._redial()
            return
        connection = Connection(self.world.scheduler, self.random, 0.005 + self.random.random() / 5)
        for side, (node, other) in enumerate(((self, parent), (parent, self))):
            node.open_link(connection, side, other.me)

    def open_link(self, connection: Connection, side: int, peer: Enrolled) -> None:
        """Begin a session on a new connection; it takes the place of an older one."""
        older = self.links.get(peer.node_id)
        if older is not None:
            self._run(older, older.session.close(REPLACED))
        session = Session(
            own=self.hello(), peer_node_id=peer.node_id, peer_path=peer.path, limits=LIMITS
        )
        link = Link(peer=peer, session=session, connection=connection, side=side)
        self.links[peer.node_id] = link
        connection.ends.append(
            End(
                on_message=lambda stream, data: self._receive(link, stream, data),
                on_cut=lambda: self._drop(link),
            )
        )
        self.later(0, lambda: self._run(link, session.start()))
        self.later(self.random.random(), lambda: self._tick(link))

    def hello(self) -> Hello:
        """Return what this node says of itself."""
        return Hello(
            network=self.world.network,
            node_id=self.me.node_id,
            store_id=self.store.durable.store_id,
            path=self.me.path,
            epoch=self.store.own(self.store.durable, "node").epoch,
            life=self._life_id,
        )

    def _tick(self, link: Link) -> None:
        """Let a second pass for a session; the wall clock may be anywhere."""
        if self._is_live(link):
            self._run(link, link.session.tick(self.steady_seconds(), max(0, self._wall_ms())))
            self.later(1, lambda: self._tick(link))

    def crash(self) -> None:
        """Lose everything that is not on the disk."""
        self.up = False
        self.life += 1
        self._queue.clear()
        self._commit_due = False
        for link in self.links.values():
            link.connection.cut(silent=0.3)
        self.links.clear()
        self.store.crash(self.random)

    def restart(self, start: Start = Start.REMEMBERED) -> None:
        """Come back with what is on the disk."""
        if self.up:
            return
        self.up = True
        # It may be another disk, or an older one.
        self._noted.clear()
        self._note_signed()
        self._must_reopen |= start is Start.RESTORED
        self._begin(Start.RESTORED if self._must_reopen else start)
        if self.warden.standing is Standing.RESUMING:
            self.begin_line()
        self.dial()

    def _receive(self, link: Link, stream: str, data: bytes) -> None:
        if not self._is_live(link):
            return
        try:
            if stream == CONTROL:
                done = link.session.receive(decode_control(data))
            else:
                done = link.session.receive_frame(decode_frame(data), len(data))
        except errors.PeerError as error:
            self.world.note_fault(self, error)
            done = link.session.fail(error)
        self._run(link, done)

    def _run(self, link: Link, effects: fx.Effects) -> None:
        is_acked = False
        for effect in effects:
            match effect:
                case fx.SendControl(message=message):
                    link.connection.send(link.side, CONTROL, encode_control(message))
                case fx.SendFrame(data=data):
                    self.world.mishaps.captured(self, link, data)
                    link.connection.send(link.side, DATA, data)
                case fx.Ingest():
                    self._ingest(link, effect)
                case fx.StoreAck(lane=lane, position=position):
                    is_acked = True
                    self.world.note_ack(self, link.peer, lane, position)
                    self._keep_receipts(link.peer, lane, position)
                case fx.Close():
                    self._close(link, effect)
                case _:
                    self._run_opening(link, effect)
        if is_acked:
            self._pump(link)

    def _run_opening(self, link: Link, effect: fx.Effect) -> None:
        match effect:
            case fx.Opened(hello=hello):
                # What an older session left to be stored comes first, or what is said of
                # what is held would be old.
                self.submit(lambda state: lambda: self._resume(link, hello))
            case fx.Locate(cursors=cursors, held=held, receipts=receipts):
                reason = self.warden.compare(link.peer, held, receipts, link.asked)
                if reason:
                    self._run(link, link.session.close(reason))
                    return
                self._run(link, link.session.located(self.store.located(cursors)))
                self._pump(link)
            case fx.PeerRefused(refusal=refusal):
                link.refused.append(refusal)
            case fx.StoreReceipt():
                raise AssertionError("no node of the simulator cosigns")

    def _hear(self, link: Link, hello: Hello) -> bool:
        """Notice that two processes speak as one child; return whether it may go on."""
        lives, heard = self.lives.get(link.peer.node_id, Lives()).hear(hello.life, self._wall_ms())
        self.lives[link.peer.node_id] = lives
        if heard is not Heard.ONE:
            self.world.faults[f"heard {heard.value}"] += 1
        if heard is not Heard.FLAPPING:
            return True
        self.aside.add(link.peer.node_id)
        self._run(link, link.session.close("LINK_NODE_ASIDE"))
        return False

    def _close(self, link: Link, effect: fx.Close) -> None:
        from_parent = link.peer.path == self._parent_path
        if effect.code == REPLACED and effect.by_peer and from_parent and self._is_live(link):
            # One process dials once at a time: another one speaks as this node.
            self.warden.replaced()
        elif effect.code == RESUMING:
            self._backoff = self._backoff.reset()
        # What was said last may still arrive; the streams end after it.
        self.later(0 if effect.by_peer else 0.5, link.connection.cut)
        self._drop(link)

    def _resume(self, link: Link, hello: Hello) -> None:
        if not self._is_live(link):
            return
        if link.peer.path.parent == self.me.path and not self._hear(link, hello):
            return
        if link.peer.path == self._parent_path:
            self._learn_chain(self.world.by_id(link.peer.node_id).store.chain())
        link.asked = self.warden.wanted(link.peer.node_id)
        done = link.session.resume(
            self.store.cursors(hello),
            holdings=self.store.holdings(hello),
            wanted=(*link.asked, *self.store.wanted(hello)),
            held=self.store.held(hello),
            receipts=self.store.receipts(hello.node_id),
        )
        self._run(link, done)

    def _learn_chain(self, chain: list[EpochOpened]) -> None:
        # The chain in a Hello is proofs of enrolment, which nobody has here.
        def job(state: State) -> Callable[[], None]:
            fresh = self.store.learn_chain(state, chain)
            return self._greet_children_anew if fresh else lambda: None

        if chain:
            self.submit(job)

    def _keep_receipts(self, peer: Enrolled, lane: Lane, position: int) -> None:
        def job(state: State) -> Callable[[], None]:
            self.store.note_receipts(state, peer, lane, position)
            return lambda: None

        self.submit(job)

    def _greet_children_anew(self) -> None:
        for link in list(self.links.values()):
            if link.peer.path.parent == self.me.path:
                self._run(link, link.session.close(KEYS_CHANGED))

    def _ingest(self, link: Link, effect: fx.Ingest) -> None:
        peer = link.session.peer
        assert peer is not None

        def job(state: State) -> Callable[[], None]:
            if link.broken:
                return lambda: None
            try:
                outcome = self.store.ingest(state, peer, effect.frame)
            except errors.LaneGap as error:
                link.broken = True
                fault = error
                return lambda: self._run(link, link.session.fail(fault))
            self.world.note_refusals(self, link.peer, outcome.refusals)
            return lambda: self._ingested(link, effect, outcome)

        self.submit(job)

    def _ingested(self, link: Link, effect: fx.Ingest, outcome: Outcome) -> None:
        self.warden.ingested(link.peer, outcome.forked)
        if link.session.state is Stage.FLOWING:
            self._backoff = self._backoff.reset()
        self._run(link, link.session.ingested(effect, outcome.refusals))

    def _pump(self, link: Link) -> None:
        if not self._is_live(link) or self.warden.standing is Standing.REOPENING:
            return
        # Half of the nodes know where each lane ends, the others read in vain.
        heads = self.store.lane_heads(link.peer.path) if self.me.node_id[0] % 2 else None
        request = link.session.next_read(self.store.durable.head, heads)
        if request is not None:
            self.later(self.random.random() / 100, lambda: self._read(link, request))

    def _read(self, link: Link, request: ReadRequest) -> None:
        peer = link.session.peer
        if not self._is_live(link) or peer is None:
            return
        items, scanned_to = self.store.read(request, peer)
        self._run(link, link.session.frame_read(request, items, scanned_to))
        self._pump(link)

    def _drop(self, link: Link) -> None:
        if not self._is_live(link):
            return
        link.session.close("CUT")
        del self.links[link.peer.node_id]
        if link.peer.path == self._parent_path:
            self._redial()

    def _redial(self) -> None:
        seconds, self._backoff = self._backoff.next(self.random.random())
        self.later(seconds, self.dial)

    def _is_live(self, link: Link) -> bool:
        return self.up and self.links.get(link.peer.node_id) is link
