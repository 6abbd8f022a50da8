"""Reading sign-offs: which policy is in force, what is signed, what a node demands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, exists, false, or_, select, true

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.signoff.tables import (
    signoff_batch,
    signoff_demand,
    signoff_filing,
    signoff_policy,
    signoff_refused,
    signoff_return,
)
from yidao.sync.ids import NodeId
from yidao.sync.signoff import Policy

MAX_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """A policy of a node as the views have it.

    Attributes:
        state: `proposed`, `in_force`, `replaced`.
        filed_by: Who of this node filed the root policy that it descends from; may be empty.
    """

    node_id: NodeId
    path: str
    policy: Policy
    digest: bytes
    base: bytes
    state: str
    proposed_by: str
    confirmed_by: str
    is_reset: bool
    filed_by: str
    record_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A batch that is believed; `signers` are actor, name, and Unix seconds by their clock."""

    position: int
    path: str
    pack: str
    form: str
    period: str
    returns: int
    signers: tuple[tuple[str, str, int], ...]
    threshold: int
    approvers: int
    submitted_by: str
    created_ms: int


def policy_in_force(conn: Connection, node_id: bytes, scope: str) -> Row[Any] | None:
    """Give a node's policy for a form, its own or that for all; None if nobody has to sign."""
    table = signoff_policy.c
    newest = (
        select(signoff_policy)
        .where(table.node_id == node_id, table.confirmed_at > 0)
        .order_by(table.confirmed_at.desc())
        .limit(1)
    )
    for wanted in dict.fromkeys((scope, "")):
        row = conn.execute(newest.where(table.scope == wanted)).first()
        if row is not None:
            return row
    return None


def demanded_scopes(conn: Connection, node_id: bytes) -> frozenset[str]:
    """Give the forms for which a node wants its children's signatures; empty text is every form."""
    table = signoff_demand.c
    query = select(table.scope).where(table.node_id == node_id, table.demanded)
    return frozenset(conn.execute(query).scalars())


def is_signed(by_id: bytes | None = None) -> ColumnElement[bool]:
    """Say of `return_version` that it is signed off, under a policy filed by that node if given."""
    batch, mark, filing = signoff_batch.c, signoff_return.c, signoff_filing.c
    signed = and_(mark.position == return_version.c.position, mark.batch == batch.position)
    if by_id is None:
        return exists().where(signed)
    filed = and_(
        filing.by_id == by_id,
        filing.node_id == return_version.c.origin,
        filing.policy == batch.base,
    )
    return exists().where(signed, filed)


def is_demanded(scopes: frozenset[str]) -> ColumnElement[bool]:
    """Say of `return_version` that its form is among these."""
    if "" in scopes:
        return true()
    table = return_version.c
    forms = [scope.split("/") for scope in sorted(scopes)]
    return or_(
        false(),
        *(and_(table.pack == pack, table.form == form) for pack, form in forms),
    )


def nodes_at(desk: Desk, path: str) -> tuple[bytes, ...]:
    """Give the ids of the nodes that stand or stood at a path."""
    own = (bytes(desk.identity.node_id),) if path == str(desk.path) else ()
    known = (each for each in desk.store.enrolments() if str(each.path) == path)
    return (*own, *(bytes(each.node_id) for each in known))


def _of(column: ColumnElement[Any], nodes: Sequence[bytes] | None) -> ColumnElement[bool]:
    return true() if nodes is None else column.in_(nodes)


