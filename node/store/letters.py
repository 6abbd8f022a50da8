"""Letters: parts of `to:` journals, readable at both ends and at no tier between.

The author keeps its parts as they are and seals them as they go out; the
recipient opens and keeps them. A tier between keeps the sealed bytes until the
next one has signed for them and a restored backup there is no longer likely.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, insert, select

from yidao.node.store import sealing, trust
from yidao.node.store.errors import PartUnexpected
from yidao.node.store.journals import journal_of
from yidao.node.store.scope import Scope
from yidao.node.store.tables import cosignature, sealed_part, segment
from yidao.node.store.tables import journal as journal_table
from yidao.sync.ids import JournalId, NodeId, Path
from yidao.sync.partsrun import MAX_SEALED_OVERHEAD_BYTES, SealedPart
from yidao.sync.record import SALT_BYTES, Header, Part

# Longer than an office takes to come back from an old backup.
KEPT_MS = 30 * 24 * 3600 * 1_000


def is_for(own: NodeId, journal: JournalId) -> bool:
    """Whether letters of a journal are for this node."""
    return journal.audience.to == own


def check_passing(journal: JournalId, header: Header, seq: int, part: SealedPart) -> None:
    """Return only if a sealed part may be one of a letter that passes through.

    What is in it cannot be seen here: its recipient compares it with the header.

    Raises:
        PartUnexpected: No letter, no such part, or of a length that cannot be.
    """
    digest = header.part(part.name)
    plain_bytes = 0 if digest is None else SALT_BYTES + digest.length
    fits = plain_bytes < len(part.ciphertext) <= plain_bytes + MAX_SEALED_OVERHEAD_BYTES
    if journal.audience.to is None or digest is None or not fits:
        raise PartUnexpected(seq=seq)


def open_sealed(
    scope: Scope, journal: JournalId, header: Header, seq: int, part: SealedPart
) -> Part:
    """Return a part of a letter to this node.

    Raises:
        PartUnexpected: The record has no such part.
        SealedPartUnreadable: It does not open here.
    """
    digest = header.part(part.name)
    if digest is None:
        raise PartUnexpected(seq=seq)
    return sealing.open_part(
        part.ciphertext,
        digest,
        keys=scope.identity.boxes,
        journal=journal,
        record=header,
        seq=seq,
    )


def write_sealed(
    conn: Connection, journal_pk: int, position: int, found: Iterable[tuple[int, SealedPart]]
) -> None:
    """Keep sealed parts that came with the segment at `position`."""
    # A sender that gives a part twice must not stop the writer.
    once = {(seq, part.name): part.ciphertext for seq, part in found}
    rows = [
        {
            "journal_id": journal_pk,
            "seq": seq,
            "name": name,
            "position": position,
            "ciphertext": ciphertext,
        }
        for (seq, name), ciphertext in once.items()
    ]
    if rows:
        conn.execute(insert(sealed_part), rows)


def read_sealed(conn: Connection, journal_pk: int, position: int) -> list[tuple[int, SealedPart]]:
    """Return the sealed parts that came with the segment at `position`."""
    rows = conn.execute(
        select(sealed_part.c.seq, sealed_part.c.name, sealed_part.c.ciphertext).where(
            sealed_part.c.position == position, sealed_part.c.journal_id == journal_pk
        )
    )
    # Put in order here: to have them in order SQLite would read all letters of the journal.
    return [
        (row.seq, SealedPart(name=row.name, ciphertext=row.ciphertext))
        for row in sorted(rows, key=lambda row: (row.seq, row.name))
    ]


def shed(scope: Scope) -> int:
    """Drop sealed parts that the next node on their way has signed for long ago; return how many.

    Its signature on the journal says that it holds them. They are kept for 30 days
    more, in case that node comes back from a backup.
    """
    conn, dropped = scope.conn, 0
    journals = select(journal_table).where(
        journal_table.c.id.in_(select(sealed_part.c.journal_id).distinct())
    )
    for row in conn.execute(journals).all():
        next_id = _next_node(conn, scope.identity.path, journal_of(row))
        signed = select(func.max(cosignature.c.size)).where(
            cosignature.c.journal_id == row.id, cosignature.c.cosigner == next_id
        )
        size = 0 if next_id is None else conn.execute(signed).scalar() or 0
        old = select(segment.c.position).where(
            segment.c.journal_id == row.id,
            segment.c.first_seq < size,
            segment.c.stored_ms <= scope.now_ms - KEPT_MS,
        )
        dropped += conn.execute(
            delete(sealed_part).where(
                sealed_part.c.journal_id == row.id,
                sealed_part.c.seq < size,
                sealed_part.c.position.in_(old),
            )
        ).rowcount
    return dropped


def _next_node(conn: Connection, own: Path, journal: JournalId) -> NodeId | None:
    """Return the node that a letter goes to from here."""
    assert journal.audience.to is not None, "only letters are sealed"
    target = trust.enrolled(conn, journal.audience.to)
    if target is not None and own.is_ancestor_of(target.path):
        path: Path | None = Path(target.path.labels[: own.depth + 1])
    else:
        path = own.parent
    node = None if path is None else trust.enrolled_at(conn, path)
    return None if node is None else node.node_id
