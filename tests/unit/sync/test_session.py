from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from yidao.sync import effects as fx
from yidao.sync import errors
from yidao.sync import message as m
from yidao.sync.ids import JournalId, Lane, NetworkId, NodeId, Path
from yidao.sync.session import Limits, Session
from yidao.sync.states import PEER_EVENTS, TRANSITIONS, Event, State, next_state

MakeItem = Callable[..., m.Item]
NETWORK = NetworkId(b"n" * 16)
PARENT = m.Hello(
    network=NETWORK, node_id=NodeId(b"p" * 16), store_id=b"P" * 16, path=Path(), epoch="1"
)
CHILD = replace(PARENT, node_id=NodeId(b"c" * 16), store_id=b"C" * 16, path=Path.parse("/33"))
JOURNAL = JournalId(node_id=CHILD.node_id, channel="up:15", epoch="1")
RESUME = m.Resume(store_id=CHILD.store_id, credit_bytes=1 << 20)
RECEIPT = m.Receipt(journal=JOURNAL, size=1, cosignatures=("— a b",))
REFUSAL = m.Refusal(journal=JOURNAL, seq=0, code="SEAL_ROOT_MISMATCH")
FRAME = m.Frame(lane=Lane.BULK, items=())


def child_session(**limits: Any) -> Session:
    return Session(
        own=CHILD,
        peer_node_id=PARENT.node_id,
        peer_path=PARENT.path,
        limits=Limits(**limits),
    )


def bring_to(state: State, **limits: Any) -> Session:
    """A child's session in `state`, by the shortest way."""
    session = child_session(**limits)
    steps: dict[State, Callable[[], object]] = {
        State.GREETING: session.start,
        State.GREETED: lambda: session.receive(PARENT),
        State.RESUME_RECEIVED: lambda: session.receive(RESUME),
        State.RESUME_SENT: session.resume,
        State.LOCATING: lambda: session.receive(RESUME),
        State.FLOWING: lambda: session.located(()),
        State.CLOSED: lambda: session.close("DONE"),
    }
    ways = {State.NEW: [], State.GREETING: [State.GREETING], State.CLOSED: [State.CLOSED]} | {
        State.GREETED: [State.GREETING, State.GREETED],
        State.RESUME_RECEIVED: [State.GREETING, State.GREETED, State.RESUME_RECEIVED],
        State.RESUME_SENT: [State.GREETING, State.GREETED, State.RESUME_SENT],
    }
    ways[State.LOCATING] = [*ways[State.RESUME_SENT], State.LOCATING]
    ways[State.FLOWING] = [*ways[State.LOCATING], State.FLOWING]
    for step in ways[state]:
        steps[step]()
    assert session.state is state
    return session


HAPPENINGS: dict[Event, Callable[[Session, m.Frame], object]] = {
    Event.HELLO: lambda session, _: session.receive(PARENT),
    Event.RESUME: lambda session, _: session.receive(RESUME),
    Event.FRAME: lambda session, frame: session.receive_frame(frame, 10),
    Event.ACK: lambda session, _: session.receive(
        m.Ack(lane=Lane.BULK, position=0, credit_bytes=0)
    ),
    Event.RECEIPT: lambda session, _: session.receive(RECEIPT),
    Event.REFUSAL: lambda session, _: session.receive(REFUSAL),
    Event.HEARTBEAT: lambda session, _: session.receive(m.Heartbeat(now_ms=1)),
    Event.GOODBYE: lambda session, _: session.receive(m.Goodbye(code="DONE")),
    Event.START: lambda session, _: session.start(),
    Event.OWN_RESUME: lambda session, _: session.resume(),
    Event.LOCATED: lambda session, _: session.located(()),
    Event.OWN_RECEIPT: lambda session, _: session.send_receipts([RECEIPT]),
    Event.CLOSE: lambda session, _: session.close("DONE"),
}

