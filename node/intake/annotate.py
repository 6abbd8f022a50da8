"""Gives a clerk's own file back with every fault in its cell: red, with a remark that says why.

A fault of a whole row stands in the row's first cell. A first sheet lists all
of them, each with a link to its cell. A table of text comes back as a workbook.
What an earlier pass has written is taken out again, so that a corrected file
can be handed in and marked any number of times. A remark that the clerk's own
cell bore stays below ours; a colour of its own is lost.

The copy holds values only: a formula is replaced by its stored result, and a
text that begins like one is kept a text.
"""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell, MergedCell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.worksheet import Worksheet

from yidao.catalog.pack.model import Text
from yidao.node.intake.container import check_container
from yidao.node.intake.errors import NotWorkbook, SourceTooLarge
from yidao.node.intake.rows import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_SOURCE_BYTES,
    CellFault,
    RefusedRow,
)
from yidao.node.intake.sheets import disarm, settled, sheet_title
from yidao.node.intake.table import table_rows

#: A workbook is held in memory while it is marked, with some hundred bytes a cell.
MAX_CELLS: Final = 1_000_000
#: So many faults are written; the list says how many there are beyond.
MAX_FAULTS: Final = 20_000
_MAX_REMARK: Final = 2_000
_NAME: Final = "import"
_AUTHOR: Final = "yidao import"
_OWN_BELOW: Final = "\n────\n"
_MARK: Final = PatternFill(fill_type="solid", start_color="FFFFC7CE")
_NO_FILL: Final = PatternFill()
_ZIP_MAGIC: Final = b"PK\x03\x04"
_LIST: Final = Text(zh="导入错误清单", en="Import faults")
_COUNT: Final = Text(zh="共 {0} 处错误, 涉及 {1} 行", en="{0} faults in {1} rows")
_BEYOND: Final = Text(zh="另有 {0} 处未列出", en="{0} more are not listed")
_TITLES: Final = (
    Text(zh="工作表", en="Sheet"),
    Text(zh="行", en="Row"),
    Text(zh="列", en="Column"),
    Text(zh="栏目", en="Field"),
    Text(zh="规则", en="Rule"),
    Text(zh="说明", en="What is wrong"),
)
_WIDTHS: Final = (24.0, 8.0, 8.0, 24.0, 24.0, 90.0)


def annotate(data: bytes, refused: Sequence[RefusedRow], language: str = "zh") -> bytes:
    """Mark what was refused in a copy of the file that was imported.

    Args:
        data: The file's bytes: a workbook or a table of text.
        refused: The rows with their faults, as the importer gave them.
        language: `zh` or `en`.

    Returns:
        The bytes of an .xlsx file. Equal input gives equal bytes.

    Raises:
        IntakeError: The file is refused, as `open_source` would, or is too large to be marked.
    """
    faults = [fault for row in refused for fault in row.faults]
    if data.startswith(_ZIP_MAGIC):
        book = _workbook(data, {fault.sheet for fault in faults})
        sheets = {sheet.title: sheet for sheet in book.worksheets}
    else:
        book = _workbook_of_table(data, faults)
        sheets = {fault.sheet: book.worksheets[0] for fault in faults}
    for sheet in book.worksheets:
        _clean(sheet)
    say = _Speech(language)
    for place, found in _by_cell(faults[:MAX_FAULTS]).items():
        if (marked := sheets.get(place.sheet)) is not None:
            _mark(marked, place, "\n".join(say.remark(fault) for fault in found))
    _write_list(book, say, faults, rows=len(refused), sheets=sheets)
    packed = io.BytesIO()
    book.save(packed)
    return settled(packed)


@dataclass(frozen=True, slots=True)
class _Speech:
    language: str

    def text(self, text: Text) -> str:
        return text.en if self.language == "en" else text.zh

    def remark(self, fault: CellFault) -> str:
        rule = f"[{fault.rule}] " if fault.rule else ""
        return _printable(f"{rule}{self.text(fault.text)}")


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    sheet: str
    row: int
    column: int


def _printable(text: str) -> str:
    return ILLEGAL_CHARACTERS_RE.sub(" ", text)[:_MAX_REMARK]


def _workbook(data: bytes, marked: Collection[str]) -> Workbook:
    file = io.BytesIO(data)
    container = check_container(file, _NAME)
    if sum(scan.cells for scan in container.sheets.values()) > MAX_CELLS:
        raise SourceTooLarge(name=_NAME, what="cells", limit=MAX_CELLS)
    file.seek(0)
    try:
        book = load_workbook(file, data_only=True, keep_links=False)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (openpyxl raises whatever its parsing ran into)
        raise NotWorkbook(name=_NAME, reason="damaged_workbook") from None
    for title in (_LIST.zh, _LIST.en):
        if title in book.sheetnames and title not in marked and len(book.sheetnames) > 1:
            del book[title]
    return book


