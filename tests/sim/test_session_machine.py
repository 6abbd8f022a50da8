"""Hypothesis looks for an order of events that breaks two sessions on one line.

The tree's simulator makes likely runs; this makes unlikely ones, and shrinks what
it finds. Items carry sample bytes: sealing is not the question here, order is.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from yidao.sync import effects as fx
from yidao.sync.ids import JournalId, Lane, NetworkId, NodeId, Path
from yidao.sync.inbound import advance
from yidao.sync.journal import Seal
from yidao.sync.lanes import ReadRequest
from yidao.sync.message import Frame, Hello, Item, LaneCursor
from yidao.sync.session import Limits, Session
from yidao.sync.states import State
from yidao.sync.wire import decode_control, decode_frame, encode_control

WINDOW = 900
# A frame around the biggest item that is written here.
BIGGEST = 2_200
LIMITS = Limits(window_bytes=WINDOW, frame_bytes=300, min_frame_bytes=100)
# What really goes down has no bulk; to the session a channel is a lane and no more.
CHANNELS = (
    {Lane.CONTROL: "node", Lane.URGENT: "up:15.urgent", Lane.BULK: "up:15"},
    {Lane.CONTROL: "down.control", Lane.URGENT: "down", Lane.BULK: "up:15"},
)


@dataclass
class ToStore:
    """A frame on its way to the disk, and the session that it came in."""

    effect: fx.Ingest
    session: Session


@dataclass
class Side:
    """One node: its store of items to send, and what it holds durably of the other's."""

    hello: Hello
    session: Session
    items: list[Item] = field(default_factory=list)
    cursors: dict[Lane, LaneCursor] = field(default_factory=dict)
    held: list[tuple[Lane, int]] = field(default_factory=list)
    acked: dict[Lane, int] = field(default_factory=dict)
    control: deque[bytes] = field(default_factory=deque)
    data: deque[bytes] = field(default_factory=deque)
    to_store: deque[ToStore] = field(default_factory=deque)
    to_resume: bool = False
    to_locate: tuple[LaneCursor, ...] | None = None
    request: ReadRequest | None = None

    @property
    def head(self) -> int:
        return self.items[-1].last_position if self.items else 0


def lane_of(item: Item) -> Lane:
    return item.seal.journal.audience.lane


def hello(name: bytes, path: str) -> Hello:
    return Hello(
        network=NetworkId(b"n" * 16),
        node_id=NodeId(name * 16),
        store_id=name.upper() * 16,
        path=Path.parse(path),
        epoch="1",
    )


def session_of(own: Hello, peer: Hello) -> Session:
    return Session(own=own, peer_node_id=peer.node_id, peer_path=peer.path, limits=LIMITS)


