"""Reads workbooks row by row; whatever could make the reading unsafe is refused at opening.

A number in a workbook is a binary double of which Excel shows and keeps 15
digits, so 15 digits are what is read, as decimal text: 0.1+0.2 is "0.3". A
number of 16 digits or more has already lost some (a credit code typed as a
number), and its cell is at fault. Formulas count by their stored results.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from openpyxl import load_workbook
from openpyxl.cell.cell import ERROR_CODES
from openpyxl.workbook import Workbook

from yidao.catalog.pack.model import Form
from yidao.node.intake.container import check_container
from yidao.node.intake.errors import HeaderMissing, NoRows, NotWorkbook, SourceUnreadable
from yidao.node.intake.faults import (
    CELL_DIGITS_LOST,
    CELL_FORMULA_ERROR,
    CELL_MERGED,
    CELL_NUMBER_NOT_FINITE,
    CELL_TOO_LONG,
    CELL_UNCALCULATED,
    words,
)
from yidao.node.intake.headers import HEADER_SEARCH_ROWS, HeaderIndex, HeaderMatch
from yidao.node.intake.rows import (
    MAX_CELL_CHARS,
    CellFault,
    Progress,
    SheetInfo,
    SourceRow,
    counted,
)
from yidao.node.intake.sheetscan import SheetScan

#: Digits that a double always keeps, and that Excel shows.
_DOUBLE_DIGITS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    index: int
    title: str
    match: HeaderMatch
    scan: SheetScan
    value_rows: frozenset[int]


class WorkbookSource:
    """An opened workbook (see `yidao.node.intake.rows.Source`). Use `open_workbook`."""

    encoding = "xlsx"

    def __init__(self, file: IO[bytes], name: str, forms: Sequence[Form]) -> None:
        self._file = file
        self._name = name
        self._parts = check_container(file, name).sheets
        self._book = _load(file, name)
        self._sheets: list[_Sheet] = []
        skipped = self._find_tables(HeaderIndex(forms))
        if not self._sheets:
            raise HeaderMissing(name=name)
        self.skipped_sheets = tuple(skipped)
        self.sheets = tuple(_info(sheet) for sheet in self._sheets)
        self.total_rows = sum(sheet.rows for sheet in self.sheets)
        if self.total_rows == 0:
            raise NoRows(name=name)
        # Shared strings, number formats and dates are resolved only as cells are
        # read. Reading all once now keeps the promise that a damaged file is
        # refused before its first row is given.
        for sheet in self._sheets:
            for _ in self._values(sheet.index):
                pass

    def rows(self, progress: Progress | None = None) -> Iterator[SourceRow]:
        """Give the rows of all sheets, in the workbook's order."""
        rows = (row for sheet in self._sheets for row in self._sheet_rows(sheet))
        return counted(rows, self.total_rows, progress)

    def close(self) -> None:
        """Let go of the file."""
        self._book.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _find_tables(self, index: HeaderIndex) -> list[str]:
        skipped: list[str] = []
        for at, sheet in enumerate(self._book.worksheets):
            # No public name gives a sheet's part; a wrong one could only lose faults.
            scan = self._parts.get(sheet._worksheet_path)  # type: ignore[attr-defined]  # noqa: SLF001
            match = None
            # What the person who sends the file cannot see is not sent.
            if scan is not None and sheet.sheet_state == "visible":
                match = self._header(index, at, sheet.title)
            if scan is None or match is None:
                skipped.append(sheet.title)
                continue
            below = frozenset(row for row in scan.rows if row > match.row_number)
            self._sheets.append(
                _Sheet(index=at, title=sheet.title, match=match, scan=scan, value_rows=below)
            )
        return skipped

    def _header(self, index: HeaderIndex, at: int, title: str) -> HeaderMatch | None:
        for number, values in self._values(at):
            if number > HEADER_SEARCH_ROWS:
                return None
            titles = ["" if value is None else str(value) for value in values]
            if match := index.match(title, number, titles):
                return match
        return None

    def _values(self, at: int) -> Iterator[tuple[int, tuple[object, ...]]]:
        sheet = self._book.worksheets[at]
        # The stated dimension may lie in both directions; the rows themselves were bounded.
        sheet.reset_dimensions()
        try:
            yield from enumerate(sheet.iter_rows(values_only=True), start=1)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 (openpyxl raises whatever its parsing ran into)
            raise NotWorkbook(name=self._name, reason="damaged_sheet") from None

    def _sheet_rows(self, sheet: _Sheet) -> Iterator[SourceRow]:
        merged = _merged_fields(sheet)
        for number, values in self._values(sheet.index):
            if number in sheet.value_rows:
                yield _row(sheet, number, values, merged.get(number, ()))


