"""Reading the catalog: one entry, the working copies, a search with facets."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from yidao.catalog.resource import EntryState, Resource, decode_resource
from yidao.node.affairs.catalog.tables import catalog_copy, catalog_entry
from yidao.node.affairs.desk import Desk
from yidao.sync.ids import Path

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of the catalog as it stands at this node.

    Attributes:
        owner: Node id of who published the code first.
        version: Rises with each publication.
        record_id: Of the record that brought this state.
        changed_ms: Unix milliseconds of that record.
        reason: Why it was withdrawn, or sent back.
        contested: Another node has published the code too.
        registered_ms: When the code was first published; 0 for a working copy.
    """

    code: str
    state: EntryState
    owner: bytes
    owner_path: Path
    version: int
    resource: Resource
    record_id: bytes
    changed_ms: int
    changed_by: str = ""
    reason: str = ""
    contested: bool = False
    registered_ms: int = 0


def find_entry(conn: Connection, code: str) -> Entry | None:
    """Give the published or withdrawn entry of a code; None if there is none here."""
    row = conn.execute(select(catalog_entry).where(catalog_entry.c.code == code)).first()
    return None if row is None else entry_of(row)


def find_copy(conn: Connection, desk: Desk, code: str) -> Entry | None:
    """Give this node's working copy of a code, if there is one."""
    row = conn.execute(select(catalog_copy).where(catalog_copy.c.code == code)).first()
    return None if row is None else _copy(row, desk)


def list_copies(
    conn: Connection, desk: Desk, *, after: str = "", limit: int = 0
) -> tuple[Entry, ...]:
    """Give this node's working copies in the order of their codes, after one of them."""
    rows = conn.execute(
        select(catalog_copy)
        .where(catalog_copy.c.code > after)
        .order_by(catalog_copy.c.code)
        .limit(min(limit or DEFAULT_LIMIT, MAX_LIMIT))
    )
    return tuple(_copy(row, desk) for row in rows)


def entry_of(row: Row[Any]) -> Entry:
    """Read a row of `catalog_entry`."""
    return Entry(
        code=row.code,
        state=EntryState(row.state),
        owner=bytes(row.owner),
        owner_path=Path.parse(row.owner_path),
        version=row.version,
        resource=decode_resource(bytes(row.resource)),
        record_id=bytes(row.record_id),
        changed_ms=row.changed_ms,
        changed_by=row.changed_by,
        reason=row.reason,
        contested=row.contested,
        registered_ms=row.registered_ms,
    )


def _copy(row: Row[Any], desk: Desk) -> Entry:
    return Entry(
        code=row.code,
        state=EntryState(row.state),
        owner=desk.identity.node_id,
        owner_path=desk.path,
        version=row.version,
        resource=decode_resource(bytes(row.resource)),
        record_id=bytes(row.record_id),
        changed_ms=row.changed_ms,
        changed_by=row.changed_by,
        reason=row.reason,
    )
