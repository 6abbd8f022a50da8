"""The index of own record ids, for records that come back from a neighbour."""

from typing import Final

from yidao.node.store import rawsql
from yidao.node.store.journals import Head
from yidao.node.store.scope import Scope
from yidao.sync.errors import PeerError
from yidao.sync.message import Item
from yidao.sync.record import decode_header

#: What an author gave is not all in a header: of what came back, the id alone is compared.
UNKNOWN_CONTENT: Final = b""
_INSERT: Final = (
    "INSERT INTO record_id (record_id, position, content_sha256) VALUES (?, ?, ?)"
    " ON CONFLICT (record_id) DO NOTHING"
)


def note(scope: Scope, head: Head, item: Item) -> None:
    """Let a caller who hands a record in again find the one that came back."""
    assert head.own, "only own records have ids here"
    first = scope.last_position - len(item.seal.headers) + 1
    rows: list[tuple[object, ...]] = []
    for offset, data in enumerate(item.seal.headers):
        try:
            header = decode_header(data)
        except PeerError:
            # Sealed by an older self; nobody can read it and nobody will repeat it.
            continue
        rows.append((header.record_id, first + offset, UNKNOWN_CONTENT))
    rawsql.run_many(scope.conn, _INSERT, rows)
