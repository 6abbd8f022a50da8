"""Where nodes stand, asked once a batch: a batch of thousands comes from a few nodes."""

from yidao.node.store.records import Reader
from yidao.sync.ids import NodeId, Path


class Paths:
    """Remembers what a reader says for the length of one batch."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[bytes, Path | None] = {}

    def of(self, node_id: bytes) -> Path | None:
        """Give where a node stands; None if it is not known here."""
        if node_id not in self._known:
            self._known[node_id] = self._reader.path_of(NodeId(node_id))
        return self._known[node_id]
