"""One snapshot of views that show everything that is stored."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import ViewsBehind
from yidao.node.store.tables import cursor, head

_TRIES = 20


@contextmanager
def caught_up(desk: Desk) -> Iterator[tuple[Connection, int]]:
    """Open a snapshot in which returns are folded up to the last position, and give that.

    Raises:
        ViewsBehind: The projections do not catch up with the store.
    """
    for _ in range(_TRIES):
        with desk.read() as conn:
            applied, stored = _positions(conn)
            if applied >= stored:
                yield conn, applied
                return
        desk.settle(stored)
    raise ViewsBehind(applied=applied, position=stored)


def _positions(conn: Connection) -> tuple[int, int]:
    query = select(cursor.c.position).where(cursor.c.name == "reporting.return")
    applied = conn.execute(query).scalar() or 0
    return applied, conn.execute(select(head.c.last_position)).scalar() or 0
