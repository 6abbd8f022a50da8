"""Receipts: cosignatures on checkpoints, made here or brought by a link.

A node cosigns what it holds durably: its parent's journals and its children's
own journals with every ingest, deeper journals when `due` is asked and only
checkpoints that bear the cosignature of the tier below. Lines of one checkpoint
that several tiers cosigned are kept together, because together they are the
evidence for its records.
"""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, delete, func, or_, select, update

from yidao.node.store import epochs, rawsql, segments, trust
from yidao.node.store.journals import Head, journal_of
from yidao.node.store.prepared import Prepared
from yidao.node.store.scope import Scope
from yidao.node.store.tables import cosignature as table
from yidao.node.store.tables import enrolment as enrolment_table
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.values import EnrolledNode, Peer
from yidao.sync.checkpoint import cosign, verify_cosignature
from yidao.sync.errors import SyncError
from yidao.sync.ids import NodeId, Path, cosigner_name
from yidao.sync.keytypes import cosigner_type
from yidao.sync.message import Receipt
from yidao.sync.note import key_id, parse_signature_line
from yidao.sync.suite import ML_DSA_44

# Cosigned sizes of a journal that are kept; the evidence of an old record is as
# good under a newer checkpoint.
KEPT_SIZES: Final = 16
# Of 15 tiers above an origin; each may have a second line.
MAX_COSIGNERS: Final = 15
RECEIPT_INVALID: Final = "RECEIPT_INVALID"

_other = table.alias("other")
_INSERT: Final = (
    "INSERT INTO cosignature (journal_id, cosigner, size, line, time_s) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_PRUNE_ALONE: Final = Prepared(
    delete(table).where(
        table.c.journal_id == bindparam("of"),
        table.c.cosigner == bindparam("by"),
        table.c.size < bindparam("at"),
        ~select(_other.c.id)
        .where(
            _other.c.journal_id == table.c.journal_id,
            _other.c.size == table.c.size,
            _other.c.cosigner != table.c.cosigner,
        )
        .exists(),
    )
)
_OLDEST: Final = Prepared(
    select(table.c.size)
    .where(table.c.journal_id == bindparam("of"))
    .distinct()
    .order_by(table.c.size.desc())
    .offset(KEPT_SIZES)
    .limit(1)
)
_PRUNE_TO: Final = Prepared(
    delete(table).where(table.c.journal_id == bindparam("of"), table.c.size <= bindparam("at"))
)
_LINES: Final = Prepared(
    select(table.c.line, table.c.line_pq)
    .where(table.c.journal_id == bindparam("of"), table.c.size == bindparam("at"))
    .order_by(table.c.id)
    .limit(MAX_COSIGNERS)
)
_BEST: Final = Prepared(
    select(table.c.size)
    .where(
        table.c.journal_id == bindparam("of"),
        table.c.size > bindparam("above"),
        table.c.size <= bindparam("up_to"),
    )
    .group_by(table.c.size)
    .order_by(func.count().desc(), table.c.size.desc())
    .limit(1)
)
_COSIGNERS: Final = Prepared(
    select(table.c.cosigner)
    .where(table.c.journal_id == bindparam("of"), table.c.size == bindparam("at"))
    .order_by(table.c.id)
    .limit(MAX_COSIGNERS)
)


def cosign_head(scope: Scope, head: Head) -> Receipt | None:
    """Cosign a journal's newest checkpoint, and return what to tell of it; None if it has none."""
    if head.checkpoint is None or head.size < 1:
        return None
    lines = _cosign_at(scope, head, head.size, head.checkpoint)
    return Receipt(journal=head.journal, size=head.size, cosignatures=lines)


