"""Epochs of nodes, folded at once like enrolments: which key, and where an old epoch ends.

A new epoch comes in the `node` journal of a node below or of this one, in the
`down.control` journal of a node above, or with the chain in a parent's hello. In
whatever order it and records of the old epoch arrive, the outcome for a journal is
the same: what lies beyond the cut is `EPOCH_CLOSED`, and nothing more of it is taken.
"""

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from yidao.node.store import segments
from yidao.node.store.journals import head_of
from yidao.node.store.prepared import Prepared
from yidao.node.store.scope import Scope
from yidao.node.store.tables import epoch as table
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.values import EnrolledNode
from yidao.sync.enrolment import CosignKey
from yidao.sync.epoch import CHANNELS, FIRST, KIND, EpochKey, EpochOpened, check, check_place
from yidao.sync.epocherrors import EpochClosed, EpochMalformed
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.record import decode_header
from yidao.sync.revocation import CutLine
from yidao.sync.suite import ML_DSA_44

JOURNAL_REFUSED = "JOURNAL_REFUSED"
_FOLLOWING: Final = Prepared(
    select(table.c.core).where(
        table.c.node_id == bindparam("of"), table.c.previous == bindparam("epoch")
    )
)
_OPENED: Final = Prepared(select(table.c.core).where(table.c.node_id == bindparam("of")))


def key_of(conn: Connection, node: EnrolledNode, epoch: str) -> EpochKey | None:
    """Return the key of one epoch of a node; None if nothing opened it."""
    if epoch == FIRST:
        return _first(node)
    mine = (table.c.node_id == node.node_id) & (table.c.epoch == epoch)
    core = conn.execute(select(table.c.core).where(mine)).scalar_one_or_none()
    return None if core is None else EpochOpened.decode(bytes(core)).key


def live_of(conn: Connection, node: EnrolledNode) -> EpochKey:
    """Return the epoch in which a node writes now, as is known here."""
    mine = (table.c.node_id == node.node_id) & table.c.live.is_(True)
    core = conn.execute(select(table.c.core).where(mine)).scalar_one_or_none()
    return _first(node) if core is None else EpochOpened.decode(bytes(core)).key


def opened_of(conn: Connection, node_id: NodeId) -> tuple[EpochOpened, ...]:
    """Return the epochs that a node has opened after its first, in order."""
    found = [EpochOpened.decode(bytes(row.core)) for row in _OPENED.all(conn, of=node_id)]
    return tuple(sorted(found, key=lambda each: int(each.epoch.partition("-")[0])))


def keys_of(conn: Connection, node: EnrolledNode) -> tuple[EpochKey, ...]:
    """Return the keys of all epochs of a node, the newest last."""
    return (_first(node), *(each.key for each in opened_of(conn, node.node_id)))


def cosign_keys_of(conn: Connection, node: EnrolledNode) -> tuple[CosignKey, ...]:
    """Return suite and key of every cosignature that a node may have made, each once."""
    keys = [(each.suite, each.cosign_key) for each in keys_of(conn, node)]
    second = [(ML_DSA_44, node.cosign_pq)] if node.cosign_pq else []
    return tuple(dict.fromkeys([*keys, *second]))


def valid_size(conn: Connection, journal: JournalId) -> int | None:
    """Return at what size a journal of a closed epoch ends; None if nothing ends it."""
    row = _FOLLOWING.first(conn, of=journal.node_id, epoch=journal.epoch)
    if row is None:
        return None
    opened = EpochOpened.decode(bytes(row.core))
    return opened.size_of(journal) if opened.ends_the_old else None


def position_of(conn: Connection, opened: EpochOpened) -> int | None:
    """Return where the record that opened an epoch stands in its node's `node` journals.

    The last of the old journal if that has it, else the first of the new one.
    """
    old = JournalId(node_id=opened.node_id, channel=CHANNELS[0], epoch=opened.previous)
    new = replace(old, epoch=opened.epoch)
    for journal, seq in ((old, opened.size_of(old) - 1), (new, 0)):
        mine = (
            (journal_table.c.node_id == journal.node_id)
            & (journal_table.c.channel == journal.channel)
            & (journal_table.c.epoch == journal.epoch)
            & (journal_table.c.size > seq)
        )
        pk = conn.execute(select(journal_table.c.id).where(mine)).scalar_one_or_none()
        found = None if pk is None or seq < 0 else segments.segment_with(conn, pk, seq)
        if found is None:
            continue
        header = decode_header(found.headers[seq - found.first_seq])
        if (header.kind, header.object_id) == (KIND, object_of(opened)):
            return found.position + seq - found.first_seq
    return None


