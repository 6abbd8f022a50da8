"""Room for what comes: memory that the links of one process share.

Each session may have 1 MiB under way. Who fills it is lent more, as long as there is some:
a parent of thousands of children must not hold as many large windows, and one that has
few is not to wait for each acknowledgement.
"""

from typing import Final

TOTAL_BYTES: Final = 256 << 20
#: Of one session: a frame is at most 1 MiB, and eight of them keep disk and line busy.
MOST_BYTES: Final = 7 << 20
_STEP_BYTES: Final = 1 << 20
#: What is left is never lent whole: whoever comes later gets some of it.
_SHARES: Final = 16


class Room:
    """What is left to lend."""

    def __init__(self, total_bytes: int = TOTAL_BYTES) -> None:
        self._left_bytes = total_bytes

    def lend(self, lent_bytes: int) -> int:
        """Return how much more a session gets that was lent so much; 0 if there is none."""
        more = min(_STEP_BYTES, MOST_BYTES - lent_bytes, self._left_bytes // _SHARES)
        self._left_bytes -= more
        return more

    def give_back(self, lent_bytes: int) -> None:
        """Take back what was lent to a session that is over."""
        self._left_bytes += lent_bytes
