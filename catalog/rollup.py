"""Roll-ups: the figures of many rows as one, in a form that can be added and taken back.

A `Rollup` of a form is an element of a commutative group: `merge` is its
addition, a zero exists, and every row has an inverse. So a replaced version is
`subtract(old).add(new)`, parts may arrive in any order and be merged in any
shape of tree, and the total is the same to the digit. Sums are scaled
integers. Minimum, maximum, latest and distinct counts are kept as multisets
(value → how many rows), since from a bare minimum no row could be taken back;
their size grows with the number of different values.

Roll-ups made under different versions of a pack merge by field name: a field
that one version lacks simply has no share from it, and a finer scale wins.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from yidao.catalog.errors import CatalogError, NumberInvalid, RollupMismatch
from yidao.catalog.numbers import checked, format_decimal, parse_decimal
from yidao.catalog.pack.model import Field, FieldKind, Form, RollupKind, Value

_COUNTED: Final = (RollupKind.SUM, RollupKind.COUNT)

Total = str | int | Mapping[str, int]
"""A decimal sum is a string, an integer sum or a count an int, a histogram {code: rows}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTotal:
    """The share of one field.

    Attributes:
        kind: How it rolls up.
        value_kind: The kind of the field, which says how an extreme is ordered and written.
        scale: Of the sum.
        amount: The sum (scaled) or the count; 0 for the other kinds.
        bag: Value → number of rows, for the other kinds. For `latest`, the
            values are "<order>|<value>" with the order zero-padded.
    """

    kind: RollupKind
    value_kind: FieldKind
    scale: int
    amount: int
    bag: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """The figures of any number of rows of one form.

    Attributes:
        rows: How many rows it holds (added minus subtracted).
        fields: Totals by field name; fields that do not roll up are absent.
    """

    form: str
    rows: int
    fields: Mapping[str, FieldTotal]

    @classmethod
    def zero(cls, form: Form) -> "Rollup":
        """Give the roll-up of no rows."""
        return cls(
            form=form.id,
            rows=0,
            fields={
                name: FieldTotal(
                    kind=field.rollup, value_kind=field.kind, scale=field.scale, amount=0, bag={}
                )
                for name, field in form.fields.items()
                if field.rollup is not RollupKind.NONE
            },
        )

    @classmethod
    def of(cls, form: Form, rows: Iterable[Mapping[str, Value]], order: int = 0) -> "Rollup":
        """Give the roll-up of rows that have been checked.

        Raises:
            NumberOverflow: A sum leaves 64 bits.
            RollupMismatch: A row holds a value that the form does not allow.
        """
        tally = _Tally(form)
        for row in rows:
            tally.add(row, order, 1)
        return tally.result()

    def add(self, form: Form, row: Mapping[str, Value], order: int = 0) -> "Rollup":
        """Give the roll-up with one more row.

        Args:
            form: The form of the version that the row was checked by.
            row: A row without faults.
            order: What `latest` goes by: a position or a day number, not negative.

        Raises:
            NumberOverflow: A sum leaves 64 bits.
            RollupMismatch: The row is of another form, or was not checked.
        """
        tally = _Tally(form)
        tally.add(row, order, 1)
        return self.merge(tally.result())

    def subtract(self, form: Form, row: Mapping[str, Value], order: int = 0) -> "Rollup":
        """Give the roll-up without a row that it holds; the exact inverse of `add`.

        Raises:
            NumberOverflow: A sum leaves 64 bits.
            RollupMismatch: The row is of another form, or was not checked.
        """
        tally = _Tally(form)
        tally.add(row, order, -1)
        return self.merge(tally.result())

    def merge(self, other: "Rollup") -> "Rollup":
        """Give the roll-up of the rows of both.

        Raises:
            NumberOverflow: A sum leaves 64 bits.
            RollupMismatch: They are of different forms, or a field rolls up differently.
        """
        if other.form != self.form:
            raise RollupMismatch(form=self.form, field="")
        fields = dict(self.fields)
        for name, total in other.fields.items():
            fields[name] = (
                _merged(self.form, name, fields[name], total) if name in fields else total
            )
        return Rollup(form=self.form, rows=self.rows + other.rows, fields=fields)

    def totals(self) -> dict[str, Total]:
        """Give the figures for people; minimum, maximum and latest only where rows exist."""
        return {
            name: shown for name, total in self.fields.items() if (shown := _shown(total)) != ""
        }

    def encode(self) -> bytes:
        """Give canonical bytes, equal for equal roll-ups."""
        fields = {
            name: [total.kind.value, total.value_kind.value, total.scale, total.amount, total.bag]
            for name, total in self.fields.items()
        }
        document = {"form": self.form, "rows": self.rows, "fields": fields}
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def decode(cls, data: bytes) -> "Rollup":
        """Read what `encode` wrote.

        Raises:
            RollupMismatch: It did not write this.
        """
        try:
            document = orjson.loads(data)
            return cls(
                form=str(document["form"]),
                rows=_integer(document["rows"]),
                fields={
                    str(name): FieldTotal(
                        kind=RollupKind(kind),
                        value_kind=FieldKind(value_kind),
                        scale=_integer(scale),
                        amount=_integer(amount),
                        bag={str(value): _integer(count) for value, count in bag.items()},
                    )
                    for name, (kind, value_kind, scale, amount, bag) in document["fields"].items()
                },
            )
        except (CatalogError, ValueError, KeyError, TypeError, AttributeError):
            raise RollupMismatch(form="", field="") from None


