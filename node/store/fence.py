"""The fence before a store's own journals: while it is closed nothing is sealed.

Everything else goes on: reads, projections, what peers send. Deciders wait, since
they answer records with records, and go on where they stood.
"""


class Fence:
    """Open, or closed for a reason. Safe for threads: one attribute, set as a whole."""

    def __init__(self) -> None:
        self._reason = ""

    @property
    def reason(self) -> str:
        """Why nothing may be sealed; empty while the fence is open."""
        return self._reason

    def close(self, reason: str) -> None:
        """Let nothing be sealed from the next job on."""
        self._reason = reason

    def open(self) -> None:
        """Let the node seal again."""
        self._reason = ""