# What these two need besides a state (a request, a frame) has tests of its own below.
SIMPLE_EVENTS = [event for event in Event if event not in (Event.READ, Event.INGESTED)]
assert set(SIMPLE_EVENTS) == set(HAPPENINGS)
PLACES = [(state, event) for state in State if state is not State.CLOSED for event in SIMPLE_EVENTS]


class TestTable:
    """The driver does what the table says, for every state and every event."""

    @pytest.mark.parametrize(
        ("state", "event"), PLACES, ids=[f"{s.value}, {e.value}" for s, e in PLACES]
    )
    def test_driver_follows_the_table(
        self, make_item: MakeItem, state: State, event: Event
    ) -> None:
        """An event in the table leads where it says; one that is not raises, and nothing moves."""
        session = bring_to(state)
        frame = m.Frame(lane=Lane.BULK, items=(make_item(1),), number=1)
        expected = TRANSITIONS.get((state, event))
        if expected is not None:
            HAPPENINGS[event](session, frame)
            assert session.state is expected
            return
        fault = errors.SessionOutOfOrder if event in PEER_EVENTS else errors.SessionMisused
        with pytest.raises(fault):
            HAPPENINGS[event](session, frame)
        assert session.state is state

    @pytest.mark.parametrize("event", [e for e in SIMPLE_EVENTS if e is not Event.START])
    def test_closed_session_neither_hears_nor_speaks(
        self, make_item: MakeItem, event: Event
    ) -> None:
        """What was under way when a session closed has no effect."""
        session = bring_to(State.CLOSED)
        frame = m.Frame(lane=Lane.BULK, items=(make_item(1),), number=1)
        assert HAPPENINGS[event](session, frame) == ()
        assert session.next_read(9) is None
        assert session.tick(1, 1) == ()

    def test_closed_is_the_end(self) -> None:
        """No transition leaves CLOSED, every other state can close, every state is reachable."""
        assert not [state for state, _ in TRANSITIONS if state is State.CLOSED]
        for state in set(State) - {State.CLOSED}:
            assert next_state(state, Event.CLOSE) is State.CLOSED
        reached = {State.NEW}
        while more := {to for (of, _), to in TRANSITIONS.items() if of in reached} - reached:
            reached |= more
        assert reached == set(State)


STRANGERS = {
    "a newer protocol": (
        {"min_version": 2, "max_version": 4},
        errors.VersionUnsupported,
    ),
    "another network": ({"network": NetworkId(b"x" * 16)}, errors.NetworkMismatch),
    "another node": ({"node_id": NodeId(b"x" * 16)}, errors.PeerMismatch),
    "another place": ({"path": Path.parse("/44")}, errors.PeerMismatch),
}


