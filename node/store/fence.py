"""The fence before a store's own journals: while it is closed nothing is sealed.

Everything else goes on: reads, projections, what peers send. Deciders wait, since
they answer records with records, and go on where they stood.

It is closed by this process, or by the database: where several daemons share one, what
one of them learnt closes the fence of all (`vouching`).
"""

from collections.abc import Callable


class Fence:
    """Open, or closed for a reason. Safe for threads: attributes that are set as a whole."""

    def __init__(self) -> None:
        self._own = ""
        self._shared = ""
        self._watch: Callable[[str], None] | None = None

    @property
    def reason(self) -> str:
        """Why nothing may be sealed; empty while the fence is open."""
        return self._own or self._shared

    def close(self, reason: str) -> None:
        """Let nothing be sealed from the next job on."""
        self._own = reason

    def open(self) -> None:
        """Let the node seal again, as far as this process is concerned."""
        self._own = ""

    def follow(self, shared: str) -> None:
        """Take over what the database says; empty if nothing there stands against sealing."""
        if shared == self._shared:
            return
        self._shared = shared
        if self._watch is not None:
            self._watch(shared)

    def watch(self, callback: Callable[[str], None]) -> None:
        """Call back with what the database says now, in the writer's thread."""
        self._watch = callback
        if self._shared:
            callback(self._shared)
