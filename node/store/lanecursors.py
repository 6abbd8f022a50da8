"""Cursors of lanes: ours in other stores (receiver-owned), and what peers acknowledged of ours."""

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from yidao.node.store.errors import JournalRevoked
from yidao.node.store.journals import journal_of
from yidao.node.store.prepared import Prepared
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.tables import lane_cursor, peer_ack
from yidao.node.store.values import Peer
from yidao.sync.epocherrors import EpochClosed
from yidao.sync.ids import Lane, NodeId
from yidao.sync.message import Holding, LaneCursor

_ITS: Final = (lane_cursor.c.peer_node_id == bindparam("peer")) & (
    lane_cursor.c.lane == bindparam("of")
)
_CURSOR: Final = Prepared(select(lane_cursor).where(_ITS))
_MOVE: Final = Prepared(
    update(lane_cursor).where(_ITS), ["store_id", "position", "checkpoint_sha256"]
)


def read_cursor(conn: Connection, peer: Peer, lane: Lane) -> LaneCursor | None:
    """Return where we stand in a peer's store; a cursor of another store of it is none."""
    row = _CURSOR.first(conn, peer=peer.node_id, of=lane)
    if row is None or row.store_id != peer.store_id:
        return None
    return LaneCursor(lane=lane, position=row.position, checkpoint_sha256=row.checkpoint_sha256)


def read_store_id(conn: Connection, node_id: NodeId) -> bytes | None:
    """Return the store of a peer that our newest cursors are of; None if there are none."""
    store_id: bytes | None = conn.execute(
        select(lane_cursor.c.store_id)
        .where(lane_cursor.c.peer_node_id == node_id)
        .order_by(lane_cursor.c.lane)
        .limit(1)
    ).scalar_one_or_none()
    return store_id


def write_cursor(conn: Connection, peer: Peer, cursor: LaneCursor) -> None:
    """Move a cursor, in the transaction that stores what came."""
    values = {
        "store_id": peer.store_id,
        "position": cursor.position,
        "checkpoint_sha256": cursor.checkpoint_sha256,
    }
    if not _MOVE.run(conn, peer=peer.node_id, of=cursor.lane, **values):
        conn.execute(
            insert(lane_cursor).values(peer_node_id=peer.node_id, lane=cursor.lane, **values)
        )


def read_acks(conn: Connection, node_id: NodeId) -> dict[Lane, int]:
    """Return what a peer acknowledged, by lane."""
    rows = conn.execute(select(peer_ack).where(peer_ack.c.peer_node_id == node_id))
    return {Lane(row.lane): row.position for row in rows}


def read_holdings(conn: Connection, peer: Peer) -> tuple[Holding, ...]:
    """Return what is held of the journals that come by a peer."""
    rows = conn.execute(
        select(journal_table).where(
            journal_table.c.via == peer.node_id, journal_table.c.public_key.is_not(None)
        )
    )
    return tuple(Holding(journal=journal_of(row), size=row.size) for row in rows)


def read_wanted(conn: Connection, peer: Peer) -> tuple[Holding, ...]:
    """Return the quarantined journals that a peer should send again, and from where.

    What a revocation or the end of an epoch cut off can never come right.
    """
    rows = conn.execute(
        select(journal_table).where(
            journal_table.c.via == peer.node_id,
            journal_table.c.public_key.is_not(None),
            journal_table.c.quarantine_code.is_not(None),
            journal_table.c.quarantine_code.not_in((JournalRevoked.code, EpochClosed.code)),
        )
    )
    return tuple(Holding(journal=journal_of(row), size=row.size) for row in rows)
