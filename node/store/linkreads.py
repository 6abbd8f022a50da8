"""What a link asks at each session and at each commit, in few statements to the driver itself.

Thousands of children come back at once after an outage, and each commit is looked at for
all of them, so these reads are what a parent's time goes into.
"""

import functools
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection

from yidao.node.store.aside import MARK
from yidao.node.store.journals import Routes
from yidao.node.store.problems import NODE_FORKED
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
    "SELECT peer_node_id, lane, store_id, position, checkpoint_sha256 FROM lane_cursor"
    " WHERE peer_node_id IN {some} ORDER BY lane"
)
_CARRIERS: Final = "SELECT DISTINCT via FROM journal WHERE via IN {some}"
_REFUSED: Final = (
    "SELECT DISTINCT via FROM journal WHERE quarantine_code IS NOT NULL AND via IN {some}"
)
_WRITERS: Final = (
    "SELECT DISTINCT node_id FROM journal WHERE checkpoint IS NOT NULL AND node_id IN {some}"
)
_COSIGNERS: Final = "SELECT DISTINCT cosigner FROM cosignature WHERE cosigner IN {some}"
_PROBLEMS: Final = (
    "SELECT DISTINCT peer, code FROM problem WHERE cleared_ms IS NULL AND peer IN {some}"
)
_FORKED: Final = "SELECT 1 FROM problem WHERE code = ? AND cleared_ms IS NULL LIMIT 1"