class TestOpening:
    """Hello, Resume, Locate."""

    def test_two_ends_reach_flowing_in_either_order(self) -> None:
        """Both sides say the same two words, whoever is quicker."""
        one = bring_to(State.RESUME_SENT)
        two = bring_to(State.RESUME_RECEIVED)
        assert one.receive(RESUME) == (fx.Locate(cursors=()),)
        assert two.resume()[-1] == fx.Locate(cursors=())

    def test_hello_is_shown_to_the_program(self) -> None:
        """The program sees who the peer says it is, to check its chain and read cursors."""
        session = bring_to(State.GREETING)
        assert session.receive(PARENT) == (fx.Opened(hello=PARENT),)
        assert session.peer == PARENT

    @pytest.mark.parametrize(("change", "fault"), STRANGERS.values(), ids=STRANGERS.keys())
    def test_stranger_is_refused(self, change: dict[str, Any], fault: type[Exception]) -> None:
        """A Hello that is not the certified peer's, or from another deployment, is refused."""
        session = bring_to(State.GREETING)
        with pytest.raises(fault):
            session.receive(replace(PARENT, **change))
        assert (session.state, session.peer) == (State.GREETING, None)

    def test_newer_peer_that_still_speaks_ours_is_welcome(self) -> None:
        """N and N+1 understand each other."""
        bring_to(State.GREETING).receive(replace(PARENT, min_version=1, max_version=2))

    def test_cursors_of_another_store_are_a_replay(self) -> None:
        """A Resume that was recorded against another store of ours is refused."""
        session = bring_to(State.GREETED)
        with pytest.raises(errors.PeerMismatch):
            session.receive(replace(RESUME, store_id=b"x" * 16))
        assert session.state is State.GREETED

    def test_neighbours_only(self) -> None:
        """A session needs a parent and a child."""
        with pytest.raises(errors.NotAdjacent):
            Session(own=CHILD, peer_node_id=PARENT.node_id, peer_path=Path.parse("/33/1/2"))

    def test_resume_names_the_peers_store_and_our_window(self) -> None:
        """Cursors are of the store that the peer named, credit is our window."""
        cursor = m.LaneCursor(lane=Lane.BULK, position=4, checkpoint_sha256=b"c" * 32)
        holding = m.Holding(journal=JOURNAL, size=3)
        session = bring_to(State.GREETED, window_bytes=77)
        sent = session.resume([cursor], holdings=[holding], wanted=[holding])
        assert sent == (
            fx.SendControl(
                message=m.Resume(
                    store_id=PARENT.store_id,
                    credit_bytes=77,
                    cursors=(cursor,),
                    wanted=(holding,),
                )
            ),
        )

    def test_holdings_are_said_where_there_is_no_cursor(self) -> None:
        """A receiver without a cursor says what it has, as far as one message goes."""
        many = [m.Holding(journal=JOURNAL, size=n) for n in range(m.MAX_HOLDINGS + 1)]
        sent = bring_to(State.GREETED).resume(holdings=many, wanted=many)
        message = sent[0].message  # type: ignore[union-attr]
        assert (len(message.holdings), len(message.wanted)) == (m.MAX_HOLDINGS, m.MAX_WANTED)

    def test_only_cursors_that_are_past_the_beginning_are_located(self) -> None:
        """Position 0 is everybody's beginning."""
        zero = m.LaneCursor(lane=Lane.CONTROL, position=0, checkpoint_sha256=b"")
        nine = m.LaneCursor(lane=Lane.BULK, position=9, checkpoint_sha256=b"c" * 32)
        session = bring_to(State.RESUME_SENT)
        located = session.receive(replace(RESUME, cursors=(zero, nine)))
        assert located == (fx.Locate(cursors=(nine,)),)
        session.located([Lane.BULK])
        starts = {}
        while (request := session.next_read(9)) is not None:
            starts[request.lane] = request.after_position
            session.frame_read(request, (), 9)
        assert starts == {Lane.CONTROL: 0, Lane.URGENT: 0}, "bulk resumes at 9, the head"


def flow_item(session: Session, item: m.Item, head: int) -> tuple[fx.SendFrame, ...]:
    """Answer reads with nothing until the bulk lane, there with `item`."""
    while (request := session.next_read(head)) is not None:
        items = (item,) if request.lane is Lane.BULK else ()
        if done := session.frame_read(request, items, head):
            return done  # type: ignore[return-value]
    return ()


