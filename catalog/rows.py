"""The bytes of a row, and the fields of a row that are computed rather than asked for.

A row is one flat JSON object; its canonical bytes (sorted keys, no spaces,
UTF-8) are what a record's part holds. Two rows are equal exactly when their
canonical bytes are.
"""

import json
import math
from collections.abc import Mapping
from fractions import Fraction

import orjson

from yidao.catalog.errors import NumberInvalid, PayloadInvalid
from yidao.catalog.formula import Formula
from yidao.catalog.numbers import checked, format_decimal, parse_decimal
from yidao.catalog.pack.lint import factor_names
from yidao.catalog.pack.model import Field, FieldKind, Form, Pack, Value

MAX_ROW_BYTES = 256 * 1024
_MAX_FIELDS = 256
_MAX_TEXT_CHARS = 4_000
_MAX_INTEGER = 10**15


def parse_row(data: bytes) -> dict[str, Value]:
    """Read a row, strictly.

    Raises:
        PayloadInvalid: Too large, not UTF-8 JSON, not one flat object,
            duplicate keys, a float, null, nesting, or an integer past 10^15.
    """
    if len(data) > MAX_ROW_BYTES:
        raise PayloadInvalid(reason="too_large")
    try:
        loaded = orjson.loads(data)
    except orjson.JSONDecodeError:
        # Also depth past the parser's bound, NaN, Infinity, lone surrogates.
        raise PayloadInvalid(reason="not_json") from None
    if not isinstance(loaded, dict):
        raise PayloadInvalid(reason="not_an_object")
    if len(loaded) > _MAX_FIELDS:
        raise PayloadInvalid(reason="too_many_fields")
    for value in loaded.values():
        # Nearly every value is a short text; the call costs more than the look.
        if type(value) is not str or len(value) > _MAX_TEXT_CHARS:
            _check_value(value)
    # The fast parser keeps the last of two equal keys. Canonical bytes cannot
    # hide one, so only other spellings pay for the slow look.
    if orjson.dumps(loaded, option=orjson.OPT_SORT_KEYS) != data:
        json.loads(data, object_pairs_hook=_refuse_duplicates)
    return loaded


def encode_row(row: Mapping[str, Value]) -> bytes:
    """Give the canonical bytes of a row.

    Raises:
        PayloadInvalid: A value is of a type that rows do not have, or the row is too large.
    """
    for value in row.values():
        if type(value) is not str or len(value) > _MAX_TEXT_CHARS:
            _check_value(value)
    try:
        data = orjson.dumps(dict(row), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, TypeError):
        raise PayloadInvalid(reason="not_json") from None
    if len(data) > MAX_ROW_BYTES:
        raise PayloadInvalid(reason="too_large")
    return data


def _check_value(value: object) -> None:
    if isinstance(value, str):
        if len(value) > _MAX_TEXT_CHARS:
            raise PayloadInvalid(reason="text_too_long")
    elif not isinstance(value, int):
        raise PayloadInvalid(reason="value_type")
    elif not -_MAX_INTEGER <= value <= _MAX_INTEGER:
        raise PayloadInvalid(reason="integer_too_large")


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    collected = dict(pairs)
    if len(collected) != len(pairs):
        raise PayloadInvalid(reason="duplicate_key")
    return collected


class Numbers:
    """Reads the numbers of a form's rows as scaled integers, once for all who compute."""

    def __init__(self, form: Form) -> None:
        """Take the number fields of a form."""
        self._decimals = tuple(f for f in form.fields.values() if f.kind is FieldKind.DECIMAL)
        self._integers = tuple(f for f in form.fields.values() if f.kind is FieldKind.INT)

    def checked_row(self, row: Mapping[str, Value]) -> dict[str, int]:
        """Give the numbers of a row that has no structural fault; absent ones are absent."""
        numbers = {
            field.name: int(str(row[field.name]).replace(".", ""))
            for field in self._decimals
            if field.name in row
        }
        for field in self._integers:
            if field.name in row:
                numbers[field.name] = int(row[field.name])
        return numbers

    def any_row(self, row: Mapping[str, Value]) -> dict[str, int]:
        """Give those numbers of an unchecked row that can be read; the check names the others."""
        numbers = {}
        for field in (*self._decimals, *self._integers):
            value = row.get(field.name)
            if isinstance(value, str):
                try:
                    numbers[field.name] = parse_decimal(value, field.precision, field.scale)
                except NumberInvalid:
                    continue
            elif isinstance(value, int):
                numbers[field.name] = value
        return numbers


class Computation:
    """The computed fields of one form: weighted sums, in integers all the way.

    The weights are the pack's factors, so two versions of a pack with other
    factors give other totals for the same quantities; each row is computed by
    the version in force for its period.
    """

    def __init__(self, pack: Pack, form_id: str) -> None:
        """Take the computed fields of a form.

        Raises:
            FormUnknown: The pack has no such form.
        """
        form = pack.form(form_id)
        factors = factor_names(pack)
        self._fields = tuple(
            (field, _integer_weights(field, form.fields, factors))
            for field in form.fields.values()
            if field.computed
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The computed fields, in the order of the form."""
        return tuple(field.name for field, _ in self._fields)

    def values(self, numbers: Mapping[str, int]) -> dict[str, str]:
        """Give the computed fields from a row's numbers; absent quantities count as 0.

        Raises:
            NumberOverflow: A sum does not fit 64 bits.
        """
        values = {}
        for field, (weights, divisor) in self._fields:
            total = sum(weight * numbers.get(name, 0) for name, weight in weights)
            values[field.name] = format_decimal(_divide_half_even(total, divisor), field.scale)
        return values


def _integer_weights(
    field: Field, fields: Mapping[str, Field], factors: Mapping[str, Fraction]
) -> tuple[tuple[tuple[str, int], ...], int]:
    """Bring exact weights to integers over one divisor: Σ weightᵢ·scaledᵢ / divisor."""
    weights = Formula.parse(field.computed).weights(factors) or {}
    exact = {
        name: weight * 10**field.scale / 10 ** fields[name].scale
        for name, weight in weights.items()
    }
    divisor = math.lcm(*(weight.denominator for weight in exact.values()))
    return tuple((name, int(w * divisor)) for name, w in exact.items()), divisor


def _divide_half_even(total: int, divisor: int) -> int:
    quotient, rest = divmod(total, divisor)
    doubled = 2 * rest
    return checked(quotient + (doubled > divisor or (doubled == divisor and quotient % 2)))
