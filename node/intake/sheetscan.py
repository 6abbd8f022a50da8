"""One pass over an XML part: bounds it, and for a worksheet notes what streaming readers hide.

A streaming reader believes the sheet's stated dimension, gives no word of
merged cells, shows a formula that was never calculated as an empty cell, and
drops rows that are out of order. This pass finds these before the first row
is read. Format: ECMA-376 part 1, 18.3 (worksheets).
"""

import re
from dataclasses import dataclass
from typing import IO
from xml.parsers import expat

from yidao.node.intake.errors import NotWorkbook, SourceTooLarge, UnsafePackage
from yidao.node.intake.rows import MAX_COLUMNS, MAX_ROWS

#: Real parts nest about ten deep.
MAX_DEPTH = 64
#: Rows that all merged rectangles together may span; each is looked up row by row.
MAX_MERGED_ROWS = 1_000_000
MAX_UNCALCULATED = 20_000
_CHUNK_BYTES = 256 * 1024
_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedCells:
    """A rectangle of cells shown as one; only its upper left cell holds a value. All from 1."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetScan:
    """Facts of one worksheet.

    Attributes:
        cells: How many cells the sheet writes down, empty ones too.
        rows: Numbers of the rows that hold a value, ascending.
        merges: Rectangles of merged cells.
        uncalculated: Cells (row, column) with a formula and no stored result.
    """

    cells: int
    rows: tuple[int, ...]
    merges: tuple[MergedCells, ...]
    uncalculated: frozenset[tuple[int, int]]


def scan_part(part: IO[bytes], name: str, part_name: str) -> SheetScan | None:
    """Read an XML part through.

    Returns:
        The facts, if the part is a worksheet.

    Raises:
        UnsafePackage: It declares a document type (and so perhaps entities), or nests too deep.
        NotWorkbook: It is not well-formed, or a sheet's rows or cells are out of order.
        SourceTooLarge: A sheet has too many rows or columns, whatever its dimension says.
    """
    scanner = _Scanner(name, part_name)
    try:
        while chunk := part.read(_CHUNK_BYTES):
            scanner.parser.Parse(chunk, False)  # noqa: FBT003 (expat's own signature)
        scanner.parser.Parse(b"", True)  # noqa: FBT003
    except expat.ExpatError:
        raise NotWorkbook(name=name, reason="damaged_xml") from None
    return scanner.result()


class _Scanner:
    """Handlers for expat. The parser knows no external entities and refuses declared ones."""

    def __init__(self, name: str, part_name: str) -> None:
        self._name = name
        self._part = part_name
        self._depth = 0
        self._is_sheet = False
        self._cells = 0
        self._row = 0
        self._column = 0
        self._rows: list[int] = []
        self._merges: list[MergedCells] = []
        self._merged_rows = 0
        self._uncalculated: set[tuple[int, int]] = set()
        self._formula = self._value = False
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def result(self) -> SheetScan | None:
        if not self._is_sheet:
            return None
        return SheetScan(
            cells=self._cells,
            rows=tuple(self._rows),
            merges=tuple(self._merges),
            uncalculated=frozenset(self._uncalculated),
        )

    def _doctype(self, *_: object) -> None:
        raise UnsafePackage(name=self._name, part=self._part, reason="document_type")

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnsafePackage(name=self._name, part=self._part, reason="xml_depth")
        tag = qualified.rpartition(" ")[2]
        if self._depth == 1:
            self._is_sheet = tag == "worksheet"
        elif not self._is_sheet:
            return
        elif tag == "c":
            self._start_cell(attributes.get("r"))
        elif tag == "row":
            self._start_row(attributes.get("r"))
        elif tag in ("v", "is"):
            self._value = True
        elif tag == "f":
            self._formula = True
        elif tag == "mergeCell":
            self._merge(attributes.get("ref", ""))

    def _end(self, qualified: str) -> None:
        self._depth -= 1
        if not self._is_sheet or qualified.rpartition(" ")[2] != "c":
            return
        if self._value and (not self._rows or self._rows[-1] != self._row):
            self._rows.append(self._row)
        if self._formula and not self._value:
            self._uncalculated.add((self._row, self._column))
            if not self._rows or self._rows[-1] != self._row:
                self._rows.append(self._row)
            if len(self._uncalculated) > MAX_UNCALCULATED:
                raise SourceTooLarge(
                    name=self._name, what="uncalculated_formulas", limit=MAX_UNCALCULATED
                )

    def _start_row(self, number: str | None) -> None:
        row = self._row + 1 if number is None else self._integer(number)
        if row <= self._row:
            raise NotWorkbook(name=self._name, reason="row_order")
        if row > MAX_ROWS:
            raise SourceTooLarge(name=self._name, what="rows", limit=MAX_ROWS)
        self._row, self._column = row, 0

    def _start_cell(self, reference: str | None) -> None:
        self._formula = self._value = False
        self._cells += 1
        column = self._column + 1
        if reference is not None:
            _, column = self._position(reference)
        if column <= self._column:
            raise NotWorkbook(name=self._name, reason="cell_order")
        if column > MAX_COLUMNS:
            raise SourceTooLarge(name=self._name, what="columns", limit=MAX_COLUMNS)
        self._column = column

    def _merge(self, reference: str) -> None:
        first, _, last = reference.partition(":")
        first_row, first_column = self._position(first)
        last_row, last_column = self._position(last or first)
        self._merges.append(
            MergedCells(
                first_row=first_row,
                last_row=last_row,
                first_column=first_column,
                last_column=last_column,
            )
        )
        self._merged_rows += max(1, last_row - first_row + 1)
        if self._merged_rows > MAX_MERGED_ROWS:
            raise SourceTooLarge(name=self._name, what="merged_cells", limit=MAX_MERGED_ROWS)

    def _position(self, reference: str) -> tuple[int, int]:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise NotWorkbook(name=self._name, reason="cell_reference")
        column = 0
        for letter in match[1]:
            column = column * 26 + ord(letter) - ord("A") + 1
        return int(match[2]), column

    def _integer(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 7):
            raise NotWorkbook(name=self._name, reason="row_number")
        return int(text)
