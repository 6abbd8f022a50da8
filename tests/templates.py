"""Stores that are made once by the migrations, and given to every test that asks for a new one.

Migrations from nothing take ten times as long as all else that a test does with a new
store. So the first new store of a test process is made by them, and the next ones are its
copies: a SQLite file is copied, a schema of PostgreSQL is emptied after its test and given
to the next one. What is given out is what migrations would have made: `test_templates.py`
compares them, and a schema that a test has changed is never given out again.
"""

import contextlib
import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from yidao.node.store import engine

# Everything that a schema consists of, as lines without the schema's own name.
_SHAPE: Final = """
WITH space AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = %(schema)s),
relation AS (SELECT c.oid, relname, relkind FROM pg_class c JOIN space ON relnamespace = space.oid)
SELECT concat_ws(' ', 'column', relname, relkind, attnum, attname,
                 format_type(atttypid, atttypmod), attnotnull, attidentity,
                 replace(pg_get_expr(adbin, adrelid), nspname || '.', '')) AS line
  FROM space, relation JOIN pg_attribute ON attrelid = oid AND attnum > 0
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT concat_ws(' ', 'index', replace(pg_get_indexdef(indexrelid), nspname || '.', ''))
  FROM space, relation JOIN pg_index ON indexrelid = relation.oid
UNION ALL
SELECT concat_ws(' ', 'constraint', conname, pg_get_constraintdef(pg_constraint.oid))
  FROM pg_constraint JOIN space ON connamespace = space.oid
UNION ALL
SELECT concat_ws(' ', 'trigger', tgname) FROM relation JOIN pg_trigger ON tgrelid = relation.oid
UNION ALL
SELECT concat_ws(' ', 'function', proname) FROM pg_proc JOIN space ON pronamespace = space.oid
ORDER BY line
"""

# What the migrations leave in the tables is one row: their revision.
_EMPTY: Final = """
DO $$
DECLARE each record;
BEGIN
  FOR each IN SELECT relname, relkind FROM pg_class
      WHERE relnamespace = '{schema}'::regnamespace AND relname <> 'alembic_version'
        AND relkind IN ('r', 'S') LOOP
    IF each.relkind = 'S' THEN
      PERFORM setval(format('{schema}.%I', each.relname), 1, false);
    ELSE
      EXECUTE format('DELETE FROM {schema}.%I', each.relname);
    END IF;
  END LOOP;
END $$
"""


_create_sqlite: Final = engine._create_sqlite
_migrate: Final = engine._migrate


def shape(conn: psycopg.Connection[Any], schema: str) -> list[str]:
    """Describe all columns, indexes, constraints, triggers and functions of a schema."""
    return [line for (line,) in conn.execute(_SHAPE, {"schema": schema})]


def _schema(conn: Connection) -> str | None:
    if conn.dialect.name != "postgresql":
        return None
    return str(conn.exec_driver_sql("SELECT current_schema()").scalar_one())


@contextlib.contextmanager
def migrated_stores() -> Iterator[None]:
    """Within it, new stores are made by the migrations, as everywhere but in tests."""
    now = engine._create_sqlite, engine._migrate
    engine._create_sqlite, engine._migrate = _create_sqlite, _migrate
    try:
        yield
    finally:
        engine._create_sqlite, engine._migrate = now


@contextlib.contextmanager
def copied_sqlite_stores(folder: Path) -> Iterator[None]:
    """Within it, a new SQLite store is a copy of the first one, with an id of its own."""
    first = folder / "template.db"

    def copy(path: Path, random: Callable[[int], bytes]) -> None:
        if not first.exists():
            _create_sqlite(first, bytes)
        shutil.copy(first, path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as store:
            store.execute("PRAGMA synchronous = OFF")
            store.execute(
                "UPDATE meta SET value = ? WHERE key = 'store_id'",
                [random(engine.STORE_ID_BYTES)],
            )

    engine._create_sqlite = copy
    try:
        yield
    finally:
        engine._create_sqlite = _create_sqlite


class Schemas:
    """Schemas of one server: empty ones to tests, with tables at hand for when they are asked for.

    Attributes:
        uri: Of the server.
        lent: How often tables were given that another test had before.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._conn = psycopg.connect(uri, autocommit=True)
        # A connection that a test forgot must not hold up all the others.
        self._conn.execute("SET lock_timeout = '5s'")
        self._numbers = itertools.count(1)
        self._out: list[str] = []
        self._spares: list[str] = []
        self._shape: list[str] | None = None
        self.lent = 0

    def new(self) -> str:
        """Return the URL of an empty schema: empty like a database, and quick to make."""
        name = f"store{next(self._numbers)}"
        self._conn.execute(f"CREATE SCHEMA {name}")
        self._out.append(name)
        chosen = make_url(self.uri).update_query_dict({"options": f"-csearch_path={name}"})
        return chosen.render_as_string(hide_password=False)

    def take_back(self) -> None:
        """Empty what was given out, once its test is over, and keep it for later tests."""
        for name in self._out:
            if self._shape is None or shape(self._conn, name) != self._shape:
                continue
            spare = f"spare{next(self._numbers)}"
            self._conn.execute(_EMPTY.format(schema=name))
            self._conn.execute(f"ALTER SCHEMA {name} RENAME TO {spare}")
            self._spares.append(spare)
        self._out.clear()

    @contextlib.contextmanager
    def lending(self) -> Iterator[None]:
        """Within it, migrations of an empty schema are replaced by tables at hand, if any are."""

        def lend(conn: Connection) -> None:
            own = _schema(conn)
            if own not in self._out or engine.inspect(conn).get_table_names():
                _migrate(conn)
            elif self._spares:
                conn.exec_driver_sql(f"DROP SCHEMA {own}")
                conn.exec_driver_sql(f"ALTER SCHEMA {self._spares.pop()} RENAME TO {own}")
                self.lent += 1
            else:
                _migrate(conn)
                if self._shape is None:
                    self._shape = shape(conn.connection.driver_connection, own)

        engine._migrate = lend
        try:
            yield
        finally:
            engine._migrate = _migrate

    def close(self) -> None:
        """Close the connection that this uses."""
        self._conn.close()
