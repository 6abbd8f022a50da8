"""Where children sit: at this daemon, or at another one of the node on the same database.

A child has one session with its node, whichever daemon it dialled. Where the database
is shared, each greeting takes a turn in it: a daemon that hears of a later turn ends the
session that it still holds, and lives are compared as if there was one daemon, so that two
processes of one child are noticed wherever they dial.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import orjson
from sqlalchemy import Connection, delete, insert, select

from yidao.node.link.peercheck import Peer
from yidao.node.store import tables
from yidao.node.store.leading import News
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.ids import NodeId, Path
from yidao.sync.lives import Heard, Lives

SEAT: Final = "seat"


class Seats:
    """The turns of children. Lives on the event loop."""

    def __init__(
        self, store: Store, clock_ms: Callable[[], int], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._own = random(8).hex()
        self._lives: dict[NodeId, Lives] = {}
        self._turns: dict[NodeId, int] = {}

    async def take(self, child: Peer, life: bytes) -> Heard:
        """Let a child sit here, and return what its life says of it."""
        if not self._store.is_shared:
            known = self._lives.get(child.node_id, Lives())
            self._lives[child.node_id], heard = known.hear(life, self._clock_ms())
            return heard
        turn, heard = await asyncio.wrap_future(
            self._store.submit(lambda tx: self._sit(tx, child, life))
        )
        self._turns[child.node_id] = turn
        return heard

    def has_left(self, news: News) -> NodeId | None:
        """Return which child of this daemon's has taken a later turn at another one."""
        if news.kind != SEAT:
            return None
        name, turn = news.text.split(" ")
        child = NodeId(bytes.fromhex(name))
        return child if int(turn) > self._turns.get(child, int(turn)) else None

    def leave(self, child: Peer) -> None:
        """Take it that a child's session here has ended."""
        turn = self._turns.pop(child.node_id, None)
        if turn is not None:
            self._store.submit(lambda tx: self._stand_up(tx, child, turn))

    def is_elsewhere(self, path: Path) -> bool:
        """Whether the node at a path sits at another daemon, as far as the database knows."""
        if not self._store.is_shared:
            return False
        with self._store.read() as conn:
            seat = _read(conn, path)
        return seat is not None and seat["by"] not in ("", self._own)

    def _sit(self, tx: Tx, child: Peer, life: bytes) -> tuple[int, Heard]:
        seat = _read(tx.conn, child.path) or {"turn": 0}
        if seat.get("node") != child.node_id.hex():
            # A path is given again: to another node, that has lived no life yet.
            seat = {"turn": seat["turn"], "lives": [], "returns": []}
        known = Lives(tuple(map(bytes.fromhex, seat["lives"])), tuple(seat["returns"]))
        lives, heard = known.hear(life, tx.now_ms)
        turn = seat["turn"] + 1
        seat = {
            "node": child.node_id.hex(),
            "turn": turn,
            "by": self._own,
            "lives": [each.hex() for each in lives.heard],
            "returns": lives.returns_ms,
        }
        _write(tx.conn, child.path, seat)
        tx.tell(SEAT, f"{child.node_id.hex()} {turn}")
        return turn, heard

    def _stand_up(self, tx: Tx, child: Peer, turn: int) -> None:
        seat = _read(tx.conn, child.path)
        if seat is not None and seat["turn"] == turn:
            _write(tx.conn, child.path, {**seat, "by": ""})


def _key(path: Path) -> str:
    return f"{SEAT}{path}"


def _read(conn: Connection, path: Path) -> dict[str, Any] | None:
    query = select(tables.meta.c.value).where(tables.meta.c.key == _key(path))
    found = conn.execute(query).scalar_one_or_none()
    return None if found is None else dict(orjson.loads(bytes(found)))


def _write(conn: Connection, path: Path, seat: dict[str, Any]) -> None:
    meta = tables.meta
    conn.execute(delete(meta).where(meta.c.key == _key(path)))
    conn.execute(insert(meta).values(key=_key(path), value=orjson.dumps(seat)))