def cursors_in(conn: Connection, node_id: NodeId, store_id: bytes) -> tuple[LaneCursor, ...]:
    """Return where we stand in a peer's store; empty for a store new to us."""
    rows = fetch(conn, _CURSORS.replace("{some}", "(?)"), (node_id,))
    return tuple(
        LaneCursor(lane=Lane(lane), position=position, checkpoint_sha256=bytes(digest))
        for _, lane, its_store, position, digest in rows
        if bytes(its_store) == store_id
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What one look finds of many peers, so that most of them need no look of their own.

    Attributes:
        carriers: By them came journals that are held.
        refused: By them came journals that are in quarantine.
        writers: Of them journals are held.
        cosigners: They have cosigned something.
        problems: Codes of the open problems with each.
        forked: A journal of this node is forked.
    """

    cursors: Mapping[NodeId, Sequence[tuple[bytes, LaneCursor]]]
    carriers: Collection[NodeId]
    refused: Collection[NodeId]
    writers: Collection[NodeId]
    cosigners: Collection[NodeId]
    problems: Mapping[NodeId, frozenset[str]]
    forked: bool

    @classmethod
    def of(cls, conn: Connection, peers: Sequence[NodeId]) -> "Known":
        """Look at these peers; a few hundred at a time."""
        some = f"({', '.join('?' * len(peers))})"

        def among(statement: str) -> list[Any]:
            return fetch(conn, statement.replace("{some}", some), peers)

        cursors: dict[NodeId, list[tuple[bytes, LaneCursor]]] = {}
        for peer, lane, store_id, position, digest in among(_CURSORS):
            cursor = LaneCursor(lane=Lane(lane), position=position, checkpoint_sha256=bytes(digest))
            cursors.setdefault(NodeId(bytes(peer)), []).append((bytes(store_id), cursor))
        problems: dict[NodeId, set[str]] = {}
        for peer, code in among(_PROBLEMS):
            problems.setdefault(NodeId(bytes(peer)), set()).add(code)
        return cls(
            cursors=cursors,
            carriers={NodeId(bytes(row[0])) for row in among(_CARRIERS)},
            refused={NodeId(bytes(row[0])) for row in among(_REFUSED)},
            writers={NodeId(bytes(row[0])) for row in among(_WRITERS)},
            cosigners={NodeId(bytes(row[0])) for row in among(_COSIGNERS)},
            problems={peer: frozenset(codes) for peer, codes in problems.items()},
            forked=bool(fetch(conn, _FORKED, (NODE_FORKED,))),
        )

    def cursors_in(self, node_id: NodeId, store_id: bytes) -> tuple[LaneCursor, ...]:
        """Return where we stand in a peer's store; empty for a store new to us."""
        return tuple(
            cursor for its_store, cursor in self.cursors.get(node_id, ()) if its_store == store_id
        )


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
class Arrivals:
    """What came into the store between two looks, by where it goes.

    Attributes:
        since: The position from which it was looked.
        seen: How far this look went.
        up: The last position that goes to the parent, by lane.
        down: The last one that goes to every child, by lane.
        to: The last one that goes to a node below alone, by its path and lane.
        receipts_of: The origins of journals that were cosigned.
    """

    since: int
    seen: Seen
    up: Mapping[Lane, int] = field(default_factory=dict)
    down: Mapping[Lane, int] = field(default_factory=dict)
    to: Mapping[Path, Mapping[Lane, int]] = field(default_factory=dict)
    receipts_of: Collection[Path] = ()


_HEAD: Final = (
    "SELECT (SELECT last_position FROM store_head WHERE id = 1),"
    " (SELECT COALESCE(MAX(id), 0) FROM cosignature)"
)
_ARRIVALS: Final = (
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


def arrivals_since(conn: Connection, before: Seen) -> Arrivals:
    """Return what came since a look."""
    seen = seen_now(conn)
    placed: list[tuple[Routes, int]] = []
    if seen.position > before.position:
        rows = fetch(conn, _ARRIVALS, (before.position, seen.position))
        placed = [
            (Routes(up_lane=up_lane, down_lane=down_lane, down_target=target), last)
            for up_lane, down_lane, target, last in rows
        ]
    origins: list[Path] = []
    if seen.cosignature > before.cosignature:
        rows = fetch(conn, _COSIGNED, (before.cosignature, seen.cosignature))
        origins = [Path.parse(row[0]) for row in rows]
    found = arrivals_of(placed, origins, before.position, seen.position)
    return replace(found, seen=seen)


def arrivals_of(
    placed: Iterable[tuple[Routes, int]], cosigned: Collection[Path], since: int, position: int
) -> Arrivals:
    """Return what was stored between two positions, by where it goes.

    Args:
        placed: For each segment where it goes, and its last position.
        cosigned: The origins of journals that were cosigned.
        since: The position before.
        position: The last one.
    """
    up: dict[Lane, int] = {}
    down: dict[Lane, int] = {}
    to: dict[Path, dict[Lane, int]] = {}
    for routes, last in placed:
        if routes.up_lane is not None:
            lane = Lane(routes.up_lane)
            up[lane] = max(last, up.get(lane, 0))
        if routes.down_lane is not None:
            lane, target = Lane(routes.down_lane), routes.down_target
            its = down if target is None else to.setdefault(Path.parse(target), {})
            its[lane] = max(last, its.get(lane, 0))
    return Arrivals(
        since=since,
        seen=Seen(position=position),
        up=up,
        down=down,
        to=to,
        receipts_of=tuple(cosigned),
    )


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


class Locating:
    """Judges where peers stand, in one snapshot; most of them stand at the same place."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self.position = seen_now(conn).position
        self._ours: dict[LaneCursor, bool] = {}
        self._down: dict[tuple[Lane, int], int | None] = {}

    def is_ours(self, cursor: LaneCursor) -> bool:
        """Whether a peer's cursor fits this store."""
        known = self._ours.get(cursor)
        if known is None:
            known = self._ours[cursor] = is_ours(self._conn, cursor)
        return known

    def head_up(self, lane: Lane, after: int) -> int:
        """Return the last position of a lane to the parent; 0 if there is none after."""
        return self._last(_UP_HEAD, (lane, after, self.position))

    def head_down(self, lane: Lane, after: int, child: Path) -> int:
        """Return the last position of a lane that could go to a child; 0 if none after."""
        place = (lane, after)
        if place not in self._down:
            # Without letters it is the same for all of them.
            self._down[place] = (
                self._child_head(lane, after, child)
                if is_for_all(self._conn, lane, after, self.position)
                else None
            )
        known = self._down[place]
        return self._child_head(lane, after, child) if known is None else known

    @functools.cached_property
    def cosigned(self) -> Collection[Path]:
        """The origins of all journals that were cosigned."""
        ends = (0, seen_now(self._conn).cosignature)
        return {Path.parse(row[0]) for row in fetch(self._conn, _COSIGNED, ends)} if ends[1] else ()

    def _child_head(self, lane: Lane, after: int, child: Path) -> int:
        return self._last(_DOWN_HEAD, (lane, after, self.position, str(child), f"{child}/%"))

    def _last(self, statement: str, parameters: tuple[Any, ...]) -> int:
        rows = fetch(self._conn, statement, parameters)
        return rows[0][0] if rows else 0


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
