"""How long to wait before dialling again.

Full jitter over a doubling ceiling, as in Brooker, "Exponential Backoff And
Jitter" (AWS Architecture Blog, 2015), with a floor of half the ceiling, so that
a link is neither hammered nor, by bad luck, retried many times at once.
"""

from dataclasses import dataclass
from typing import Final, Self

# 2^20 of any floor lies far above any ceiling; beyond it only the number grows.
_MAX_DOUBLINGS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """A value: how often dialling failed since it last succeeded.

    Attributes:
        min_seconds: Ceiling of the first wait.
        max_seconds: Ceiling of every later wait.
    """

    min_seconds: float = 1.0
    max_seconds: float = 240.0
    failures: int = 0

    def next(self, jitter: float) -> tuple[float, Self]:
        """Return the seconds to wait now, and what to ask after the next failure.

        Args:
            jitter: A random number in [0, 1); a value outside is taken as its
                nearest bound.
        """
        doublings = min(self.failures, _MAX_DOUBLINGS)
        ceiling = min(self.max_seconds, self.min_seconds * 2**doublings)
        spread = min(max(jitter, 0.0), 1.0)
        return ceiling * (0.5 + 0.5 * spread), self._after(self.failures + 1)

    def reset(self) -> Self:
        """Return the value to go on with after a session was opened."""
        return self._after(0)

    def _after(self, failures: int) -> Self:
        # A quarter of what `dataclasses.replace` takes: who is alone dials for months.
        return type(self)(
            min_seconds=self.min_seconds, max_seconds=self.max_seconds, failures=failures
        )
