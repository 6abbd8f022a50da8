"""Five wrong passwords lock a name for ten minutes, also one that no user has. Pure but for memory.

After GB/T 22239-2019 8.1.4.1b. A name that nobody has is counted in memory, a bounded number of
them: otherwise the lock would tell which names exist.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_FAILURES: Final = 5
LOCK_MS: Final = 10 * 60_000
_MAX_STRANGERS: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Wrong passwords in a row, and until when (Unix milliseconds) the name is locked."""

    failures: int = 0
    locked_until_ms: int = 0

    def minutes_left(self, now_ms: int) -> int:
        """How many minutes the lock lasts, 0 if there is none.

        One that would last twice as long as any lock was set by a clock that was ahead, and
        counts as over: else it would hold until that day comes.
        """
        left_ms = self.locked_until_ms - now_ms
        return -(-left_ms // 60_000) if 0 < left_ms <= 2 * LOCK_MS else 0

    def failed(self, now_ms: int) -> "Tries":
        """Count one more; the fifth locks. A lock that is over has cleared the count."""
        is_over = self.locked_until_ms > 0 and not self.minutes_left(now_ms)
        failures = 1 if is_over else self.failures + 1
        if failures < MAX_FAILURES:
            return Tries(failures=failures)
        return Tries(failures=failures, locked_until_ms=now_ms + LOCK_MS)


class Strangers:
    """Tries at names that no user has; the longest untouched are forgotten first."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, Tries] = OrderedDict()

    def of(self, name: str) -> Tries:
        """Give what is counted of a name."""
        return self._tries.get(name, Tries())

    def failed(self, name: str, now_ms: int) -> None:
        """Count a wrong password for a name."""
        self._tries[name] = self.of(name).failed(now_ms)
        self._tries.move_to_end(name)
        while len(self._tries) > _MAX_STRANGERS:
            self._tries.popitem(last=False)
