"""Compares what nodes below have stated of their journals with what has come here.

| problem | what it says |
|---|---|
| `JOURNAL_WITHHELD` | records that their author stated a while ago are not here |
| `JOURNAL_CONTRADICTED` | what is here is another history than the author stated |
| `NODE_FELL_SILENT` | a node that states something every day has not for two |

The first may be a slow line, and clears by itself; the second never does.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, select

from yidao.node.frontiers import DAILY_MS
from yidao.node.store import tables
from yidao.node.store.problems import journal_text
from yidao.node.store.segments import tree_reader
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.epoch import FIRST
from yidao.sync.errors import LocalError
from yidao.sync.ids import JournalId, NodeId, Path
from yidao.sync.merkle import range_root
from yidao.sync.routing import lanes_for

WITHHELD: Final = "JOURNAL_WITHHELD"
CONTRADICTED: Final = "JOURNAL_CONTRADICTED"
SILENT: Final = "NODE_FELL_SILENT"

#: The backlog of a cut line goes through in this time, or somebody should look.
GRACE_MS: Final = 10 * 60 * 1000
SILENT_MS: Final = 2 * DAILY_MS + 2 * 3600 * 1000

stated = tables.frontier_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with one journal.

    Attributes:
        path: Where its author stands.
        stated, held: Records that were stated, and that are here.
        hours: Since the author last stated anything.
    """

    code: str
    journal: JournalId
    path: Path
    stated: int = 0
    held: int = 0
    hours: int = 0


class Completeness:
    """Looks once a minute at every journal that was stated."""

    def __init__(self, store: Store, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._clock_ms = clock_ms

    async def run(self) -> None:
        """Raise a problem for what is wrong, and clear those that are mended."""
        wrong = await asyncio.to_thread(self.findings)
        shown = await asyncio.to_thread(self._shown)
        named = {(each.code, journal_text(each.journal)): each for each in wrong}
        if not named and not shown:
            return

        def tell(tx: Tx) -> None:
            for finding in named.values():
                tx.raise_problem(
                    finding.code,
                    journal=finding.journal,
                    peer=finding.journal.node_id,
                    path=str(finding.path),
                    channel=finding.journal.channel,
                    stated=finding.stated,
                    held=finding.held,
                    hours=finding.hours,
                )
            for key, journal in shown.items():
                if key not in named:
                    tx.clear_problems(key[0], journal=journal, peer=journal.node_id)

        await asyncio.wrap_future(self._store.submit(tell))

    def findings(self) -> tuple[Finding, ...]:
        """Judge every journal below that was stated and should be here."""
        now_ms = self._clock_ms()
        own = self._store.identity.path
        paths = {
            node.node_id: node.path
            for node in self._store.enrolments()
            if own.is_ancestor_of(node.path)
        }
        with self._store.read() as conn:
            journals = tuple(_journals(conn, own, paths, now_ms))
            return journals + tuple(_silent(conn, paths, now_ms))

    def _shown(self) -> dict[tuple[str, str], JournalId]:
        """The open problems of these kinds that may clear by themselves."""
        return {
            (problem.code, problem.journal): _named(problem.journal)
            for problem in self._store.problems()
            if problem.code in (WITHHELD, SILENT)
        }


def _journals(
    conn: Connection, own: Path, paths: Mapping[NodeId, Path], now_ms: int
) -> Iterator[Finding]:
    for row in conn.execute(_statements()).all():
        author = NodeId(bytes(row.node_id))
        path = paths.get(author)
        if path is None:
            continue
        journal = JournalId(node_id=author, channel=row.channel, epoch=row.epoch)
        code = _judge(conn, row, now_ms) if _comes_here(journal, path, own, paths) else None
        if code is not None:
            held = row.held or 0
            yield Finding(code=code, journal=journal, path=path, stated=row.size, held=held)


def _statements() -> Select[Any]:
    journal = tables.journal
    same = and_(
        journal.c.node_id == stated.c.node_id,
        journal.c.channel == stated.c.channel,
        journal.c.epoch == stated.c.epoch,
    )
    held = (journal.c.id.label("journal_pk"), journal.c.size.label("held"))
    return select(stated, *held).outerjoin(journal, same)


def _comes_here(journal: JournalId, path: Path, own: Path, paths: Mapping[NodeId, Path]) -> bool:
    """Whether the journal of a node below travels up to this one."""
    to = journal.audience.to
    child = own.child(path.labels[own.depth])
    target = None if to is None else paths.get(to)
    return lanes_for(journal.channel, path, child, own, target) is not None


def _judge(conn: Connection, row: Row[Any], now_ms: int) -> str | None:
    if (row.held or 0) < row.size:
        return WITHHELD if now_ms - row.stated_ms >= GRACE_MS else None
    try:
        root = range_root(0, row.size, tree_reader(conn, row.journal_pk))
    except LocalError:
        # What cannot be read is found by the scrub, and is no word of the author.
        return None
    return CONTRADICTED if root != bytes(row.root) else None


def _silent(conn: Connection, paths: Mapping[NodeId, Path], now_ms: int) -> Iterator[Finding]:
    newest = func.max(stated.c.seen_ms).label("seen_ms")
    for row in conn.execute(select(stated.c.node_id, newest).group_by(stated.c.node_id)):
        path = paths.get(NodeId(bytes(row.node_id)))
        quiet_ms = now_ms - row.seen_ms
        if path is not None and quiet_ms >= SILENT_MS:
            journal = JournalId(node_id=NodeId(bytes(row.node_id)), channel="node", epoch=FIRST)
            yield Finding(code=SILENT, journal=journal, path=path, hours=quiet_ms // 3_600_000)


def _named(text: str) -> JournalId:
    node_id, channel, epoch = text.split("/")
    return JournalId(node_id=NodeId(bytes.fromhex(node_id)), channel=channel, epoch=epoch)
