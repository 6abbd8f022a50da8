"""What waits for a signature: here, where somebody may sign; below, where it is demanded."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.reporting.review import newest_of, waits_here
from yidao.node.affairs.reporting.rules import State
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.signoff.gate import unsigned
from yidao.node.affairs.signoff.queries import demanded_scopes, is_signed, policy_in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRow:
    """Returns of one node, form and period that wait for a signature."""

    path: str
    pack: str
    form: str
    period: str
    returns: int


def list_waiting(desk: Desk, conn: Connection) -> tuple[WaitingRow, ...]:
    """Count what waits at this node for its own approvers, and at its children for theirs."""
    own = desk.identity.node_id
    mine = (
        return_version.c.origin == own,
        return_version.c.state == State.SUBMITTED.value,
        newest_of(State.SUBMITTED),
        ~is_signed(),
    )
    found = [
        row
        for row in _counted(conn, mine)
        if policy_in_force(conn, own, f"{row.pack}/{row.form}") is not None
    ]
    lacking = unsigned(desk, conn)
    if lacking is not None:
        found += _counted(conn, (*waits_here(desk, State.SUBMITTED), lacking))
    return tuple(found)


def unsigned_of(desk: Desk, conn: Connection, record_ids: Sequence[bytes]) -> tuple[bytes, ...]:
    """Give those of some returns of children that wait for a signature that this node demands."""
    lacking = unsigned(desk, conn)
    if lacking is None or not record_ids:
        return ()
    table = return_version.c
    query = select(table.record_id).where(
        *waits_here(desk, State.SUBMITTED), table.record_id.in_(record_ids), lacking
    )
    return tuple(bytes(each) for each in conn.execute(query).scalars())


def demanded_of_us(desk: Desk, conn: Connection) -> frozenset[str]:
    """Give the forms for which the parent demands our signatures."""
    own = desk.store.enrolled(desk.identity.node_id)
    if own is None or own.parent_id == own.node_id:
        return frozenset()
    return demanded_scopes(conn, own.parent_id)


def _counted(conn: Connection, wanted: Sequence[ColumnElement[bool]]) -> list[WaitingRow]:
    table = return_version.c
    key = (table.origin_path, table.pack, table.form, table.period)
    query = select(*key, func.count().label("returns")).where(*wanted).group_by(*key).order_by(*key)
    return [
        WaitingRow(
            path=row.origin_path,
            pack=row.pack,
            form=row.form,
            period=row.period,
            returns=row.returns,
        )
        for row in conn.execute(query)
    ]
