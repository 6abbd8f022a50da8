"""Statements that are spelled out once.

To build and look up an expression costs more than a small statement itself, and with each
frame, record or receipt some twenty of them run. Here SQLAlchemy writes the SQL once a
dialect, and the driver gets it as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Boolean, Connection, Delete, Insert, Select, Update


class _Spelled(NamedTuple):
    """What a statement is in one dialect.

    Attributes:
        order: The names of parameters by place; None where the driver takes them by name.
        row: Makes a row with names out of what the driver gives.
    """

    text: str
    constants: Mapping[str, Any]
    order: tuple[str, ...] | None
    row: Callable[[Sequence[Any]], Any] | None


class Prepared:
    """A statement with named parameters (`bindparam`).

    Of an insert or an update, `columns` are parameters with their own names.
    Errors are the driver's own, as of `rawsql`.
    """

    def __init__(
        self, statement: Select[Any] | Insert | Update | Delete, columns: Sequence[str] = ()
    ) -> None:
        self._statement = statement
        self._columns = columns
        self._spelled: dict[str, _Spelled] = {}

    def all(self, conn: Connection, **values: Any) -> list[Any]:
        """Run a query and return its rows, as named tuples."""
        spelled, cursor = self._execute(conn, values)
        try:
            assert spelled.row is not None, "only a query has rows"
            return [spelled.row(each) for each in cursor.fetchall()]
        finally:
            cursor.close()

    def first(self, conn: Connection, **values: Any) -> Any:
        """Run a query and return its first row, as a named tuple; None if there is none."""
        rows = self.all(conn, **values)
        return rows[0] if rows else None

    def run(self, conn: Connection, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""
        _, cursor = self._execute(conn, values)
        try:
            changed: int = cursor.rowcount
            return changed
        finally:
            cursor.close()

    def _execute(self, conn: Connection, values: Mapping[str, Any]) -> tuple[_Spelled, Any]:
        name = conn.dialect.name
        spelled = self._spelled.get(name)
        if spelled is None:
            spelled = self._spelled[name] = self._spell(conn)
        given = {**spelled.constants, **values} if spelled.constants else values
        cursor: Any = conn.connection.cursor()
        try:
            if spelled.order is None:
                cursor.execute(spelled.text, given)
            else:
                cursor.execute(spelled.text, [given[each] for each in spelled.order])
        except BaseException:
            cursor.close()
            raise
        return spelled, cursor

    def _spell(self, conn: Connection) -> _Spelled:
        compiled = self._statement.compile(dialect=conn.dialect, column_keys=self._columns or None)
        constants = {key: value for key, value in compiled.params.items() if value is not None}
        order = tuple(compiled.positiontup or ()) if compiled.positional else None
        is_query = isinstance(self._statement, Select)
        return _Spelled(str(compiled), constants, order, self._rows() if is_query else None)

    def _rows(self) -> Callable[[Sequence[Any]], Any]:
        assert isinstance(self._statement, Select), "only a query has rows"
        chosen = self._statement.selected_columns
        named: Any = NamedTuple("Row", [(column.key, Any) for column in chosen])  # type: ignore[misc]
        make: Callable[[Sequence[Any]], Any] = named._make
        # SQLite knows numbers only.
        truths = [i for i, column in enumerate(chosen) if isinstance(column.type, Boolean)]
        if not truths:
            return make

        def row(values: Sequence[Any]) -> Any:
            found = list(values)
            for place in truths:
                found[place] = bool(found[place])
            return make(found)

        return row
