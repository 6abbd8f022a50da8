"""What two neighbours tell each other of how much of their own journals they hold.

Told at every start of a session, since a node that was rolled back, restored or
cloned learns it nowhere else. All that is told is signed by whoever could be
contradicted by it: a held checkpoint by the journal's own key, a receipt by the key
of the node that is reminded of it. What does not verify counts as not said.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from yidao.node.keys import Identity
from yidao.node.store import cosigning, segments
from yidao.node.store.journals import Head, head_of, journal_of
from yidao.node.store.tables import cosignature, segment
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.values import Peer
from yidao.sync.checkpoint import Checkpoint, open_checkpoint, verify_cosignature
from yidao.sync.errors import SyncError
from yidao.sync.fencing import Verdict, judge
from yidao.sync.ids import JournalId, NodeId, cosigner_name
from yidao.sync.merkle import Frontier, range_root
from yidao.sync.message import MAX_CLAIMS, MAX_HELD, Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How one of our journals stands against a neighbour's word.

    Attributes:
        size: How much of it is here.
        held_size: How much the neighbour holds.
        held: The checkpoint that the neighbour holds, signed by us.
        own: Our newest of at most that size, else our newest; empty if there is none.
    """

    journal: JournalId
    verdict: Verdict
    size: int
    held_size: int
    held: bytes
    own: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """A neighbour's checkpoint that bears our own receipt, against what we hold of it.

    Attributes:
        forked: We hold another root of that size: the neighbour signed both.
        held: What we hold of that journal at that size or in all; empty if nothing.
    """

    journal: JournalId
    size: int
    held_size: int
    receipt: bytes
    held: bytes
    forked: bool = False


def held_of(conn: Connection, peer: Peer) -> tuple[Held, ...]:
    """Return the newest checkpoint held of each of a peer's own journals.

    Those of its newest epoch first, and of these what many read before letters to one.
    """
    rows = conn.execute(
        select(journal_table).where(
            journal_table.c.node_id == peer.node_id,
            journal_table.c.public_key.is_not(None),
            journal_table.c.checkpoint.is_not(None),
        )
    ).all()
    rows = sorted(rows, key=lambda row: (row.channel.startswith("to:"), -row.id))
    return tuple(
        Held(journal=journal_of(row), checkpoint=row.checkpoint) for row in rows[:MAX_HELD]
    )


def receipts_of(conn: Connection, peer_id: NodeId) -> tuple[Held, ...]:
    """Return our newest checkpoints that a peer has cosigned, with its lines."""
    own = select(journal_table).where(journal_table.c.own).order_by(journal_table.c.id.desc())
    found: list[Held] = []
    for row in conn.execute(own).all():
        # One look a journal, from its newest end: a store holds a line for every commit.
        newest = conn.execute(
            select(cosignature.c.line, cosignature.c.size)
            .where(cosignature.c.journal_id == row.id, cosignature.c.cosigner == peer_id)
            .order_by(cosignature.c.size.desc())
            .limit(1)
        ).one_or_none()
        if newest is None:
            continue
        checkpoint = cosigning.checkpoint_of(conn, row.id, newest.size)
        if checkpoint is not None:
            found.append(
                Held(journal=journal_of(row), checkpoint=checkpoint, cosignature=newest.line)
            )
            if len(found) == MAX_CLAIMS:
                break
    return tuple(found)


def compare(conn: Connection, own: Identity, told: Iterable[Held]) -> tuple[Compared, ...]:
    """Judge what a peer holds of our journals; what we did not sign is left out."""
    found = []
    for each in told:
        if each.journal.node_id != own.node_id:
            continue
        row = _journal_row(conn, each.journal)
        key, suite = own.journal.public_key, own.suite
        if row is not None and row.public_key is not None:
            key, suite = row.public_key, row.suite
        try:
            held = open_checkpoint(each.checkpoint, each.journal.origin(own.network), key, suite)
        except SyncError:
            continue
        size = 0 if row is None else row.size
        pk = 0 if row is None else row.id
        verdict = judge(held, size, partial(root_at, conn, pk, suite))
        mine = None if row is None else _checkpoint_within(conn, row.id, held.size)
        newest = None if row is None else row.checkpoint
        found.append(
            Compared(
                journal=each.journal,
                verdict=verdict,
                size=size,
                held_size=held.size,
                held=each.checkpoint,
                own=mine or newest or b"",
            )
        )
    return tuple(found)


def reminded(
    conn: Connection, own: Identity, peer_id: NodeId, told: Iterable[Held]
) -> tuple[Reminder, ...]:
    """Return where a peer proves that we held more of its journals, or that it signed two.

    A checkpoint counts if its origin signed it; that it shows a loss of ours only if
    we cosigned it as well.
    """
    found = []
    for each in told:
        row = _journal_row(conn, each.journal)
        if each.journal.node_id != peer_id or row is None or row.public_key is None:
            continue
        try:
            said = open_checkpoint(
                each.checkpoint, each.journal.origin(own.network), row.public_key, row.suite
            )
        except SyncError:
            continue
        reminder = _reminder(conn, own, each, said, head_of(row))
        if reminder is not None:
            found.append(reminder)
    return tuple(found)


def _reminder(
    conn: Connection, own: Identity, each: Held, said: Checkpoint, head: Head
) -> Reminder | None:
    size, pk = head.size, head.pk
    if said.size <= size:
        if root_at(conn, pk, head.state.suite, said.size) == said.root:
            return None
        held = cosigning.checkpoint_of(conn, pk, said.size) or b""
    elif not _is_our_receipt(own, each):
        return None
    else:
        held = cosigning.checkpoint_of(conn, pk, size) or b""
    return Reminder(
        journal=each.journal,
        size=said.size,
        held_size=size,
        receipt=each.checkpoint + each.cosignature.encode() + (b"\n" if each.cosignature else b""),
        held=held,
        forked=said.size <= size,
    )


def root_at(conn: Connection, pk: int, suite: int, size: int) -> bytes:
    """Return the root of a journal's first records."""
    return frontier_at(conn, pk, suite, size).root()


def frontier_at(conn: Connection, pk: int, suite: int, size: int) -> Frontier:
    """Return the frontier of a journal's first records, from the stored tiles."""
    reader = segments.tree_reader(conn, pk, suite)
    nodes, start = [], 0
    for height in range(size.bit_length() - 1, -1, -1):
        if size >> height & 1:
            nodes.append(range_root(start, start + (1 << height), reader, suite))
            start += 1 << height
    return Frontier(size, tuple(nodes), suite)


def _checkpoint_within(conn: Connection, pk: int, size: int) -> bytes | None:
    """Return the newest checkpoint of at most that size: what a neighbour can compare."""
    end = segment.c.first_seq + segment.c.record_count
    found: bytes | None = conn.execute(
        select(segment.c.checkpoint)
        # By the first bound the index begins where it must; of the rest one is passed over.
        .where(segment.c.journal_id == pk, segment.c.first_seq < size, end <= size)
        .order_by(segment.c.first_seq.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found


def _is_our_receipt(own: Identity, each: Held) -> bool:
    if not each.cosignature:
        return False
    name = cosigner_name(own.network, own.node_id)
    try:
        verify_cosignature(each.checkpoint, each.cosignature, name, own.cosign.public_key)
    except SyncError:
        return False
    return True


def _journal_row(conn: Connection, journal: JournalId) -> Row[Any] | None:
    return conn.execute(
        select(journal_table).where(
            journal_table.c.node_id == journal.node_id,
            journal_table.c.channel == journal.channel,
            journal_table.c.epoch == journal.epoch,
        )
    ).one_or_none()