class TestSending:
    """Reads, frames, acknowledgements."""

    def test_what_was_read_goes_out_as_bytes(self, make_item: MakeItem) -> None:
        """An item that was read becomes one frame; its ack is stored."""
        session = bring_to(State.FLOWING)
        (sent,) = flow_item(session, make_item(2), 5)
        assert sent.frame == m.Frame(lane=Lane.BULK, items=(make_item(2),), number=1)
        assert len(sent.data) > 20
        ack = m.Ack(lane=Lane.BULK, position=2, credit_bytes=len(sent.data))
        assert session.receive(ack) == (fx.StoreAck(lane=Lane.BULK, position=2),)

    def test_ack_releases_a_waiting_frame(self, make_item: MakeItem) -> None:
        """Credit that comes back lets the next frame go."""
        session = bring_to(State.RESUME_SENT)
        session.receive(replace(RESUME, credit_bytes=300_000))
        session.located(())
        (first,) = flow_item(session, make_item(1, count=30, size_bytes=1000), 30)
        big = make_item(31, first_seq=30, count=70, size_bytes=4000)
        assert flow_item(session, big, 100) == ()
        ack = m.Ack(lane=Lane.BULK, position=30, credit_bytes=len(first.data))
        done = session.receive(ack)
        assert [type(effect) for effect in done] == [fx.StoreAck, fx.SendFrame]

    def test_every_ack_reaches_the_program(self) -> None:
        """Even an ack that covers nothing new is shown: it may be time to read again."""
        session = bring_to(State.FLOWING)
        ack = m.Ack(lane=Lane.BULK, position=0, credit_bytes=0)
        assert session.receive(ack) == (fx.StoreAck(lane=Lane.BULK, position=0),)

    def test_one_read_at_a_time(self) -> None:
        """Until a request is answered there is no other, and only it can be answered."""
        session = bring_to(State.FLOWING)
        request = session.next_read(9)
        assert request is not None
        assert session.next_read(9) is None
        with pytest.raises(errors.SessionMisused):
            session.frame_read(replace(request), (), 9)
        session.frame_read(request, (), 9)
        assert session.next_read(9) is not None

    def test_nothing_is_read_before_flowing(self) -> None:
        """Before the cursors are located nobody knows where to begin."""
        assert bring_to(State.LOCATING).next_read(9) is None

    def test_impossible_ack_changes_nothing(self) -> None:
        """An ack of what was never sent raises."""
        session = bring_to(State.FLOWING)
        with pytest.raises(errors.AckInvalid):
            session.receive(m.Ack(lane=Lane.BULK, position=7, credit_bytes=0))
        assert session.state is State.FLOWING


class TestReceiving:
    """Frames, durability, refusals."""

    @pytest.mark.parametrize("state", [State.RESUME_SENT, State.LOCATING, State.FLOWING])
    def test_frame_is_acknowledged_only_when_durable(
        self, make_item: MakeItem, state: State
    ) -> None:
        """A frame asks to be stored; the ack goes out when the program says it is."""
        session = bring_to(state)
        frame = m.Frame(lane=Lane.BULK, items=(make_item(4),), number=1)
        (ingest,) = session.receive_frame(frame, 123)
        assert ingest == fx.Ingest(frame=frame, size_bytes=123)
        ack = m.Ack(lane=Lane.BULK, position=4, credit_bytes=123)
        assert session.ingested(ingest) == (fx.SendControl(message=ack),)  # type: ignore[arg-type]

    def test_refusal_goes_before_the_ack(self, make_item: MakeItem) -> None:
        """A refused journal is named, and the lane goes on all the same."""
        session = bring_to(State.FLOWING)
        (ingest,) = session.receive_frame(
            m.Frame(lane=Lane.BULK, items=(make_item(4),), number=1), 5
        )
        said = session.ingested(ingest, [REFUSAL])  # type: ignore[arg-type]
        assert [effect.message for effect in said] == [  # type: ignore[union-attr]
            REFUSAL,
            m.Ack(lane=Lane.BULK, position=4, credit_bytes=5),
        ]

    def test_durable_out_of_order_is_our_mistake(self, make_item: MakeItem) -> None:
        """Acks are cumulative, so a later frame cannot be durable first."""
        session = bring_to(State.FLOWING)
        session.receive_frame(m.Frame(lane=Lane.BULK, items=(make_item(1),), number=1), 5)
        late = m.Frame(lane=Lane.BULK, items=(make_item(2),), after_position=1, number=2)
        (ingest,) = session.receive_frame(late, 5)
        with pytest.raises(errors.SessionMisused):
            session.ingested(ingest)  # type: ignore[arg-type]

    def test_durable_before_any_resume_is_our_mistake(self) -> None:
        """Nothing can be durable that could not come."""
        with pytest.raises(errors.SessionMisused):
            bring_to(State.GREETED).ingested(fx.Ingest(frame=FRAME, size_bytes=1))

    def test_captured_frame_has_no_effect(self, make_item: MakeItem) -> None:
        """A frame replayed in the same session raises before it is stored again."""
        session = bring_to(State.FLOWING)
        frame = m.Frame(lane=Lane.BULK, items=(make_item(4),), after_position=0, number=1)
        session.receive_frame(frame, 5)
        with pytest.raises(errors.FrameGap):
            session.receive_frame(frame, 5)

    def test_receipts_and_refusals_are_shown(self) -> None:
        """What the peer says of our journals reaches the program."""
        session = bring_to(State.FLOWING)
        assert session.receive(RECEIPT) == (fx.StoreReceipt(receipt=RECEIPT),)
        assert session.receive(REFUSAL) == (fx.PeerRefused(refusal=REFUSAL),)
        assert session.send_receipts([RECEIPT]) == (fx.SendControl(message=RECEIPT),)


