"""What a link asks at each session and at each commit, in few statements to the driver itself.

Thousands of children come back at once after an outage, and each commit is looked at for
all of them, so these reads are what a parent's time goes into.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from yidao.node.store.aside import MARK
from yidao.node.store.rawsql import fetch, run_many
from yidao.sync.ids import Lane, NodeId, Path
from yidao.sync.message import LaneCursor


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStanding:
    """How an enrolled node stands.

    Attributes:
        aside: Its sessions are refused until an operator lets it in again.
    """

    path: Path
    tls_sha256: bytes
    revoked: bool
    aside: bool


_STANDING: Final = (
    "SELECT e.path, e.tls_sha256, e.revoked, m.key FROM enrolment e"
    " LEFT JOIN meta m ON m.key = ? WHERE e.node_id = ?"
)
_CHILDREN: Final = "SELECT node_id, path, tls_sha256, revoked FROM enrolment WHERE parent_id = ?"
_ASIDE: Final = "SELECT key FROM meta WHERE key LIKE ?"


def standing_of(conn: Connection, node_id: NodeId) -> ChildStanding | None:
    """Return how a node stands, or None if it is not enrolled."""
    rows = fetch(conn, _STANDING, (MARK + node_id.hex(), node_id))
    for path, tls_sha256, revoked, mark in rows:
        return ChildStanding(
            path=Path.parse(path),
            tls_sha256=bytes(tls_sha256),
            revoked=bool(revoked),
            aside=mark is not None,
        )
    return None


def children_of(conn: Connection, parent_id: NodeId) -> dict[NodeId, ChildStanding]:
    """Return how every child of a node stands."""
    marks = {row[0] for row in fetch(conn, _ASIDE, (f"{MARK}%",))}
    return {
        NodeId(bytes(node_id)): ChildStanding(
            path=Path.parse(path),
            tls_sha256=bytes(tls_sha256),
            revoked=bool(revoked),
            aside=MARK + bytes(node_id).hex() in marks,
        )
        for node_id, path, tls_sha256, revoked in fetch(conn, _CHILDREN, (parent_id,))
    }


_CURSORS: Final = (
    "SELECT lane, store_id, position, checkpoint_sha256 FROM lane_cursor"
    " WHERE peer_node_id = ? ORDER BY lane"
)


def cursors_in(conn: Connection, node_id: NodeId, store_id: bytes) -> tuple[LaneCursor, ...]:
    """Return where we stand in a peer's store; empty for a store new to us."""
    return tuple(
        LaneCursor(lane=Lane(lane), position=position, checkpoint_sha256=bytes(digest))
        for lane, its_store, position, digest in fetch(conn, _CURSORS, (node_id,))
        if bytes(its_store) == store_id
    )


_PROBLEMS: Final = "SELECT DISTINCT code FROM problem WHERE peer = ? AND cleared_ms IS NULL"


def open_codes(conn: Connection, node_id: NodeId) -> frozenset[str]:
    """Return the codes of the open problems with one peer."""
    return frozenset(row[0] for row in fetch(conn, _PROBLEMS, (node_id,)))


_SEGMENT_AT: Final = (
    "SELECT position + record_count - 1, checkpoint FROM segment"
    " WHERE position <= ? ORDER BY position DESC LIMIT 1"
)


