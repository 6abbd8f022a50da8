"""What a client gives and gets of live questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from yidao.api.local.v1 import query_pb2
from yidao.node.client.frames import Cell, Table, Tabular, table_of

QueryCell = str | int | bool | None

#: What a cell of a column is in a table. A masked figure is no figure any more.
_KINDS: Final[Mapping[str, type]] = {
    "text": str,
    "integer": int,
    "decimal": Decimal,
    "boolean": bool,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryColumn:
    """One column of an answer.

    Attributes:
        kind: `text`, `integer`, `decimal` (strings) or `boolean`.
        scale: Digits after the point, of decimals.
        masked: Its values are masked.
    """

    name: str
    kind: str
    scale: int
    masked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRow:
    """One row, or one group.

    Attributes:
        cells: By column name; None where there is no value.
        path: The node that the row is of; empty for a group.
        cached: It is an older one, see the node's `QueryNode`.
    """

    cells: Mapping[str, QueryCell]
    path: str
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryNode:
    """How one node answered.

    Attributes:
        state: `answered`, `late`, `unreachable`, `refused` or `unneeded`.
        code, params: The error, where it did not answer.
        rows: Rows of this node in the answer, or behind its groups.
        cut: It has more.
        as_of_ms: Unix milliseconds of the state that its figures show, 0 without figures.
        cached: `held` or `remembered` where they are older ones, else empty.
        resource: Code of the resource that was answered from.
    """

    path: str
    state: str
    code: str
    params: Mapping[str, str]
    rows: int
    cut: bool
    as_of_ms: int
    cached: str
    resource: str
    took_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswer(Tabular):
    """All of an answer.

    Attributes:
        columns: Of the rows; empty where there are none.
        nodes: How each node answered.
        complete: Every node answered live, and nothing was left out.
    """

    columns: tuple[QueryColumn, ...]
    rows: tuple[QueryRow, ...]
    nodes: tuple[QueryNode, ...]
    complete: bool

    def table(self) -> Table:
        """Give a line a row: its cells, then the node that it is of as `@path`."""
        kinds = {each.name: str if each.masked else _KINDS[each.kind] for each in self.columns}
        lines = []
        for row in self.rows:
            line: dict[str, Cell] = {"@path": row.path}
            for name, kind in kinds.items():
                cell = row.cells[name]
                line[name] = kind(cell) if cell is not None else None
            lines.append(line)
        return table_of({**kinds, "@path": str}, lines)


def row_of(row: query_pb2.AnswerRow, columns: Sequence[QueryColumn]) -> QueryRow:
    """Read a row."""
    cells = {column.name: _cell(cell) for column, cell in zip(columns, row.cells, strict=True)}
    return QueryRow(cells=cells, path=row.path, cached=row.cached)


def node_of(node: query_pb2.NodeAnswer) -> QueryNode:
    """Read how a node answered."""
    return QueryNode(
        path=node.path,
        state=node.state,
        code=node.code,
        params=dict(node.params),
        rows=node.rows,
        cut=node.cut,
        as_of_ms=node.as_of_ms,
        cached=node.cached,
        resource=node.resource,
        took_ms=node.took_ms,
    )


def _cell(cell: query_pb2.AnswerCell) -> QueryCell:
    match cell.WhichOneof("value"):
        case "text":
            return cell.text
        case "integer":
            return cell.integer
        case "boolean":
            return cell.boolean
    return None
