"""Results as tables: for pandas, for Arrow, as CSV.

Figures stay exact. A column of figures holds `Decimal` in pandas and decimal128
in Arrow (decimal256 past 38 digits); no float comes near them. Text stays text:
a code that consists of digits is no number. CSV is UTF-8 with a mark that
spreadsheets look for, and a text that a spreadsheet would run as a formula
(OWASP, "CSV Injection") is written with an apostrophe in front.
"""

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, get_type_hints

from yidao.api.errors import YidaoError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Cell: TypeAlias = str | int | bool | Decimal | None

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_MAX_DECIMAL128_DIGITS: Final = 38
_MAX_DECIMAL256_DIGITS: Final = 76


class ExtraMissing(YidaoError):
    """What a call needs is not installed (params: package, extra)."""

    code = "EXTRA_MISSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its cells are of one type, or None.

    Attributes:
        kind: `str`, `int`, `bool` or `Decimal`.
    """

    name: str
    kind: type


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells, in the order of the columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Tabular(ABC):
    """A result that can be had as a table."""

    __slots__ = ()

    @abstractmethod
    def table(self) -> Table:
        """Give the result as plain cells."""

    def to_pandas(self) -> "pd.DataFrame":
        """Give a data frame; figures are `Decimal`.

        Raises:
            ExtraMissing: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ExtraMissing(package="pandas", extra="tables") from None
        table = self.table()
        dtypes = {bool: "boolean", int: "Int64", str: "string"}
        cells = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
        return pd.DataFrame(
            {
                column.name: pd.Series(list(values), dtype=dtypes.get(column.kind, "object"))
                for column, values in zip(table.columns, cells, strict=True)
            }
        )

    def to_arrow(self) -> "pa.Table":
        """Give an Arrow table; figures are decimals as wide as the column needs.

        Raises:
            ExtraMissing: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ImportError:
            raise ExtraMissing(package="pyarrow", extra="tables") from None
        table = self.table()
        cells = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
        plain = {bool: pa.bool_(), int: pa.int64(), str: pa.string()}
        arrays = {
            column.name: pa.array(
                list(values), type=plain.get(column.kind) or _decimal_type(values)
            )
            for column, values in zip(table.columns, cells, strict=True)
        }
        return pa.table(arrays)

    def to_csv(self, path: Path | str) -> None:
        """Write a CSV file with a line of headings; an existing one is replaced."""
        table = self.table()
        with Path(path).open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_safe(column.name) for column in table.columns)
            writer.writerows([_written(cell) for cell in row] for row in table.rows)


def table_of(kinds: Mapping[str, type], rows: Iterable[Mapping[str, Cell]]) -> Table:
    """Make a table of rows by name; what a row does not have is None."""
    columns = tuple(Column(name=name, kind=kind) for name, kind in kinds.items())
    return Table(
        columns=columns, rows=tuple(tuple(row.get(name) for name in kinds) for row in rows)
    )


def plain_kinds(of: type) -> dict[str, type]:
    """Give the columns of a class of values: its texts, numbers, flags and, as hex, its bytes."""
    shown = {str: str, int: int, bool: bool, bytes: str, Decimal: Decimal}
    return {name: shown[kind] for name, kind in get_type_hints(of).items() if kind in shown}


def plain_cells(value: object, names: Iterable[str]) -> dict[str, Cell]:
    """Give the cells of one value."""
    cells = {name: getattr(value, name) for name in names}
    return {name: cell.hex() if isinstance(cell, bytes) else cell for name, cell in cells.items()}


def values_table(of: type, values: Iterable[object]) -> Table:
    """Make a table of values of one class, a column for each plain field."""
    kinds = plain_kinds(of)
    return table_of(kinds, (plain_cells(value, kinds) for value in values))


def _decimal_type(values: Sequence[Cell]) -> "pa.DataType":
    """Give the decimal type that holds every figure of a column to its last digit."""
    import pyarrow as pa

    scale = digits = 0
    for value in values:
        if isinstance(value, Decimal):
            _, figures, exponent = value.as_tuple()
            assert isinstance(exponent, int), "a figure is finite"
            scale = max(scale, -exponent)
            digits = max(digits, len(figures) + exponent)
    precision = max(digits, 1) + scale
    if precision <= _MAX_DECIMAL128_DIGITS:
        return pa.decimal128(_MAX_DECIMAL128_DIGITS, scale)
    return pa.decimal256(_MAX_DECIMAL256_DIGITS, scale)


def _written(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            return _safe(cell)
        case Decimal():
            return format(cell, "f")
        case _:
            return str(cell)


def _safe(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
