"""What every reader gives: rows of texts by field name, and faults that point at a cell."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from yidao.catalog.pack.model import Text

Progress = Callable[[int, int | None], None]
"""Called with the rows done and the rows in all (None where the count is not known)."""

#: Rows between two calls of a `Progress`: often enough for a bar, rare enough to cost nothing.
PROGRESS_EVERY_ROWS = 50
#: The longest text of one cell, in characters: Excel's own limit.
MAX_CELL_CHARS = 32_767
MAX_COLUMNS = 1_000
MAX_ROWS = 200_000
MAX_SOURCE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFault:
    """Something wrong with one row, pointing at the cell where it shows.

    Attributes:
        row_number: As the spreadsheet counts, from 1, headings included.
        column: From 1; 0 where the fault concerns the whole row.
        field: The field's name, or empty for the whole row.
        rule: The rule's id ("EN-01"), or empty for faults of form.
        code: Stable, UPPER_SNAKE.
    """

    sheet: str
    row_number: int
    column: int
    field: str
    rule: str
    code: str
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """A row that the node did not take.

    Attributes:
        faults: All of them, each with its text in Chinese and English.
    """

    sheet: str
    row_number: int
    faults: tuple[CellFault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One row of a file, matched to a form but not yet typed.

    Attributes:
        form_id: The form whose headings the sheet bears.
        cells: Field name to text; empty cells are absent. May name a field
            that some version of the form has retired.
        columns: Field name to column, from 1; shared by all rows of a sheet.
        faults: What was wrong already while reading.
    """

    sheet: str
    row_number: int
    form_id: str
    cells: Mapping[str, str]
    columns: Mapping[str, int]
    faults: tuple[CellFault, ...] = ()

    def fault(self, field: str, code: str, text: Text, rule: str = "") -> CellFault:
        """Place a fault in the cell of a field, or on the whole row if it has no column."""
        return CellFault(
            sheet=self.sheet,
            row_number=self.row_number,
            column=self.columns.get(field, 0),
            field=field,
            rule=rule,
            code=code,
            text=text,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetInfo:
    """How one sheet was understood.

    Attributes:
        rows: Rows below the headings that hold at least one value.
        unmatched: Headings that no version of the form knows; their columns are not read.
    """

    sheet: str
    form_id: str
    rows: int
    unmatched: tuple[str, ...]


class Source(Protocol):
    """An opened and checked file."""

    @property
    def encoding(self) -> str:
        """What the file was found to be: "xlsx", or the encoding of a table ("gb18030")."""
        ...

    @property
    def sheets(self) -> tuple[SheetInfo, ...]:
        """The sheets that are read, in order."""
        ...

    @property
    def skipped_sheets(self) -> tuple[str, ...]:
        """The sheets that are not read: hidden, or with headings of no form."""
        ...

    @property
    def total_rows(self) -> int:
        """Rows of all sheets that are read."""
        ...

    def rows(self, progress: Progress | None = None) -> Iterator[SourceRow]:
        """Give the rows in the file's order; can be called again from the start."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def counted(
    rows: Iterator[SourceRow], total: int | None, progress: Progress | None
) -> Iterator[SourceRow]:
    """Pass rows on and report progress now and then, and once at the end."""
    done = 0
    for row in rows:
        yield row
        done += 1
        if progress is not None and done % PROGRESS_EVERY_ROWS == 0:
            progress(done, total)
    if progress is not None and done % PROGRESS_EVERY_ROWS:
        progress(done, total)
