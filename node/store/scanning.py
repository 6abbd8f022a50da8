"""Looking through the headers of one author's channel, where no view keeps the way."""

from bisect import bisect_left
from collections.abc import Sequence

from sqlalchemy import Connection, select

from yidao.node.store.segments import segment_at, segment_of
from yidao.node.store.tables import journal, segment
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.journal import MAX_SEAL_RECORDS

_ROWS_AT_ONCE = 64


def positions_naming(
    conn: Connection, author: NodeId, channel: str, needles: Sequence[bytes]
) -> tuple[int, ...]:
    """Give the positions of records whose header bytes hold one of `needles`, in all epochs.

    Bytes are compared, nothing is decoded: 60,000 headers take 0.04 s of CPU
    (measured on SQLite, 2026-11-26). The caller reads what is found and judges it.

    Raises:
        StoreInconsistent: A segment cannot be read.
    """
    rows = conn.execute(
        select(segment)
        .join(journal, journal.c.id == segment.c.journal_id)
        .where(journal.c.node_id == author, journal.c.channel == channel)
        .order_by(segment.c.position),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    found: list[int] = []
    for row in rows:
        if not any(needle in row.headers for needle in needles):
            continue
        held = segment_of(row)
        found += [
            held.position + offset
            for offset, header in enumerate(held.headers)
            if any(needle in header for needle in needles)
        ]
    return tuple(found)


def headers_at(
    conn: Connection, of: JournalId, seqs: Sequence[int], before: int
) -> tuple[tuple[int, bytes], ...]:
    """Give some records of a journal that were stored before a position.

    Args:
        conn: Any.
        of: The journal.
        seqs: Ascending; the segments of their whole span are looked at, so callers bound it.
        before: Store position; the answer is the same at every rebuild.

    Returns:
        Position and header bytes in the order of `seqs`; fewer where some are not held.

    Raises:
        StoreInconsistent: A segment cannot be read.
    """
    rows = conn.execute(
        select(segment.c.position, segment.c.first_seq, segment.c.record_count)
        .join(journal, journal.c.id == segment.c.journal_id)
        .where(
            journal.c.node_id == of.node_id,
            journal.c.channel == of.channel,
            journal.c.epoch == of.epoch,
            segment.c.first_seq <= seqs[-1],
            # So that no longer journal costs more: a seal holds at most so many records.
            segment.c.first_seq > seqs[0] - MAX_SEAL_RECORDS,
            segment.c.first_seq + segment.c.record_count > seqs[0],
            segment.c.position < before,
        )
        .order_by(segment.c.first_seq)
    ).all()
    found: list[tuple[int, bytes]] = []
    for row in rows:
        end = row.first_seq + row.record_count
        inside = seqs[bisect_left(seqs, row.first_seq) : bisect_left(seqs, end)]
        held = segment_at(conn, row.position) if inside else None
        if held is not None:
            places = [(held.position + seq - held.first_seq, seq) for seq in inside]
            found += [
                (position, held.headers[seq - held.first_seq])
                for position, seq in places
                if position < before
            ]
    return tuple(found)
