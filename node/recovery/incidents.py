"""Makes known above what happened to a node, with what proves it.

An incident is a problem of a few codes. Whoever has one says so once, by the record
`node.incident.noted` in its own `node` journal, which reaches the root; every node
that receives it shows `INCIDENT_BELOW`. A fork carries both notes, so that nobody
above need believe the teller: who knows the journal's key checks them.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import insert, select

from yidao.api.errors import YidaoError
from yidao.node.store import epochs, tables, trust
from yidao.node.store.records import Reader
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, Problem, StoredRecord
from yidao.sync.checkpoint import Checkpoint, open_checkpoint
from yidao.sync.ids import CHANCE_BYTES, JournalId, NodeId, new_record_id

KIND: Final = "node.incident.noted"
BELOW: Final = "INCIDENT_BELOW"
#: What an operator must see on one screen; `ENROLMENT_CONFLICT` is a second key for a path.
CODES: Final = (
    "NODE_FORKED",
    "SEAL_FORK",
    "STATE_ROLLED_BACK",
    "STORE_RESTORED",
    "NODE_CLONED",
    "NODE_PUT_ASIDE",
    "PEER_ROLLED_BACK",
    "EPOCH_UNWITNESSED",
    "START_DOUBTFUL",
    "ENROLMENT_CONFLICT",
)
#: Told above: a start in doubt that ends well, or what is a verdict on a record, is not.
_TOLD: Final = frozenset(CODES) - {"START_DOUBTFUL", "ENROLMENT_CONFLICT"}
_CHANNEL: Final = "node"
_MARK: Final = "incident/"
_MAX_NOTE: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An incident as its teller wrote it down."""

    code: str
    journal: str
    node: str
    held: str
    other: str


class Incidents:
    """Says what happened, once each."""

    def __init__(
        self, store: Store, clock_ms: Callable[[], int], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._random = random

    async def run(self) -> None:
        """Say every incident that was not said yet; behind a fence it waits."""
        if self._store.fence.reason:
            return
        if any(self._unsaid(self._store.problems(open_only=False))):
            await asyncio.wrap_future(self._store.submit(self._say))

    def _unsaid(self, found: Sequence[Problem]) -> Iterator[Problem]:
        key = tables.meta.c.key
        with self._store.read() as connection:
            said = set(connection.execute(select(key).where(key.startswith(_MARK))).scalars())
        for each in found:
            if each.code in _TOLD and f"{_MARK}{each.problem_id}" not in said:
                yield each

    def _say(self, tx: Tx) -> None:
        for each in self._unsaid(self._store.problems(open_only=False)):
            tx.append(_CHANNEL, [self._draft(tx, each)])
            tx.conn.execute(insert(tables.meta).values(key=f"{_MARK}{each.problem_id}", value=b""))

    def _draft(self, tx: Tx, problem: Problem) -> Draft:
        now_ms = self._clock_ms()
        node = problem.peer or tx.identity.node_id
        core = {
            "code": problem.code,
            "journal": problem.journal,
            "node": node.hex(),
            "held": str(problem.params.get("held", "")),
            "other": str(problem.params.get("other", "")),
        }
        return Draft(
            record_id=new_record_id(now_ms, self._random(CHANCE_BYTES)),
            kind=KIND,
            actor=f"system@{tx.identity.path}",
            object_id=f"incident/{problem.code}",
            object_version=1,
            created_ms=now_ms,
            parts=(DraftPart(name="core", body=orjson.dumps(core)),),
        )


class IncidentDecider:
    """Shows what happened below. A decider, since problems are local and never rebuilt."""

    name = "incidents.below"

    def decide(self, tx: Tx, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Raise a problem for every incident that another node wrote down."""
        for record in records:
            if record.journal.node_id == reader.own.node_id or record.header.kind != KIND:
                continue
            told = _told(record.parts.get("core", b""))
            if told is None or record.journal.channel != _CHANNEL:
                # A malformed one is kept as a record; there is nothing to show.
                continue
            node = trust.enrolled(tx.conn, NodeId(bytes.fromhex(told.node)))
            tx.raise_problem(
                BELOW,
                journal=_journal(told.journal),
                peer=record.journal.node_id,
                seq=record.seq,
                what=told.code,
                node=told.node if node is None else str(node.path),
                held=told.held,
                other=told.other,
                proved="yes" if proves(tx, told) else "no",
            )


def proves(tx: Tx, told: Told) -> bool:
    """Whether two notes of an incident are signed by one journal's key and contradict each other.

    Equal sizes with other roots contradict by themselves; of other sizes only what is
    held here can tell, so that they are shown and not called proved.
    """
    journal = _journal(told.journal)
    origin = None if journal is None else trust.enrolled(tx.conn, journal.node_id)
    if journal is None or origin is None:
        return False
    key = epochs.key_of(tx.conn, origin, journal.epoch)
    if key is None:
        return False
    name = journal.origin(tx.identity.network)
    found: list[Checkpoint] = []
    for note in (told.held, told.other):
        try:
            found.append(open_checkpoint(note.encode(), name, key.journal_key, key.suite))
        except YidaoError:
            return False
    first, second = found
    return first.size == second.size and first.root != second.root


def _told(core: bytes) -> Told | None:
    try:
        said = orjson.loads(core)
        told = Told(
            code=str(said["code"])[:64],
            journal=str(said["journal"]),
            node=str(said["node"]),
            held=str(said["held"])[:_MAX_NOTE],
            other=str(said["other"])[:_MAX_NOTE],
        )
        NodeId(bytes.fromhex(told.node))
        _journal(told.journal)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, YidaoError):
        return None
    return told if told.code in _TOLD else None


def _journal(text: str) -> JournalId | None:
    if not text:
        return None
    node_id, channel, epoch = text.split("/")
    return JournalId(node_id=NodeId(bytes.fromhex(node_id)), channel=channel, epoch=epoch)
