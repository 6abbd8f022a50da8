import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from yidao.sync import errors
from yidao.sync.ids import JournalId, Lane
from yidao.sync.inbound import Inbound, advance
from yidao.sync.lanes import MAX_CREDIT_BYTES, Outbound, ReadRequest
from yidao.sync.message import Ack, Frame, Holding, Item, LaneCursor
from yidao.sync.wire import NUMBER_BYTES

MakeItem = Callable[..., Item]
ONE = {Lane.CONTROL: 1, Lane.URGENT: 1, Lane.BULK: 1}


def outbound(credit_bytes: int = 1000, **changes: object) -> Outbound:
    """A sender whose lanes all resume at position 1."""
    arguments: dict[str, object] = {"credit_bytes": credit_bytes, "starts": ONE} | changes
    return Outbound(**arguments)  # type: ignore[arg-type]


def asked(request: ReadRequest | None) -> tuple[Lane, int, int] | None:
    return request and (request.lane, request.after_position, request.up_to_position)


def scan_all(sender: Outbound, head: int) -> list[tuple[Lane, int, int]]:
    """Answer every read with nothing; return what was asked."""
    seen = []
    while (request := sender.next_read(head, 100)) is not None:
        seen.append((request.lane, request.after_position, request.up_to_position))
        assert sender.take(request, (), request.up_to_position) is None
    return seen


class TestAdvance:
    """The receiver's durable cursor."""

    @pytest.mark.parametrize("held", [None, 0, 3, 4, 9])
    def test_moves_to_the_end_of_a_frame_that_follows(
        self, make_item: MakeItem, held: int | None
    ) -> None:
        """A cursor at or after the frame's start moves to its end, be it back."""
        item = make_item(4, count=3)
        after = 0 if not held else 3
        cursor = None
        if held is not None:
            cursor = LaneCursor(lane=Lane.BULK, position=held, checkpoint_sha256=b"")
        moved = advance(cursor, Frame(lane=Lane.BULK, items=(item,), after_position=after))
        assert moved == LaneCursor(
            lane=Lane.BULK, position=6, checkpoint_sha256=item.checkpoint_sha256
        )

    @pytest.mark.parametrize("held", [None, 2])
    def test_refuses_a_frame_after_a_missing_one(
        self, make_item: MakeItem, held: int | None
    ) -> None:
        """A frame that follows what is not durable here is a gap."""
        cursor = held and LaneCursor(lane=Lane.BULK, position=held, checkpoint_sha256=b"c" * 32)
        frame = Frame(lane=Lane.BULK, items=(make_item(4),), after_position=3)
        with pytest.raises(errors.LaneGap):
            advance(cursor or None, frame)

    def test_stays_for_a_backfill(self, make_item: MakeItem) -> None:
        """What was wanted again says nothing of what lies between."""
        cursor = LaneCursor(lane=Lane.BULK, position=9, checkpoint_sha256=b"c" * 32)
        frame = Frame(lane=Lane.BULK, items=(make_item(4),), after_position=9, backfill=True)
        assert advance(cursor, frame) is cursor


WRONG_ANSWERS = {
    "before what was asked": ((1,), 9),
    "after what was asked": ((10,), 9),
    "scanned less than found": ((5,), 4),
    "scanned beyond": ((5,), 10),
    "no progress": ((), 1),
}


