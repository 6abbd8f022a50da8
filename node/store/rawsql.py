"""SQL straight to the driver, for the few statements that run once a record or a tree node.

Building and caching an expression costs more than such a statement itself.
Errors are the driver's own; `engine.translate` knows them as well.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection


def fetch(conn: Connection, statement: str, parameters: Sequence[Any]) -> list[Any]:
    """Run a query, written with `?`, inside the connection's transaction."""
    cursor = conn.connection.cursor()
    try:
        cursor.execute(_spelled(conn, statement), parameters)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def run(conn: Connection, statement: str) -> None:
    """Run a statement without parameters."""
    cursor = conn.connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()


@contextmanager
def together(conn: Connection) -> Iterator[None]:
    """Send what is written within to PostgreSQL without waiting for each answer.

    Nothing may be asked within. An error is raised at the end, of whichever statement.
    """
    if conn.dialect.name != "postgresql":
        yield
        return
    raw: Any = conn.connection.driver_connection
    with raw.pipeline():
        yield


def fetch_each(conn: Connection, statements: str) -> list[list[Any]]:
    """Run several statements in one exchange with PostgreSQL; return the rows of each.

    Args:
        conn: In a transaction.
        statements: Without parameters, with `;` between them.
    """
    cursor: Any = conn.connection.cursor()
    try:
        # What was prepared can only be one statement.
        cursor.execute(statements, prepare=False)
        found: list[list[Any]] = []
        while True:
            found.append(list(cursor.fetchall()) if cursor.description else [])
            if not cursor.nextset():
                return found
    finally:
        cursor.close()


def run_many(conn: Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """Run a statement, written with `?`, once for each row; return how many rows it changed."""
    cursor = conn.connection.cursor()
    try:
        cursor.executemany(_spelled(conn, statement), rows)
        changed: int = cursor.rowcount
        return changed
    finally:
        cursor.close()


def _spelled(conn: Connection, statement: str) -> str:
    return statement if conn.dialect.paramstyle == "qmark" else statement.replace("?", "%s")