def object_of(opened: EpochOpened) -> str:
    """Return the object of the record that opens an epoch."""
    return f"epoch/{opened.epoch}"


def check_cut(conn: Connection, journal: JournalId, end: int) -> None:
    """Return only if the first `end` records of a journal belong to its epoch.

    Raises:
        EpochClosed: They reach beyond the end of it.
    """
    valid = valid_size(conn, journal)
    if valid is not None and end > valid:
        raise EpochClosed(size=end, valid=valid)


def held_cut(conn: Connection, node_id: NodeId, epoch: str) -> tuple[CutLine, ...]:
    """Return how far each journal of one epoch is held here."""
    held = select(journal_table.c.channel, journal_table.c.size).where(
        journal_table.c.node_id == node_id,
        journal_table.c.epoch == epoch,
        journal_table.c.public_key.is_not(None),
        journal_table.c.size > 0,
    )
    lines = (CutLine(channel=r.channel, epoch=epoch, size=r.size) for r in conn.execute(held))
    return tuple(sorted(lines))


def fold(
    scope: Scope, origin: EnrolledNode, core: bytes | None, journal: JournalId, seq: int
) -> EpochOpened:
    """Write a new epoch down that a node's own record opens; the same again changes nothing.

    Raises:
        EpochMalformed, EpochUnproven, EpochConflict, …: See `sync.epoch`.
    """
    if core is None:
        raise EpochMalformed(field="core")
    opened = EpochOpened.decode(core)
    if not _is_known(scope.conn, origin, opened):
        live = live_of(scope.conn, origin)
        check(opened, live)
        check_place(opened, journal, seq, live)
        _insert(scope.conn, opened)
        stop_journals(scope, opened)
    return opened


def learn(conn: Connection, origin: EnrolledNode, opened: EpochOpened) -> None:
    """Write a new epoch down that a verified chain proved, or that this node opens.

    Raises:
        EpochConflict: It does not follow the epoch in which the node writes.
        EpochUnproven: A key has not signed it.
    """
    if not _is_known(conn, origin, opened):
        check(opened, live_of(conn, origin))
        _insert(conn, opened)


def stop_journals(scope: Scope, opened: EpochOpened) -> None:
    """Put aside the journals of the old epoch of which more is held than belongs to it."""
    if opened.node_id == scope.identity.node_id or not opened.ends_the_old:
        return
    old = (journal_table.c.node_id == opened.node_id) & (journal_table.c.epoch == opened.previous)
    journals = [
        head_of(row).journal for row in scope.conn.execute(select(journal_table).where(old))
    ]
    for journal in journals:
        head, valid = scope.heads.get(journal), opened.size_of(journal)
        if head is None or head.size <= valid or head.quarantine_code == EpochClosed.code:
            continue
        head.quarantine_code, head.quarantined_at_seq = EpochClosed.code, valid
        head.is_dirty = True
        scope.raise_problem(
            JOURNAL_REFUSED, {"reason": EpochClosed.code, "via": ""}, journal=journal, seq=valid
        )


def _first(node: EnrolledNode) -> EpochKey:
    return EpochKey(
        epoch=FIRST,
        suite=node.suite,
        journal_key=node.journal_key,
        cosign_key=node.cosign_key,
    )


def _is_known(conn: Connection, origin: EnrolledNode, opened: EpochOpened) -> bool:
    if opened.node_id != origin.node_id:
        raise EpochMalformed(field="node_id")
    mine = (table.c.node_id == opened.node_id) & (table.c.epoch == opened.epoch)
    core = conn.execute(select(table.c.core).where(mine)).scalar_one_or_none()
    return core is not None and bytes(core) == opened.encode()


def _insert(conn: Connection, opened: EpochOpened) -> None:
    conn.execute(update(table).where(table.c.node_id == opened.node_id).values(live=False))
    conn.execute(
        insert(table).values(
            node_id=opened.node_id,
            epoch=opened.epoch,
            previous=opened.previous,
            suite=opened.suite,
            journal_key=opened.journal_key,
            cosign_key=opened.cosign_key,
            core=opened.encode(),
            live=True,
        )
    )
