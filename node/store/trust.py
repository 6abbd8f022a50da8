"""Who may write what: enrolments and journal declarations, folded at once.

Both are records of `node` journals. They are folded in the transaction that
stores them and not by a projector, because the next item of the same frame may
already rest on them. A record that is wrong inside is a verdict (a problem), it
never stops its journal.

A `node` journal is declared by its node's enrolment, every other journal of a
node below by `node.journal.opened`. The journals of nodes above are declared by
their enrolment alone: their `node` journals do not travel down. All of this holds
in the epochs of a node that are known here (`epochs`); a journal of any other one
has no key.
"""

from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update

from yidao.node.store import approving, epochs, errors
from yidao.node.store.journals import NOWHERE, Head, Routes, journal_of, routes_of
from yidao.node.store.prepared import Prepared
from yidao.node.store.scope import Scope
from yidao.node.store.tables import enrolment as table
from yidao.node.store.tables import epoch as epoch_table
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.tables import revocation as revocation_table
from yidao.node.store.values import EnrolledNode
from yidao.sync import epoch, suite
from yidao.sync.admissionerrors import ReenrolmentUnapproved
from yidao.sync.enrolment import KIND as KIND_ENROLLED
from yidao.sync.enrolment import Enrolment
from yidao.sync.epocherrors import EpochUnknown
from yidao.sync.errors import (
    EnrolmentChainBroken,
    EnrolmentMalformed,
    HeaderFieldInvalid,
    SyncError,
)
from yidao.sync.ids import Audience, JournalId, NodeId, Path
from yidao.sync.record import Header
from yidao.sync.suiteerrors import SuiteUnavailable

NODE_CHANNEL: Final = "node"
KIND_OPENED: Final = "node.journal.opened"
NODE_REVOKED: Final = "NODE_REVOKED"
_OPENED_OBJECT: Final = "journal"
_ENROLLED: Final = Prepared(select(table).where(table.c.node_id == bindparam("of")))


def opened_object(journal: JournalId) -> str:
    """Return the object of the record that declares a journal."""
    return f"{_OPENED_OBJECT}/{journal.channel}/{journal.epoch}"


def enrolled(conn: Connection, node_id: NodeId) -> EnrolledNode | None:
    """Return the enrolment of a node, or None."""
    row = _ENROLLED.first(conn, of=node_id)
    return None if row is None else enrolled_of(row)


def enrolled_at(conn: Connection, path: Path) -> EnrolledNode | None:
    """Return the enrolment of the node that stands at a path now, or None."""
    here = (table.c.path == str(path)) & table.c.revoked.is_(False)
    row = conn.execute(select(table).where(here)).one_or_none()
    return None if row is None else enrolled_of(row)


def suites(conn: Connection) -> tuple[int, ...]:
    """Return the suites of all keys that are enrolled, sorted."""
    found = set(conn.execute(select(table.c.suite).distinct()).scalars())
    found |= set(conn.execute(select(epoch_table.c.suite).distinct()).scalars())
    second = select(table.c.node_id).where(func.length(table.c.cosign_pq) > 0).limit(1)
    if conn.execute(second).first() is not None:
        found.add(suite.ML_DSA_44)
    return tuple(sorted(found))


def was_revoked_at(conn: Connection, path: Path) -> bool:
    """Whether a node once stood at a path and was revoked."""
    here = (table.c.path == str(path)) & table.c.revoked.is_(True)
    return conn.execute(select(table.c.node_id).where(here).limit(1)).first() is not None


def enrolled_of(row: Row[Any]) -> EnrolledNode:
    """Return an enrolment row as a value."""
    return EnrolledNode(
        node_id=NodeId(row.node_id),
        path=Path.parse(row.path),
        parent_id=NodeId(row.parent_id),
        journal_key=row.journal_key,
        cosign_key=row.cosign_key,
        suite=row.suite,
        tls_sha256=row.tls_sha256,
        ca_sha256=row.ca_sha256,
        position=row.position,
        cosign_pq=row.cosign_pq or b"",
        revoked=row.revoked,
    )


def learn(
    conn: Connection, found: Enrolment, parent_id: NodeId, position: int | None = None
) -> None:
    """Write an enrolment down, with the epochs opened since; the same again changes nothing.

    Raises:
        EnrolmentConflict: The node has another key or path, or the path another node
            that was not revoked.
        EpochConflict, EpochUnproven: An epoch does not follow what is known.
    """
    _learn_enrolment(conn, found, parent_id, position)
    if found.changes:
        node = enrolled(conn, found.node_id)
        assert node is not None, "it was just written"
        for opened in found.changes:
            epochs.learn(conn, node, opened)


