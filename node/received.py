"""Up to which size the parent holds this node's own journals, as its receipts say."""

from collections.abc import Callable

from yidao.sync.ids import JournalId


class Received:
    """The newest receipts. Lives on the event loop."""

    def __init__(self) -> None:
        self._sizes: dict[JournalId, int] = {}
        self._listeners: list[Callable[[JournalId], None]] = []

    def size_of(self, journal: JournalId) -> int:
        """The size that is known to be received since this process started, 0 if none."""
        return self._sizes.get(journal, 0)

    def told(self, journal: JournalId, size: int) -> None:
        """Note a receipt that was verified and kept."""
        if size > self.size_of(journal):
            self._sizes[journal] = size
            for hear in self._listeners:
                hear(journal)

    def listen(self, hear: Callable[[JournalId], None]) -> None:
        """Call with the journal of each receipt that comes, for as long as this lives."""
        self._listeners.append(hear)
