"""Statements that are spelled out once: the rows and counts that an expression would give."""

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    create_engine,
    insert,
    select,
    update,
)

from yidao.node.store.prepared import Prepared

TABLE = Table(
    "thing",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", Text),
    Column("done", Boolean),
)


def test_rows_are_what_an_expression_gives() -> None:
    """Names, order, truth values, constants of the statement, and how many rows changed."""
    engine = create_engine("sqlite://")
    put = Prepared(insert(TABLE), ["id", "name", "done"])
    mark = Prepared(update(TABLE).where(TABLE.c.name == bindparam("named")), ["done"])
    newest = select(TABLE).where(TABLE.c.id > bindparam("after")).order_by(TABLE.c.id.desc())
    some = Prepared(newest.limit(2))
    with engine.begin() as conn:
        TABLE.create(conn)
        for number in (1, 2, 3):
            put.run(conn, id=number, name="a", done=number == 3)
        rows = some.all(conn, after=0)
        assert [tuple(row) for row in rows] == [
            tuple(r) for r in conn.execute(newest, {"after": 1})
        ]
        assert (rows[0].id, rows[0].done, rows[1].done) == (3, True, False)
        assert type(rows[0].done) is bool
        assert some.first(conn, after=3) is None
        assert mark.run(conn, named="a", done=True) == 3
        assert mark.run(conn, named="b", done=True) == 0
        with pytest.raises(KeyError):
            some.all(conn)
    engine.dispose()
