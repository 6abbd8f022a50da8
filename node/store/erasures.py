"""Which parts are erased here, by whose order."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from yidao.node.store import segments
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.values import StoredRecord
from yidao.sync.errors import SyncError
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.record import Header, decode_header
from yidao.sync.removal import KIND_REDACTED, Redaction, check_erasable
from yidao.sync.removalerrors import RemovalMalformed, RemovalUnauthorised


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A redaction that binds this node.

    Attributes:
        position: Of the record that orders it.
        journal_pk: Of the record that loses a part.
        record: Its header.
    """

    position: int
    journal_pk: int
    record: Header
    redaction: Redaction


def erasure_of(conn: Connection, own: NodeId, item: StoredRecord) -> Erasure:
    """Return what a redaction erases here.

    Raises:
        RemovalMalformed: It is not about a part of a record that is held.
        RemovalUnauthorised: Who wrote it may not order it here.
        PartNotErasable: Others rest on the part.
    """
    redaction = Redaction.decode(item.parts.get("core"))
    if not redaction.binds(item.journal, own):
        raise RemovalUnauthorised(part=redaction.part)
    pk = _journal_pk(conn, redaction.journal)
    held = None if pk is None else segments.segment_with(conn, pk, redaction.seq)
    if pk is None or held is None:
        raise RemovalMalformed(field="seq")
    record = decode_header(held.headers[redaction.seq - held.first_seq])
    if record.record_id != redaction.record_id or record.part(redaction.part) is None:
        raise RemovalMalformed(field="record_id")
    check_erasable(record.kind, redaction.part)
    return Erasure(position=item.position, journal_pk=pk, record=record, redaction=redaction)


def erasures_in(
    conn: Connection, own: NodeId, records: Sequence[StoredRecord]
) -> tuple[Erasure, ...]:
    """Return the erasures among records; what binds nobody here is passed over."""
    found = []
    for item in records:
        if item.header.kind == KIND_REDACTED:
            try:
                found.append(erasure_of(conn, own, item))
            except SyncError:
                continue
    return tuple(found)


def _journal_pk(conn: Connection, journal: JournalId) -> int | None:
    found: int | None = conn.execute(
        select(journal_table.c.id).where(
            journal_table.c.node_id == journal.node_id,
            journal_table.c.channel == journal.channel,
            journal_table.c.epoch == journal.epoch,
        )
    ).scalar_one_or_none()
    return found
