"""Lanes of a link as their sender has them: what it may read next, what is under way.

The store is one line of positions; each lane is scanned along it on its
own. A lane is scanned only as far as every higher lane has been: a journal is
declared in the control lane before its first record, so its declaration always
goes first. Credit bounds what is under way (docs/architecture.md): bytes that the
receiver granted, one pool for all lanes. Of bulk there is under way what the link carries
in about a second: it begins with 1 MiB, grows by what is acknowledged within a tick, and
begins anew when something has been under way for a whole tick. Bulk never overdraws it. Control and
urgent may, by one frame each, so that no backlog of bulk stops a directive.

What the receiver has of them is `yidao.sync.inbound`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from yidao.sync import errors
from yidao.sync.ids import JournalId, Lane
from yidao.sync.message import Frame, Holding, Item
from yidao.sync.routing import lane_of
from yidao.sync.wire import NUMBER_BYTES, with_number

# A sender never believes in more credit than this, whatever a peer grants.
MAX_CREDIT_BYTES: Final = 256 << 20
# What of bulk is under way at least, whatever the line is like.
LEAST_BULK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """What the store should be asked for next.

    Attributes:
        after_position: Items begin after it.
        up_to_position: Items end at or before it.
        max_bytes: How much to read; a single item may be bigger.
        journal: Only this journal, from the seal on in which record `from_seq` lies: a backfill.
    """

    lane: Lane
    after_position: int
    up_to_position: int
    max_bytes: int
    journal: JournalId | None = None
    from_seq: int = 0


@dataclass(slots=True)
class _Sending:
    """One lane of the sender.

    Attributes:
        waiting: A frame that was read and waits for credit, with its bytes.
        backfill: What of this lane is wanted again; sent before anything else.
        skips: The lane started over, so that what the receiver holds is left out.
    """

    sent_position: int
    scanned_position: int
    acked_position: int
    skips: bool
    under_way_bytes: int = 0
    waiting: tuple[Frame, bytes] | None = None
    backfill: list[Holding] = field(default_factory=list)

    @property
    def cleared_position(self) -> int:
        """How far a lower lane may go without overtaking anything of this one."""
        if self.backfill or (self.waiting is not None and self.waiting[0].backfill):
            return 0
        if self.waiting is not None:
            return self.waiting[0].items[0].position - 1
        return self.scanned_position

    def skip_empty(self, limit: int, lane_head: int) -> None:
        """Count the lane as scanned up to `limit` if its last position is behind us."""
        if lane_head <= self.scanned_position < limit:
            self.scanned_position = limit


class Outbound:
    """The sending half of one session: scan order, credit, acknowledgements.

    Args:
        credit_bytes: What the receiver granted at first.
        starts: The resume point of each lane; a lane that is not named starts over.
        holdings: What the receiver holds; a lane that starts over leaves it out.
        wanted: Journals that are needed again from a size on.
        returned: The receiver's own journals that it lost and wants back: no lane to it
            ever brings them.
    """

    def __init__(
        self,
        *,
        credit_bytes: int,
        starts: Mapping[Lane, int],
        holdings: Collection[Holding] = (),
        wanted: Collection[Holding] = (),
        returned: Collection[Holding] = (),
    ) -> None:
        self._credit_bytes = min(credit_bytes, MAX_CREDIT_BYTES)
        self._bulk_bytes = LEAST_BULK_BYTES
        self._lagging_bytes = 0
        self._number = 0
        self._held = {holding.journal: holding.size for holding in holdings}
        self._lanes: dict[Lane, _Sending] = {}
        for lane in Lane:
            start = starts.get(lane, 0)
            self._lanes[lane] = _Sending(start, start, start, skips=start == 0)
        for holding in wanted:
            its_lane = lane_of(holding.journal.channel)
            if its_lane is None:
                continue
            if self._lanes[its_lane].skips:
                # A lane that starts over brings the journal anyway.
                self._held[holding.journal] = holding.size
            else:
                self._lanes[its_lane].backfill.append(holding)
        self._returned = {holding.journal for holding in returned}
        for holding in returned:
            its_lane = lane_of(holding.journal.channel)
            if its_lane is not None:
                self._lanes[its_lane].backfill.append(holding)

    @property
    def credit_bytes(self) -> int:
        """What may still be sent; below 0 after an overdraft."""
        return self._credit_bytes

    @property
    def under_way_bytes(self) -> int:
        """What was sent and is not acknowledged."""
        return sum([sending.under_way_bytes for sending in self._lanes.values()])

    def next_read(
        self, head: int, max_bytes: int, lane_heads: Mapping[Lane, int] | None = None
    ) -> ReadRequest | None:
        """Return what to read next, or None until a commit or an acknowledgement.

        Args:
            head: The last position that is durable in our store.
            max_bytes: How big a frame should be now.
            lane_heads: For each lane the last position that could go to this peer, or
                any later one; what lies beyond needs no read. Without it every
                lane is read to the head.
        """
        limit = head
        for lane, sending in self._lanes.items():
            if sending.waiting is None and not sending.backfill and lane_heads is not None:
                sending.skip_empty(limit, lane_heads.get(lane, 0))
            if limit and sending.waiting is None and self._has_room(lane, max_bytes):
                if sending.backfill:
                    is_returned = sending.backfill[0].journal in self._returned
                    up_to = head if is_returned else sending.sent_position
                    return _backfill_request(lane, sending, max_bytes, up_to)
                if sending.scanned_position < limit:
                    return ReadRequest(
                        lane=lane,
                        after_position=sending.scanned_position,
                        up_to_position=limit,
                        max_bytes=max_bytes,
                    )
            limit = min(limit, sending.cleared_position)
        return None

    def take(self, request: ReadRequest, items: tuple[Item, ...], scanned_to: int) -> Frame | None:
        """Take what was read for `request`; return the frame to send, if any.

        The frame must be given to `offer` next.

        Raises:
            ReadInvalid: The store answered another question.
        """
        sending = self._lanes[request.lane]
        if items and not (
            request.after_position < items[0].position
            and items[-1].last_position <= request.up_to_position
        ):
            raise errors.ReadInvalid(lane=request.lane.name, reason="position")
        if request.journal is not None:
            return _take_backfill(request, sending, items)
        last = items[-1].last_position if items else request.after_position
        if not max(last, request.after_position + 1) <= scanned_to <= request.up_to_position:
            raise errors.ReadInvalid(lane=request.lane.name, reason="scanned_to")
        sending.scanned_position = scanned_to
        if sending.skips:
            items = self._without_held(items)
        if not items:
            return None
        frame = Frame(lane=request.lane, items=items, after_position=sending.sent_position)
        sending.sent_position = frame.last_position
        return frame

    def offer(self, frame: Frame, data: bytes) -> list[tuple[Frame, bytes]]:
        """Return the frames that may go now: this one, or none if it must wait.

        Args:
            frame: As `take` gave it.
            data: Its bytes, still without a number.
        """
        self._lanes[frame.lane].waiting = (frame, data)
        return self.release()

    def release(self) -> list[tuple[Frame, bytes]]:
        """Return the frames for which there is credit now, numbered and counted out."""
        ready = []
        for lane, sending in self._lanes.items():
            if sending.waiting is None:
                continue
            frame, data = sending.waiting
            size_bytes = len(data) + NUMBER_BYTES
            if self._has_room(lane, size_bytes):
                sending.waiting = None
                sending.under_way_bytes += size_bytes
                self._credit_bytes -= size_bytes
                self._number += 1
                numbered = replace(frame, number=self._number)
                ready.append((numbered, with_number(data, self._number)))
        return ready

    def acked(self, lane: Lane, position: int, credit_bytes: int) -> None:
        """Take an acknowledgement: what is durable there, and the credit that came back.

        Raises:
            AckInvalid: It covers what was not sent, takes back what was covered, or
                grants beyond all measure. Nothing changes.
        """
        sending = self._lanes[lane]
        credit = self._credit_bytes + credit_bytes
        sent = sending.sent_position
        if sending.waiting is not None and not sending.waiting[0].backfill:
            sent = sending.waiting[0].after_position
        if not sending.acked_position <= position <= sent or credit > MAX_CREDIT_BYTES:
            raise errors.AckInvalid(lane=lane.name, position=position)
        sending.acked_position = position
        sending.under_way_bytes = max(0, sending.under_way_bytes - credit_bytes)
        self._credit_bytes = credit
        if lane is Lane.BULK:
            in_time_bytes = max(0, credit_bytes - self._lagging_bytes)
            self._lagging_bytes = max(0, self._lagging_bytes - credit_bytes)
            self._bulk_bytes = min(self._bulk_bytes + in_time_bytes, MAX_CREDIT_BYTES)

    def tick(self) -> None:
        """Let about a second pass: what is still under way since the last one is slow."""
        if self._lagging_bytes:
            self._bulk_bytes = LEAST_BULK_BYTES
        self._lagging_bytes = self._lanes[Lane.BULK].under_way_bytes

    def _has_room(self, lane: Lane, size_bytes: int) -> bool:
        bulk_bytes = self._lanes[Lane.BULK].under_way_bytes
        if size_bytes <= self._credit_bytes and (
            lane is not Lane.BULK or not bulk_bytes or bulk_bytes + size_bytes <= self._bulk_bytes
        ):
            return True
        # The overdrafts. Bulk's is for a window that is smaller than one segment.
        if lane is Lane.BULK:
            return self.under_way_bytes == 0 and self._credit_bytes > 0
        return self._lanes[lane].under_way_bytes == 0

    def _without_held(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        missing = tuple(
            [item for item in items if item.seal.end_seq > self._held.get(item.seal.journal, 0)]
        )
        # The last item goes anyway: it moves the receiver's cursor, so that the next
        # session need not scan from the beginning again.
        if not missing or missing[-1] is not items[-1]:
            missing = (*missing, *items[-1:])
        # The same value, so that whoever sends it to many may know it again.
        return items if len(missing) == len(items) else missing


def _backfill_request(lane: Lane, sending: _Sending, max_bytes: int, up_to: int) -> ReadRequest:
    wanted = sending.backfill[0]
    return ReadRequest(
        lane=lane,
        after_position=0,
        up_to_position=up_to,
        max_bytes=max_bytes,
        journal=wanted.journal,
        from_seq=wanted.size,
    )


def _take_backfill(
    request: ReadRequest, sending: _Sending, items: tuple[Item, ...]
) -> Frame | None:
    if not items:
        sending.backfill.pop(0)
        return None
    if {item.seal.journal for item in items} != {request.journal} or (
        items[0].seal.end_seq <= request.from_seq
    ):
        raise errors.ReadInvalid(lane=request.lane.name, reason="journal")
    sending.backfill[0] = replace(sending.backfill[0], size=items[-1].seal.end_seq)
    return Frame(
        lane=request.lane, items=items, after_position=sending.sent_position, backfill=True
    )