def _integer(value: object) -> int:
    """Read an integer; a float would be a rounded figure, and a flag is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return checked(value)


class _Tally:
    """Rows added one by one into mutable totals; used within one call, never shared."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._fields = [
            field for field in form.fields.values() if field.rollup is not RollupKind.NONE
        ]
        self._rows = 0
        self._amounts = dict.fromkeys((field.name for field in self._fields), 0)
        self._bags: dict[str, dict[str, int]] = {field.name: {} for field in self._fields}

    def add(self, row: Mapping[str, Value], order: int, times: int) -> None:
        self._rows += times
        for field in self._fields:
            value = row.get(field.name)
            if value is None:
                continue
            if field.rollup in _COUNTED:
                self._amounts[field.name] += times * self._amount(field, value)
            else:
                written = _written(field, value, order)
                bag = self._bags[field.name]
                bag[written] = bag.get(written, 0) + times

    def _amount(self, field: Field, value: Value) -> int:
        if field.rollup is RollupKind.COUNT:
            # A flag counts where it is true, anything else where it is filled in.
            return int(value is not False)
        if isinstance(value, str) and field.kind is FieldKind.DECIMAL:
            try:
                return parse_decimal(value, field.precision, field.scale)
            except NumberInvalid:
                raise RollupMismatch(form=self._form.id, field=field.name) from None
        if isinstance(value, int) and field.kind is FieldKind.INT:
            return value
        raise RollupMismatch(form=self._form.id, field=field.name)

    def result(self) -> Rollup:
        return Rollup(
            form=self._form.id,
            rows=self._rows,
            fields={
                field.name: FieldTotal(
                    kind=field.rollup,
                    value_kind=field.kind,
                    scale=field.scale,
                    amount=checked(self._amounts[field.name]),
                    bag={v: n for v, n in self._bags[field.name].items() if n},
                )
                for field in self._fields
            },
        )


def _written(field: Field, value: Value, order: int) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{order:020d}|{text}" if field.rollup is RollupKind.LATEST else text


def _merged(form: str, name: str, left: FieldTotal, right: FieldTotal) -> FieldTotal:
    if left.kind is not right.kind or left.value_kind is not right.value_kind:
        raise RollupMismatch(form=form, field=name)
    scale = max(left.scale, right.scale)
    amount = _rescaled(left, scale) + _rescaled(right, scale)
    bag = dict(left.bag)
    for value, count in right.bag.items():
        bag[value] = bag.get(value, 0) + count
        # A zero entry would make equal roll-ups unequal.
        if bag[value] == 0:
            del bag[value]
    return FieldTotal(
        kind=left.kind, value_kind=left.value_kind, scale=scale, amount=checked(amount), bag=bag
    )


def _rescaled(total: FieldTotal, scale: int) -> int:
    if total.kind is not RollupKind.SUM:
        return total.amount
    return total.amount * int(10 ** (scale - total.scale))


def _shown(total: FieldTotal) -> Total:
    if total.kind in _COUNTED:
        is_decimal = total.kind is RollupKind.SUM and total.value_kind is FieldKind.DECIMAL
        return format_decimal(total.amount, total.scale) if is_decimal else total.amount
    present = [value for value, count in total.bag.items() if count > 0]
    if total.kind is RollupKind.HISTOGRAM:
        return {value: total.bag[value] for value in sorted(present)}
    if total.kind is RollupKind.COUNT_DISTINCT:
        return len(present)
    if not present:
        return ""
    if total.kind is RollupKind.LATEST:
        chosen = max(present).partition("|")[2]
    else:
        choose = min if total.kind is RollupKind.MIN else max
        chosen = choose(present, key=lambda value: _ordering(total.value_kind, value))
    return int(chosen) if total.value_kind is FieldKind.INT else chosen


def _ordering(kind: FieldKind, value: str) -> tuple[int, str]:
    """Order numbers by value and days and periods by their spelling."""
    if kind is FieldKind.INT:
        return int(value), ""
    if kind is FieldKind.DECIMAL:
        # One scale for all of a version; a finer one still compares after padding.
        whole, _, fraction = value.partition(".")
        return int(whole + fraction.ljust(9, "0")), ""
    return 0, value