class TwoSessions(RuleBasedStateMachine):
    """A child and a parent; every message, commit and read waits until a rule lets it go."""

    def __init__(self) -> None:
        super().__init__()
        child, parent = hello(b"c", "/33"), hello(b"p", "/")
        self.sides = (
            Side(child, session_of(child, parent)),
            Side(parent, session_of(parent, child)),
        )
        self.start()

    # The line.

    @rule(greeted=st.booleans())
    def line_is_cut(self, greeted: bool) -> None:
        """What is on the line and in memory is lost; what was to be stored may still be.

        Args:
            greeted: The new sessions come as far as frames without anything between.
        """
        for me in self.sides:
            me.session = session_of(me.hello, self.other(me).hello)
            me.control.clear()
            me.data.clear()
            me.to_resume, me.to_locate, me.request = False, None, None
        self.start()
        while greeted and not all(me.session.state is State.FLOWING for me in self.sides):
            for me in self.sides:
                for move in (
                    self.control_arrives,
                    self.resume_is_answered,
                    self.locate_is_answered,
                ):
                    if (me, move) in self.moves():
                        move(me)

    def start(self) -> None:
        for me in self.sides:
            self.run_effects(me, me.session.start())

    def moves(self) -> list[tuple[Side, Callable[[Side], None]]]:
        """What waits for somebody to let it go."""
        found: list[tuple[Side, Callable[[Side], None]]] = []
        for me in self.sides:
            if me.request is None:
                me.request = me.session.next_read(me.head)
            ready = {
                self.control_arrives: bool(me.control),
                self.frame_arrives: bool(me.data),
                self.resume_is_answered: me.to_resume,
                self.locate_is_answered: me.to_locate is not None,
                self.read_is_answered: me.request is not None,
                self.commit_is_durable: bool(me.to_store),
            }
            found += [(me, move) for move, is_ready in ready.items() if is_ready]
        return found

    @rule(choices=st.lists(st.integers(0, 11), min_size=1, max_size=6))
    def things_move(self, choices: list[int]) -> None:
        """One thing after the other goes on, in any order."""
        for choice in choices:
            if moves := self.moves():
                me, move = moves[choice % len(moves)]
                move(me)
                self.check()

    def other(self, me: Side) -> Side:
        return self.sides[1] if me is self.sides[0] else self.sides[0]

    def run_effects(self, me: Side, effects: fx.Effects) -> None:
        for effect in effects:
            match effect:
                case fx.SendControl(message=message):
                    self.other(me).control.append(encode_control(message))
                case fx.SendFrame(data=data):
                    self.other(me).data.append(data)
                case fx.Opened():
                    me.to_resume = True
                case fx.Locate(cursors=cursors):
                    me.to_locate = cursors
                case fx.Ingest():
                    me.to_store.append(ToStore(effect, me.session))
                case fx.StoreAck(lane=lane, position=position):
                    me.acked[lane] = max(position, me.acked.get(lane, 0))
                case _:
                    raise AssertionError(effect)

    def control_arrives(self, me: Side) -> None:
        self.run_effects(me, me.session.receive(decode_control(me.control.popleft())))

    def frame_arrives(self, me: Side) -> None:
        # A peer sends frames only once it has our Resume, so that they cannot be early.
        data = me.data.popleft()
        self.run_effects(me, me.session.receive_frame(decode_frame(data), len(data)))

    # The two programs.

    @rule(
        side=st.integers(0, 1), lane=st.sampled_from(Lane), size=st.sampled_from([1, 80, 500, 2000])
    )
    def somebody_writes(self, side: int, lane: Lane, size: int) -> None:
        me = self.sides[side]
        channel = CHANNELS[side][lane]
        seal = Seal(
            journal=JournalId(node_id=me.hello.node_id, channel=channel, epoch="1"),
            first_seq=sum(lane_of(item) is lane for item in me.items),
            headers=(b"h" * size,),
            checkpoint=sha256(b"%d %d" % (side, len(me.items))).digest(),
        )
        me.items.append(Item(position=me.head + 1, seal=seal))

    def resume_is_answered(self, me: Side) -> None:
        me.to_resume = False
        self.run_effects(me, me.session.resume(list(me.cursors.values())))

    def locate_is_answered(self, me: Side) -> None:
        assert me.to_locate is not None
        ends = {item.last_position: item.checkpoint_sha256 for item in me.items}
        right = [c.lane for c in me.to_locate if ends[c.position] == c.checkpoint_sha256]
        assert len(right) == len(me.to_locate)
        me.to_locate = None
        self.run_effects(me, me.session.located(right))

    def read_is_answered(self, me: Side) -> None:
        request, me.request = me.request, None
        assert request is not None
        found = [
            item
            for item in me.items
            if lane_of(item) is request.lane
            and request.after_position < item.position <= request.up_to_position
        ]
        size = len(found[0].seal.headers[0]) if found else 0
        taken = found[:1]
        for item in found[1:]:
            size += len(item.seal.headers[0])
            if size > request.max_bytes:
                break
            taken.append(item)
        scanned = request.up_to_position if len(taken) == len(found) else taken[-1].position
        self.run_effects(me, me.session.frame_read(request, tuple(taken), scanned))

    def commit_is_durable(self, me: Side) -> None:
        ingest = me.to_store.popleft()
        self.store(me, ingest.effect.frame)
        if ingest.session is me.session:
            self.run_effects(me, me.session.ingested(ingest.effect))

    def store(self, me: Side, frame: Frame) -> None:
        moved = advance(me.cursors.get(frame.lane), frame)
        assert moved is not None
        me.cursors[frame.lane] = moved
        for item in frame.items:
            # A duplicate has no effect; the real store knows by the journal's size.
            if (frame.lane, item.position) not in me.held:
                me.held.append((frame.lane, item.position))

    # What must hold.

    @invariant()
    def check(self) -> None:
        for me, peer in zip(self.sides, reversed(self.sides), strict=True):
            for lane in Lane:
                sent = [item.position for item in peer.items if lane_of(item) is lane]
                held = [position for its_lane, position in me.held if its_lane is lane]
                assert held == sent[: len(held)], "a lane arrives in order, without a gap"
            self.check_declarations(me, peer)
            for lane, position in me.acked.items():
                sent_up_to = {
                    item.position
                    for item in me.items
                    if lane_of(item) is lane and item.position <= position
                }
                assert sent_up_to <= {p for its_lane, p in peer.held if its_lane is lane}
            waiting = sum(map(len, me.data))
            waiting += sum(i.effect.size_bytes for i in me.to_store if i.session is me.session)
            assert waiting <= max(WINDOW, BIGGEST) + 2 * BIGGEST, "one overdraft a lane"

    def check_declarations(self, me: Side, peer: Side) -> None:
        control = [item.position for item in peer.items if lane_of(item) is Lane.CONTROL]
        have: set[int] = set()
        for lane, position in me.held:
            if lane is Lane.CONTROL:
                have.add(position)
                continue
            missing = [c for c in control if c < position and c not in have]
            assert not missing, "a record came before what the control lane had first"

    @rule()
    def left_alone_they_become_equal(self) -> None:
        """Without further faults everything arrives, and both sides know it."""
        while moves := self.moves():
            for me, move in moves:
                if (me, move) in self.moves():
                    move(me)
        for me, peer in zip(self.sides, reversed(self.sides), strict=True):
            assert len(me.held) == len(peer.items)
            for lane, cursor in me.cursors.items():
                # What was held before the last cut is not acknowledged again.
                assert peer.acked.get(lane, 0) <= cursor.position
            assert all(me.session.state is State.FLOWING for me in self.sides)


TestTwoSessions = TwoSessions.TestCase
TestTwoSessions.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, derandomize=True
)
