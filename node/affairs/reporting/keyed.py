"""Rows that carry the caller's own key: recognised by the record that the key names.

The record id of a keyed row is a hash of its author and its key, so the store
itself, which never takes one id twice, is what remembers the keys. A key is
used up by a row that is taken; one that was refused may come again put right,
and one that equals what stands leaves no record and needs none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from yidao.node.affairs.errors import AffairError, KeyInvalid, KeyReused
from yidao.node.affairs.registry import records as registry
from yidao.node.affairs.reporting import records
from yidao.node.affairs.reporting.judging import Placement
from yidao.node.store.records import read_records
from yidao.node.store.tables import record_id as id_table
from yidao.node.store.values import StoredRecord

MAX_KEY_CHARACTERS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a row by its key, before it is judged.

    Attributes:
        taken: The record that this very row made before.
        first: Number of the row of this batch that has the same key and content.
        error: Why the row cannot have its key.
    """

    taken: StoredRecord | None = None
    first: int | None = None
    error: AffairError | None = None


def known_rows(conn: Connection, author: str, places: Sequence[Placement]) -> dict[int, Known]:
    """Give what is known of the rows that need no judging, by their number in the batch."""
    keys = {number: place.source.key for number, place in enumerate(places) if place.source.key}
    if not keys:
        return {}
    taken = _taken(conn, {records.keyed_id(author, key) for key in keys.values()})
    known: dict[int, Known] = {}
    firsts: dict[str, int] = {}
    for number, key in keys.items():
        place = places[number]
        if len(key) > MAX_KEY_CHARACTERS or not key.isprintable():
            known[number] = Known(error=KeyInvalid(limit=MAX_KEY_CHARACTERS))
        elif (record := taken.get(records.keyed_id(author, key))) is not None:
            known[number] = (
                Known(taken=record) if _made(record, place) else Known(error=KeyReused(key=key))
            )
        elif (first := firsts.setdefault(key, number)) != number:
            same = _as_read(places[first]) == _as_read(place)
            known[number] = Known(first=first) if same else Known(error=KeyReused(key=key))
    return known


def _taken(conn: Connection, wanted: set[bytes]) -> Mapping[bytes, StoredRecord]:
    """Read the records of these ids; those of one segment at once."""
    found: dict[bytes, StoredRecord] = {}
    positions = conn.execute(
        select(id_table.c.position)
        .where(id_table.c.record_id.in_(wanted))
        .order_by(id_table.c.position)
    ).scalars()
    scanned = 0
    for position in positions:
        if position > scanned:
            held, scanned = read_records(conn, position - 1, 1)
            found.update((record.header.record_id, record) for record in held)
    return found


def _made(record: StoredRecord, place: Placement) -> bool:
    """Tell whether a record is what a row of this content makes."""
    header, parts = record.header, record.parts
    stored = (header.object_id, parts.get("core"), parts.get("pii", b""), parts.get("file:1", b""))
    return (*stored, tuple(header.causes)) == _content(place)


def _as_read(place: Placement) -> tuple[object, ...]:
    """Give the content of a row, also of one that could not be read."""
    return (*_content(place), place.kept if place.faults else b"")


def _content(place: Placement) -> tuple[object, ...]:
    object_id = registry.object_of(place.key.unit) if place.is_entry else place.key.object_id
    source = place.source
    return (object_id, place.core, place.pii, source.attachment, tuple(source.causes))
