"""Makes a refusal known above: a journal that this node refuses is a fact for all its ancestors.

Whoever refuses a journal says so by `node.journal.refused` in its own `node`
journal, which always reaches the root, and by `node.journal.mended` once the
journal goes on. Every node that receives such a record shows it as a problem:
the root learns that a store below was changed although it never sees the
changed bytes.
"""

import asyncio
from collections.abc import Callable, Sequence

import orjson
from sqlalchemy import delete, insert, select

from yidao.api.errors import YidaoError
from yidao.node.store import tables
from yidao.node.store.records import Reader
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, StoredRecord
from yidao.sync.ids import CHANCE_BYTES, JournalId, NodeId, new_record_id

REFUSED = "node.journal.refused"
MENDED = "node.journal.mended"
PROBLEM = "JOURNAL_REFUSED_BELOW"

_CHANNEL = "node"
_MARK = "alarm/"


class Alarms:
    """Says what this node refuses, once, and that it was mended, once."""

    def __init__(
        self, store: Store, clock_ms: Callable[[], int], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._random = random

    async def run(self) -> None:
        """Compare what is refused now with what was said, and say the difference."""
        refused = {
            _name(head.journal): (head.quarantined_at_seq or 0, head.quarantine_code)
            for head in self._store.heads()
            if head.quarantine_code is not None
        }
        if refused.keys() != self._said():
            await asyncio.wrap_future(self._store.submit(lambda tx: self._say(tx, refused)))

    def _said(self) -> set[str]:
        key = tables.meta.c.key
        with self._store.read() as connection:
            rows = connection.execute(select(key).where(key.startswith(_MARK))).scalars()
            return {row.removeprefix(_MARK) for row in rows}

    def _say(self, tx: Tx, refused: dict[str, tuple[int, str]]) -> None:
        meta = tables.meta
        found = tx.conn.execute(select(meta.c.key).where(meta.c.key.startswith(_MARK))).scalars()
        said = {key.removeprefix(_MARK) for key in found}
        for name in refused.keys() - said:
            seq, code = refused[name]
            tx.append(_CHANNEL, [self._draft(tx, REFUSED, name, seq=seq, code=code)])
            tx.conn.execute(insert(meta).values(key=_MARK + name, value=b""))
        for name in said - refused.keys():
            tx.append(_CHANNEL, [self._draft(tx, MENDED, name, seq=0, code="")])
            tx.conn.execute(delete(meta).where(meta.c.key == _MARK + name))

    def _draft(self, tx: Tx, kind: str, name: str, *, seq: int, code: str) -> Draft:
        now_ms = self._clock_ms()
        core = orjson.dumps({"journal": name, "seq": seq, "code": code})
        return Draft(
            record_id=new_record_id(now_ms, self._random(CHANCE_BYTES)),
            kind=kind,
            actor=f"system@{tx.identity.path}",
            object_id=f"journal/{name}",
            object_version=1,
            created_ms=now_ms,
            parts=(DraftPart(name="core", body=core),),
        )


class AlarmDecider:
    """Shows what nodes below refuse. A decider, since problems are local and never rebuilt."""

    name = "alarms.refusal"

    def decide(self, tx: Tx, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Raise or clear a problem for every alarm that another node wrote."""
        for record in records:
            if record.journal.node_id == reader.own.node_id or record.journal.channel != _CHANNEL:
                continue
            if record.header.kind not in (REFUSED, MENDED):
                continue
            alarm = _alarm(record.parts.get("core", b""))
            if alarm is None:
                # A malformed alarm is kept as a record; there is nothing to show.
                continue
            journal, seq, code = alarm
            peer = record.journal.node_id
            if record.header.kind == REFUSED:
                tx.raise_problem(PROBLEM, journal=journal, seq=seq, peer=peer, reason=code)
            else:
                tx.clear_problems(PROBLEM, journal=journal, peer=peer)


def _name(journal: JournalId) -> str:
    return f"{journal.node_id.hex()}/{journal.channel}/{journal.epoch}"


def _alarm(core: bytes) -> tuple[JournalId, int, str] | None:
    try:
        told = orjson.loads(core)
        node_id, channel, epoch = str(told["journal"]).split("/")
        journal = JournalId(node_id=NodeId(bytes.fromhex(node_id)), channel=channel, epoch=epoch)
        return journal, int(told["seq"]), str(told["code"])[:64]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, YidaoError):
        return None
