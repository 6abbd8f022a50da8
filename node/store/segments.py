"""Segments: one row a seal, with its tiles; finding records in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select

from yidao.node.store import errors, rawsql
from yidao.node.store.journals import Head
from yidao.node.store.packing import pack_headers, unpack_headers
from yidao.node.store.prepared import Prepared
from yidao.node.store.tables import segment
from yidao.sync.journal import Seal
from yidao.sync.merkle import NodeAt, leaf_hashes
from yidao.sync.tiles import TILE_WIDTH, TileEntries, node_reader

_SELECT_HEADERS: Final = (
    "SELECT first_seq, headers FROM segment WHERE journal_id = ? AND first_seq >="
    " (SELECT max(first_seq) FROM segment WHERE journal_id = ? AND first_seq <= ?)"
    " AND first_seq < ? ORDER BY first_seq"
)
_SELECT_TILES: Final = (
    "SELECT hash FROM tile WHERE journal_id = ? AND level = ? AND idx >= ? AND idx < ? ORDER BY idx"
)
_INSERT: Final = Prepared(insert(segment), [column.key for column in segment.c])
_INSERT_TILE: Final = "INSERT INTO tile (journal_id, level, idx, hash) VALUES (?, ?, ?, ?)"
_AT: Final = Prepared(
    select(segment)
    .where(segment.c.position <= bindparam("at"))
    .order_by(segment.c.position.desc())
    .limit(1)
)
_WITH: Final = Prepared(
    select(segment)
    .where(segment.c.journal_id == bindparam("of"), segment.c.first_seq <= bindparam("seq"))
    .order_by(segment.c.first_seq.desc())
    .limit(1)
)
_ENDING: Final = Prepared(
    select(segment.c.first_seq, segment.c.record_count, segment.c.checkpoint)
    .where(segment.c.journal_id == bindparam("of"), segment.c.first_seq <= bindparam("seq"))
    .order_by(segment.c.first_seq.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stored seal.

    Attributes:
        position: The store position of the first header.
    """

    position: int
    journal_pk: int
    first_seq: int
    headers: tuple[bytes, ...]
    checkpoint: bytes

    @property
    def end_seq(self) -> int:
        """The journal's size with this segment."""
        return self.first_seq + len(self.headers)

    @property
    def last_position(self) -> int:
        """The store position of the last header."""
        return self.position + len(self.headers) - 1


def write_segment(
    conn: Connection,
    head: Head,
    seal: Seal,
    entries: Sequence[TileEntries],
    *,
    position: int,
    now_ms: int,
) -> None:
    """Store a seal that was made or verified here, and the tile entries that it closes."""
    _INSERT.run(
        conn,
        position=position,
        record_count=len(seal.headers),
        journal_id=head.pk,
        first_seq=seal.first_seq,
        headers=pack_headers(seal.headers),
        checkpoint=seal.checkpoint,
        up_lane=head.routes.up_lane,
        down_lane=head.routes.down_lane,
        down_target=head.routes.down_target,
        stored_ms=now_ms,
    )
    rows = [
        (head.pk, run.level, run.first + offset, value)
        for run in entries
        for offset, value in enumerate(run.hashes)
    ]
    if rows:
        rawsql.run_many(conn, _INSERT_TILE, rows)


def segment_of(row: Row[Any]) -> Segment:
    """Return a segment row with its headers unpacked."""
    headers = unpack_headers(row.headers)
    if len(headers) != row.record_count:
        raise errors.StoreInconsistent(what="count")
    return Segment(
        position=row.position,
        journal_pk=row.journal_id,
        first_seq=row.first_seq,
        headers=headers,
        checkpoint=row.checkpoint,
    )


def segment_at(conn: Connection, position: int) -> Segment | None:
    """Return the segment that holds a store position."""
    row = _AT.first(conn, at=position)
    if row is None or row.position + row.record_count <= position:
        return None
    return segment_of(row)


def segment_with(conn: Connection, journal_pk: int, seq: int) -> Segment | None:
    """Return the segment that holds a record of a journal."""
    row = _WITH.first(conn, of=journal_pk, seq=seq)
    if row is None or row.first_seq + row.record_count <= seq:
        return None
    return segment_of(row)


def checkpoint_at(conn: Connection, journal_pk: int, size: int) -> bytes | None:
    """Return the checkpoint of the segment that ends a journal at exactly that size, or None."""
    row = _ENDING.first(conn, of=journal_pk, seq=size - 1)
    if row is None or row.first_seq + row.record_count != size:
        return None
    return bytes(row.checkpoint)


def headers_of(conn: Connection, journal_pk: int, first: int, count: int) -> list[bytes]:
    """Return header bytes of records `first` to `first + count - 1`, fewer if not all are held."""
    rows = rawsql.fetch(conn, _SELECT_HEADERS, (journal_pk, journal_pk, first, first + count))
    found: list[bytes] = []
    for first_seq, blob in rows:
        start = max(0, first - first_seq)
        found.extend(unpack_headers(bytes(blob), start, count - len(found)))
    return found


def tree_reader(conn: Connection, journal_pk: int, suite: int) -> NodeAt:
    """Return the reader of a journal's Merkle tree: stored tiles, leaves out of headers."""
    # The leaves below one tile entry: a path asks for neighbours at eight heights of them.
    blocks: dict[int, list[bytes]] = {}

    def leaves(first: int, count: int) -> list[bytes]:
        block, start = divmod(first, TILE_WIDTH)
        if block not in blocks:
            headers = headers_of(conn, journal_pk, block * TILE_WIDTH, TILE_WIDTH)
            blocks[block] = leaf_hashes(headers, suite)
        return blocks[block][start : start + count]

    def read(level: int, first: int, count: int) -> list[bytes]:
        if level == 0:
            return leaves(first, count)
        rows = rawsql.fetch(conn, _SELECT_TILES, (journal_pk, level, first, first + count))
        return [bytes(value) for (value,) in rows]

    return node_reader(read, suite)
