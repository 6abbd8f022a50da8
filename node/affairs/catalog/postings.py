"""Which entries hold a run of characters or have a value: sets of numbers, kept in blocks.

Each entry has a number, `doc`. What a run or a value is found in is a bitmap
over those numbers, cut into blocks, one row a block. A search is then a few
range reads and some ANDs of integers, and each facet's count is the number of
bits that are left: exact, at any number of hits, on every database alike.

A block of a run is stored as little-endian 16-bit offsets while that is
shorter, else as the bitmap (least significant bit first); a block of a value is
always a bitmap, since all values are read by each search. A block with no bit
has no row. So equal sets are equal rows, however they came about.
"""

import struct
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, select, tuple_

from yidao.node.affairs.catalog.tables import catalog_facet, catalog_posting
from yidao.node.store.rawsql import run_many

Key = tuple[str, ...]
_KEYS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """One table of postings.

    Attributes:
        key: Its key columns but for the block.
        block_bits: Entries a block; at most 65,536.
        offsets: Whether sparse blocks are stored as offsets.
        put, drop: How a block is written and deleted.
    """

    table: Table
    key: tuple[Column[str], ...]
    block_bits: int
    offsets: bool
    put: str
    drop: str

    @property
    def block_bytes(self) -> int:
        """Length of a block's bitmap."""
        return self.block_bits // 8


GRAMS: Final = Space(
    table=catalog_posting,
    key=(catalog_posting.c.gram,),
    block_bits=4_096,
    offsets=True,
    put="INSERT INTO catalog_posting (gram, block, docs) VALUES (?, ?, ?) "
    "ON CONFLICT (gram, block) DO UPDATE SET docs = excluded.docs",
    drop="DELETE FROM catalog_posting WHERE gram = ? AND block = ?",
)
FACETS: Final = Space(
    table=catalog_facet,
    key=(catalog_facet.c.facet, catalog_facet.c.value),
    block_bits=32_768,
    offsets=False,
    put="INSERT INTO catalog_facet (facet, value, block, docs) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (facet, value, block) DO UPDATE SET docs = excluded.docs",
    drop="DELETE FROM catalog_facet WHERE facet = ? AND value = ? AND block = ?",
)


def encode_block(space: Space, bits: int) -> bytes:
    """Write one block."""
    count = bits.bit_count()
    if not space.offsets or 2 * count >= space.block_bytes:
        return bits.to_bytes(space.block_bytes, "little")
    offsets = []
    while bits:
        low = bits & -bits
        offsets.append(low.bit_length() - 1)
        bits ^= low
    return struct.pack(f"<{count}H", *offsets)


def block_bitmap(space: Space, data: bytes) -> bytes:
    """Give the bitmap of a stored block."""
    if len(data) == space.block_bytes:
        return data
    bitmap = bytearray(space.block_bytes)
    for offset in struct.unpack(f"<{len(data) // 2}H", data):
        bitmap[offset >> 3] |= 1 << (offset & 7)
    return bytes(bitmap)


class Changes:
    """What a batch changes in one space; the last word on each bit stands."""

    def __init__(self, space: Space) -> None:
        self._space = space
        # By block and key: bits to set, bits to clear.
        self._bits: dict[int, dict[Key, list[int]]] = defaultdict(dict)

    def add(self, keys: Iterable[Key], doc: int) -> None:
        """Say that an entry has these keys."""
        block, offset = divmod(doc, self._space.block_bits)
        bit = 1 << offset
        changed = self._bits[block]
        for key in keys:
            found = changed.setdefault(key, [0, 0])
            found[0] |= bit
            found[1] &= ~bit

    def remove(self, keys: Iterable[Key], doc: int) -> None:
        """Say that an entry has these keys no more."""
        block, offset = divmod(doc, self._space.block_bits)
        bit = 1 << offset
        changed = self._bits[block]
        for key in keys:
            found = changed.setdefault(key, [0, 0])
            found[0] &= ~bit
            found[1] |= bit

    def write(self, conn: Connection) -> None:
        """Bring the table to what was said."""
        space = self._space
        for block, changed in self._bits.items():
            held = _held(conn, space, block, changed)
            written, emptied = [], []
            for key, (plus, minus) in changed.items():
                before = held.get(key, 0)
                after = (before & ~minus) | plus
                if after == before:
                    continue
                if after:
                    written.append((*key, block, encode_block(space, after)))
                else:
                    emptied.append((*key, block))
            if written:
                run_many(conn, space.put, written)
            if emptied:
                run_many(conn, space.drop, emptied)


def _held(conn: Connection, space: Space, block: int, keys: Collection[Key]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    wanted = list(keys)
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        some = wanted[start : start + _KEYS_AT_ONCE]
        query = select(*space.key, space.table.c.docs).where(
            space.table.c.block == block, tuple_(*space.key).in_(some)
        )
        for *key, docs in conn.execute(query):
            found[tuple(key)] = int.from_bytes(block_bitmap(space, bytes(docs)), "little")
    return found


def read_grams(conn: Connection, grams: Collection[str]) -> dict[str, int]:
    """Give the entries that hold each run, as an integer of bits."""
    table = catalog_posting.c
    found = _joined(conn, GRAMS, table.gram.in_(sorted(grams)))
    return {gram: found.get((gram,), 0) for gram in grams}


def read_facets(conn: Connection, facets: Collection[str]) -> dict[str, dict[str, int]]:
    """Give the entries of each value of these facets, as integers of bits."""
    found = _joined(conn, FACETS, catalog_facet.c.facet.in_(sorted(facets)))
    values: dict[str, dict[str, int]] = {facet: {} for facet in facets}
    for (facet, value), bits in found.items():
        values[facet][value] = bits
    return values


def read_value(conn: Connection, facet: str, value: str) -> int:
    """Give the entries of one value, as an integer of bits."""
    table = catalog_facet.c
    found = _joined(conn, FACETS, and_(table.facet == facet, table.value == value))
    return found.get((facet, value), 0)


def _joined(conn: Connection, space: Space, where: ColumnElement[bool]) -> dict[Key, int]:
    blocks: dict[Key, dict[int, bytes]] = defaultdict(dict)
    query = select(*space.key, space.table.c.block, space.table.c.docs).where(where)
    for *key, block, docs in conn.execute(query):
        blocks[tuple(key)][block] = block_bitmap(space, bytes(docs))
    empty = bytes(space.block_bytes)
    return {
        key: int.from_bytes(
            b"".join(held.get(block, empty) for block in range(max(held) + 1)), "little"
        )
        for key, held in blocks.items()
    }
