"""What a revocation takes back: returns that a revoked node handed in beyond its cut.

They were taken in good faith before the revocation came, and stay as evidence. In the
views each of them becomes `revoked` and counts no more, and what it had superseded
counts again. The record of the revocation decides, where it lies in the store's order:
nothing of the node beyond the cut can come after it, so a rebuild finds the same.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, or_, select

from yidao.node.affairs.reporting.records import ReturnKey
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.store.records import Reader
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.tables import revocation as known
from yidao.node.store.values import StoredRecord
from yidao.sync.revocation import CHANNELS, KIND, Revocation


def read_revocation(conn: Connection, item: StoredRecord) -> Revocation | None:
    """Read a record; None if it is no revocation that this store has honoured."""
    if item.header.kind != KIND or item.journal.channel not in CHANNELS:
        return None
    core = item.parts.get("core", b"")
    mine = (known.c.by_id == item.header.node_id) & (known.c.core == core)
    if conn.execute(select(known.c.node_id).where(mine)).first() is None:
        return None
    return Revocation.decode(core)


def beyond(conn: Connection, found: Revocation, reader: Reader) -> Sequence[tuple[ReturnKey, int]]:
    """Give the versions that lie beyond a cut, by return and position."""
    if found.node_id == reader.own.node_id:
        # A node keeps its own returns as it knows them; it is told that it was revoked.
        return ()
    names = select(journal_table).where(journal_table.c.node_id == found.node_id)
    cuts = {row.id: _valid(found, row) for row in conn.execute(names)}
    if not cuts:
        return ()
    table = return_version.c
    rows = conn.execute(
        select(table.position, table.pack, table.form, table.period, table.unit)
        .where(or_(*((table.journal_pk == pk) & (table.seq >= size) for pk, size in cuts.items())))
        .order_by(table.position)
    )
    return [
        (ReturnKey(pack=row.pack, form=row.form, period=row.period, unit=row.unit), row.position)
        for row in rows
    ]


def _valid(found: Revocation, row: Row[tuple[object, ...]]) -> int:
    for line in found.cut:
        if (line.channel, line.epoch) == (row.channel, row.epoch):
            return line.size
    return 0
