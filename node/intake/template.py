"""Makes the workbook of a form that a clerk fills in and hands in by `import`.

Three sheets: how to fill it in; the form, one row a unit, with headings that
the importer recognises; and, hidden, the codes that its lists offer. Units and
period may be filled in beforehand. Computed fields are left out: the node
computes them. Nothing in the workbook can run, and equal input gives equal
bytes.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from openpyxl import Workbook
from openpyxl.cell.cell import Cell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from yidao.catalog.numbers import format_decimal
from yidao.catalog.pack.model import Field, FieldKind, Form, Pack, Text
from yidao.node.intake.errors import TemplateInvalid
from yidao.node.intake.sheets import CREATED, TEXT_FORMAT, TEXT_KINDS, disarm, settled, sheet_title

MAX_UNITS = 5_000
#: So far down reach lists and formats; rows below are read all the same.
_PREPARED_ROWS = 5_000
_CODES_SHEET = "codes"
_HEADING_ROW = 1
_AUTHOR = "yidao"
_MAX_PROMPT = 250
_WIDTHS = {FieldKind.STR: 30.0, FieldKind.USCC: 22.0}
_WIDTH = 14.0
_REQUIRED = PatternFill(fill_type="solid", start_color="FFFFF2CC")
_OPTIONAL = PatternFill(fill_type="solid", start_color="FFE7E6E6")
_NUMBERS = (FieldKind.DECIMAL, FieldKind.INT)

_INSTRUCTIONS = Text(zh="填报说明", en="How to fill in")
_UNIT_NAME = Text(zh="(单位名称, 仅供核对)", en="(Name of the unit, for your orientation)")
_STEPS = (
    Text(
        zh="① 在第二个工作表中填写, 一行一个单位; 带 * 号、底色为黄色的列必填。",
        en="① Fill in the second sheet, one row a unit; columns with * on yellow are required.",
    ),
    Text(
        zh="② 不要改动表头; 列的次序可以调整, 空列可以删除。",
        en="② Leave the headings as they are; columns may be moved, empty ones deleted.",
    ),
    Text(
        zh="③ 数字只填数字, 不带单位、千位分隔符; 小数位数见下表, 系统不代为舍入。",
        en="③ Figures are digits only, without unit or thousands separator; the decimals are "
        "listed below, and nothing is rounded for you.",
    ),
    Text(
        zh="④ 表内合计等计算项由系统计算, 不在本表中。",
        en="④ Fields that the system computes are not in this workbook.",
    ),
    Text(
        zh="⑤ 填好后导入; 有错的行会连同说明写回原单元格, 改正后再导入即可。",
        en="⑤ Import it when done; wrong rows come back with the reason in their cells: "
        "correct them and import the file again.",
    ),
)
_COLUMNS = (
    Text(zh="栏目", en="Column"),
    Text(zh="必填", en="Required"),
    Text(zh="填写要求", en="What to enter"),
)
_YES = Text(zh="是", en="yes")
_NO = Text(zh="否", en="no")
_KINDS = {
    FieldKind.STR: Text(zh="文字", en="text"),
    FieldKind.INT: Text(zh="整数", en="whole number"),
    FieldKind.BOOL: Text(zh="是或否", en="yes or no"),
    FieldKind.DATE: Text(zh="日期, 如 2025-01-31", en="date, as 2025-01-31"),
    FieldKind.CODE: Text(zh="代码", en="code"),
    FieldKind.USCC: Text(
        zh="18 位统一社会信用代码", en="unified social credit code, 18 characters"
    ),
    FieldKind.REGION: Text(zh="行政区划代码", en="division code"),
    FieldKind.PERIOD: Text(zh="报告期, 如 2025-Q2 或 2025-07", en="period, as 2025-Q2 or 2025-07"),
    FieldKind.DECIMAL: Text(zh="数字", en="number"),
}


def form_workbook(
    pack: Pack,
    form_id: str,
    *,
    period: str = "",
    units: Sequence[tuple[str, str]] = (),
    language: str = "zh",
) -> bytes:
    """Make the workbook of a form.

    Args:
        pack: The version in force for the period.
        form_id: Which form of it.
        period: Filled into the rows of `units`; empty for a form without periods.
        units: Code and name of units that get a row each, at most 5,000.
        language: `zh` or `en`, of headings and instructions; both are read by the importer.

    Returns:
        The bytes of an .xlsx file.

    Raises:
        FormUnknown: The pack has no such form.
        TemplateInvalid: More units than fit.
    """
    form = pack.form(form_id)
    if len(units) > MAX_UNITS:
        raise TemplateInvalid(reason="too_many_units")
    making = _Making(
        pack=pack,
        form=form,
        fields=tuple(field for field in form.fields.values() if not field.computed),
        language=language,
    )
    book = Workbook()
    book.properties.created = CREATED
    first = book.worksheets[0]
    first.title = making.say(_INSTRUCTIONS)
    _write_instructions(first, making)
    sheet = book.create_sheet(sheet_title(making.say(form.title)))
    codes = book.create_sheet(_CODES_SHEET)
    codes.sheet_state = "hidden"
    _write_form(sheet, codes, making, period, units)
    book.active = 1
    packed = io.BytesIO()
    book.save(packed)
    return settled(packed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Making:
    """What all parts of the workbook are made from."""

    pack: Pack
    form: Form
    fields: tuple[Field, ...]
    language: str

    def say(self, text: Text) -> str:
        return text.en if self.language == "en" else text.zh

    def heading(self, field: Field) -> str:
        """Give a heading that the importer takes for this field and no other."""
        label = self.say(field.label)
        shared = sum(self.say(each.label) == label for each in self.form.fields.values()) > 1
        unit = f"({field.unit})" if field.unit else ""
        return f"{'*' if field.required else ''}{field.name if shared else label}{unit}"

    def asked(self, field: Field) -> str:
        """Say what the field takes, in words."""
        said = [self.say(_KINDS[field.kind])]
        if field.kind is FieldKind.DECIMAL:
            whole = field.precision - field.scale
            said.append(
                f"at most {whole} digits and {field.scale} decimals"
                if self.language == "en"
                else f"整数最多 {whole} 位, 小数最多 {field.scale} 位"
            )
        if field.unit:
            said.append(field.unit)
        if field.minimum is not None:
            said.append(f"≥ {_bound(field, field.minimum)}")
        if field.maximum is not None:
            said.append(f"≤ {_bound(field, field.maximum)}")
        if field.max_length and field.kind is FieldKind.STR:
            limit = field.max_length
            said.append(f"≤ {limit} characters" if self.language == "en" else f"不超过 {limit} 字")
        if field.kind is FieldKind.CODE:
            items = self.pack.lists[field.list_id].items.values()
            said.append("; ".join(f"{item.code} {self.say(item.label)}" for item in items))
        return ", ".join(said)


def _bound(field: Field, value: int) -> str:
    return format_decimal(value, field.scale) if field.kind is FieldKind.DECIMAL else str(value)


def _write_instructions(sheet: Worksheet, making: _Making) -> None:
    """Write the first sheet. No cell of it is exactly a heading, or it would be read as a form."""
    pack, form = making.pack, making.form
    lines = [
        f"《{making.say(form.title)}》",
        f"{making.say(pack.title)} · {pack.id}/{pack.version}",
    ]
    lines += ["", *(making.say(step) for step in _STEPS), ""]
    for number, line in enumerate(lines, start=1):
        _put(sheet, number, 1, line)
    sheet["A1"].font = Font(bold=True, size=16)
    top = len(lines) + 1
    for column, title in enumerate(_COLUMNS, start=1):
        _put(sheet, top, column, f"【{making.say(title)}】").font = Font(bold=True)
    for row, field in enumerate(making.fields, start=top + 1):
        shown = (
            f"「{making.heading(field)}」",
            making.say(_YES if field.required else _NO),
            making.asked(field),
        )
        for column, text in enumerate(shown, start=1):
            _put(sheet, row, column, text)
    for letter, width in (("A", 44.0), ("B", 10.0), ("C", 80.0)):
        sheet.column_dimensions[letter].width = width


def _put(sheet: Worksheet, row: int, column: int, text: str) -> Cell:
    cell = sheet.cell(row=row, column=column)
    assert isinstance(cell, Cell)
    cell.value = text
    disarm(cell)
    return cell


def _write_form(
    sheet: Worksheet,
    codes: Worksheet,
    making: _Making,
    period: str,
    units: Sequence[tuple[str, str]],
) -> None:
    names_beside = bool(units) and "name" not in making.form.fields
    columns = list(_columns(making.fields, names_beside=names_beside))
    for at, field in enumerate(columns, start=1):
        letter = get_column_letter(at)
        if field is None:
            _put(sheet, _HEADING_ROW, at, making.say(_UNIT_NAME)).font = Font(italic=True)
            sheet.column_dimensions[letter].width = _WIDTHS[FieldKind.STR]
            continue
        _write_heading(sheet, making, field, at)
        dimension = sheet.column_dimensions[letter]
        dimension.width = _WIDTHS.get(field.kind, _WIDTH)
        dimension.number_format = _number_format(field)
        if (validation := _validation(making, codes, field)) is not None:
            validation.add(f"{letter}{_HEADING_ROW + 1}:{letter}{_PREPARED_ROWS + _HEADING_ROW}")
            sheet.add_data_validation(validation)
    fixed = 2 if names_beside or "name" in making.form.fields else 1
    sheet.freeze_panes = f"{get_column_letter(fixed + 1)}{_HEADING_ROW + 1}"
    sheet.row_dimensions[_HEADING_ROW].height = 42
    for number, (code, name) in enumerate(units, start=_HEADING_ROW + 1):
        given = {"uscc": code, "name": name, "period": period}
        for at, field in enumerate(columns, start=1):
            text = name if field is None else given.get(field.name, "")
            if text:
                cell = _put(sheet, number, at, text)
                cell.number_format = TEXT_FORMAT


def _columns(fields: Sequence[Field], *, names_beside: bool) -> Iterator[Field | None]:
    """Give the fields in order; None is the column of names, which is not read back."""
    for field in fields:
        yield field
        if names_beside and field.name == "uscc":
            yield None


def _write_heading(sheet: Worksheet, making: _Making, field: Field, at: int) -> None:
    cell = _put(sheet, _HEADING_ROW, at, making.heading(field))
    cell.font = Font(bold=True)
    cell.fill = _REQUIRED if field.required else _OPTIONAL
    cell.alignment = Alignment(wrap_text=True, vertical="center")
    other = field.label.zh if making.language == "en" else field.label.en
    comment = Comment(f"{other}\n{field.name}\n{making.asked(field)}", _AUTHOR)
    comment.width, comment.height = 320, 160
    cell.comment = comment


def _number_format(field: Field) -> str:
    if field.kind in TEXT_KINDS:
        # Else a typed 021 becomes 21, and 2025-07 a date.
        return TEXT_FORMAT
    if field.kind is FieldKind.DATE:
        return "yyyy-mm-dd"
    if field.kind is FieldKind.DECIMAL and field.scale:
        return "0." + "0" * field.scale
    return "0" if field.kind in _NUMBERS else "General"


def _validation(making: _Making, codes: Worksheet, field: Field) -> DataValidation | None:
    match field.kind:
        case FieldKind.CODE:
            found = DataValidation(type="list", formula1=_listed(making, codes, field))
        case FieldKind.BOOL:
            found = DataValidation(type="list", formula1=f'"{making.say(_YES)},{making.say(_NO)}"')
        case FieldKind.DECIMAL | FieldKind.INT:
            found = _range_of(field)
        case FieldKind.USCC:
            found = DataValidation(type="textLength", operator="equal", formula1="18")
        case _:
            return None
    found.allow_blank = True
    found.showErrorMessage = found.showInputMessage = True
    # A prompt and an error text are at most 255 characters long, a title 32.
    found.prompt = found.error = making.asked(field)[:_MAX_PROMPT]
    found.promptTitle = found.errorTitle = making.say(field.label)[:30]
    return found


def _range_of(field: Field) -> DataValidation:
    unit = Decimal(1).scaleb(-field.scale)
    low = field.minimum if field.minimum is not None else -(10**15)
    high = field.maximum if field.maximum is not None else 10**15
    return DataValidation(
        type="decimal" if field.kind is FieldKind.DECIMAL else "whole",
        operator="between",
        formula1=format(low * unit, "f"),
        formula2=format(high * unit, "f"),
    )


def _listed(making: _Making, codes: Worksheet, field: Field) -> str:
    """Write a code list into the hidden sheet, and give the range of its codes."""
    items = making.pack.lists[field.list_id].items.values()
    column = codes.max_column + 2 if codes["A1"].value is not None else 1
    for row, item in enumerate(items, start=1):
        _put(codes, row, column, item.code).number_format = TEXT_FORMAT
        _put(codes, row, column + 1, making.say(item.label))
    letter = get_column_letter(column)
    return f"'{_CODES_SHEET}'!${letter}$1:${letter}${len(items)}"
