"""Approvals, folded at once like enrolments, and the enrolments that wait for one.

What asks comes from below in a `node` journal; what decides comes from below, or
from above in `down.control`. In whatever order the approval and the enrolment that
cites it come, the outcome is the same: until both are here, the enrolment is a
problem and is not believed, so that what the new node writes is refused.
"""

from sqlalchemy import Connection, delete, insert, select

from yidao.node.store.admissiontables import (
    enrolment_waiting,
    reenrolment,
    reenrolment_decision,
)
from yidao.node.store.scope import Scope
from yidao.node.store.tables import enrolment
from yidao.sync.admissionerrors import PaperMalformed, ReenrolmentUnapproved
from yidao.sync.approval import Asked, Claim, Decided, claim_of
from yidao.sync.enrolment import Enrolment
from yidao.sync.ids import NodeId, Path, RecordId
from yidao.sync.record import Header

REENROLMENT_ASKED = "REENROLMENT_ASKED"


def had_another(conn: Connection, node_id: NodeId, path: Path) -> bool:
    """Whether another node once stood at a path and was revoked."""
    gone = (enrolment.c.path == str(path)) & enrolment.c.revoked.is_(True)
    other = select(enrolment.c.node_id).where(gone, enrolment.c.node_id != node_id)
    return conn.execute(other.limit(1)).first() is not None


def decisions_on(conn: Connection, claim: Claim) -> tuple[Decided, ...]:
    """Return the decisions on a claim that are held, the newest first."""
    table = reenrolment_decision
    rows = conn.execute(
        select(table.c.core)
        .where(table.c.claim_id == claim.claim_id)
        .order_by(table.c.record_id.desc())
    ).scalars()
    decided = (Decided.decode(bytes(core), claim.decider) for core in rows)
    return tuple(each for each in decided if each.claim == claim)


def check_enrolment(scope: Scope, found: Enrolment) -> None:
    """Return only if a node may stand where another one stood, or none did.

    Raises:
        ReenrolmentUnapproved: It cites no approval of exactly these keys that is held.
    """
    if not had_another(scope.conn, found.node_id, found.path):
        return
    decided = decisions_on(scope.conn, claim_of(found))
    if not any(each.approved and each.record_id.hex() == found.basis for each in decided):
        raise ReenrolmentUnapproved(path=str(found.path))


def keep_waiting(scope: Scope, by: NodeId, header: Header, core: bytes, position: int) -> None:
    """Keep an enrolment that cannot be believed yet, and say so."""
    found = Enrolment.decode(core)
    scope.raise_problem(ReenrolmentUnapproved.code, {"path": str(found.path)}, peer=found.node_id)
    mine = (enrolment_waiting.c.node_id == found.node_id) & (
        enrolment_waiting.c.path == str(found.path)
    )
    if scope.conn.execute(select(enrolment_waiting.c.by_id).where(mine)).first() is None:
        scope.conn.execute(
            insert(enrolment_waiting).values(
                node_id=found.node_id,
                path=str(found.path),
                by_id=by,
                header=header.encode(),
                core=core,
                position=position,
            )
        )


def take_waiting(conn: Connection, node_id: NodeId) -> list[tuple[NodeId, bytes, bytes, int]]:
    """Remove and return the enrolments of a node that wait: by whom, header, core, position."""
    mine = enrolment_waiting.c.node_id == node_id
    rows = conn.execute(select(enrolment_waiting).where(mine)).all()
    conn.execute(delete(enrolment_waiting).where(mine))
    return [
        (NodeId(row.by_id), bytes(row.header), bytes(row.core), int(row.position)) for row in rows
    ]


def fold_asked(
    scope: Scope, record_id: RecordId, core: bytes | None, by: NodeId, by_path: Path
) -> None:
    """Write down what a node asks; its decider's operator is told.

    Raises:
        PaperMalformed, PaperUnauthorised: See `Asked.decode`.
    """
    asked = Asked.decode(core, by_path)
    table = reenrolment
    mine = (table.c.by_id == by) & (table.c.record_id == record_id)
    if scope.conn.execute(select(table.c.by_id).where(mine)).first() is not None:
        return
    claim = asked.claim
    scope.conn.execute(
        insert(table).values(
            record_id=record_id,
            by_id=by,
            claim_id=claim.claim_id,
            path=str(claim.path),
            core=core,
            asked_ms=scope.now_ms,
        )
    )
    if claim.decider == scope.identity.path:
        scope.raise_problem(
            REENROLMENT_ASKED,
            {"path": str(claim.path), "request": claim.claim_id, "by": asked.operator},
            peer=claim.node_id,
        )


def fold_decided(
    scope: Scope, record_id: RecordId | None, core: bytes | None, by: NodeId, by_path: Path
) -> NodeId | None:
    """Write a decision down and return the node that is let in by it, if it is news.

    Args:
        scope: The transaction.
        record_id: Of the record in the decider's `node` journal; None for the copy that
            goes down, which only names it.
        core: Its core part.
        by: Who wrote it.
        by_path: Where the writer stands.

    Raises:
        PaperMalformed, PaperUnauthorised, FourEyesNeeded: See `Decided.decode`.
    """
    decided = Decided.decode(core, by_path)
    if record_id not in (None, decided.record_id):
        raise PaperMalformed(field="record_id")
    table = reenrolment_decision
    mine = (table.c.by_id == by) & (table.c.asked == decided.asked)
    if scope.conn.execute(select(table.c.by_id).where(mine)).first() is not None:
        return None
    scope.conn.execute(
        insert(table).values(
            asked=decided.asked,
            by_id=by,
            record_id=decided.record_id,
            claim_id=decided.claim.claim_id,
            approved=decided.approved,
            core=core,
        )
    )
    scope.clear_problems(REENROLMENT_ASKED, peer=decided.claim.node_id)
    return decided.claim.node_id if decided.approved else None
