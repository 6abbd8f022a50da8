"""Snapshots: the projected tables at a position, sealed, for the day when parts are gone.

A rebuild that finds one starts from it. Its digests are a record in the `local`
journal, so that whoever changes a snapshot is found out. Only the newest is kept: it holds
everything that an older one held.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Table, delete, func, insert, select

from yidao.node.store.parterrors import SnapshotDamaged
from yidao.node.store.tables import snapshot, snapshot_chunk
from yidao.sync.removal import SealedSnapshot, SealedTable

_CHUNK_ROWS: Final = 1_000
_BYTES: Final = "b64"


def digest_table(conn: Connection, one: Table) -> tuple[int, bytes]:
    """Return a table's row count and a SHA-256 over its rows in key order."""
    digest = hashlib.sha256()
    order = list(one.primary_key.columns) or list(one.columns)
    rows = conn.execute(select(one).order_by(*order), execution_options={"yield_per": 1_000})
    for row in rows:
        digest.update(repr(tuple(row)).encode())
        digest.update(b"\n")
    count = conn.execute(select(func.count()).select_from(one)).scalar_one()
    return count, digest.digest()


def has_snapshot(conn: Connection) -> bool:
    """Whether a rebuild starts from a snapshot."""
    return conn.execute(select(snapshot.c.position).limit(1)).first() is not None


def write_snapshot(
    conn: Connection, tables: Sequence[Table], cursors: Mapping[str, int], position: int
) -> SealedSnapshot:
    """Keep the tables as they are now, in place of any older snapshot."""
    conn.execute(delete(snapshot_chunk))
    conn.execute(delete(snapshot))
    sealed = []
    for one in tables:
        rows, digest = digest_table(conn, one)
        sealed.append(SealedTable(name=one.name, rows=rows, sha256=digest))
        found = conn.execute(select(one), execution_options={"yield_per": _CHUNK_ROWS})
        for idx, chunk in enumerate(found.partitions(_CHUNK_ROWS)):
            conn.execute(
                insert(snapshot_chunk).values(
                    position=position, name=one.name, idx=idx, blob=_pack(one, chunk)
                )
            )
    made = SealedSnapshot(
        position=position, cursors=tuple(sorted(cursors.items())), tables=tuple(sorted(sealed))
    )
    conn.execute(insert(snapshot).values(position=position, core=made.encode()))
    return made


def read_snapshot(conn: Connection) -> SealedSnapshot | None:
    """Return what is known of the snapshot."""
    row = conn.execute(select(snapshot)).one_or_none()
    return None if row is None else SealedSnapshot.decode(bytes(row.core))


def restore_table(conn: Connection, sealed: SealedSnapshot, one: Table) -> bool:
    """Fill an empty table from the snapshot; False if it is not in there.

    Raises:
        SnapshotDamaged: The rows are not those that were sealed.
    """
    known = next((each for each in sealed.tables if each.name == one.name), None)
    if known is None:
        return False
    mine = (snapshot_chunk.c.position == sealed.position) & (snapshot_chunk.c.name == one.name)
    order = select(snapshot_chunk.c.idx).where(mine).order_by(snapshot_chunk.c.idx)
    # One after the other: a table of millions of rows does not fit the memory.
    for idx in conn.execute(order).scalars().all():
        chunk = select(snapshot_chunk.c.blob).where(mine, snapshot_chunk.c.idx == idx)
        blob = conn.execute(chunk).scalar_one()
        conn.execute(insert(one), _unpack(one, bytes(blob), sealed.position))
    if digest_table(conn, one) != (known.rows, known.sha256):
        raise SnapshotDamaged(position=sealed.position, table=one.name)
    return True


def _pack(one: Table, rows: Sequence[Sequence[Any]]) -> bytes:
    names = [column.name for column in one.columns]
    return orjson.dumps({"columns": names, "rows": [list(row) for row in rows]}, default=_bytes)


def _bytes(value: object) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError
    return {_BYTES: base64.b64encode(value).decode()}


def _unpack(one: Table, blob: bytes, position: int) -> list[dict[str, Any]]:
    try:
        found = orjson.loads(blob)
    except orjson.JSONDecodeError:
        raise SnapshotDamaged(position=position, table=one.name) from None
    names = [column.name for column in one.columns]
    if found["columns"] != names:
        raise SnapshotDamaged(position=position, table=one.name)
    return [
        {name: _plain(value) for name, value in zip(names, row, strict=True)}
        for row in found["rows"]
    ]


def _plain(value: Any) -> Any:
    return base64.b64decode(value[_BYTES]) if isinstance(value, dict) else value