def is_ours(conn: Connection, cursor: LaneCursor) -> bool:
    """Whether a peer's cursor names the end of a segment of this store, by its checkpoint."""
    if cursor.position == 0:
        return True
    return any(
        last == cursor.position and hashlib.sha256(checkpoint).digest() == cursor.checkpoint_sha256
        for last, checkpoint in fetch(conn, _SEGMENT_AT, (cursor.position,))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How far the store was looked at: the last position, the newest cosignature."""

    position: int = 0
    cosignature: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What came into the store between two looks, by where it goes.

    Attributes:
        seen: How far this look went.
        up: The last position that goes to the parent, by lane.
        down: The last one that goes to every child, by lane.
        to: The last one that goes to a node below alone, by its path and lane.
        receipts_up: Cosignatures of this node came up.
        receipts_of: The origins of journals that were cosigned, as far as they are below.
    """

    seen: Seen
    up: Mapping[Lane, int] = field(default_factory=dict)
    down: Mapping[Lane, int] = field(default_factory=dict)
    to: Mapping[Path, Mapping[Lane, int]] = field(default_factory=dict)
    receipts_of: Collection[Path] = ()


_HEAD: Final = (
    "SELECT (SELECT last_position FROM store_head WHERE id = 1),"
    " (SELECT COALESCE(MAX(id), 0) FROM cosignature)"
)
_NEWS: Final = (
    "SELECT up_lane, down_lane, down_target, MAX(position + record_count - 1) FROM segment"
    " WHERE position > ? AND position <= ? GROUP BY up_lane, down_lane, down_target"
)
_COSIGNED: Final = (
    "SELECT DISTINCT e.path FROM cosignature c JOIN journal j ON j.id = c.journal_id"
    " JOIN enrolment e ON e.node_id = j.node_id WHERE c.id > ? AND c.id <= ?"
)


def seen_now(conn: Connection) -> Seen:
    """Return how far the store is."""
    ((position, cosignature),) = fetch(conn, _HEAD, ())
    return Seen(position=position, cosignature=cosignature)


def news_since(conn: Connection, before: Seen) -> News:
    """Return what came since a look."""
    seen = seen_now(conn)
    up: dict[Lane, int] = {}
    down: dict[Lane, int] = {}
    to: dict[Path, dict[Lane, int]] = {}
    if seen.position > before.position:
        for up_lane, down_lane, target, last in fetch(
            conn, _NEWS, (before.position, seen.position)
        ):
            if up_lane is not None:
                up[Lane(up_lane)] = max(last, up.get(Lane(up_lane), 0))
            if down_lane is not None:
                its = down if target is None else to.setdefault(Path.parse(target), {})
                its[Lane(down_lane)] = max(last, its.get(Lane(down_lane), 0))
    receipts_of: tuple[Path, ...] = ()
    if seen.cosignature > before.cosignature:
        rows = fetch(conn, _COSIGNED, (before.cosignature, seen.cosignature))
        receipts_of = tuple(Path.parse(row[0]) for row in rows)
    return News(seen=seen, up=up, down=down, to=to, receipts_of=receipts_of)


_UP_HEAD: Final = (
    "SELECT position + record_count - 1 FROM segment WHERE up_lane = ? AND position > ?"
    " AND position <= ? ORDER BY position DESC LIMIT 1"
)
_DOWN_HEAD: Final = (
    "SELECT position + record_count - 1 FROM segment WHERE down_lane = ? AND position > ?"
    " AND position <= ? AND (down_target IS NULL OR down_target = ? OR down_target LIKE ?)"
    " ORDER BY position DESC LIMIT 1"
)
_HAS_LETTERS: Final = (
    "SELECT 1 FROM segment WHERE down_lane = ? AND position > ? AND position <= ?"
    " AND down_target IS NOT NULL LIMIT 1"
)


def lane_heads(
    conn: Connection, peer: Path, *, upward: bool, after: Mapping[Lane, int], up_to: int
) -> dict[Lane, int]:
    """Return the last position of each lane that could go to a peer; 0 if none after `after`."""
    heads = {}
    for lane in Lane:
        bounds = (lane, after.get(lane, 0), up_to)
        if upward:
            rows = fetch(conn, _UP_HEAD, bounds)
        else:
            rows = fetch(conn, _DOWN_HEAD, (*bounds, str(peer), f"{peer}/%"))
        heads[lane] = rows[0][0] if rows else 0
    return heads


def is_for_all(conn: Connection, lane: Lane, after: int, up_to: int) -> bool:
    """Whether everything of a lane between two positions goes to every child alike."""
    return not fetch(conn, _HAS_LETTERS, (lane, after, up_to))


_ACK: Final = (
    "INSERT INTO peer_ack (peer_node_id, lane, position) VALUES (?, ?, ?)"
    " ON CONFLICT (peer_node_id, lane) DO UPDATE SET position = excluded.position"
)


def note_acks(conn: Connection, acked: Mapping[NodeId, Mapping[int, int]]) -> None:
    """Note up to where peers said that our records are durable there, by peer and lane."""
    rows = [
        (node_id, lane, position)
        for node_id, lanes in acked.items()
        for lane, position in lanes.items()
    ]
    run_many(conn, _ACK, rows)
