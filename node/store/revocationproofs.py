"""Finds the records by which nodes were revoked, so that evidence can bear them."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from yidao.node.store.records import record_at
from yidao.node.store.scanning import positions_naming
from yidao.node.store.tables import revocation
from yidao.sync.ids import NodeId
from yidao.sync.revocation import CHANNELS, KIND


def revocation_positions(conn: Connection, node_ids: Collection[NodeId]) -> tuple[int, ...]:
    """Give where the revocations of some nodes lie that are honoured here, one record each.

    Whoever stands above a revoker holds its `node` journal, whoever stands below it the
    copy in `down.control`.

    Raises:
        StoreInconsistent: A segment cannot be read.
    """
    rows = conn.execute(select(revocation).where(revocation.c.node_id.in_(node_ids))).all()
    found = (_position(conn, NodeId(bytes(row.by_id)), bytes(row.core)) for row in rows)
    return tuple(sorted(position for position in found if position is not None))


def _position(conn: Connection, by: NodeId, core: bytes) -> int | None:
    for channel in CHANNELS:
        for position in positions_naming(conn, by, channel, [KIND.encode()]):
            record = record_at(conn, position)
            if record is None or record.header.kind != KIND:
                continue
            if record.parts.get("core") == core:
                return position
    return None
