"""What the views of returns forget when a part is erased: as if it had never been here."""

from sqlalchemy import Connection, delete, select, update

from yidao.node.affairs.cores import payload_digest
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.store.erasures import Erasure


def forget(conn: Connection, erasure: Erasure) -> None:
    """Take a part's traces out of the row of its return.

    Of personal fields the row holds a digest alone, which covers them without a salt.
    The core of a refused row is the row.
    """
    row = return_version.c
    mine = (row.journal_pk == erasure.journal_pk) & (row.seq == erasure.redaction.seq)
    if erasure.redaction.part == "core":
        conn.execute(delete(return_version).where(mine))
        return
    if erasure.redaction.part != "pii":
        return
    found = conn.execute(select(row.position, row.payload).where(mine, row.payload.is_not(None)))
    for position, payload in found.all():
        plain = update(return_version).where(row.position == position)
        conn.execute(plain.values(digest=payload_digest(bytes(payload), b"")))
