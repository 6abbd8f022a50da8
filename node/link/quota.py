"""What one child may cost: bytes a second, and attempts that have to be refused.

A child that sends faster than its quota is slowed down by its acknowledgements: they
come later, and with them the credit for more. Nothing that it sends is lost or refused,
and nothing of it waits in memory beyond its window. A child whose seals are refused
again and again costs a verification each time; above a number a minute its session ends
and it is told when to come again. Quotas belong to the child and not to a session, so
that dialling anew does not renew them.
"""

import time
from collections.abc import Callable
from typing import Final

from yidao.node.link.errors import LinkQuotaExceeded
from yidao.sync.ids import NodeId

# A quota is an average; a burst of so many seconds passes at once.
BURST_SECONDS: Final = 4.0
MINUTE: Final = 60.0
MIN_WINDOW_BYTES: Final = 16 << 10


class _Bucket:
    """Fills at a rate up to a burst; what is spent beyond it has to be waited for."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self._at = burst, now

    def spend(self, amount: float, now: float) -> float:
        """Take an amount, and return the seconds until the bucket is not overdrawn."""
        self._level = min(self._burst, self._level + (now - self._at) * self._rate) - amount
        self._at = now
        return max(0.0, -self._level / self._rate)

    def owed(self, now: float) -> float:
        """Return by how much the bucket is overdrawn."""
        return max(0.0, -(self._level + (now - self._at) * self._rate))


class Quota:
    """What one child has left.

    Args:
        bytes_per_second: Frames as they came.
        refusals_per_minute: Items of frames that were refused.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        *,
        bytes_per_second: int,
        refusals_per_minute: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._bytes = _Bucket(bytes_per_second, bytes_per_second * BURST_SECONDS, clock())
        self._refusals = _Bucket(refusals_per_minute / MINUTE, refusals_per_minute, clock())
        self._comes_again = 0.0

    def spend(self, size_bytes: int) -> float:
        """Count what came; return the seconds by which its acknowledgement is put off."""
        return self._bytes.spend(size_bytes, self._clock())

    def window(self, window_bytes: int) -> int:
        """Return how much of a window a new session gets: what the child still owes is out.

        Else every new connection would let a whole window more through. One frame passes
        in any case, so that directives are heard and acknowledged.
        """
        return max(MIN_WINDOW_BYTES, window_bytes - int(self._bytes.owed(self._clock())))

    def refused(self, items: int) -> None:
        """Count items that were refused.

        Raises:
            LinkQuotaExceeded: They are more than the quota; the child is kept away.
        """
        now = self._clock()
        if items and self._refusals.spend(items, now) > 0:
            self._comes_again = now + MINUTE
            raise LinkQuotaExceeded(seconds=int(MINUTE))

    def check(self) -> None:
        """Return only if the child may have a session now.

        Raises:
            LinkQuotaExceeded: It was sent away a short while ago.
        """
        left = self._comes_again - self._clock()
        if left > 0:
            raise LinkQuotaExceeded(seconds=int(left) + 1)


class Quotas:
    """The quotas of all children of a node."""

    def __init__(self, *, bytes_per_second: int, refusals_per_minute: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._refusals_per_minute = refusals_per_minute
        self._quotas: dict[NodeId, Quota] = {}

    def of(self, child: NodeId) -> Quota:
        """Return what one child has left."""
        quota = self._quotas.get(child)
        if quota is None:
            quota = self._quotas[child] = Quota(
                bytes_per_second=self._bytes_per_second,
                refusals_per_minute=self._refusals_per_minute,
            )
        return quota
