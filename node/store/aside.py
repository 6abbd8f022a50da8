"""Nodes that are put aside: their sessions are refused until an operator lets them in again.

Local working state, in the `meta` table: nothing that a neighbour must know.
"""

from typing import Final

from sqlalchemy import Connection, delete, insert, select

from yidao.node.store.tables import meta
from yidao.sync.ids import NodeId

MARK: Final = "aside/"


def put(conn: Connection, node_id: NodeId) -> None:
    """Put a node aside; again changes nothing."""
    if not is_aside(conn, node_id):
        conn.execute(insert(meta).values(key=MARK + node_id.hex(), value=b""))


def is_aside(conn: Connection, node_id: NodeId) -> bool:
    """Whether a node is put aside."""
    key = MARK + node_id.hex()
    return conn.execute(select(meta.c.key).where(meta.c.key == key)).first() is not None


def release(conn: Connection, node_id: NodeId) -> bool:
    """Let a node in again; whether it was put aside."""
    return bool(conn.execute(delete(meta).where(meta.c.key == MARK + node_id.hex())).rowcount)