class TestScan:
    """What the sender reads next."""

    def test_lower_lane_follows_the_higher(self) -> None:
        """Each lane is scanned to the head, the highest first; then there is nothing to do."""
        assert scan_all(outbound(), 9) == [
            (Lane.CONTROL, 1, 9),
            (Lane.URGENT, 1, 9),
            (Lane.BULK, 1, 9),
        ]

    def test_lower_lane_never_runs_ahead(self, make_item: MakeItem) -> None:
        """While the control lane has more to read, no other lane is read."""
        sender = outbound()
        request = sender.next_read(9, 100)
        assert request is not None
        frame = sender.take(request, (make_item(3, channel="node"),), 3)
        assert frame is not None
        sender.offer(frame, b"x" * 50)
        assert asked(sender.next_read(9, 100)) == (Lane.CONTROL, 3, 9)

    def test_new_commit_is_scanned_from_the_top(self) -> None:
        """After a commit the control lane comes first again."""
        sender = outbound()
        scan_all(sender, 9)
        assert asked(sender.next_read(12, 100)) == (Lane.CONTROL, 9, 12)

    def test_lane_whose_end_is_known_is_not_read_in_vain(self) -> None:
        """A lane with nothing new counts as scanned; the one with something is read."""
        sender = outbound()
        heads = {Lane.CONTROL: 1, Lane.BULK: 7}
        request = sender.next_read(9, 100, heads)
        assert asked(request) == (Lane.BULK, 1, 9)
        assert request is not None
        sender.take(request, (), 9)
        assert sender.next_read(9, 100, heads) is None
        assert asked(sender.next_read(12, 100, heads | {Lane.URGENT: 11})) == (Lane.URGENT, 9, 12)

    def test_frames_of_a_lane_form_a_chain(self, make_item: MakeItem) -> None:
        """Each frame names the end of the one before it, not how far was scanned."""
        sender = outbound(starts={Lane.CONTROL: 1, Lane.URGENT: 1, Lane.BULK: 4})
        afters = []
        for position in (6, 11):
            for lane in Lane:
                request = sender.next_read(position + 2, 100)
                assert request is not None
                assert request.lane is lane
                items = (make_item(position),) if lane is Lane.BULK else ()
                frame = sender.take(request, items, request.up_to_position)
                if frame is not None:
                    afters.append(frame.after_position)
                    sender.offer(frame, b"x")
        assert afters == [4, 6]

    @pytest.mark.parametrize(
        ("positions", "scanned_to"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS.keys()
    )
    def test_wrong_answer_of_the_store_is_not_sent(
        self, make_item: MakeItem, positions: tuple[int, ...], scanned_to: int
    ) -> None:
        """A store that answers another question raises a local error."""
        sender = outbound()
        request = sender.next_read(9, 100)
        assert request is not None
        items = tuple([make_item(position, channel="node") for position in positions])
        with pytest.raises(errors.ReadInvalid):
            sender.take(request, items, scanned_to)


def to_bulk(sender: Outbound, head: int) -> ReadRequest | None:
    """Scan the higher lanes as empty; return the bulk lane's request."""
    for _ in range(2):
        request = sender.next_read(head, 100)
        assert request is not None
        sender.take(request, (), request.up_to_position)
    return sender.next_read(head, 100)


BAD_ACKS = {
    "not sent": (Lane.BULK, 3, 0),
    "going back": (Lane.BULK, 0, 0),
    "another lane": (Lane.URGENT, 2, 0),
    "credit without end": (Lane.BULK, 2, MAX_CREDIT_BYTES + 1),
}


class TestCredit:
    """What may be under way."""

    def send(self, sender: Outbound, item: Item, size: int, head: int = 99) -> list[Frame]:
        request = sender.next_read(head, 100)
        assert request is not None
        frame = sender.take(request, (item,), item.last_position)
        assert frame is not None
        sent = sender.offer(frame, b"x" * (size - NUMBER_BYTES))
        assert all(len(data) == size for _, data in sent)
        return [frame for frame, _ in sent]

    def test_bulk_waits_for_credit(self, make_item: MakeItem) -> None:
        """A frame beyond the credit waits, nothing is read behind it, an ack lets it go."""
        sender = outbound(credit_bytes=250)
        assert to_bulk(sender, 99) is not None
        assert len(self.send(sender, make_item(2), 100)) == 1
        assert self.send(sender, make_item(3), 200) == []
        assert sender.next_read(99, 100) is None
        assert sender.under_way_bytes == 100
        sender.acked(Lane.BULK, 2, 100)
        assert [frame.last_position for frame, _ in sender.release()] == [3]
        assert (sender.credit_bytes, sender.under_way_bytes) == (50, 200)

    def test_bulk_is_not_read_without_credit(self, make_item: MakeItem) -> None:
        """With less credit than a frame the bulk lane is not even read."""
        sender = outbound(credit_bytes=150)
        assert to_bulk(sender, 99) is not None
        self.send(sender, make_item(2), 100)
        assert sender.next_read(99, 100) is None

    def test_frame_bigger_than_the_window_goes_alone(self, make_item: MakeItem) -> None:
        """A segment that no window holds is sent when nothing else is under way."""
        sender = outbound(credit_bytes=150)
        assert to_bulk(sender, 99) is not None
        self.send(sender, make_item(2), 10)
        assert self.send(sender, make_item(3), 500) == []
        sender.acked(Lane.BULK, 2, 10)
        assert len(sender.release()) == 1
        assert sender.credit_bytes == -350

    def test_bulk_under_way_grows_with_what_is_acknowledged_in_time(
        self, make_item: MakeItem
    ) -> None:
        """Whatever the credit is, 1 MiB at first; more on a fast line; anew once it is slow."""
        sender, third = outbound(credit_bytes=100 << 20), (1 << 20) // 3
        assert to_bulk(sender, 99) is not None
        numbers = itertools.count(2)

        def fill() -> int:
            """Send until something waits; how many frames went."""
            sent = len(sender.release())
            while sender.next_read(99, 100) is not None:
                sent += len(self.send(sender, make_item(next(numbers)), third))
            return sent

        assert fill() == 3
        sender.acked(Lane.BULK, 3, 2 * third)
        assert fill() == 4
        sender.tick()
        sender.acked(Lane.BULK, 4, third)
        assert sender.release() == [], "four are under way since the tick: nothing grows"
        sender.tick()
        sender.acked(Lane.BULK, 8, 4 * third)
        assert fill() == 3

    def test_no_credit_at_all_stops_bulk(self) -> None:
        """A receiver that grants nothing gets no bulk."""
        assert to_bulk(outbound(credit_bytes=0), 99) is None

    def test_directive_goes_past_a_full_window(self, make_item: MakeItem) -> None:
        """Urgent and control each get one frame through when bulk has used all credit."""
        sender = outbound(credit_bytes=100)
        assert to_bulk(sender, 9) is not None
        self.send(sender, make_item(2), 100, head=9)
        assert len(self.send(sender, make_item(12, channel="node"), 80, head=12)) == 1
        assert len(self.send(sender, make_item(11, channel="down"), 80, head=12)) == 1
        assert sender.credit_bytes == -160
        assert sender.next_read(99, 100) is None, "one frame each, no more"

    def test_bulk_does_not_overtake_a_waiting_control_frame(self, make_item: MakeItem) -> None:
        """Records do not go before the declaration that waits for credit."""
        sender = outbound(credit_bytes=200)
        self.send(sender, make_item(3, channel="node"), 60)
        assert self.send(sender, make_item(8, channel="node"), 500) == []
        requests = []
        while (request := sender.next_read(9, 50)) is not None:
            requests.append(asked(request))
            sender.take(request, (), request.up_to_position)
        assert requests == [(Lane.URGENT, 1, 7), (Lane.BULK, 1, 7)]

    def test_frames_are_numbered_as_they_go(self, make_item: MakeItem) -> None:
        """A frame gets its number when it goes, not when it begins to wait."""
        sender = outbound(credit_bytes=250)
        to_bulk(sender, 9)
        first = self.send(sender, make_item(2), 100, head=9)
        assert self.send(sender, make_item(3), 200, head=9) == []
        second = self.send(sender, make_item(12, channel="node"), 50, head=12)
        sender.acked(Lane.BULK, 2, 100)
        third = [frame for frame, _ in sender.release()]
        assert [(f.last_position, f.number) for f in first + second + third] == [
            (2, 1),
            (12, 2),
            (3, 3),
        ]

    @pytest.mark.parametrize(("lane", "position", "credit"), BAD_ACKS.values(), ids=BAD_ACKS.keys())
    def test_impossible_ack_is_refused(
        self, make_item: MakeItem, lane: Lane, position: int, credit: int
    ) -> None:
        """An ack of what was not sent raises, and the credit stays."""
        sender = outbound(credit_bytes=250)
        to_bulk(sender, 99)
        self.send(sender, make_item(2), 100)
        with pytest.raises(errors.AckInvalid):
            sender.acked(lane, position, credit)
        assert (sender.credit_bytes, sender.under_way_bytes) == (150, 100)

    def test_ack_of_a_waiting_frame_is_refused(self, make_item: MakeItem) -> None:
        """A frame that still waits here cannot be durable there."""
        sender = outbound(credit_bytes=150)
        to_bulk(sender, 99)
        self.send(sender, make_item(2), 50)
        assert self.send(sender, make_item(3), 140) == []
        with pytest.raises(errors.AckInvalid):
            sender.acked(Lane.BULK, 3, 50)

    def test_repeated_ack_brings_its_credit(self, make_item: MakeItem) -> None:
        """An ack that covers nothing new, as of a backfill, still gives credit back."""
        sender = outbound(credit_bytes=250)
        to_bulk(sender, 99)
        self.send(sender, make_item(2), 100)
        sender.acked(Lane.BULK, 2, 50)
        sender.acked(Lane.BULK, 2, 50)
        assert (sender.credit_bytes, sender.under_way_bytes) == (250, 0)


class TestStartingOver:
    """A lane whose cursor is not ours, and journals that are wanted again."""

    def test_held_seals_are_left_out(self, make_item: MakeItem) -> None:
        """What the receiver holds is not sent again, except the end of a read."""
        journal = make_item().seal.journal
        sender = outbound(starts={}, holdings=[Holding(journal=journal, size=2)])
        request = to_bulk(sender, 9)
        assert request is not None
        items = tuple([make_item(n + 1, first_seq=n) for n in range(4)])
        frame = sender.take(request, items, 9)
        assert frame is not None
        assert [item.position for item in frame.items] == [3, 4]
        assert frame.after_position == 0

    def test_end_of_a_read_goes_even_if_held(self, make_item: MakeItem) -> None:
        """The receiver's cursor moves on, so that the next session does not scan it all again."""
        journal = make_item().seal.journal
        sender = outbound(starts={}, holdings=[Holding(journal=journal, size=99)])
        request = to_bulk(sender, 9)
        assert request is not None
        frame = sender.take(request, tuple([make_item(n + 1, first_seq=n) for n in range(4)]), 9)
        assert frame is not None
        assert [item.position for item in frame.items] == [4]

    def test_wanted_journal_comes_before_the_rest_of_its_lane(self, make_item: MakeItem) -> None:
        """A refused journal is read again from its size up to the resume point, then the lane."""
        journal = make_item().seal.journal
        starts = {Lane.CONTROL: 9, Lane.URGENT: 9, Lane.BULK: 9}
        sender = outbound(starts=starts, wanted=[Holding(journal=journal, size=2)])
        request = sender.next_read(9, 100)
        assert request is not None
        assert (request.journal, request.from_seq, request.up_to_position) == (journal, 2, 9)
        items = (make_item(3, first_seq=2), make_item(7, first_seq=3, count=2))
        frame = sender.take(request, items, 0)
        assert frame is not None
        assert (frame.backfill, frame.after_position) == (True, 9)
        sender.offer(frame, b"x")
        request = sender.next_read(9, 100)
        assert request is not None
        assert (request.journal, request.from_seq) == (journal, 5)
        assert sender.take(request, (), 0) is None
        assert sender.next_read(9, 100) is None, "the backfill is done"
        assert asked(sender.next_read(12, 100)) == (Lane.CONTROL, 9, 12)

    def test_lower_lanes_wait_for_a_wanted_declaration(self, make_item: MakeItem) -> None:
        """While the control lane brings a journal again, nothing else is read."""
        node = replace(make_item().seal.journal, channel="node")
        bulk = make_item().seal.journal
        sender = outbound(wanted=[Holding(journal=bulk, size=0), Holding(journal=node, size=0)])
        request = sender.next_read(9, 100)
        assert request is not None
        assert request.journal == node
        sender.take(request, (), 0)
        order = [request.lane for request in _drain(sender, 9)]
        assert order == [Lane.CONTROL, Lane.URGENT, Lane.BULK, Lane.BULK]

    def test_wanted_journal_of_a_lane_that_starts_over_needs_no_backfill(
        self, make_item: MakeItem
    ) -> None:
        """The lane brings it anyway, from the size that is held."""
        journal = make_item().seal.journal
        held = Holding(journal=journal, size=3)
        sender = outbound(starts={}, holdings=[held], wanted=[replace(held, size=1)])
        request = to_bulk(sender, 9)
        assert request is not None
        assert request.journal is None
        frame = sender.take(request, tuple([make_item(n + 1, first_seq=n) for n in range(4)]), 9)
        assert frame is not None
        assert [item.seal.first_seq for item in frame.items] == [1, 2, 3]

    def test_backfill_begins_with_the_seal_in_which_another_history_parts(
        self, make_item: MakeItem
    ) -> None:
        """Who holds two records of a seal of three holds others, and has to see that seal."""
        journal = make_item().seal.journal
        sender = outbound(starts=dict.fromkeys(Lane, 9), wanted=[Holding(journal=journal, size=2)])
        request = sender.next_read(9, 100)
        assert request is not None
        assert request.from_seq == 2
        frame = sender.take(request, (make_item(3, count=3),), 0)
        assert frame is not None
        assert (frame.backfill, frame.items[0].seal.end_seq) == (True, 3)

    def test_backfill_of_another_journal_is_not_sent(self, make_item: MakeItem) -> None:
        """A store that answers with another journal, or an earlier seal, raises."""
        journal = make_item().seal.journal
        for item in (make_item(3, channel="up:1", first_seq=2), make_item(3, first_seq=1)):
            sender = outbound(
                starts=dict.fromkeys(Lane, 9), wanted=[Holding(journal=journal, size=2)]
            )
            request = sender.next_read(9, 100)
            assert request is not None
            with pytest.raises(errors.ReadInvalid):
                sender.take(request, (item,), 0)


def _drain(sender: Outbound, head: int) -> list[ReadRequest]:
    requests = []
    while (request := sender.next_read(head, 100)) is not None:
        requests.append(request)
        sender.take(request, (), request.up_to_position)
    return requests


GAPS = {"ahead of the cursor": [(6, 8)], "the same frame twice": [(5, 7), (5, 7)]} | {
    "one frame missing": [(5, 7), (8, 9)],
    "starting over in the middle": [(5, 7), (0, 8)],
}


class CountingInbound(Inbound):
    """Numbers frames as they come, for tests that are about something else."""

    def accept(self, frame: Frame, size_bytes: int) -> None:
        super().accept(replace(frame, number=self._number + 1), size_bytes)


class TestInbound:
    """What a receiver takes in one session."""

    CURSOR = LaneCursor(lane=Lane.BULK, position=5, checkpoint_sha256=b"c" * 32)

    def inbound(self, **changes: object) -> Inbound:
        arguments: dict[str, object] = {"window_bytes": 100, "cursors": [self.CURSOR]} | changes
        return CountingInbound(**arguments)  # type: ignore[arg-type]

    def frame(self, make_item: MakeItem, after: int, position: int, **changes: object) -> Frame:
        fields: dict[str, object] = {"lane": Lane.BULK, "after_position": after} | changes
        return Frame(items=(make_item(position),), **fields)  # type: ignore[arg-type]

    def test_takes_a_chain_and_acknowledges_it(self, make_item: MakeItem) -> None:
        """Frames that follow each other are acknowledged in order, with their bytes."""
        receiver = self.inbound()
        receiver.accept(self.frame(make_item, 5, 7), 40)
        receiver.accept(self.frame(make_item, 7, 8), 50)
        assert [receiver.durable(), receiver.durable()] == [
            Ack(lane=Lane.BULK, position=7, credit_bytes=40),
            Ack(lane=Lane.BULK, position=8, credit_bytes=50),
        ]

    @pytest.mark.parametrize("frames", GAPS.values(), ids=GAPS.keys())
    def test_broken_chain_is_refused(
        self, make_item: MakeItem, frames: list[tuple[int, int]]
    ) -> None:
        """A frame that does not follow the one before it raises before any work."""
        receiver = self.inbound()
        for after, position in frames[:-1]:
            receiver.accept(self.frame(make_item, after, position), 1)
        with pytest.raises(errors.LaneGap):
            receiver.accept(self.frame(make_item, *frames[-1]), 1)

    @pytest.mark.parametrize("numbers", [[0], [2], [1, 1], [1, 3]])
    def test_missing_or_repeated_frame_is_noticed(
        self, make_item: MakeItem, numbers: list[int]
    ) -> None:
        """Frames count from 1 through all lanes, so none is missed and none comes twice."""
        receiver = Inbound(window_bytes=100, cursors=[])
        frames = [
            Frame(lane=lane, items=(make_item(1, channel=channel),), number=number)
            for number, (lane, channel) in zip(
                numbers, [(Lane.CONTROL, "node"), (Lane.BULK, "up:15")], strict=False
            )
        ]
        for frame in frames[:-1]:
            receiver.accept(frame, 1)
        with pytest.raises(errors.FrameGap):
            receiver.accept(frames[-1], 1)

    def test_lane_may_start_over(self, make_item: MakeItem) -> None:
        """A sender that does not know our cursor begins at position 0."""
        receiver = self.inbound()
        receiver.accept(self.frame(make_item, 0, 1), 1)
        receiver.accept(self.frame(make_item, 1, 2), 1)
        assert receiver.durable().position == 1

    def test_more_than_the_window_is_refused(self, make_item: MakeItem) -> None:
        """Bulk beyond the credit raises, and is taken once there is room."""
        receiver = self.inbound()
        receiver.accept(self.frame(make_item, 5, 7), 60)
        late = self.frame(make_item, 7, 8)
        with pytest.raises(errors.CreditExceeded):
            receiver.accept(late, 60)
        receiver.durable()
        receiver.accept(late, 60)

    def test_room_is_asked_for_and_given(self, make_item: MakeItem) -> None:
        """A window that was more than half full gets more, which belongs to no frame."""
        receiver = self.inbound()
        receiver.accept(self.frame(make_item, 5, 7), 50)
        assert not receiver.take_crowded()
        receiver.accept(self.frame(make_item, 7, 8), 10)
        assert receiver.take_crowded()
        assert not receiver.take_crowded(), "asked once for each time"
        assert receiver.granted(100) == Ack(lane=Lane.CONTROL, position=0, credit_bytes=100)
        receiver.accept(self.frame(make_item, 8, 9), 140)
        with pytest.raises(errors.CreditExceeded):
            receiver.accept(self.frame(make_item, 9, 10), 1)

    def test_urgent_frame_has_room_in_a_full_window(self, make_item: MakeItem) -> None:
        """A directive is taken when bulk has used the whole window, a flood of them is not."""
        receiver = self.inbound()
        receiver.accept(self.frame(make_item, 5, 7), 100)
        frames = [
            Frame(lane=Lane.URGENT, items=(make_item(n + 1, channel="down"),), after_position=n)
            for n in range(3)
        ]
        receiver.accept(frames[0], 1 << 20)
        receiver.accept(frames[1], 1 << 20)
        with pytest.raises(errors.CreditExceeded):
            receiver.accept(frames[2], 1 << 20)

    def test_journal_in_the_wrong_lane_is_refused(self, make_item: MakeItem) -> None:
        """No lane carries another lane's journals."""
        for channel in ("node", "down", "local"):
            items = (make_item(7, channel=channel),)
            frame = Frame(lane=Lane.BULK, items=items, after_position=5)
            with pytest.raises(errors.LaneMismatch):
                self.inbound().accept(frame, 1)

    def test_only_wanted_journals_are_backfilled(self, make_item: MakeItem) -> None:
        """A backfill that was not asked for raises; one that was keeps the cursor."""
        wanted = make_item().seal.journal
        frame = self.frame(make_item, 5, 2, backfill=True)
        with pytest.raises(errors.WireFieldInvalid):
            self.inbound().accept(frame, 1)
        receiver = self.inbound(wanted=[Holding(journal=wanted, size=0)])
        receiver.accept(frame, 7)
        receiver.accept(self.frame(make_item, 5, 6), 1)
        assert receiver.durable() == Ack(lane=Lane.BULK, position=5, credit_bytes=7)
        assert receiver.durable().position == 6

    def test_frames_become_durable_in_order(self, make_item: MakeItem) -> None:
        """Only the oldest frame can be the next durable one."""
        receiver = Inbound(window_bytes=100, cursors=[self.CURSOR])
        first = self.frame(make_item, 5, 7, number=1)
        second = self.frame(make_item, 7, 8, number=2)
        receiver.accept(first, 1)
        receiver.accept(second, 1)
        assert (receiver.is_next(first), receiver.is_next(second)) == (True, False)


def test_journal_name_is_checked_before_routing() -> None:
    """A journal of an unknown channel cannot even be named."""
    with pytest.raises(errors.ChannelInvalid):
        JournalId(node_id=bytes(16), channel="up:16", epoch="1")  # type: ignore[arg-type]
