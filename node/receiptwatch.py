"""Notices from below that a tier in between keeps something back: receipts that no longer come.

What a node hands in is cosigned by its parent and, about a minute later, by the tiers
above that have got it. Where the parent confirms and nobody above it does, the parent
says one thing downward and does another upward, or its own line is cut. The node cannot
tell which; it can tell that its records do not arrive, and to which tier they came.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from yidao.node.store import tables
from yidao.node.store.journals import journal_of
from yidao.node.store.problems import journal_text
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.ids import Audience, JournalId, NodeId, Path

PROBLEM: Final = "RECEIPTS_HELD_BACK"

#: A tier above cosigns once a minute; an hour is many tiers, and a short cut of a line.
GRACE_MS: Final = 60 * 60 * 1000

_TO_THE_ROOT: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One own journal that does not arrive above the parent.

    Attributes:
        path: The lowest tier whose confirmation is late.
        confirmed: Records that this tier has cosigned.
        held: Records that the tier below it has cosigned.
        hours: Since the first record between the two was written, rounded down.
    """

    journal: JournalId
    path: Path
    confirmed: int
    held: int
    hours: int


class ReceiptWatch:
    """Looks once a minute at the receipts of this node's own journals."""

    def __init__(self, store: Store, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._clock_ms = clock_ms

    async def run(self) -> None:
        """Raise a problem for what is late, and clear those that came after all."""
        late = await asyncio.to_thread(self.findings)
        shown = {each.journal for each in self._store.problems() if each.code == PROBLEM}
        named = {journal_text(finding.journal) for finding in late}
        own = [head.journal for head in self._store.heads() if head.own]
        mended = [journal for journal in own if journal_text(journal) in shown - named]
        if not late and not mended:
            return

        def tell(tx: Tx) -> None:
            for finding in late:
                tx.raise_problem(
                    PROBLEM,
                    journal=finding.journal,
                    path=str(finding.path),
                    channel=finding.journal.channel,
                    confirmed=finding.confirmed,
                    held=finding.held,
                    hours=finding.hours,
                )
            for journal in mended:
                tx.clear_problems(PROBLEM, journal=journal)

        await asyncio.wrap_future(self._store.submit(tell))

    def findings(self) -> tuple[Finding, ...]:
        """Judge every own journal that travels beyond the parent."""
        own = self._store.identity.path
        above = sorted(
            (node for node in self._store.enrolments() if node.path.is_ancestor_of(own)),
            key=lambda node: -node.path.depth,
        )
        tiers = [(node.node_id, node.path) for node in above]
        with self._store.read() as conn:
            return tuple(_late(conn, own, tiers, self._clock_ms()))


def _late(
    conn: Connection, own: Path, tiers: list[tuple[NodeId, Path]], now_ms: int
) -> Iterator[Finding]:
    journal, cosignature = tables.journal, tables.cosignature
    for row in conn.execute(select(journal).where(journal.c.own.is_(True), journal.c.size > 0)):
        name = journal_of(row)
        query = (
            select(cosignature.c.cosigner, func.max(cosignature.c.size))
            .where(cosignature.c.journal_id == row.id)
            .group_by(cosignature.c.cosigner)
        )
        sizes = {bytes(cosigner): int(size) for cosigner, size in conn.execute(query)}
        reached = [
            (path, sizes.get(node_id, 0))
            for node_id, path in tiers
            if own.depth - path.depth <= _reach(name)
        ]
        for (_, held), (path, confirmed) in itertools.pairwise(reached):
            since = _written_ms(conn, row.id, confirmed, held)
            if since is not None and now_ms - since >= GRACE_MS:
                hours = (now_ms - since) // 3_600_000
                yield Finding(journal=name, path=path, confirmed=confirmed, held=held, hours=hours)
                # Who stands above it cannot have confirmed what did not come so far.
                break


def _reach(journal: JournalId) -> int:
    """How many tiers up an own journal travels."""
    channel = journal.audience
    if channel.audience is Audience.UP:
        return channel.reach
    return _TO_THE_ROOT if channel.audience is Audience.NODE else 0


def _written_ms(conn: Connection, journal_pk: int, after: int, up_to: int) -> int | None:
    """When the first record after a size was written that the tier below has; None if none."""
    segment = tables.segment
    # Only the ends of seals are cosigned, so what comes next begins exactly there.
    query = (
        select(segment.c.stored_ms)
        .where(
            segment.c.journal_id == journal_pk,
            segment.c.first_seq >= after,
            segment.c.first_seq < up_to,
        )
        .order_by(segment.c.first_seq)
        .limit(1)
    )
    return conn.execute(query).scalar()