def _learn_enrolment(
    conn: Connection, found: Enrolment, parent_id: NodeId, position: int | None
) -> None:
    is_taken = (table.c.path == str(found.path)) & table.c.revoked.is_(False)
    same = or_(table.c.node_id == found.node_id, is_taken)
    rows = conn.execute(select(table).where(same)).all()
    if not rows:
        conn.execute(
            insert(table).values(
                node_id=found.node_id,
                path=str(found.path),
                parent_id=parent_id,
                journal_key=found.journal_key,
                cosign_key=found.cosign_key,
                suite=found.suite,
                tls_sha256=found.tls_sha256,
                ca_sha256=found.ca_sha256,
                position=position,
                cosign_pq=found.cosign_pq,
                revoked=_is_revoked(conn, found),
            )
        )
        return
    known = enrolled_of(rows[0])
    if len(rows) > 1 or (known.node_id, known.path, known.journal_key, known.cosign_key) != (
        found.node_id,
        found.path,
        found.journal_key,
        found.cosign_key,
    ):
        raise errors.EnrolmentConflict(path=str(found.path), node_id=found.node_id.hex())
    # What a chain taught has neither TLS keys nor a second cosigning key (the root
    # statement) nor a position.
    conn.execute(
        update(table)
        .where(table.c.node_id == found.node_id)
        .values(
            tls_sha256=found.tls_sha256 or known.tls_sha256,
            ca_sha256=found.ca_sha256 or known.ca_sha256,
            cosign_pq=known.cosign_pq or found.cosign_pq,
            position=known.position if position is None else position,
        )
    )


def _is_revoked(conn: Connection, found: Enrolment) -> bool:
    """Whether a revocation came before the enrolment."""
    known = revocation_table
    mine = (known.c.node_id == found.node_id) & (known.c.path == str(found.path))
    return conn.execute(select(known.c.by_id).where(mine).limit(1)).first() is not None


def place(conn: Connection, node_id: NodeId, position: int) -> None:
    """Note where an enrolment's record stands."""
    conn.execute(update(table).where(table.c.node_id == node_id).values(position=position))


def routes(scope: Scope, journal: JournalId, origin: EnrolledNode) -> Routes:
    """Return where a journal of that origin goes from this node."""
    target = journal.audience.to
    target_path = None
    if target is not None:
        addressed = enrolled(scope.conn, target)
        if addressed is not None:
            target_path = addressed.path
    return routes_of(journal.channel, origin.path, scope.identity.path, target_path)


def declare(scope: Scope, journal: JournalId, origin: EnrolledNode) -> Head:
    """Give a journal the key of its epoch and its routes, making its head if there is none.

    Raises:
        EpochUnknown: Nothing opened that epoch.
    """
    key = epochs.key_of(scope.conn, origin, journal.epoch)
    if key is None:
        raise EpochUnknown(epoch=journal.epoch)
    head = scope.heads.get(journal)
    if head is None:
        return scope.heads.create(
            journal,
            suite=key.suite,
            public_key=key.journal_key,
            routes=routes(scope, journal, origin),
            own=origin.node_id == scope.identity.node_id,
        )
    if head.public_key is None:
        head.declare(key.suite, key.journal_key)
        head.routes = routes(scope, journal, origin)
        head.is_dirty = True
    return head


def declared_by_enrolment(scope: Scope, journal: JournalId, origin: EnrolledNode) -> bool:
    """Whether an enrolment alone declares this journal (see the module's text)."""
    if journal.channel == NODE_CHANNEL:
        return True
    audience = journal.audience.audience
    return audience in (Audience.DOWN, Audience.TO) and origin.path.is_ancestor_of(
        scope.identity.path
    )


def note_undeclared(scope: Scope, journal: JournalId, via: NodeId) -> Head:
    """Make the head of a journal that nothing declares, so that it can be asked for later."""
    return scope.heads.create(journal, suite=None, public_key=None, routes=NOWHERE, via=via)