def cosign_due(scope: Scope, interval_seconds: int) -> int:
    """Cosign deeper journals where the tier below has, and return how many.

    Args:
        scope: The transaction.
        interval_seconds: A journal is not cosigned again before; 0 = now.
    """
    rows = scope.conn.execute(
        _due(scope.identity.node_id, scope.now_ms // 1000, interval_seconds)
    ).all()
    for row in rows:
        head = scope.heads.by_pk(row.journal_id)
        found = checkpoint_of(scope.conn, row.journal_id, row.size)
        if head is not None and found is not None:
            _cosign_at(scope, head, row.size, found)
            note_cosigned(scope, head)
    return len(rows)


def note_cosigned(scope: Scope, head: Head) -> None:
    """Note that links may have to tell of a cosignature on a journal of another node."""
    origin = None if head.own else trust.enrolled(scope.conn, head.journal.node_id)
    if origin is not None:
        scope.cosigned.add(origin.path)


def _due(own: NodeId, now_s: int, interval_s: int) -> Select[Any]:
    """Ask for journals with news from the tier below that were last cosigned an interval ago.

    A cosignature from further in the future is of a clock that was ahead, and stops nothing.
    """
    below = enrolment_table.alias("below")
    mine = (
        select(
            table.c.journal_id,
            func.max(table.c.size).label("size"),
            func.max(table.c.time_s).label("time_s"),
        )
        .where(table.c.cosigner == own)
        .group_by(table.c.journal_id)
        .subquery()
    )
    theirs = func.max(table.c.size)
    return (
        select(table.c.journal_id, theirs.label("size"))
        .join(below, and_(below.c.node_id == table.c.cosigner, below.c.parent_id == own))
        .join(journal_table, journal_table.c.id == table.c.journal_id)
        .outerjoin(mine, mine.c.journal_id == table.c.journal_id)
        .where(
            below.c.node_id != own,
            # A child's own journals are cosigned as they come, own ones never.
            journal_table.c.node_id != below.c.node_id,
            journal_table.c.own.is_(False),
            journal_table.c.via == table.c.cosigner,
            or_(
                mine.c.time_s.is_(None),
                mine.c.time_s <= now_s - interval_s,
                mine.c.time_s > now_s + interval_s,
            ),
        )
        .group_by(table.c.journal_id, mine.c.size)
        .having(or_(mine.c.size.is_(None), theirs > mine.c.size))
    )


def add_lines(scope: Scope, head: Head, size: int, lines: Iterable[str], *, peer: Peer) -> bool:
    """Store cosignature lines that came; one that fails is a problem and is dropped.

    Returns whether one of them is the peer's own.

    Args:
        scope: The transaction.
        head: The journal.
        size: Of the checkpoint that they are on.
        lines: Untrusted.
        peer: Who brought them. A child brings lines of its subtree, the parent
            those of nodes outside our own.
    """
    checkpoint = checkpoint_of(scope.conn, head.pk, size)
    if checkpoint is None:
        # A receipt may be older than a restored store; nothing rests on it.
        return False
    is_its_own = False
    for line in lines:
        try:
            cosigner = _cosigner_of(scope, line)
            if cosigner is None or not _may_bring(scope, cosigner, peer):
                continue
            if cosigner.revoked:
                # Whoever has its key can date a line back; what came before is here already.
                continue
            known = _verify(scope, cosigner, checkpoint, line)
            if known is None:
                continue
            suite, time_s = known
        except SyncError as error:
            scope.raise_problem(
                RECEIPT_INVALID, {"reason": error.code}, journal=head.journal, peer=peer.node_id
            )
            continue
        if suite == ML_DSA_44:
            _store_second(scope, head, cosigner.node_id, size, line)
        else:
            _store(scope, head, cosigner.node_id, size, line, time_s)
        note_cosigned(scope, head)
        is_its_own = is_its_own or cosigner.node_id == peer.node_id
    return is_its_own


def add_receipt(scope: Scope, peer: Peer, receipt: Receipt) -> bool:
    """Store the cosignatures of a receipt; return whether the peer's own is one of them."""
    head = scope.heads.get(receipt.journal)
    if head is None or head.public_key is None:
        return False
    return add_lines(scope, head, receipt.size, receipt.cosignatures, peer=peer)


def lines_at(conn: Connection, journal_pk: int, size: int) -> tuple[str, ...]:
    """Return the cosignature lines on a journal's checkpoint of one size, of the first nodes.

    A cosigner's second line stands right behind its first.
    """
    rows = _LINES.all(conn, of=journal_pk, at=size)
    return tuple(line for row in rows for line in row if line is not None)


def best_size(
    conn: Connection, journal_pk: int, above: int, up_to: int | None = None
) -> tuple[int, tuple[NodeId, ...]]:
    """Return the size > `above` that most nodes cosigned, the newest of equals, and the nodes.

    Args:
        conn: A snapshot.
        journal_pk: The journal.
        above: A sequence number.
        up_to: No size beyond this; None = any.

    Returns:
        (0, ()) if no such size was cosigned.
    """
    up_to = 2**63 - 1 if up_to is None else up_to
    row = _BEST.first(conn, of=journal_pk, above=above, up_to=up_to)
    if row is None:
        return 0, ()
    cosigners = _COSIGNERS.all(conn, of=journal_pk, at=row.size)
    return row.size, tuple(NodeId(bytes(each.cosigner)) for each in cosigners)


def receipts_for(
    conn: Connection, own: Path, own_id: NodeId, peer: Peer, after: int, limit: int
) -> tuple[tuple[Receipt, ...], int]:
    """Return receipts that a peer should get, and the mark to ask after next time.

    The parent gets what this node cosigned: of the parent's journals the line
    alone, of deeper journals below us all lines of that checkpoint (those of our
    children's own journals travel with the items). A child gets what was cosigned
    outside its subtree of journals that begin in it.
    """
    query = (
        select(table, journal_table.c.node_id, journal_table.c.channel, journal_table.c.epoch)
        .join(journal_table, journal_table.c.id == table.c.journal_id)
        .join(enrolment_table, enrolment_table.c.node_id == journal_table.c.node_id)
        .where(table.c.id > after)
        .order_by(table.c.id)
        .limit(limit)
    )
    if own.parent == peer.path:
        query = query.where(
            table.c.cosigner == own_id,
            # Unless it is our own or a direct child's, see above.
            or_(enrolment_table.c.parent_id != own_id, journal_table.c.via == peer.node_id),
        )
    else:
        within = [enrolment_table.c.path == str(peer.path)]
        within.append(enrolment_table.c.path.like(f"{peer.path}/%"))
        cosigner = enrolment_table.alias("cosigner")
        query = query.join(cosigner, cosigner.c.node_id == table.c.cosigner).where(
            or_(*within),
            cosigner.c.path != str(peer.path),
            cosigner.c.path.not_like(f"{peer.path}/%"),
        )
    receipts = []
    mark = after
    for row in conn.execute(query).all():
        mark = row.id
        receipts.append(
            Receipt(
                journal=journal_of(row),
                size=row.size,
                cosignatures=lines_at(conn, row.journal_id, row.size),
            )
        )
    return tuple(receipts), mark


def checkpoint_of(conn: Connection, journal_pk: int, size: int) -> bytes | None:
    """Return the checkpoint that seals a journal at exactly that size, or None."""
    if size < 1:
        return None
    return segments.checkpoint_at(conn, journal_pk, size)


def _cosign_at(scope: Scope, head: Head, size: int, checkpoint: bytes) -> tuple[str, ...]:
    # A size that was cosigned before keeps its first line.
    own = scope.identity.node_id
    time_s = scope.now_ms // 1000
    name = cosigner_name(scope.identity.network, own)
    line = cosign(checkpoint, name, scope.identity.cosign, time_s)
    second = scope.identity.cosign_pq
    _store(scope, head, own, size, line, time_s)
    if second is None:
        return (line,)
    line_pq = cosign(checkpoint, name, second, time_s)
    _store_second(scope, head, own, size, line_pq)
    return line, line_pq


def _cosigner_of(scope: Scope, line: str) -> EnrolledNode | None:
    """Return the enrolled node whose key name a line bears, or None."""
    pieces = line.split(" ")
    names = pieces[1].split("/") if len(pieces) == 3 else []
    if len(names) != 4 or names[3] != "cosign":
        return None
    try:
        node = NodeId(bytes.fromhex(names[2]))
    except ValueError:
        return None
    return trust.enrolled(scope.conn, node)


def _verify(
    scope: Scope, cosigner: EnrolledNode, checkpoint: bytes, line: str
) -> tuple[int, int] | None:
    """Return under which suite and when a node cosigned, by whichever of its keys the line names.

    None if it is none of them: a receipt may overtake the record of a new key.
    """
    name = cosigner_name(scope.identity.network, cosigner.node_id)
    named = parse_signature_line(line).key_id
    for suite, key in epochs.cosign_keys_of(scope.conn, cosigner):
        if key_id(name, cosigner_type(suite), key) == named:
            return suite, verify_cosignature(checkpoint, line, name, key, suite)
    return None


def _may_bring(scope: Scope, cosigner: EnrolledNode, peer: Peer) -> bool:
    own = scope.identity.path
    if own.parent == peer.path:
        return not cosigner.path.is_within(own)
    return cosigner.path.is_within(peer.path)


def _store(scope: Scope, head: Head, cosigner: NodeId, size: int, line: str, time_s: int) -> None:
    row = (head.pk, cosigner, size, line, time_s)
    if rawsql.run_many(scope.conn, _INSERT, [row]):
        _prune(scope.conn, head.pk, cosigner, size)


def _store_second(scope: Scope, head: Head, cosigner: NodeId, size: int, line: str) -> None:
    """Store the line of a cosigner's second key beside that of its first; alone it is dropped."""
    scope.conn.execute(
        update(table)
        .where(
            table.c.journal_id == head.pk,
            table.c.cosigner == cosigner,
            table.c.size == size,
            table.c.line_pq.is_(None),
        )
        .values(line_pq=line)
    )


def _prune(conn: Connection, journal_pk: int, cosigner: NodeId, size: int) -> None:
    """Drop older lines of a cosigner that stand alone, then all but the newest sizes."""
    _PRUNE_ALONE.run(conn, of=journal_pk, by=cosigner, at=size)
    oldest = _OLDEST.first(conn, of=journal_pk)
    if oldest is not None:
        _PRUNE_TO.run(conn, of=journal_pk, at=oldest.size)
