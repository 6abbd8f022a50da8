"""Turns the texts of a row into the typed values of a form, changing spelling only.

What a clerk may write in several ways (full-width digits, 2025年第二季度, 是) is
brought to the one accepted spelling, with a notice where a character was
exchanged. What could be read in two ways (1,234) or would lose something (a
third decimal) is a fault. Whether the values make sense is not asked here:
that is the standard's business (`yidao.catalog.validate`).
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from yidao.catalog.errors import NumberInvalid
from yidao.catalog.numbers import quantise
from yidao.catalog.pack.model import Field, FieldKind, Form, Value
from yidao.node.intake.faults import (
    CELL_CONTROL_CHARACTER,
    CELL_DATE_INVALID,
    CELL_FORMULA_TEXT,
    CELL_NORMALISED,
    CELL_NUMBER_INVALID,
    CELL_THOUSANDS_SEPARATOR,
    CELL_TOO_MANY_DECIMALS,
    CELL_TOO_MANY_DIGITS,
    CELL_YES_NO_INVALID,
    words,
)
from yidao.node.intake.rows import CellFault, SourceRow

_BLANKS = " \t\r\n\u00a0\u3000"
# Marks that copying from web pages and chats leaves behind; nobody can see them.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_CONTROL = re.compile("[\u0000-\u001f\u007f\u0085\u2028\u2029]")
# What a spreadsheet that opens the figure later would run as a formula (OWASP: CSV injection).
_FORMULA_TEXT = re.compile(r"[=@\t\r]|[+-](?![0-9.]*$)")
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(?:[, '][0-9]{3})+(?:\.[0-9]*)?")
_INT_DIGITS = 15
_YES_NO = MappingProxyType(
    dict.fromkeys(("是", "true", "yes", "y", "1"), True)
    | dict.fromkeys(("否", "false", "no", "n", "0"), False)
)
_DATE = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?")
_QUARTER = re.compile(r"([0-9]{4})[-/ ]?年?(?:q([1-4])|第?([1-4一二三四])季度?)")
_MONTH = re.compile(r"([0-9]{4})(?:[-/.]|年)([0-9]{1,2})月?")
_YEAR = re.compile(r"([0-9]{4})年?度?")
_QUARTER_DIGITS = {"一": "1", "二": "2", "三": "3", "四": "4"}
_NUMBER_CODES: Final = {
    "too_many_decimals": CELL_TOO_MANY_DECIMALS,
    "too_many_digits": CELL_TOO_MANY_DIGITS,
    "too_long": CELL_TOO_MANY_DIGITS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The typed values of one row.

    Attributes:
        values: By field name; empty cells and fields at fault are absent. A
            field that this version of the form does not have stays as text,
            so that the standard refuses it by name.
        faults: Those of reading and of typing; the row is refused if there is any.
        notices: Values that were taken in another spelling than they were written in.
    """

    values: dict[str, Value]
    faults: tuple[CellFault, ...]
    notices: tuple[CellFault, ...]


class _Bad(Exception):
    """A text that cannot be taken; stays inside this module."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def payload_of(form: Form, row: SourceRow) -> Payload:
    """Type the cells of a row by the version of the form that is in force for its period.

    Never raises for what a cell holds: see `Payload.faults`.
    """
    values: dict[str, Value] = {}
    faults = list(row.faults)
    notices: list[CellFault] = []
    at_fault = {fault.field for fault in row.faults}
    for name, text in row.cells.items():
        if name in at_fault:
            continue
        field = form.fields.get(name)
        if field is None:
            if kept := text.strip(_BLANKS):
                values[name] = kept
            continue
        try:
            value, changed = _value(field, text)
        except _Bad as bad:
            label = field.label
            text_of = words(bad.code, label, scale=field.scale, precision=_digits(field))
            faults.append(row.fault(name, bad.code, text_of))
            continue
        if value is not None:
            values[name] = value
        if changed:
            notices.append(row.fault(name, CELL_NORMALISED, words(CELL_NORMALISED, field.label)))
    return Payload(values=values, faults=tuple(faults), notices=tuple(notices))


def period_of(row: SourceRow) -> str | None:
    """Give the period that a row names, in the accepted spelling where it can be brought to it."""
    text = row.cells.get("period")
    if text is None:
        return None
    return _period(_folded(text)) or None


def _value(field: Field, text: str) -> tuple[Value | None, bool]:
    """Type one text; tells also whether characters had to be exchanged."""
    if field.kind is FieldKind.STR:
        return _sentence(text), False
    plain = text.strip(_BLANKS)
    folded = _folded(text)
    if not folded:
        return None, False
    changed = folded != plain
    match field.kind:
        case FieldKind.DECIMAL:
            return _number(folded, field.precision, field.scale), changed
        case FieldKind.INT:
            return int(_number(folded, _INT_DIGITS, 0)), changed
        case FieldKind.BOOL:
            return _yes_no(folded), changed
        case FieldKind.DATE:
            accepted = _date(folded)
        case FieldKind.PERIOD:
            accepted = _period(folded)
        case FieldKind.USCC:
            accepted = folded.upper()
        case _:
            accepted = folded
    return accepted, accepted != plain


def _folded(text: str) -> str:
    """Make full-width signs plain and drop what is invisible."""
    return unicodedata.normalize("NFKC", text).translate(_INVISIBLE).strip(_BLANKS)


def _sentence(text: str) -> str | None:
    if _FORMULA_TEXT.match(text) or _FORMULA_TEXT.match(text.strip(_BLANKS)):
        raise _Bad(CELL_FORMULA_TEXT)
    stripped = text.strip(_BLANKS)
    if _CONTROL.search(stripped):
        raise _Bad(CELL_CONTROL_CHARACTER)
    return stripped or None


def _number(text: str, precision: int, scale: int) -> str:
    if _THOUSANDS.fullmatch(text):
        raise _Bad(CELL_THOUSANDS_SEPARATOR)
    try:
        return quantise(text, precision, scale)
    except NumberInvalid as error:
        raise _Bad(_NUMBER_CODES.get(str(error.params["reason"]), CELL_NUMBER_INVALID)) from None


def _yes_no(text: str) -> bool:
    try:
        return _YES_NO[text.casefold()]
    except KeyError:
        raise _Bad(CELL_YES_NO_INVALID) from None


def _date(text: str) -> str:
    match = _DATE.fullmatch(text)
    if match is None:
        raise _Bad(CELL_DATE_INVALID)
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        raise _Bad(CELL_DATE_INVALID) from None


def _period(text: str) -> str:
    """Bring a period to its accepted spelling; what is none stays as it is, to be refused by name.

    A month typed into a spreadsheet becomes the date of its first day, so such
    a date is read as the month.
    """
    folded = text.casefold()
    if match := _QUARTER.fullmatch(folded):
        digit = match[2] or _QUARTER_DIGITS.get(match[3], match[3])
        return f"{match[1]}-Q{digit}"
    if match := _DATE.fullmatch(folded):
        return f"{match[1]}-{int(match[2]):02d}" if int(match[3]) == 1 else text
    if match := _MONTH.fullmatch(folded):
        return f"{match[1]}-{int(match[2]):02d}"
    if match := _YEAR.fullmatch(folded):
        return match[1]
    return text


def _digits(field: Field) -> int:
    return _INT_DIGITS if field.kind is FieldKind.INT else field.precision
