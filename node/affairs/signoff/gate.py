"""Whether a parent may accept a return: signed off, where this node demands it."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, or_, select

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.signoff.errors import SignoffMissing, SignoffUnfiled
from yidao.node.affairs.signoff.queries import demanded_scopes, is_demanded, is_signed


def acceptable(desk: Desk, conn: Connection) -> tuple[ColumnElement[bool], ...]:
    """Give the conditions on `return_version` under which it may be accepted; none mostly."""
    own = desk.identity.node_id
    scopes = demanded_scopes(conn, own)
    return (or_(~is_demanded(scopes), is_signed(own)),) if scopes else ()


def unsigned(desk: Desk, conn: Connection) -> ColumnElement[bool] | None:
    """Give the condition under which a return waits for a signature; None if nobody demands any."""
    own = desk.identity.node_id
    scopes = demanded_scopes(conn, own)
    return is_demanded(scopes) & ~is_signed(own) if scopes else None


def check_acceptable(desk: Desk, conn: Connection, positions: Sequence[int]) -> None:
    """Return only if the returns at these positions may be accepted here.

    Raises:
        SignoffMissing: One is not signed off.
        SignoffUnfiled: One is, by approvers whom nobody here has filed.
    """
    waits = unsigned(desk, conn)
    if waits is None:
        return
    table = return_version.c
    for start in range(0, len(positions), 500):
        some = positions[start : start + 500]
        row = conn.execute(
            select(table.record_id, table.origin_path, is_signed().label("signed"))
            .where(table.position.in_(some), waits)
            .order_by(table.position)
        ).first()
        if row is None:
            continue
        record = bytes(row.record_id).hex()
        if row.signed:
            raise SignoffUnfiled(record=record, path=row.origin_path)
        raise SignoffMissing(record=record)
