"""States how long this node's journals are, so that whoever withholds one is found out.

A `node` journal always reaches the root. At most once a minute after changes,
and at least once a day, its node states there the size and root of every
journal that has grown: `node.journals.stated`. A tier that holds the statement
and not the records knows that something between keeps them back
(`node.completeness`); a tier that holds other records of that size has proof
that the author signed two histories.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import insert, select, update

from yidao.api.errors import YidaoError
from yidao.node.store import tables
from yidao.node.store.records import Reader
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, JournalHead, StoredRecord
from yidao.sync.ids import CHANCE_BYTES, JournalId, NodeId, new_record_id

STATED: Final = "node.journals.stated"
#: With its hashes a line takes some 150 bytes of a part's 256 KiB.
MAX_LINES: Final = 1_000
#: Silence for longer than this is no quiet day but a broken line or a kept-back journal.
DAILY_MS: Final = 24 * 3600 * 1000

_CHANNEL: Final = "node"
_TOLD: Final = "frontier/told"
_ROOT_BYTES: Final = 32

table = tables.frontier_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """One line of a statement: a journal of the author held at least so many records."""

    channel: str
    epoch: str
    size: int
    root: bytes


def encode(lines: Sequence[Stated]) -> bytes:
    """Write the core part: sorted keys, roots in hex."""
    members = [
        {"channel": line.channel, "epoch": line.epoch, "size": line.size, "root": line.root.hex()}
        for line in lines
    ]
    return orjson.dumps({"journals": members}, option=orjson.OPT_SORT_KEYS)


def decode(core: bytes, author: NodeId) -> tuple[Stated, ...]:
    """Read a core part; empty where it has another shape, which proves nothing."""
    try:
        lines = tuple(
            Stated(
                channel=each["channel"],
                epoch=each["epoch"],
                size=each["size"],
                root=bytes.fromhex(each["root"]),
            )
            for each in orjson.loads(core)["journals"]
        )
        for line in lines:
            JournalId(node_id=author, channel=line.channel, epoch=line.epoch)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, YidaoError):
        return ()
    fit = all(
        type(line.size) is int and 0 < line.size < 2**63 and len(line.root) == _ROOT_BYTES
        for line in lines
    )
    return lines if fit and len(lines) <= MAX_LINES else ()


class Statements:
    """States this node's own journals."""

    def __init__(
        self, store: Store, clock_ms: Callable[[], int], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._random = random

    async def run(self) -> None:
        """State what has grown since it was last stated, or everything once a day."""
        now_ms = self._clock_ms()
        told, at_ms = await asyncio.to_thread(self._told)
        heads = await asyncio.to_thread(self._store.heads)
        # The statement itself makes the `node` journal grow, which calls for no other one.
        own = [head for head in heads if head.own and head.size]
        again = abs(now_ms - at_ms) >= DAILY_MS
        grown = [head for head in own if again or told.get(_name(head)) != head.size]
        if any(head.journal.channel != _CHANNEL for head in grown) or (again and own):
            await asyncio.wrap_future(self._store.submit(lambda tx: self._state(tx, grown, told)))

    def _told(self) -> tuple[dict[str, int], int]:
        query = select(tables.meta.c.value).where(tables.meta.c.key == _TOLD)
        with self._store.read() as conn:
            value = conn.execute(query).scalar_one_or_none()
        if value is None:
            return {}, 0
        kept = orjson.loads(value)
        return kept["sizes"], kept["at_ms"]

    def _state(self, tx: Tx, heads: Sequence[JournalHead], told: dict[str, int]) -> None:
        now_ms = self._clock_ms()
        for first in range(0, len(heads), MAX_LINES):
            lines = [
                Stated(
                    channel=head.journal.channel,
                    epoch=head.journal.epoch,
                    size=head.size,
                    root=head.root,
                )
                for head in heads[first : first + MAX_LINES]
            ]
            tx.append(_CHANNEL, [self._draft(tx, now_ms, encode(lines))])
        sizes = told | {_name(head): head.size for head in heads}
        value = orjson.dumps({"sizes": sizes, "at_ms": now_ms})
        meta = tables.meta
        if not tx.conn.execute(
            update(meta).where(meta.c.key == _TOLD).values(value=value)
        ).rowcount:
            tx.conn.execute(insert(meta).values(key=_TOLD, value=value))

    def _draft(self, tx: Tx, now_ms: int, core: bytes) -> Draft:
        return Draft(
            record_id=new_record_id(now_ms, self._random(CHANCE_BYTES)),
            kind=STATED,
            actor=f"system@{tx.identity.path}",
            object_id="journals",
            object_version=1,
            created_ms=now_ms,
            parts=(DraftPart(name="core", body=core),),
        )


class StatementDecider:
    """Keeps the newest statement of each journal. Local: it has a clock."""

    name = "frontiers.stated"

    def decide(self, tx: Tx, records: Sequence[StoredRecord], reader: Reader) -> None:  # noqa: ARG002 (the protocol's)
        """Note every statement with the time at which it came."""
        for record in records:
            author = record.journal.node_id
            if record.header.kind != STATED or record.journal.channel != _CHANNEL:
                continue
            for line in decode(record.parts.get("core", b""), author):
                _keep(tx, author, line)


def _keep(tx: Tx, author: NodeId, line: Stated) -> None:
    key = (
        (table.c.node_id == author)
        & (table.c.channel == line.channel)
        & (table.c.epoch == line.epoch)
    )
    held = tx.conn.execute(select(table.c.size).where(key)).scalar_one_or_none()
    values = {"size": line.size, "root": line.root, "stated_ms": tx.now_ms}
    if held is None:
        names = {"node_id": author, "channel": line.channel, "epoch": line.epoch}
        tx.conn.execute(insert(table).values(**names, **values, seen_ms=tx.now_ms))
    elif line.size > held:
        tx.conn.execute(update(table).where(key).values(**values, seen_ms=tx.now_ms))
    else:
        # Said again: a sign of life, and no younger claim.
        tx.conn.execute(update(table).where(key).values(seen_ms=tx.now_ms))


def _name(head: JournalHead) -> str:
    return f"{head.journal.channel}/{head.journal.epoch}"
