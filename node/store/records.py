"""Reading records back: by position for the projections, by journal for the affairs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, bindparam, select

from yidao.node.keys import Identity
from yidao.node.store import parts, segments, trust
from yidao.node.store.erasures import Erasure, erasures_in
from yidao.node.store.journals import read_head
from yidao.node.store.packing import unpack_parts
from yidao.node.store.prepared import Prepared
from yidao.node.store.segments import Segment
from yidao.node.store.tables import parts as parts_table
from yidao.node.store.tables import record_id as id_table
from yidao.node.store.tables import segment
from yidao.node.store.values import StoredRecord, is_folded
from yidao.sync.errors import PeerError
from yidao.sync.ids import JournalId, NodeId, Path
from yidao.sync.record import HeaderReader, Part

_NO_PARTS: Final[Mapping[str, bytes]] = MappingProxyType({})
_ROWS_AT_ONCE: Final = 16
_PARTS_AT: Final = Prepared(
    select(parts_table.c.first_seq, parts_table.c.blob).where(
        parts_table.c.position == bindparam("at"), parts_table.c.journal_id == bindparam("of")
    )
)


def read_records(
    conn: Connection, after: int, limit: int, *, to_fold: bool = False
) -> tuple[list[StoredRecord], int]:
    """Return records of whole segments after a position, at least one segment if there is one.

    A record that cannot be read is left out: ingest wrote a problem down for it.

    Args:
        conn: Any.
        after: The last position that was read before.
        limit: No further segment is read once so many positions are.
        to_fold: Without those of programs, which nobody folds.

    Returns:
        The records in position order, and the last position read (`after` if none).
    """
    found: list[StoredRecord] = []
    names: dict[int, JournalId] = {}
    reader = HeaderReader()
    scanned = after
    start = segments.segment_at(conn, after + 1)
    if start is None:
        return found, after
    rows = conn.execute(
        select(segment).where(segment.c.position >= start.position).order_by(segment.c.position),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    for row in rows:
        held = segments.segment_of(row)
        if not to_fold or is_folded(held.headers):
            wanted = range(after + 1, held.last_position + 1)
            found.extend(_records_of(conn, held, names, reader, wanted))
        scanned = held.last_position
        if scanned - after >= limit:
            rows.close()
            break
    return found, scanned


def record_at(conn: Connection, position: int) -> StoredRecord | None:
    """Return the record at a position; None if there is none or it cannot be read."""
    held = segments.segment_at(conn, position)
    if held is None:
        return None
    wanted = range(position, position + 1)
    return next(iter(_records_of(conn, held, {}, HeaderReader(), wanted)), None)


def record_of(conn: Connection, journal_pk: int, seq: int) -> StoredRecord | None:
    """Return a record of a journal; None if it is not held or cannot be read."""
    held = segments.segment_with(conn, journal_pk, seq)
    return None if held is None else record_at(conn, held.position + seq - held.first_seq)


def position_of_id(conn: Connection, record_id: bytes) -> int | None:
    """Return where an own record stands."""
    position: int | None = conn.execute(
        select(id_table.c.position).where(id_table.c.record_id == record_id)
    ).scalar_one_or_none()
    return position


def parts_of(
    conn: Connection, journal_pk: int, seqs: Sequence[int], at_position: int | None = None
) -> dict[int, dict[str, Part]]:
    """Return the parts held of records, by sequence number and name.

    Args:
        conn: Any.
        journal_pk: Their journal.
        seqs: Which records.
        at_position: Only what was here when that position was stored.
    """
    held = parts.read_parts(conn, journal_pk, seqs, up_to=at_position)
    return {seq: {name: ruled.part for name, ruled in named.items()} for seq, named in held.items()}


class Reader:
    """What a fold may ask of the history; the answers are the same at every rebuild."""

    def __init__(self, conn: Connection, own: Identity) -> None:
        self._conn = conn
        self.own = own

    def parts(self, journal_pk: int, seq: int, at_position: int) -> Mapping[str, bytes]:
        """Return the bodies held of a record when `at_position` was stored, by name.

        Folding an acceptance, its own position gives what it released as well.
        """
        held = parts_of(self._conn, journal_pk, [seq], at_position)
        return {name: part.body for name, part in held.get(seq, {}).items()}

    def many_parts(
        self, journal_pk: int, seqs: Sequence[int], at_position: int
    ) -> Mapping[int, Mapping[str, bytes]]:
        """Return `parts` of several records of one journal at once."""
        held = parts_of(self._conn, journal_pk, seqs, at_position)
        return {
            seq: {name: part.body for name, part in named.items()} for seq, named in held.items()
        }

    def record(self, journal_pk: int, seq: int) -> StoredRecord | None:
        """Return a record of a journal."""
        return record_of(self._conn, journal_pk, seq)

    def succeeds(self, node_id: NodeId, other: NodeId) -> bool:
        """Whether a node was enrolled in the place of another one, later than it."""
        heir, former = (trust.enrolled(self._conn, each) for each in (node_id, other))
        if heir is None or former is None or heir.path != former.path:
            return False
        return (
            heir.position is not None
            and former.position is not None
            and heir.position > former.position
        )

    def erasures(self, records: Sequence[StoredRecord]) -> tuple[Erasure, ...]:
        """Return which parts records order to be erased here (see `erasures`)."""
        return erasures_in(self._conn, self.own.node_id, records)

    def path_of(self, node_id: NodeId) -> Path | None:
        """Return where a node stands; None if it is not known here."""
        found = trust.enrolled(self._conn, node_id)
        return None if found is None else found.path


def _records_of(
    conn: Connection,
    held: Segment,
    names: dict[int, JournalId],
    reader: HeaderReader,
    wanted: range,
) -> list[StoredRecord]:
    """Read the records of a segment that lie at these positions."""
    name = names.get(held.journal_pk)
    if name is None:
        name = names[held.journal_pk] = read_head(conn, held.journal_pk).journal
    first = max(wanted.start - held.position, 0)
    headers = held.headers[first : wanted.stop - held.position]
    seqs = range(held.first_seq + first, held.first_seq + first + len(headers))
    only = None if len(headers) == len(held.headers) else frozenset(seqs)
    bodies: dict[int, dict[str, bytes]] = {}
    for row in _PARTS_AT.all(conn, at=held.position, of=held.journal_pk):
        for seq, part in unpack_parts(row.first_seq, bytes(row.blob), only):
            bodies.setdefault(seq, {})[part.name] = part.body
    found = []
    for seq, data in zip(seqs, headers, strict=True):
        try:
            header = reader.read(data)
        except PeerError:
            continue
        found.append(
            StoredRecord(
                position=held.position + seq - held.first_seq,
                journal=name,
                journal_pk=held.journal_pk,
                seq=seq,
                header=header,
                raw=data,
                parts=bodies.get(seq, _NO_PARTS),
            )
        )
    return found
