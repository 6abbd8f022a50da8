"""Check the values of a row one by one: a form compiled into one JSON Schema.

The schema decides in one call whether a row is right, which nearly all are.
When it is not, its errors are turned into faults, all of them, in the order of
the form. A few promises are beyond JSON Schema (exact bounds of decimals, no
floats, minus zero, dated codes, the kind of a period) and are checked beside
it. Patterns run on a linear-time engine: no input makes them backtrack.
"""

from collections.abc import Iterator, Mapping
from datetime import date

import jsonschema_rs

from yidao.catalog import faults
from yidao.catalog.calendar import PERIOD_PATTERN, Period, PeriodKind
from yidao.catalog.codes import USCC_PATTERN, uscc_ok
from yidao.catalog.errors import CatalogError
from yidao.catalog.faults import Fault, field_fault
from yidao.catalog.numbers import decimal_pattern, format_decimal, parse_decimal
from yidao.catalog.pack.model import Field, FieldKind, Form, Pack, Text

# Years far from ours are typing errors; 9999-12-31 stands for "no end" elsewhere, never here.
_DATE_PATTERN = "^(?:19|20|21)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$"
_REGION_PATTERN = "^[1-9][0-9]{5}(?:[0-9]{6})?$"
_TEXT_PATTERN = "^[^\u0000-\u001f\u007f]*$"
_PATTERNS = {
    FieldKind.STR: _TEXT_PATTERN,
    FieldKind.DATE: _DATE_PATTERN,
    FieldKind.USCC: USCC_PATTERN,
    FieldKind.REGION: _REGION_PATTERN,
    FieldKind.PERIOD: PERIOD_PATTERN,
}
_EXPECTED = {
    FieldKind.STR: "text",
    FieldKind.INT: "integer",
    FieldKind.BOOL: "true/false",
    FieldKind.DATE: "YYYY-MM-DD",
    FieldKind.CODE: "code",
    FieldKind.USCC: "18-character code (GB 32100)",
    FieldKind.REGION: "6 or 12 digits (GB/T 2260)",
    FieldKind.PERIOD: "YYYY / YYYY-Qn / YYYY-MM",
}
_MAX_UNKNOWN_REPORTED = 50
_MAX_NAME_CHARS = 64


class Structure:
    """The compiled structure of one form. Calls do not change it."""

    def __init__(self, pack: Pack, form: Form) -> None:
        """Compile the form's JSON Schema."""
        self._form = form
        self._lists = pack.lists
        self._validator = jsonschema_rs.Draft202012Validator(
            json_schema(pack, form),
            pattern_options=jsonschema_rs.RegexOptions(),
            validate_formats=True,
            formats={"uscc": uscc_ok},
        )
        self._integers = tuple(
            field for field in form.fields.values() if field.kind is FieldKind.INT
        )
        self._bounded = tuple(
            field
            for field in form.fields.values()
            if field.kind is FieldKind.DECIMAL
            and (field.minimum != 0 or field.maximum != 10**field.precision - 1)
        )
        self._dated = tuple(
            field
            for field in form.fields.values()
            if field.list_id
            and any(
                item.valid_from or item.valid_to
                for item in pack.lists[field.list_id].items.values()
            )
        )

    def faults(self, row: Mapping[str, object], on: date | None = None) -> tuple[Fault, ...]:
        """Give every structural fault, in the order of the form; empty means that all is well.

        Args:
            row: Any mapping of names to JSON values.
            on: The day by which dated codes are judged; by default the first
                day of the row's own period, and without one they are not.
        """
        found: list[Fault] = []
        if not self._validator.is_valid(row):
            found.extend(self._schema_faults(row))
        seen = {fault.field for fault in found}
        found.extend(fault for fault in self._further(row, on) if fault.field not in seen)
        order = {name: place for place, name in enumerate(self._form.fields)}
        return tuple(sorted(found, key=lambda fault: order.get(fault.field, len(order))))

    def _schema_faults(self, row: Mapping[str, object]) -> Iterator[Fault]:
        """Turn the schema's errors into faults, one a field: the first that explains it."""
        missing = [
            field
            for field in self._form.fields.values()
            if field.required and field.name not in row
        ]
        for field in missing:
            yield field_fault(faults.VALUE_MISSING, field.name, field.label)
        yield from self._unknown(row)
        seen: set[str] = set()
        for error in self._validator.iter_errors(row):
            if not error.instance_path:
                continue
            name = str(error.instance_path[0])
            if name not in seen:
                seen.add(name)
                yield self._value_fault(self._form.fields[name], error.kind.name, row[name])

    def _unknown(self, row: Mapping[str, object]) -> Iterator[Fault]:
        unknown = sorted(str(name) for name in row if name not in self._form.fields)
        for name in unknown[:_MAX_UNKNOWN_REPORTED]:
            retired = self._form.retired.get(name)
            if retired is not None:
                since = retired.since_version
                yield field_fault(faults.FIELD_RETIRED, name, retired.label, since=since)
            else:
                shown = name[:_MAX_NAME_CHARS]
                yield field_fault(faults.FIELD_NOT_IN_FORM, shown, Text(zh=shown, en=shown))

    def _value_fault(self, field: Field, kind: str, value: object) -> Fault:
        if kind == "enum":
            return _not_in_list(field)
        if kind == "type":
            return _wrong_type(field)
        if kind == "maxLength":
            most = field.max_length
            return field_fault(faults.VALUE_TOO_LONG, field.name, field.label, most=most)
        if kind in ("minimum", "maximum") or _is_well_spelt(field, value):
            return _out_of_range(field)
        if kind == "format" and field.kind is FieldKind.USCC:
            return field_fault(faults.VALUE_CHECK_DIGIT, field.name, field.label)
        return _misspelt(field)

    def _further(self, row: Mapping[str, object], on: date | None) -> Iterator[Fault]:
        """Check what JSON Schema cannot say."""
        for field in self._integers:
            # JSON Schema takes 1.0 for an integer; a float is never exact enough here.
            if isinstance(row.get(field.name), float):
                yield _wrong_type(field)
        for field in self._bounded:
            yield from _decimal_range(field, row.get(field.name))
        period = row.get("period")
        if self._form.period is not PeriodKind.ON_CHANGE and isinstance(period, str):
            yield from self._period(period)
        if self._dated:
            day = _first_day(period) if on is None else on
            yield from self._dated_codes(row, day)

    def _period(self, text: str) -> Iterator[Fault]:
        field = self._form.fields["period"]
        try:
            kind = Period.parse(text).kind
        except CatalogError:
            yield _misspelt(field)
            return
        if kind is not self._form.period:
            expected = self._form.period.value
            yield field_fault(faults.VALUE_PERIOD_KIND, field.name, field.label, expected=expected)

    def _dated_codes(self, row: Mapping[str, object], day: date | None) -> Iterator[Fault]:
        for field in self._dated:
            item = self._lists[field.list_id].items.get(str(row.get(field.name)))
            if item is not None and day is not None and not item.valid_on(day):
                yield _not_in_list(field)