def list_policies(
    desk: Desk, conn: Connection, nodes: Sequence[bytes] | None = None
) -> tuple[PolicyRow, ...]:
    """Give the policies of some nodes, or of all that are known, newest first within a node."""
    table = signoff_policy.c
    rows = conn.execute(
        select(signoff_policy)
        .where(_of(table.node_id, nodes))
        .order_by(table.node_id, table.position.desc())
        .limit(MAX_ROWS)
    ).all()
    filed = {
        (bytes(row.node_id), bytes(row.policy)): row.filed_by
        for row in conn.execute(
            select(signoff_filing).where(signoff_filing.c.by_id == desk.identity.node_id)
        )
    }
    newest: dict[tuple[bytes, str], int] = {}
    for row in rows:
        key = (bytes(row.node_id), row.scope)
        newest[key] = max(newest.get(key, 0), row.confirmed_at)
    return tuple(_policy_row(desk, row, newest, filed) for row in rows)


def _policy_row(
    desk: Desk,
    row: Row[Any],
    newest: dict[tuple[bytes, str], int],
    filed: dict[tuple[bytes, bytes], str],
) -> PolicyRow:
    node_id = NodeId(bytes(row.node_id))
    state = "proposed"
    if row.confirmed_at:
        is_newest = newest[node_id, row.scope] == row.confirmed_at
        state = "in_force" if is_newest else "replaced"
    return PolicyRow(
        node_id=node_id,
        path=path_of(desk, node_id),
        policy=Policy.read(bytes(row.statement)),
        digest=bytes(row.digest),
        base=bytes(row.base),
        state=state,
        proposed_by=row.proposed_by,
        confirmed_by=row.confirmed_by,
        is_reset=row.is_reset,
        filed_by=filed.get((node_id, bytes(row.base)), ""),
        record_id=bytes(row.record_id),
    )


def list_batches(
    desk: Desk,
    conn: Connection,
    nodes: Sequence[bytes] | None = None,
    *,
    form: str = "",
    period: str = "",
) -> tuple[BatchRow, ...]:
    """Give batches that are believed, newest first, at most `MAX_ROWS`."""
    table, policy = signoff_batch.c, signoff_policy.c
    query = (
        select(signoff_batch, policy.statement.label("policy_statement"))
        .join(
            signoff_policy,
            and_(
                policy.node_id == table.node_id,
                policy.digest == table.policy,
                policy.confirmed_at > 0,
            ),
        )
        .where(_of(table.node_id, nodes))
        .order_by(table.position.desc())
        .limit(MAX_ROWS)
    )
    if form:
        query = query.where(table.form == form)
    if period:
        query = query.where(table.period == period)
    return tuple(_batch_row(desk, row) for row in conn.execute(query))


def _batch_row(desk: Desk, row: Row[Any]) -> BatchRow:
    policy = Policy.read(bytes(row.policy_statement))
    return BatchRow(
        position=row.position,
        path=path_of(desk, NodeId(bytes(row.node_id))),
        pack=row.pack,
        form=row.form,
        period=row.period,
        returns=row.returns,
        signers=tuple(
            (each["actor"], each["name"], each["time_s"]) for each in orjson.loads(row.signers)
        ),
        threshold=policy.threshold,
        approvers=len(policy.approvers),
        submitted_by=row.submitted_by,
        created_ms=row.created_ms,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """What a node said of its sign-offs and is not believed."""

    position: int
    path: str
    kind: str
    code: str


def list_refused(
    desk: Desk, conn: Connection, nodes: Sequence[bytes] | None = None
) -> tuple[RefusedRow, ...]:
    """Give what is not believed, newest first."""
    table = signoff_refused.c
    query = (
        select(signoff_refused)
        .where(_of(table.node_id, nodes))
        .order_by(table.position.desc())
        .limit(MAX_ROWS)
    )
    return tuple(
        RefusedRow(
            position=row.position,
            path=path_of(desk, NodeId(bytes(row.node_id))),
            kind=row.kind,
            code=row.code,
        )
        for row in conn.execute(query)
    )


def path_of(desk: Desk, node_id: NodeId) -> str:
    """Give where a node stands, for people."""
    if node_id == desk.identity.node_id:
        return str(desk.path)
    node = desk.store.enrolled(node_id)
    return str(node.path) if node is not None else node_id.hex()
