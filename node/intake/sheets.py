"""Writes workbooks: templates to fill in, rows with their headings, and marked copies.

Nothing that is written can run: a text that begins like a formula is stored as
text and carries the quote prefix, which keeps it text when somebody edits or
re-exports it. Equal input gives equal bytes: dates inside the file are fixed.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import Cell, MergedCell, WriteOnlyCell
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from yidao.catalog.pack.model import Field, FieldKind, Form
from yidao.node.intake.container import check_container
from yidao.node.intake.errors import NotWorkbook, SourceUnreadable, TemplateInvalid
from yidao.node.intake.rows import MAX_COLUMNS, MAX_ROWS, CellFault

Value = str | int | Decimal

_EPOCH = (1980, 1, 1, 0, 0, 0)
_CREATED = datetime(2020, 1, 1)  # noqa: DTZ001 (the file format has no zones)
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_FORBIDDEN_IN_TITLES = re.compile(r"[\[\]:*?/\\]")
_TITLE_CHARS = 31
_HEADING = Font(bold=True)
_MARK = PatternFill(fill_type="solid", start_color="FFFFC7CE")
_TEXT_KINDS = (FieldKind.STR, FieldKind.CODE, FieldKind.USCC, FieldKind.REGION, FieldKind.PERIOD)
_TEXT_FORMAT = "@"
_COLUMN_WIDTH = 18.0
_AUTHOR = "yidao"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRows:
    """One sheet to be written.

    Attributes:
        note: A line above the headings, or empty.
        fields: Columns, by field name, in order.
        rows: Values by field name; absent ones stay empty.
    """

    title: str
    note: str
    form: Form
    fields: Sequence[str]
    rows: Iterable[Mapping[str, Value]]


def write_rows(path: Path, sheets: Sequence[SheetRows]) -> None:
    """Write a workbook that `open_workbook` reads back.

    Raises:
        TemplateInvalid: Two sheets would bear one title, or a field is not of its form.
    """
    titles = [_FORBIDDEN_IN_TITLES.sub(" ", each.title)[:_TITLE_CHARS] for each in sheets]
    if len({title.lower() for title in titles}) < len(titles):
        raise TemplateInvalid(reason="duplicate_title")
    # All headings before the first sheet: a sheet once begun has to be finished.
    columns = [[_field(each.form, name) for name in each.fields] for each in sheets]
    book = Workbook(write_only=True)
    book.properties.created = _CREATED
    for title, fields, content in zip(titles, columns, sheets, strict=True):
        sheet = book.create_sheet(title)
        assert isinstance(sheet, WriteOnlyWorksheet)
        _write_sheet(sheet, fields, content)
    packed = io.BytesIO()
    book.save(packed)
    path.write_bytes(_settled(packed))


def write_template(forms: Sequence[Form], path: Path) -> None:
    """Write an empty workbook with a sheet for each form; computed fields are left out.

    Raises:
        TemplateInvalid: There is no form, or two have the same title.
    """
    if not forms:
        raise TemplateInvalid(reason="no_form")
    write_rows(
        path,
        [
            SheetRows(
                title=form.title.zh,
                note="",
                form=form,
                fields=[field.name for field in form.fields.values() if not field.computed],
                rows=(),
            )
            for form in forms
        ],
    )


def write_marked(path_in: Path, path_out: Path, faults: Sequence[CellFault]) -> None:
    """Write a copy of a workbook in which every fault stands in its cell: colour and comment.

    Formulas are replaced by their stored results. A fault of a whole row is
    put into its first cell; one on a sheet that is not there is left out.

    Raises:
        IntakeError: The workbook is refused, as `open_workbook` would.
    """
    try:
        with path_in.open("rb") as file:
            check_container(file, path_in.name)
            file.seek(0)
            book = _load(file, path_in.name)
    except OSError as error:
        raise SourceUnreadable(name=path_in.name, reason=type(error).__name__) from None
    for sheet in book.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                _disarm(cell)
    for (title, row_number, column), texts in _by_cell(faults).items():
        if title in book.sheetnames:
            cell = book[title].cell(row=row_number, column=column)
            cell.fill = _MARK
            cell.comment = Comment("\n".join(texts), _AUTHOR)
    packed = io.BytesIO()
    book.save(packed)
    path_out.write_bytes(packed.getvalue())


def _load(file: io.BufferedReader, name: str) -> Workbook:
    try:
        return load_workbook(file, data_only=True, keep_links=False)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (openpyxl raises whatever its parsing ran into)
        raise NotWorkbook(name=name, reason="damaged_workbook") from None


def _by_cell(faults: Iterable[CellFault]) -> dict[tuple[str, int, int], list[str]]:
    cells: dict[tuple[str, int, int], list[str]] = {}
    for fault in faults:
        if 1 <= fault.row_number <= MAX_ROWS and fault.column <= MAX_COLUMNS:
            place = (fault.sheet, fault.row_number, max(1, fault.column))
            rule = f"{fault.rule} " if fault.rule else ""
            cells.setdefault(place, []).append(f"{rule}{fault.text.zh}\n{fault.text.en}")
    return cells


def _write_sheet(sheet: WriteOnlyWorksheet, fields: Sequence[Field], content: SheetRows) -> None:
    for at, field in enumerate(fields, start=1):
        # The stubs lack the attribute; openpyxl has it, and writes it before the first row.
        dimension = sheet.column_dimensions[get_column_letter(at)]  # type: ignore[attr-defined]
        dimension.width = _COLUMN_WIDTH
        if field.kind in _TEXT_KINDS:
            # Else a typed 021 becomes 21, and 2025-07 a date.
            dimension.number_format = _TEXT_FORMAT
    sheet.freeze_panes = "A3" if content.note else "A2"
    if content.note:
        sheet.append([content.note])
    sheet.append([_heading(sheet, field) for field in fields])
    for row in content.rows:
        sheet.append(list(_cells(sheet, row, content.fields)))


def _field(form: Form, name: str) -> Field:
    if name not in form.fields:
        raise TemplateInvalid(reason="unknown_field")
    return form.fields[name]


def _heading(sheet: WriteOnlyWorksheet, field: Field) -> Cell:
    unit = f"({field.unit})" if field.unit else ""
    cell = WriteOnlyCell(sheet, f"{'*' if field.required else ''}{field.label.zh}{unit}")
    cell.font = _HEADING
    cell.comment = Comment(f"{field.label.en}\n{field.name}", _AUTHOR)
    return cell


def _cells(
    sheet: WriteOnlyWorksheet, row: Mapping[str, Value], fields: Sequence[str]
) -> Iterator[Value | Cell | None]:
    for name in fields:
        value = row.get(name)
        if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
            cell = WriteOnlyCell(sheet, value)
            _disarm(cell)
            yield cell
        else:
            yield value


def _disarm(cell: Cell | MergedCell) -> None:
    """Make a text that begins like a formula a plain text for every later reader."""
    if (
        isinstance(cell, Cell)
        and isinstance(cell.value, str)
        and cell.value.startswith(_FORMULA_STARTS)
    ):
        cell.data_type = "s"
        cell.quotePrefix = True


def _settled(packed: io.BytesIO) -> bytes:
    """Rewrite the container with fixed dates."""
    settled = io.BytesIO()
    with (
        zipfile.ZipFile(packed) as source,
        zipfile.ZipFile(settled, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "docProps/core.xml":
                data = _MODIFIED.sub(rb"\g<1>2020-01-01T00:00:00Z", data)
            info = zipfile.ZipInfo(entry.filename, date_time=_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, data)
    return settled.getvalue()
