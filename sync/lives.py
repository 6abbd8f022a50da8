"""Two processes that speak as one node, told by the lives that a parent hears.

Each process draws a life and says it in its Hello. A process that was started again
has a new one and never comes back to an older: a life that returns after another
was heard is a second process, alive.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

WINDOW_MS: Final = 600_000
#: More returns within the window than this put the node aside.
MAX_RETURNS: Final = 3
_KEPT: Final = 8


class Heard(Enum):
    """What a life says of its node."""

    ONE = "one"
    TWO = "two"
    FLAPPING = "flapping"


@dataclass(frozen=True, slots=True)
class Lives:
    """The lives of one node, the newest last, and when older ones came back (Unix ms)."""

    heard: tuple[bytes, ...] = ()
    returns_ms: tuple[int, ...] = ()

    def hear(self, life: bytes, now_ms: int) -> tuple["Lives", Heard]:
        """Take a life that a Hello said."""
        if not life or (self.heard and life == self.heard[-1]):
            return self, Heard.ONE
        others = tuple(each for each in self.heard if each != life)
        after = Lives((*others, life)[-_KEPT:], self.returns_ms)
        if life not in self.heard:
            return after, Heard.ONE
        recent = tuple(at for at in self.returns_ms if now_ms - at < WINDOW_MS)
        after = replace(after, returns_ms=(*recent, now_ms))
        is_flapping = len(after.returns_ms) > MAX_RETURNS
        return after, Heard.FLAPPING if is_flapping else Heard.TWO
