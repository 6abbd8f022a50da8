"""Lanes of a link as their receiver has them: which frame may come next, what is durable.

A session's frames are numbered, so that one that is missing is noticed
before a record passes its declaration. Frames of one lane form a chain: each names
the position that it follows. `advance` moves the durable cursor and refuses a frame
that follows one which did not arrive. `Inbound` asks the same within one session,
before any work is done for a frame, and keeps count of the credit that is out.
"""

from collections.abc import Collection

from yidao.sync import errors
from yidao.sync.ids import Lane
from yidao.sync.message import MAX_FRAME_BYTES, Ack, Frame, Holding, LaneCursor
from yidao.sync.routing import lane_of


def advance(cursor: LaneCursor | None, frame: Frame) -> LaneCursor | None:
    """Return the lane's cursor once every item of `frame` is stored.

    To be called, and its result stored, in the transaction that stores the items.
    A result before the given cursor is right: then the sender started over or two
    sessions overlapped, and the price is a resend, never a gap.

    Args:
        cursor: The durable cursor in the sender's store, None if there is none.
        frame: What came; at least one item.

    Raises:
        LaneGap: The frame follows one that is not durable here.
    """
    held = cursor.position if cursor else 0
    if frame.backfill:
        return cursor
    if frame.after_position > held:
        raise errors.LaneGap(lane=frame.lane.name, held=held, after=frame.after_position)
    last = frame.items[-1]
    return LaneCursor(
        lane=frame.lane,
        position=last.last_position,
        checkpoint_sha256=last.checkpoint_sha256,
    )


class Inbound:
    """The receiving half of one session: what may come next, what came and is not durable.

    Args:
        window_bytes: The credit that was granted in Resume.
        cursors: What was said in Resume.
        wanted: The journals that were wanted in Resume.
    """

    def __init__(
        self,
        *,
        window_bytes: int,
        cursors: Collection[LaneCursor] = (),
        wanted: Collection[Holding] = (),
    ) -> None:
        self._window_bytes = window_bytes
        self._durable = dict.fromkeys(Lane, 0) | {c.lane: c.position for c in cursors}
        self._expected = dict(self._durable)
        self._started: set[Lane] = set()
        self._wanted = {holding.journal for holding in wanted}
        self._pending: list[tuple[Frame, int]] = []
        self._pending_bytes = 0
        self._was_crowded = False
        self._number = 0

    def accept(self, frame: Frame, size_bytes: int) -> None:
        """Take a frame that is to be stored next, after all those before it.

        Raises:
            LaneMismatch: A journal does not belong in this lane.
            WireFieldInvalid: A backfill of a journal that was not wanted.
            FrameGap: It is not the session's next frame.
            LaneGap: It does not follow the lane's frame before it.
            CreditExceeded: There was no credit for it. Nothing changes in any case.
        """
        if frame.number != self._number + 1:
            raise errors.FrameGap(expected=self._number + 1, number=frame.number)
        for item in frame.items:
            channel = item.seal.journal.channel
            if lane_of(channel) is not frame.lane:
                raise errors.LaneMismatch(lane=frame.lane.name, channel=channel)
            if frame.backfill and item.seal.journal not in self._wanted:
                raise errors.WireFieldInvalid(field="backfill")
        if not frame.backfill:
            self._check_chain(frame)
        self._check_credit(frame.lane, size_bytes)
        if not frame.backfill:
            self._started.add(frame.lane)
            self._expected[frame.lane] = frame.last_position
        self._number = frame.number
        self._pending.append((frame, size_bytes))
        self._pending_bytes += size_bytes
        self._was_crowded |= self._pending_bytes > self._window_bytes // 2

    def take_crowded(self) -> bool:
        """Whether the peer has filled more than half of its credit since this was asked last."""
        was_crowded, self._was_crowded = self._was_crowded, False
        return was_crowded

    def granted(self, credit_bytes: int) -> Ack:
        """Let the peer send so much more before it is durable, and return how to say it.

        In the control lane, where nothing is under way for long: it belongs to no frame.
        """
        self._window_bytes += credit_bytes
        position = self._durable[Lane.CONTROL]
        return Ack(lane=Lane.CONTROL, position=position, credit_bytes=credit_bytes)

    def is_next(self, frame: Frame) -> bool:
        """Whether `frame` is the oldest one that is not durable."""
        return bool(self._pending) and self._pending[0][0] is frame

    def durable(self) -> Ack:
        """Count the oldest frame as durable and return what to say of it."""
        frame, size_bytes = self._pending.pop(0)
        self._pending_bytes -= size_bytes
        if not frame.backfill:
            self._durable[frame.lane] = frame.last_position
        position = self._durable[frame.lane]
        return Ack(lane=frame.lane, position=position, credit_bytes=size_bytes)

    def _check_chain(self, frame: Frame) -> None:
        expected = self._expected[frame.lane]
        starts_over = frame.after_position == 0 and frame.lane not in self._started
        if frame.after_position != expected and not starts_over:
            raise errors.LaneGap(lane=frame.lane.name, held=expected, after=frame.after_position)

    def _check_credit(self, lane: Lane, size_bytes: int) -> None:
        # Never tighter than a sender's own count: what is under way for it includes
        # all that is pending here. Control and urgent may be one frame over each.
        allowed = self._window_bytes
        if lane is not Lane.BULK:
            allowed = max(allowed, MAX_FRAME_BYTES) + 2 * MAX_FRAME_BYTES
        if self._pending and self._pending_bytes + size_bytes > allowed:
            raise errors.CreditExceeded(lane=lane.name, size_bytes=size_bytes)
