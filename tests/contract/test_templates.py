"""What tests get for a new store is what the migrations make."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.templates import Schemas, migrated_stores, shape
from yidao.node.store.store import Store


def dump(path: Path) -> tuple[list[str], list[Any], int]:
    """All statements that make a file's content, its pragmas and its mode; its id as zeros."""
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("UPDATE meta SET value = zeroblob(16) WHERE key = 'store_id'")
        names = ("application_id", "user_version", "page_size", "journal_mode", "auto_vacuum")
        pragmas = [conn.execute(f"PRAGMA {name}").fetchone() for name in names]
        return list(conn.iterdump()), pragmas, path.stat().st_mode


def rows(conn: psycopg.Connection[Any], schema: str) -> dict[str, list[Any]]:
    """All rows and the state of all sequences of a schema."""
    found = conn.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace"
        " AND relkind IN ('r', 'S')",
        [schema],
    )
    return {
        name: conn.execute(f"SELECT * FROM {schema}.{name}").fetchall()  # type: ignore[arg-type]
        for (name,) in found.fetchall()
    }


def name_of(url: str) -> str:
    """The schema of a URL."""
    return str(make_url(url).query["options"]).partition("=")[2]


def without_id(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Rows without the id, which is each store's own."""
    return found | {"meta": [key for key, _value in found["meta"]]}


def opened(url: str) -> bytes:
    """Open a store and close it; gives its id."""
    store = Store.open(url, clock_ms=lambda: 1, random=os.urandom)
    store.close()
    return store.store_id


def test_a_copied_sqlite_store_is_what_the_migrations_make(tmp_path: Path) -> None:
    """Tables, rows, pragmas and mode are equal; the id is its own."""
    with migrated_stores():
        opened(f"sqlite:///{tmp_path}/migrated.db")
    ids = {opened(f"sqlite:///{tmp_path}/{name}.db") for name in ("one", "two")}
    assert len(ids) == 2
    migrated = dump(tmp_path / "migrated.db")
    assert "CREATE TABLE segment" in "".join(migrated[0])
    assert dump(tmp_path / "one.db") == migrated
    assert dump(tmp_path / "two.db") == migrated


class TestOnAServer:
    """Schemas that go from test to test."""

    @pytest.fixture(params=["postgresql"])
    def new_url(self, schemas: Schemas) -> Iterator[Callable[[], str]]:
        """Empty schemas; this class gives them back itself."""
        yield schemas.new
        schemas.take_back()

    @pytest.fixture
    def conn(self, schemas: Schemas) -> Iterator[psycopg.Connection[Any]]:
        """A connection to look with."""
        with psycopg.connect(schemas.uri, autocommit=True) as conn:
            yield conn

    def test_what_comes_back_is_what_the_migrations_make(
        self, schemas: Schemas, tree: Any, conn: psycopg.Connection[Any]
    ) -> None:
        """Of all that a test wrote nothing is left, neither rows nor numbers."""
        node = tree.node("/")
        node.append("up:15", *(node.draft(f"a {number}") for number in range(3)))
        used = name_of(node.url)
        assert rows(conn, used)["segment"]
        tree.close()
        tree.nodes.clear()
        schemas.take_back()
        before = schemas.lent
        again, migrated = schemas.new(), schemas.new()
        opened(again)
        assert schemas.lent == before + 1
        with migrated_stores():
            opened(migrated)
        assert shape(conn, name_of(again)) == shape(conn, name_of(migrated))
        assert without_id(rows(conn, name_of(again))) == without_id(rows(conn, name_of(migrated)))

    def test_what_a_test_has_changed_does_not_come_back(
        self, schemas: Schemas, tree: Any, conn: psycopg.Connection[Any]
    ) -> None:
        """A schema with another index is given to nobody."""
        tree.node("/")
        changed = name_of(tree.nodes[0].url)
        conn.execute(f"CREATE INDEX sample ON {changed}.segment (stored_ms)")  # type: ignore[arg-type]
        tree.close()
        tree.nodes.clear()
        schemas.take_back()
        assert shape(conn, changed), "it stands where it stood"