def open_workbook(path: Path, forms: Sequence[Form]) -> WorkbookSource:
    """Open and check an .xlsx file.

    Args:
        path: The file; its name is not trusted to tell what it is.
        forms: All forms, of all pack versions, that its sheets may hold.

    Raises:
        IntakeError: The file as a whole is refused; no row has been given.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceUnreadable(name=path.name, reason=type(error).__name__) from None
    try:
        return WorkbookSource(file, path.name, forms)
    except BaseException:
        file.close()
        raise


def _load(file: IO[bytes], name: str) -> Workbook:
    file.seek(0)
    try:
        return load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (openpyxl raises whatever its parsing ran into)
        raise NotWorkbook(name=name, reason="damaged_workbook") from None


def _info(sheet: _Sheet) -> SheetInfo:
    return SheetInfo(
        sheet=sheet.title,
        form_id=sheet.match.form_id,
        rows=len(sheet.value_rows),
        unmatched=sheet.match.unmatched,
    )


def _merged_fields(sheet: _Sheet) -> Mapping[int, tuple[str, ...]]:
    """Give the fields that merged cells touch, by row, below the headings."""
    touched: dict[int, tuple[str, ...]] = {}
    for merge in sheet.scan.merges:
        fields = tuple(
            name
            for name, column in sheet.match.columns.items()
            if merge.first_column <= column <= merge.last_column
        )
        if not fields:
            continue
        for number in range(merge.first_row, merge.last_row + 1):
            if number in sheet.value_rows:
                touched[number] = (*touched.get(number, ()), fields[0])
    return touched


def _row(sheet: _Sheet, number: int, values: Sequence[object], merged: Sequence[str]) -> SourceRow:
    cells: dict[str, str] = {}
    faults: list[CellFault] = []

    def fault(field: str, code: str) -> None:
        faults.append(
            CellFault(
                sheet=sheet.title,
                row_number=number,
                column=sheet.match.columns[field],
                field=field,
                rule="",
                code=code,
                text=words(code, limit=MAX_CELL_CHARS),
            )
        )

    for field in merged:
        fault(field, CELL_MERGED)
    for field, column in sheet.match.columns.items():
        value = values[column - 1] if column <= len(values) else None
        if value is None:
            if (number, column) in sheet.scan.uncalculated:
                fault(field, CELL_UNCALCULATED)
            continue
        if problem := _problem(value):
            fault(field, problem)
        elif text := _text(value):
            cells[field] = text
    return SourceRow(
        sheet=sheet.title,
        row_number=number,
        form_id=sheet.match.form_id,
        cells=cells,
        columns=sheet.match.columns,
        faults=tuple(faults),
    )


def _problem(value: object) -> str:
    """Give the code of why a value cannot be taken for what its author meant, or nothing."""
    if isinstance(value, str):
        if value in ERROR_CODES:
            return CELL_FORMULA_ERROR
        if len(value) > MAX_CELL_CHARS:
            return CELL_TOO_LONG
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    if not isfinite(value):
        return CELL_NUMBER_NOT_FINITE
    if abs(value) >= 10**_DOUBLE_DIGITS:
        return CELL_DIGITS_LOST
    return ""


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format(Decimal(format(value, f".{_DOUBLE_DIGITS}g")).normalize(), "f")
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case _:
            return str(value)