def _workbook_of_table(data: bytes, faults: Sequence[CellFault]) -> Workbook:
    """Write a table of text as a sheet of texts, row by row as the importer counts them."""
    if len(data) > MAX_SOURCE_BYTES:
        raise SourceTooLarge(name=_NAME, what="bytes", limit=MAX_SOURCE_BYTES)
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = sheet_title(faults[0].sheet if faults else "") or _NAME
    cells = 0
    for number, values in table_rows(data, _NAME):
        cells += len(values)
        if cells > MAX_CELLS:
            raise SourceTooLarge(name=_NAME, what="cells", limit=MAX_CELLS)
        for column, value in enumerate(values, start=1):
            if value:
                cell = sheet.cell(row=number, column=column)
                cell.value = ILLEGAL_CHARACTERS_RE.sub(" ", value)[:MAX_CELL_CHARS]
                cell.data_type = "s"
                cell.number_format = "@"
    return book


def _clean(sheet: Worksheet) -> None:
    """Take out what an earlier pass wrote, and make every text a text."""
    for row in sheet.iter_rows():
        for cell in row:
            if not isinstance(cell, Cell):
                continue
            disarm(cell)
            if cell.comment is None or cell.comment.author != _AUTHOR:
                continue
            _, _, own = cell.comment.text.partition(_OWN_BELOW)
            cell.comment = Comment(own, "") if own else None
            cell.fill = _NO_FILL


def _by_cell(faults: Iterable[CellFault]) -> Mapping[_Place, list[CellFault]]:
    """Sort faults by cell; what lies beyond the limits of a sheet is only listed."""
    cells: dict[_Place, list[CellFault]] = {}
    for fault in faults:
        if 1 <= fault.row_number <= MAX_ROWS and fault.column <= MAX_COLUMNS:
            place = _Place(fault.sheet, fault.row_number, max(1, fault.column))
            cells.setdefault(place, []).append(fault)
    return cells


def _mark(sheet: Worksheet, place: _Place, remark: str) -> None:
    cell = _cell(sheet, place.row, place.column)
    own = cell.comment.text if cell.comment is not None else ""
    cell.fill = _MARK
    comment = Comment(remark[:_MAX_REMARK] + (_OWN_BELOW + own if own else ""), _AUTHOR)
    comment.width, comment.height = 360, 160
    cell.comment = comment


def _cell(sheet: Worksheet, row: int, column: int) -> Cell:
    """Give the cell that a person sees there: of merged ones the upper left."""
    cell = sheet.cell(row=row, column=column)
    if isinstance(cell, MergedCell):
        merged = next(each for each in sheet.merged_cells.ranges if cell.coordinate in each)
        cell = sheet.cell(row=merged.min_row, column=merged.min_col)
    assert isinstance(cell, Cell)
    return cell


def _write_list(
    book: Workbook,
    say: _Speech,
    faults: Sequence[CellFault],
    *,
    rows: int,
    sheets: Mapping[str, Worksheet],
) -> None:
    for sheet in book.worksheets:
        # Two selected sheets would be edited together.
        sheet.sheet_view.tabSelected = False
    listed = book.create_sheet(say.text(_LIST), 0)
    book.active = 0
    _put(listed, 1, 1, say.text(_COUNT).format(len(faults), rows)).font = Font(bold=True, size=14)
    for column, (title, width) in enumerate(zip(_TITLES, _WIDTHS, strict=True), start=1):
        # In brackets: a bare title might be taken for the heading of a form.
        _put(listed, 2, column, f"【{say.text(title)}】").font = Font(bold=True)
        listed.column_dimensions[get_column_letter(column)].width = width
    listed.freeze_panes = "A3"
    for row, fault in enumerate(faults[:MAX_FAULTS], start=3):
        _write_fault(listed, row, say, fault, sheets.get(fault.sheet))
    if len(faults) > MAX_FAULTS:
        beyond = say.text(_BEYOND).format(len(faults) - MAX_FAULTS)
        _put(listed, MAX_FAULTS + 3, 1, beyond)


def _write_fault(
    listed: Worksheet, row: int, say: _Speech, fault: CellFault, sheet: Worksheet | None
) -> None:
    letter = get_column_letter(fault.column) if 1 <= fault.column <= MAX_COLUMNS else ""
    shown = (
        fault.sheet,
        str(fault.row_number),
        letter,
        f"「{fault.field}」" if fault.field else "",
        fault.rule or fault.code,
        say.text(fault.text),
    )
    for column, text in enumerate(shown, start=1):
        cell = _put(listed, row, column, _printable(text))
        cell.alignment = Alignment(wrap_text=column == len(shown), vertical="top")
    if sheet is not None:
        title = sheet.title.replace("'", "''")
        place = f"'{title}'!{letter or 'A'}{max(1, fault.row_number)}"
        link = Hyperlink(ref=f"B{row}", location=place)
        _cell(listed, row, 2).hyperlink = link


def _put(sheet: Worksheet, row: int, column: int, text: str) -> Cell:
    cell = _cell(sheet, row, column)
    cell.value = text
    if text:
        cell.data_type = "s"
    disarm(cell)
    return cell
