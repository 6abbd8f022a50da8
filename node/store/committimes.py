"""How long commits take: the one figure that tells a slow disk from a slow line."""

import bisect
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Final

#: Upper bounds, seconds: from a disk with a battery to one that is about to fail.
BOUNDS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class CommitTimes:
    """A histogram. One thread adds, any may read."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count how long the block takes, if it succeeds."""
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        self._counts[bisect.bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.sum_seconds += seconds

    def buckets(self) -> list[tuple[str, int]]:
        """Return bounds, the last `+Inf`, with how many commits took at most that long."""
        bounds = [*map(str, BOUNDS_SECONDS), "+Inf"]
        return list(zip(bounds, accumulate(list(self._counts)), strict=True))
