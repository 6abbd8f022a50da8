"""Writes workbooks of rows with their headings, and what all written workbooks keep to.

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

from openpyxl import Workbook
from openpyxl.cell.cell import Cell, MergedCell, WriteOnlyCell
from openpyxl.comments import Comment
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from yidao.catalog.pack.model import Field, FieldKind, Form
from yidao.node.intake.errors import TemplateInvalid

Value = str | int | Decimal

_EPOCH = (1980, 1, 1, 0, 0, 0)
CREATED = datetime(2020, 1, 1)  # noqa: DTZ001 (the file format has no zones)
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_FORBIDDEN_IN_TITLES = re.compile(r"[\[\]:*?/\\]")
_TITLE_CHARS = 31
_HEADING = Font(bold=True)
TEXT_KINDS = (FieldKind.STR, FieldKind.CODE, FieldKind.USCC, FieldKind.REGION, FieldKind.PERIOD)
TEXT_FORMAT = "@"
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


def sheet_title(text: str) -> str:
    """Give a text as a title that spreadsheet programs take: short, without their signs."""
    return _FORBIDDEN_IN_TITLES.sub(" ", text)[:_TITLE_CHARS]


def write_rows(path: Path, sheets: Sequence[SheetRows]) -> None:
    """Write a workbook that `open_workbook` reads back.

    Raises:
        TemplateInvalid: Two sheets would bear one title, or a field is not of its form.
    """
    titles = [sheet_title(each.title) for each in sheets]
    if len({title.lower() for title in titles}) < len(titles):
        raise TemplateInvalid(reason="duplicate_title")
    # All headings before the first sheet: a sheet once begun has to be finished.
    columns = [[_field(each.form, name) for name in each.fields] for each in sheets]
    book = Workbook(write_only=True)
    book.properties.created = CREATED
    for title, fields, content in zip(titles, columns, sheets, strict=True):
        sheet = book.create_sheet(title)
        assert isinstance(sheet, WriteOnlyWorksheet)
        _write_sheet(sheet, fields, content)
    packed = io.BytesIO()
    book.save(packed)
    path.write_bytes(settled(packed))


def _write_sheet(sheet: WriteOnlyWorksheet, fields: Sequence[Field], content: SheetRows) -> None:
    for at, field in enumerate(fields, start=1):
        # The stubs lack the attribute; openpyxl has it, and writes it before the first row.
        dimension = sheet.column_dimensions[get_column_letter(at)]  # type: ignore[attr-defined]
        dimension.width = _COLUMN_WIDTH
        if field.kind in TEXT_KINDS:
            # Else a typed 021 becomes 21, and 2025-07 a date.
            dimension.number_format = TEXT_FORMAT
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
            disarm(cell)
            yield cell
        else:
            yield value


def disarm(cell: Cell | MergedCell) -> None:
    """Make a text that begins like a formula a plain text for every later reader."""
    if (
        isinstance(cell, Cell)
        and isinstance(cell.value, str)
        and cell.value.startswith(_FORMULA_STARTS)
    ):
        cell.data_type = "s"
        cell.quotePrefix = True


def settled(packed: io.BytesIO) -> bytes:
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