class TestTimeAndEnd:
    """Signs of life, silence, goodbye."""

    def test_heartbeat_carries_the_wall_clock(self) -> None:
        """Every fifteen seconds the peer hears that we live, and what time it is here."""
        session = bring_to(State.FLOWING)
        said = {now: session.tick(now, now * 1000) for now in range(40)}
        beats = {now: done[0] for now, done in said.items() if done}
        assert beats == {
            now: fx.SendControl(message=m.Heartbeat(now_ms=now * 1000)) for now in (15, 30)
        }

    def test_silent_peer_is_left(self) -> None:
        """After forty-five seconds without a word the session ends, in any open state."""
        for state in (State.GREETING, State.FLOWING):
            session = bring_to(state)
            ends = [now for now in range(60) if fx.Close in map(type, session.tick(now, 0))]
            assert ends == [45]
            assert session.state is State.CLOSED

    def test_heartbeats_do_not_stand_for_a_hello(self) -> None:
        """A peer that never says who it is is left like a silent one."""
        session = bring_to(State.GREETING)
        ends = []
        for now in range(60):
            session.receive(m.Heartbeat(now_ms=1))
            if fx.Close in map(type, session.tick(now, 0)):
                ends.append(now)
        assert ends == [45]

    def test_heartbeats_alone_keep_a_session(self) -> None:
        """A peer that only says that it lives is not left."""
        session = bring_to(State.FLOWING)
        for now in range(0, 300, 10):
            session.receive(m.Heartbeat(now_ms=1))
            session.tick(now, 0)
        assert session.state is State.FLOWING

    def test_peer_that_acknowledges_nothing_is_left(self, make_item: MakeItem) -> None:
        """A peer that lives but whose data stream is dead is dialled again."""
        session = bring_to(State.FLOWING)
        assert flow_item(session, make_item(1), 1)
        ends = []
        for now in range(0, 200, 10):
            session.receive(m.Heartbeat(now_ms=1))
            if fx.Close(code="SESSION_STALLED") in session.tick(now, 0):
                ends.append(now)
        assert ends == [180]

    def test_session_that_has_not_begun_has_no_time(self) -> None:
        """Silence is counted from the first word."""
        assert child_session().tick(1000, 0) == ()

    def test_goodbye_says_why_and_when_to_come_again(self) -> None:
        """The peer's reason reaches the program."""
        session = bring_to(State.FLOWING)
        done = session.receive(m.Goodbye(code="BUSY", retry_after_ms=700))
        assert done == (fx.Close(code="BUSY", by_peer=True, retry_after_ms=700),)

    def test_error_is_said_and_ends_the_session(self) -> None:
        """An error of either side is named to the peer by its code alone."""
        session = bring_to(State.FLOWING)
        done = session.fail(errors.LaneGap(lane="BULK", held=1, after=2))
        assert done == (
            fx.SendControl(message=m.Goodbye(code="LANE_GAP")),
            fx.Close(code="LANE_GAP"),
        )
        assert session.fail(errors.SessionSilent(seconds=1)) == ()
