"""How often one source may try: a window of a minute a source, in bounded memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 60.0
#: An attacker with many addresses pushes out the oldest windows, not the memory.
_MAX_SOURCES: Final = 10_000


class Pace:
    """Counts tries; safe for one thread.

    Args:
        per_minute: How many tries a source has in a minute.
        clock: Seconds that never go back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_seconds(self, source: str) -> int:
        """Count a try; give 0 if it may go on, else the seconds until the next may."""
        now = self._clock()
        began, tries = self._windows.pop(source, (now, 0))
        if now - began >= _WINDOW_SECONDS:
            began, tries = now, 0
        self._windows[source] = (began, tries + 1)
        while len(self._windows) > _MAX_SOURCES:
            self._windows.popitem(last=False)
        if tries < self._per_minute:
            return 0
        return max(1, int(began + _WINDOW_SECONDS - now))
