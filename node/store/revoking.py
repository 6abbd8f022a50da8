"""Revocations, folded at once like enrolments, and what they cut off.

A revocation comes in the `node` journal of a node below, or in the `down.control`
journal of one above. Either way round it comes, before or after records that lie
beyond its cut, the outcome for a journal is the same verdict, `JOURNAL_REVOKED`:
nothing more of it is taken. Records beyond the cut that are here already stay, as
evidence, since journals only grow; nobody else takes them.
"""

from sqlalchemy import Connection, insert, select, update

from yidao.node.store import errors
from yidao.node.store.journals import head_of
from yidao.node.store.scope import Scope
from yidao.node.store.tables import enrolment, frontier_statement, revocation
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.trust import NODE_REVOKED, enrolled
from yidao.node.store.values import EnrolledNode
from yidao.sync.errors import RevocationMalformed, SyncError
from yidao.sync.ids import JournalId, NodeId, Path
from yidao.sync.revocation import CutLine, Revocation, check_authority, valid_size

JOURNAL_REFUSED = "JOURNAL_REFUSED"


def revocations_of(conn: Connection, node: EnrolledNode) -> tuple[Revocation, ...]:
    """Return every revocation of a node; none if it was not revoked."""
    if not node.revoked:
        return ()
    mine = (revocation.c.node_id == node.node_id) & (revocation.c.path == str(node.path))
    rows = conn.execute(select(revocation.c.core).where(mine)).scalars()
    return tuple(Revocation.decode(bytes(core)) for core in rows)


def check_cut(conn: Connection, origin: EnrolledNode, journal: JournalId, end: int) -> None:
    """Return only if the first `end` records of a journal may be valid.

    Raises:
        JournalRevoked: They reach beyond the cut.
    """
    valid = valid_size(revocations_of(conn, origin), journal)
    if valid is not None and end > valid:
        raise errors.JournalRevoked(size=end, valid=valid)


def cut_of(conn: Connection, node: EnrolledNode) -> tuple[CutLine, ...]:
    """Return how far each journal of a node may count as its own word, as is known here.

    What comes here counts as far as it is held. Of what goes elsewhere, such as the
    node's journals for its own subtree, its newest statement is all that is known.
    """
    stated = frontier_statement
    sizes = {
        (row.channel, row.epoch): int(row.size)
        for row in conn.execute(select(stated).where(stated.c.node_id == node.node_id))
    }
    held = select(journal_table).where(
        journal_table.c.node_id == node.node_id, journal_table.c.public_key.is_not(None)
    )
    for row in conn.execute(held):
        sizes[(row.channel, row.epoch)] = int(row.size)
    return tuple(
        CutLine(channel=channel, epoch=epoch, size=size)
        for (channel, epoch), size in sorted(sizes.items())
        if size
    )


def fold_foreign(scope: Scope, journal: JournalId, seq: int, core: bytes | None) -> None:
    """Fold a revocation that another node wrote; what is wrong in it is a problem."""
    writer = enrolled(scope.conn, journal.node_id)
    assert writer is not None, "its journal was admitted by its enrolment"
    try:
        fold(scope, core, writer.node_id, writer.path)
    except SyncError as error:
        scope.raise_problem(error.code, error.params, journal=journal, seq=seq)


def fold(scope: Scope, core: bytes | None, by: NodeId, by_path: Path) -> None:
    """Write a revocation down; the same one again changes nothing.

    Raises:
        RevocationMalformed, …: The core is wrong.
        RevocationUnauthorised: Its writer does not stand above the node.
    """
    if core is None:
        raise RevocationMalformed(field="core")
    found = Revocation.decode(core)
    check_authority(found, by_path)
    mine = (revocation.c.node_id == found.node_id) & (revocation.c.path == str(found.path))
    known = select(revocation.c.by_id).where(mine, revocation.c.by_id == by)
    if scope.conn.execute(known).first() is not None:
        return
    scope.conn.execute(
        insert(revocation).values(node_id=found.node_id, path=str(found.path), by_id=by, core=core)
    )
    _apply(scope, found)


def _apply(scope: Scope, found: Revocation) -> None:
    """Let a revocation have its effects on the node, if it is known here."""
    conn, own = scope.conn, scope.identity.path
    here = (enrolment.c.node_id == found.node_id) & (enrolment.c.path == str(found.path))
    if conn.execute(update(enrolment).where(here).values(revoked=True)).rowcount:
        _stop_journals(scope, found)
    if own.is_ancestor_of(found.path) or own.is_within(found.path):
        scope.raise_problem(
            NODE_REVOKED,
            {"path": str(found.path), "reason": found.reason.value},
            peer=found.node_id,
        )


def _stop_journals(scope: Scope, found: Revocation) -> None:
    """Put aside the journals of which more is held than stays valid."""
    journals = [
        head_of(row).journal
        for row in scope.conn.execute(
            select(journal_table).where(
                journal_table.c.node_id == found.node_id, journal_table.c.own.is_(False)
            )
        )
    ]
    for journal in journals:
        head, valid = scope.heads.get(journal), found.size_of(journal)
        if head is None or head.size <= valid:
            continue
        code = errors.JournalRevoked.code
        head.quarantine_code, head.quarantined_at_seq, head.is_dirty = code, valid, True
        scope.raise_problem(
            JOURNAL_REFUSED, {"reason": code, "via": ""}, journal=journal, seq=valid
        )
