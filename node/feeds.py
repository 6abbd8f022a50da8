"""Says downward that nothing was kept back, and notices when nobody says it any more.

A tier between could keep back what was issued above: a revocation, a directive, a root
list. So each node with nodes below it states now and then in its `down.control` journal
how long its journals for them are, and until when it will say so again:
`node.feed.stated`. Records of a journal come in order, so whoever passes the next
statement on has passed on all before it; and whoever keeps it back is noticed by the
time that the last one named.

Times here are the author's, and hold at most a week: a stolen key cannot make a silence
look fresh for longer, and a later statement in the same journal replaces what it said,
whatever it said.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection, delete, insert, select, update

from yidao.node.frontiers import Stated, decode
from yidao.node.store import tables
from yidao.node.store.records import Reader
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, StoredRecord
from yidao.sync.ids import CHANCE_BYTES, NodeId, new_record_id

STATED: Final = "node.feed.stated"
CHANNEL: Final = "down.control"
#: What a node says to everybody below it.
DOWNWARD: Final = ("down", "down.control")
#: A statement holds for so many intervals, so that three may be lost.
INTERVALS: Final = 4
MAX_VALID_MS: Final = 7 * 24 * 3600 * 1000

_TOLD: Final = "feed/told"

table = tables.feed
claims = tables.frontier_statement


def encode(as_of_ms: int, until_ms: int, lines: Sequence[Stated]) -> bytes:
    """Write the core part: sorted keys, roots in hex, times in Unix milliseconds."""
    journals = [
        {"channel": line.channel, "epoch": line.epoch, "size": line.size, "root": line.root.hex()}
        for line in lines
    ]
    members = {"as_of_ms": as_of_ms, "until_ms": until_ms, "journals": journals}
    return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)


def times(core: bytes) -> tuple[int, int] | None:
    """Read from when until when a statement holds; None where it has another shape."""
    try:
        members: Any = orjson.loads(core)
        since, until = members["as_of_ms"], members["until_ms"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if type(since) is not int or type(until) is not int or not 0 < since < until < 2**63:
        return None
    return since, until


class Feeds:
    """States this node's own journals for those below, and watches those of all above.

    Args:
        interval_ms: How often this node states.
    """

    def __init__(
        self,
        store: Store,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
        interval_ms: int,
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._random = random
        self._interval_ms = interval_ms

    async def run(self) -> None:
        """State if it is time, and begin to wait for every node above that is new."""
        await asyncio.to_thread(self._run)

    def _run(self) -> None:
        own, now_ms = self._store.identity.path, self._clock_ms()
        known = self._store.enrolments()
        above = [node.node_id for node in known if node.path.is_ancestor_of(own)]
        due = any(own.is_ancestor_of(node.path) for node in known) and self._is_due(now_ms)
        if due or set(above) != self._awaited():
            self._store.run(lambda tx: self._write(tx, above, due=due))

    def _is_due(self, now_ms: int) -> bool:
        meta = tables.meta
        with self._store.read() as conn:
            value = conn.execute(select(meta.c.value).where(meta.c.key == _TOLD)).scalar()
        # A clock that was set back must not silence a node.
        return value is None or abs(now_ms - int(orjson.loads(value))) >= self._interval_ms

    def _awaited(self) -> set[NodeId]:
        with self._store.read() as conn:
            return {NodeId(bytes(each)) for each in conn.execute(select(table.c.node_id)).scalars()}

    def _write(self, tx: Tx, above: Sequence[NodeId], *, due: bool) -> None:
        now_ms = self._clock_ms()
        wait_ms = INTERVALS * self._interval_ms
        known = set(tx.conn.execute(select(table.c.node_id)).scalars())
        for node_id in above:
            if node_id not in known:
                _keep(tx.conn, node_id, now_ms, now_ms + wait_ms, seen_ms=None)
        tx.conn.execute(delete(table).where(table.c.node_id.not_in(above)))
        if due:
            self._state(tx, now_ms, now_ms + wait_ms)

    def _state(self, tx: Tx, now_ms: int, until_ms: int) -> None:
        lines = [
            Stated(
                channel=head.journal.channel,
                epoch=head.journal.epoch,
                size=head.size,
                root=head.root,
            )
            for head in self._store.heads()
            if head.own and head.size and head.journal.channel in DOWNWARD
        ]
        draft = Draft(
            record_id=new_record_id(now_ms, self._random(CHANCE_BYTES)),
            kind=STATED,
            actor=f"system@{tx.identity.path}",
            object_id="feed",
            object_version=1,
            created_ms=now_ms,
            parts=(DraftPart(name="core", body=encode(now_ms, until_ms, lines)),),
        )
        tx.append(CHANNEL, [draft])
        meta, value = tables.meta, orjson.dumps(now_ms)
        if not tx.conn.execute(
            update(meta).where(meta.c.key == _TOLD).values(value=value)
        ).rowcount:
            tx.conn.execute(insert(meta).values(key=_TOLD, value=value))


class FeedDecider:
    """Keeps the newest statement of each node above. Local: it has a clock."""

    name = "feeds.stated"

    def decide(self, tx: Tx, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Note every statement; of two by one author the later in its journal counts."""
        for record in records:
            author = record.journal.node_id
            if record.header.kind != STATED or record.journal.channel != CHANNEL:
                continue
            core = record.parts.get("core", b"")
            span = times(core)
            if span is None or author == reader.own.node_id:
                continue
            since_ms, until_ms = span
            until_ms = min(until_ms, tx.now_ms + MAX_VALID_MS)
            _keep(tx.conn, author, min(since_ms, tx.now_ms), until_ms, seen_ms=tx.now_ms)
            for line in decode(core, author):
                if line.channel in DOWNWARD:
                    _claim(tx, author, line)


def _keep(
    conn: Connection, node_id: NodeId, since_ms: int, until_ms: int, *, seen_ms: int | None
) -> None:
    values = {"since_ms": since_ms, "until_ms": until_ms, "seen_ms": seen_ms}
    changed = conn.execute(update(table).where(table.c.node_id == node_id).values(**values))
    if not changed.rowcount:
        conn.execute(insert(table).values(node_id=node_id, **values))


def _claim(tx: Tx, author: NodeId, line: Stated) -> None:
    """Write down what an author says of a journal, in the place of what it said before."""
    key = (
        (claims.c.node_id == author)
        & (claims.c.channel == line.channel)
        & (claims.c.epoch == line.epoch)
    )
    before = tx.conn.execute(select(claims.c.size).where(key)).scalar()
    if before == line.size:
        # Said again: what is missing has been missing since it was said first.
        return
    tx.conn.execute(delete(claims).where(key))
    tx.conn.execute(
        insert(claims).values(
            node_id=author,
            channel=line.channel,
            epoch=line.epoch,
            size=line.size,
            root=line.root,
            stated_ms=tx.now_ms,
            seen_ms=tx.now_ms,
        )
    )
