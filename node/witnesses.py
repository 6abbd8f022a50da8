"""Shows above what a tier shows below, so that nobody has two histories for two readers.

What a node writes downward travels down only, so that the tiers above it cannot compare.
Its children can: at most once an hour after changes each says by `node.journals.seen`, in
its own `node` journal, which checkpoints of journals from above it holds; and their author
says which ones it wrote. The notes are the author's own signed words. A tier above that
gets two of one size with different roots holds the proof that their author signed two
histories, and shows it as `JOURNAL_SPLIT`. A child that lies has no such note to show.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import orjson
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from yidao.node.store import tables
from yidao.node.store.epochs import key_of
from yidao.node.store.records import Reader
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.trust import enrolled
from yidao.node.store.values import Draft, DraftPart, JournalHead, StoredRecord
from yidao.sync.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from yidao.sync.errors import SyncError
from yidao.sync.ids import CHANCE_BYTES, Audience, JournalId, NetworkId, NodeId, new_record_id

SEEN: Final = "node.journals.seen"
PROBLEM: Final = "JOURNAL_SPLIT"
#: Two channels of fifteen tiers, over a few epochs.
MAX_NOTES: Final = 64
MAX_NOTE_BYTES: Final = 4 * 1024
#: Sizes of one journal that are kept, newest first: two children that say the same hour
#: after hour mostly hold the same size.
KEPT_SIZES: Final = 16

_CHANNEL: Final = "node"
_TOLD: Final = "witness/told"

table = tables.seen_checkpoint


def encode(notes: Sequence[bytes]) -> bytes:
    """Write the core part: the notes as they are, sorted."""
    return orjson.dumps({"seen": sorted(note.decode() for note in notes)})


def decode(core: bytes) -> tuple[bytes, ...]:
    """Read a core part; empty where it has another shape, which proves nothing."""
    try:
        notes = tuple(str(note).encode() for note in orjson.loads(core)["seen"])
    except (orjson.JSONDecodeError, KeyError, TypeError, UnicodeEncodeError):
        return ()
    fit = len(notes) <= MAX_NOTES and all(len(note) <= MAX_NOTE_BYTES for note in notes)
    return notes if fit else ()


class Witness:
    """Says what this node holds of the journals that go down: what came, and what it wrote."""

    def __init__(
        self, store: Store, clock_ms: Callable[[], int], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._random = random

    async def run(self) -> None:
        """Say what has grown since it was last said; nothing where nothing has."""
        heads = await asyncio.to_thread(self._store.heads)
        held = {_name(head): head for head in heads if _goes_down(head)}
        told = await asyncio.to_thread(self._told)
        # What was told longest ago comes first, so that no journal is left out for ever.
        turn = {name: number for number, name in enumerate(told, start=1)}
        grown = sorted(
            (name for name, head in held.items() if told.get(name) != head.size),
            key=lambda name: turn.get(name, 0),
        )
        chosen = {name: held[name] for name in grown[:MAX_NOTES]}
        if chosen:
            sizes = {name: told[name] for name in told if name in held and name not in chosen}
            sizes |= {name: head.size for name, head in chosen.items()}
            await asyncio.wrap_future(
                self._store.submit(lambda tx: self._say(tx, tuple(chosen.values()), sizes))
            )

    def _told(self) -> dict[str, int]:
        query = select(tables.meta.c.value).where(tables.meta.c.key == _TOLD)
        with self._store.read() as conn:
            value = conn.execute(query).scalar_one_or_none()
        return {} if value is None else dict(orjson.loads(value))

    def _say(self, tx: Tx, grown: Sequence[JournalHead], sizes: dict[str, int]) -> None:
        now_ms = self._clock_ms()
        draft = Draft(
            record_id=new_record_id(now_ms, self._random(CHANCE_BYTES)),
            kind=SEEN,
            actor=f"system@{tx.identity.path}",
            object_id="journals",
            object_version=1,
            created_ms=now_ms,
            parts=(DraftPart(name="core", body=encode([_note(head) for head in grown])),),
        )
        tx.append(_CHANNEL, [draft])
        meta = tables.meta
        tx.conn.execute(delete(meta).where(meta.c.key == _TOLD))
        tx.conn.execute(insert(meta).values(key=_TOLD, value=orjson.dumps(sizes)))


class WitnessDecider:
    """Compares what nodes below were shown. A decider, since problems are never rebuilt."""

    name = "witnesses.seen"

    def decide(self, tx: Tx, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Keep every note that its author signed, and show two that contradict each other."""
        network = reader.own.network
        for record in records:
            if record.header.kind != SEEN or record.journal.channel != _CHANNEL:
                continue
            for note in decode(record.parts.get("core", b"")):
                found = _signed(tx.conn, note, network)
                if found is not None:
                    _compare(tx, *found, note, record.journal.node_id)


def _signed(
    conn: Connection, note: bytes, network: NetworkId
) -> tuple[JournalId, Checkpoint] | None:
    """Return whose checkpoint a note is, or None if no node that is known here signed it."""
    try:
        _, journal = JournalId.parse_origin(parse_checkpoint(note).origin)
        author = enrolled(conn, journal.node_id)
        key = None if author is None else key_of(conn, author, journal.epoch)
        if key is None:
            return None
        origin = journal.origin(network)
        return journal, open_checkpoint(note, origin, key.journal_key, key.suite)
    except SyncError:
        # Whoever shows what is not signed shows nothing.
        return None


def _compare(tx: Tx, journal: JournalId, found: Checkpoint, note: bytes, witness: NodeId) -> None:
    of_journal = (
        (table.c.node_id == journal.node_id)
        & (table.c.channel == journal.channel)
        & (table.c.epoch == journal.epoch)
    )
    held = tx.conn.execute(
        select(table.c.note, table.c.witness).where(of_journal, table.c.size == found.size)
    ).one_or_none()
    if held is None:
        tx.conn.execute(
            insert(table).values(
                node_id=journal.node_id,
                channel=journal.channel,
                epoch=journal.epoch,
                size=found.size,
                note=note,
                witness=witness,
            )
        )
        _forget(tx.conn, of_journal)
    elif parse_checkpoint(held.note).root != found.root:
        tx.raise_problem(
            PROBLEM,
            journal=journal,
            seq=found.size,
            peer=journal.node_id,
            channel=journal.channel,
            size=found.size,
            one=bytes(held.note).decode(),
            other=note.decode(),
        )


def _forget(conn: Connection, of_journal: ColumnElement[bool]) -> None:
    oldest = conn.execute(
        select(table.c.size)
        .where(of_journal)
        .order_by(table.c.size.desc())
        .offset(KEPT_SIZES)
        .limit(1)
    ).scalar()
    if oldest is not None:
        conn.execute(delete(table).where(of_journal, table.c.size <= oldest))


def _goes_down(head: JournalHead) -> bool:
    down = head.journal.audience.audience is Audience.DOWN
    return down and head.size > 0 and head.checkpoint is not None


def _note(head: JournalHead) -> bytes:
    assert head.checkpoint is not None, "chosen by `_goes_down`"
    return head.checkpoint


def _name(head: JournalHead) -> str:
    return f"{head.journal.node_id.hex()}/{head.journal.channel}/{head.journal.epoch}"
