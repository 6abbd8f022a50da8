"""Reads tables of text: CSV and the tab-separated text that spreadsheets call Unicode text.

The whole file is decoded and parsed once when it is opened, so that an
encoding that changes, a NUL byte or a quote that never closes refuses the file
before its first row is given. Format: RFC 4180, with any of the three line
ends. Of a row with too many or too few cells nothing is taken: which value
belongs to which heading is not for us to guess.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from yidao.catalog.pack.model import Form
from yidao.node.intake.encoding import Decoded, decode
from yidao.node.intake.errors import (
    HeaderMissing,
    NoRows,
    SourceEmpty,
    SourceTooLarge,
    SourceUnreadable,
    TableMalformed,
)
from yidao.node.intake.faults import CELL_TOO_LONG, ROW_RAGGED, words
from yidao.node.intake.headers import HEADER_SEARCH_ROWS, HeaderIndex, HeaderMatch
from yidao.node.intake.rows import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_SOURCE_BYTES,
    Progress,
    SheetInfo,
    SourceRow,
    counted,
)

#: One row, all its lines together. A thousand full cells would be more, and are refused.
MAX_ROW_CHARS = 1024 * 1024
_DELIMITERS = ",\t;"


class TableSource:
    """An opened table (see `yidao.node.intake.rows.Source`). Use `open_table`."""

    def __init__(self, data: bytes, name: str, forms: Sequence[Form]) -> None:
        self._name = name
        self._sheet = Path(name).stem
        decoded = _decoded(data, name)
        self.encoding = decoded.encoding
        self._text = decoded.text
        self._match, self._width = self._header(HeaderIndex(forms))
        self.total_rows = sum(1 for _ in self._below())
        if self.total_rows == 0:
            raise NoRows(name=name)
        self.skipped_sheets: tuple[str, ...] = ()
        self.sheets = (
            SheetInfo(
                sheet=self._sheet,
                form_id=self._match.form_id,
                rows=self.total_rows,
                unmatched=self._match.unmatched,
            ),
        )

    def rows(self, progress: Progress | None = None) -> Iterator[SourceRow]:
        """Give the rows below the headings, in order. Rows are numbered as records, from 1."""
        rows = (self._row(number, values) for number, values in self._below())
        return counted(rows, self.total_rows, progress)

    def close(self) -> None:
        """Nothing is held open: the file was read whole."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _header(self, index: HeaderIndex) -> tuple[HeaderMatch, int]:
        for number, values in self._records():
            if number > HEADER_SEARCH_ROWS:
                break
            if match := index.match(self._sheet, number, values):
                return match, len(values)
        raise HeaderMissing(name=self._name)

    def _below(self) -> Iterator[tuple[int, list[str]]]:
        for number, values in self._records():
            if number > self._match.row_number and any(value.strip() for value in values):
                yield number, values

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        return _records(self._text, self._name)

    def _row(self, number: int, values: Sequence[str]) -> SourceRow:
        bare = SourceRow(
            sheet=self._sheet,
            row_number=number,
            form_id=self._match.form_id,
            cells={},
            columns=self._match.columns,
        )
        if len(values) < self._width or any(value.strip() for value in values[self._width :]):
            text = words(ROW_RAGGED, cells=len(values), columns=self._width)
            return replace(bare, faults=(bare.fault("", ROW_RAGGED, text),))
        cells = {
            name: values[column - 1]
            for name, column in self._match.columns.items()
            if values[column - 1]
        }
        faults = tuple(
            bare.fault(name, CELL_TOO_LONG, words(CELL_TOO_LONG, limit=MAX_CELL_CHARS))
            for name, value in cells.items()
            if len(value) > MAX_CELL_CHARS
        )
        return replace(bare, cells=cells, faults=faults)


class _Lines:
    """Feeds the parser line by line and bounds what one record may draw."""

    def __init__(self, text: str, name: str) -> None:
        # newline="" splits at CR, LF and CRLF alike and leaves quoted ones as they are.
        self._lines = io.StringIO(text, newline="")
        self._name = name
        self._line = 0
        self._record_chars = 0

    def next_record(self) -> int:
        """Start counting anew; gives the line on which the record begins."""
        self._record_chars = 0
        return self._line + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._line += 1
        self._record_chars += len(line)
        if self._record_chars > MAX_ROW_CHARS:
            raise SourceTooLarge(name=self._name, what="row", limit=MAX_ROW_CHARS)
        return line


def open_table(path: Path, forms: Sequence[Form]) -> TableSource:
    """Open and check a text file that holds one table.

    Args:
        path: The file; its stem counts as the name of the sheet.
        forms: All forms, of all pack versions, that it may hold.

    Raises:
        IntakeError: The file as a whole is refused; no row has been given.
    """
    try:
        size = path.stat().st_size
        if size > MAX_SOURCE_BYTES:
            raise SourceTooLarge(name=path.name, what="file", limit=MAX_SOURCE_BYTES)
        data = path.read_bytes()
    except OSError as error:
        raise SourceUnreadable(name=path.name, reason=type(error).__name__) from None
    if not data:
        raise SourceEmpty(name=path.name)
    return TableSource(data, path.name, forms)


def table_rows(data: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    """Give every record of a table, headings and all, as `TableSource` numbers them.

    Raises:
        IntakeError: The file is refused; some rows may have been given.
    """
    return _records(_decoded(data, name).text, name)


def _decoded(data: bytes, name: str) -> Decoded:
    decoded = decode(data, name)
    if not decoded.text.strip():
        raise SourceEmpty(name=name)
    if (nul := decoded.text.find("\0")) >= 0:
        line = decoded.text.count("\n", 0, nul) + 1
        raise TableMalformed(name=name, line=line, reason="nul_character")
    return decoded


def _records(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    lines = _Lines(text, name)
    reader = csv.reader(lines, delimiter=_delimiter(text), strict=True)
    number = 0
    while True:
        first_line = lines.next_record()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "field_too_long" if "field limit" in str(error) else "quotes"
            raise TableMalformed(name=name, line=first_line, reason=reason) from None
        number += 1
        if number > MAX_ROWS:
            raise SourceTooLarge(name=name, what="rows", limit=MAX_ROWS)
        if len(values) > MAX_COLUMNS:
            raise SourceTooLarge(name=name, what="columns", limit=MAX_COLUMNS)
        yield number, values


def _delimiter(text: str) -> str:
    """Choose the separator that the first filled line uses most; comma if none."""
    first = next(line for line in io.StringIO(text, newline="") if line.strip())
    return max(_DELIMITERS, key=first.count)