def json_schema(pack: Pack, form: Form) -> dict[str, object]:
    """Give the form as JSON Schema 2020-12, as integrators may use it too."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{pack.schema_id(form.id)} {form.title.zh}",
        "type": "object",
        "properties": {name: _field_schema(pack, field) for name, field in form.fields.items()},
        "required": [name for name, field in form.fields.items() if field.required],
        "additionalProperties": False,
    }


def _field_schema(pack: Pack, field: Field) -> dict[str, object]:
    if field.kind is FieldKind.BOOL:
        return {"type": "boolean"}
    if field.kind is FieldKind.INT:
        return {"type": "integer", "minimum": field.minimum, "maximum": field.maximum}
    if field.kind is FieldKind.CODE:
        return {"type": "string", "enum": list(pack.lists[field.list_id].items)}
    if field.kind is FieldKind.DECIMAL:
        signed = (field.minimum or 0) < 0
        return {
            "type": "string",
            "pattern": decimal_pattern(field.precision, field.scale, signed=signed),
        }
    schema: dict[str, object] = {"type": "string", "pattern": _PATTERNS[field.kind]}
    if field.kind is FieldKind.STR:
        schema["maxLength"] = field.max_length
        schema["minLength"] = 1 if field.required else 0
    if field.kind in (FieldKind.DATE, FieldKind.USCC):
        schema["format"] = field.kind.value
    return schema


def _wrong_type(field: Field) -> Fault:
    expected = "decimal text" if field.kind is FieldKind.DECIMAL else _EXPECTED[field.kind]
    return field_fault(faults.VALUE_TYPE, field.name, field.label, expected=expected)


def _misspelt(field: Field) -> Fault:
    if field.kind is FieldKind.DECIMAL:
        expected = format_decimal(0, field.scale)
    else:
        expected = _EXPECTED[field.kind]
    return field_fault(faults.VALUE_SPELLING, field.name, field.label, expected=expected)


def _not_in_list(field: Field) -> Fault:
    return field_fault(faults.VALUE_NOT_IN_LIST, field.name, field.label, list=field.list_id)


def _out_of_range(field: Field) -> Fault:
    low = format_decimal(field.minimum or 0, field.scale)
    high = format_decimal(field.maximum or 0, field.scale)
    return field_fault(faults.VALUE_RANGE, field.name, field.label, low=low, high=high)


def _is_well_spelt(field: Field, value: object) -> bool:
    """Whether a decimal is only where it must not be, such as below zero."""
    if field.kind is not FieldKind.DECIMAL or not isinstance(value, str):
        return False
    try:
        parse_decimal(value, field.precision, field.scale)
    except CatalogError:
        return False
    return True


def _decimal_range(field: Field, value: object) -> Iterator[Fault]:
    if not isinstance(value, str):
        return
    try:
        number = parse_decimal(value, field.precision, field.scale)
    except CatalogError:
        # Minus zero; any other spelling the schema has named already.
        yield _misspelt(field)
        return
    if (field.minimum is not None and number < field.minimum) or (
        field.maximum is not None and number > field.maximum
    ):
        yield _out_of_range(field)


def _first_day(period: object) -> date | None:
    try:
        return Period.parse(str(period)).first_day
    except CatalogError:
        return None