def fold_foreign(
    scope: Scope, head: Head, seq: int, header: Header, core: bytes | None, position: int
) -> None:
    """Fold one record of another node's `node` journal; what is wrong in it is a problem."""
    enroller = enrolled(scope.conn, head.journal.node_id)
    assert enroller is not None, "a node journal is admitted by its node's enrolment"
    try:
        if header.kind == KIND_ENROLLED:
            fold_enrolled(scope, enroller, header, core, position)
        elif header.kind == KIND_OPENED:
            declare(scope, _opened(head.journal, header), enroller)
        elif header.kind == epoch.KIND:
            fold_epoch(scope, enroller, core, head.journal, seq)
    except ReenrolmentUnapproved:
        assert core is not None, "it was decoded"
        approving.keep_waiting(scope, enroller.node_id, header, core, position)
    except (SyncError, errors.EnrolmentConflict) as error:
        scope.raise_problem(error.code, error.params, journal=head.journal, seq=seq)


def fold_enrolled(
    scope: Scope,
    enroller: EnrolledNode | None,
    header: Header,
    core: bytes | None,
    position: int | None,
) -> NodeId:
    """Fold one enrolment and return whom it enrols.

    Args:
        scope: The transaction.
        enroller: Who wrote it; None for the root's enrolment of itself.
        header: The record's header.
        core: Its core part; None if it did not come, which is an error.
        position: Where the record stands; None before it is sealed.

    Raises:
        EnrolmentMalformed, KeyWeak, …: The core is wrong.
        EnrolmentChainBroken: The enroller stands not right above the path.
        ReenrolmentUnapproved: See `approving.check_enrolment`.
        EnrolmentConflict: See `learn`.
    """
    if core is None:
        raise EnrolmentMalformed(field="core")
    found = Enrolment.decode(core)
    writer = NodeId(header.node_id)
    is_root_itself = found.path == Path() and found.node_id == writer
    if not is_root_itself and (enroller is None or found.path.parent != enroller.path):
        raise EnrolmentChainBroken(step=0, reason="path not below enroller")
    approving.check_enrolment(scope, found)
    learn(scope.conn, found, writer, position)
    if not suite.is_available(found.suite):
        scope.raise_problem(SuiteUnavailable.code, {"suite": found.suite})
    _clear_revoked(scope, found)
    declare_noted(scope, found.node_id)
    return found.node_id


def fold_epoch(
    scope: Scope, origin: EnrolledNode, core: bytes | None, journal: JournalId, seq: int
) -> None:
    """Fold a new epoch of a node, and declare what came before it was known.

    Raises:
        EpochMalformed, EpochUnproven, EpochConflict, …: See `epochs.fold`.
    """
    epochs.fold(scope, origin, core, journal, seq)
    declare_noted(scope, origin.node_id)


def fold_epoch_above(scope: Scope, journal: JournalId, seq: int, core: bytes | None) -> None:
    """Fold a new epoch that the `down.control` of a node above tells of."""
    origin = enrolled(scope.conn, journal.node_id)
    assert origin is not None, "its journal was admitted by its enrolment"
    try:
        fold_epoch(scope, origin, core, journal, seq)
    except SyncError as error:
        scope.raise_problem(error.code, error.params, journal=journal, seq=seq)


def _clear_revoked(scope: Scope, found: Enrolment) -> None:
    """Call it mended that a path had lost its node, now that another one stands there."""
    at = (table.c.path == str(found.path)) & table.c.revoked.is_(True)
    for node_id in scope.conn.execute(select(table.c.node_id).where(at)).scalars():
        if node_id != found.node_id:
            scope.clear_problems(NODE_REVOKED, peer=NodeId(node_id))


def declare_noted(scope: Scope, node_id: NodeId) -> None:
    """Declare journals that came before their enrolment or their epoch and were refused."""
    rows = scope.conn.execute(
        select(journal_table).where(
            journal_table.c.node_id == node_id, journal_table.c.public_key.is_(None)
        )
    ).all()
    origin = enrolled(scope.conn, node_id)
    assert origin is not None, "it was just learned"
    for row in rows:
        journal = journal_of(row)
        has_key = epochs.key_of(scope.conn, origin, journal.epoch) is not None
        if has_key and declared_by_enrolment(scope, journal, origin):
            declare(scope, journal, origin)


def _opened(node_journal: JournalId, header: Header) -> JournalId:
    """Return the journal that a `node.journal.opened` names."""
    pieces = header.object_id.split("/")
    # An epoch speaks for its own journals; it is the record of an epoch that opens the next.
    if len(pieces) != 3 or pieces[0] != _OPENED_OBJECT or pieces[2] != node_journal.epoch:
        raise HeaderFieldInvalid(field="object_id")
    return JournalId(node_id=node_journal.node_id, channel=pieces[1], epoch=pieces[2])
