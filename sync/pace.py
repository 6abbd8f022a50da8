"""How big a frame should be, from how fast the link has been.

A frame on its way cannot be overtaken, so on a slow line a directive waits for
the whole frame before it. Frames shrink until one takes about a second; on a
fast line they grow to the size at which the cost of a message no longer matters
(docs/architecture.md, "The link").
"""

from dataclasses import dataclass, replace
from typing import Final, Self

# How long one frame may take on the line.
_FRAME_SECONDS: Final = 1.0
# How much one measurement counts against all before it.
_WEIGHT: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A value: the measured rate, and the bounds of a frame.

    Attributes:
        bytes_per_second: None until a measurement was possible.
    """

    min_frame_bytes: int
    max_frame_bytes: int
    bytes_per_second: float | None = None

    @property
    def frame_bytes(self) -> int:
        """How big a frame should be now."""
        if self.bytes_per_second is None:
            return self.max_frame_bytes
        fitting = int(self.bytes_per_second * _FRAME_SECONDS)
        return max(self.min_frame_bytes, min(self.max_frame_bytes, fitting))

    def measured(self, acked_bytes: int, seconds: float) -> Self:
        """Return the pace after an interval in which something was always under way.

        An interval in which the line stood idle says nothing of its rate and must
        not be given.

        Args:
            acked_bytes: What was acknowledged in the interval.
            seconds: The interval's length, above 0.
        """
        sample = acked_bytes / seconds
        before = sample if self.bytes_per_second is None else self.bytes_per_second
        return replace(self, bytes_per_second=before + _WEIGHT * (sample - before))


class Pulse:
    """Signs of life of one session, and its pace, both moved on by `tick`.

    The clock is read at ticks only: what came between two ticks counts as heard
    at the second.

    Args:
        pace: The pace to begin with.
        heartbeat_seconds: How often to give a sign of life.
    """

    def __init__(self, pace: Pace, heartbeat_seconds: float) -> None:
        self.pace = pace
        self._heartbeat_seconds = heartbeat_seconds
        self._ticked: float | None = None
        self._heard = True
        self._heard_at = 0.0
        self._beat_at = 0.0
        self._moved_at = 0.0
        self._was_busy = False
        self._acked_bytes = 0

    def heard(self) -> None:
        """Note that something came from the peer."""
        self._heard = True

    def acked(self, size_bytes: int) -> None:
        """Note that the peer has acknowledged so many bytes."""
        self._acked_bytes += size_bytes

    def tick(self, now_seconds: float, under_way_bytes: int) -> bool:
        """Let time pass; return whether a sign of life is due."""
        before = self._ticked
        busy = under_way_bytes > 0
        if before is not None and self._was_busy and busy and now_seconds > before:
            self.pace = self.pace.measured(self._acked_bytes, now_seconds - before)
        if before is None or not busy or not self._was_busy or self._acked_bytes:
            self._moved_at = now_seconds
        self._ticked = now_seconds
        self._was_busy = busy
        self._acked_bytes = 0
        if self._heard or before is None:
            self._heard = False
            self._heard_at = now_seconds
        if before is None or now_seconds - self._beat_at >= self._heartbeat_seconds:
            self._beat_at = now_seconds
            return before is not None
        return False

    def silent_seconds(self, now_seconds: float) -> float:
        """Return for how long nothing has come from the peer."""
        return now_seconds - self._heard_at

    def stalled_seconds(self, now_seconds: float) -> float:
        """Return for how long something was under way and nothing acknowledged."""
        return now_seconds - self._moved_at
