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

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import orjson

from yidao.catalog.errors import CatalogError, RollupMismatch
from yidao.catalog.numbers import (
    MAX_PRECISION,
    checked,
    column_spelling,
    format_decimal,
    spelling,
)
from yidao.catalog.pack.model import Field, FieldKind, Form, RollupKind, Value

_NUMBERS: Final = (FieldKind.INT, FieldKind.DECIMAL)
_ONE_VALUE: Final = (RollupKind.MIN, RollupKind.MAX, RollupKind.LATEST)
_LATEST: Final = re.compile(r"[0-9]{20}\|.*", re.DOTALL)
_COUNTED: Final = (RollupKind.SUM, RollupKind.COUNT)
_CHUNK_ROWS: Final = 1_000

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
        some = iter(rows)
        while chunk := list(islice(some, _CHUNK_ROWS)):
            tally.add_all(chunk, order)
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
                fields={str(name): _decoded(*share) for name, share in document["fields"].items()},
            )
        except (CatalogError, ValueError, KeyError, TypeError, AttributeError):
            raise RollupMismatch(form="", field="") from None


def _decoded(
    kind: str, value_kind: str, scale: int, amount: int, bag: dict[str, int]
) -> FieldTotal:
    """Read the share of one field; a value that could not be ordered or shown is refused."""
    total = FieldTotal(
        kind=RollupKind(kind),
        value_kind=FieldKind(value_kind),
        scale=_integer(scale),
        amount=_integer(amount),
        bag={value: _integer(count) for value, count in bag.items()},
    )
    if not 0 <= total.scale <= MAX_PRECISION:
        raise ValueError
    if total.kind is RollupKind.LATEST and not all(map(_LATEST.fullmatch, total.bag)):
        raise ValueError
    if total.kind in _ONE_VALUE:
        for value in total.bag:
            _ordering(total.value_kind, value.rpartition("|")[2])
    return total


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
        # Most fields are sums of decimals; they take the short way in `add`.
        self._sums = {
            field.name: spelling(field.precision, field.scale).fullmatch
            for field in self._fields
            if field.rollup is RollupKind.SUM and field.kind is FieldKind.DECIMAL
        }
        self._others = {field.name: field for field in self._fields if field.name not in self._sums}
        self._rows = 0
        self._amounts = dict.fromkeys((field.name for field in self._fields), 0)
        self._bags: dict[str, dict[str, int]] = {field.name: {} for field in self._fields}

    def add(self, row: Mapping[str, Value], order: int, times: int) -> None:
        self._rows += times
        sums, amounts = self._sums, self._amounts
        # By the row and not by the form: most fields of a form stand in few rows.
        for name, value in row.items():
            fits = sums.get(name)
            if fits is not None:
                if not isinstance(value, str) or fits(value) is None:
                    raise RollupMismatch(form=self._form.id, field=name)
                amounts[name] += times * int(value.replace(".", ""))
            elif (field := self._others.get(name)) is not None:
                self._add_other(field, value, order, times)

    def add_all(self, rows: Sequence[Mapping[str, Value]], order: int) -> None:
        """Add rows, their sums column by column: a third of the time of `add`."""
        self._rows += len(rows)
        columns: dict[str, list[Value]] = {name: [] for name in self._sums}
        for row in rows:
            for name, value in row.items():
                column = columns.get(name)
                if column is not None:
                    column.append(value)
                elif (field := self._others.get(name)) is not None:
                    self._add_other(field, value, order, 1)
        for name, column in columns.items():
            if column:
                self._amounts[name] += self._sum(name, column)

    def _sum(self, name: str, column: list[Value]) -> int:
        field = self._form.fields[name]
        try:
            text = "\n".join(column)  # type: ignore[arg-type]
        except TypeError:
            raise RollupMismatch(form=self._form.id, field=name) from None
        fits = column_spelling(field.precision, field.scale).fullmatch(text)
        # A value with a line break in it would be taken for two.
        if fits is None or text.count("\n") != len(column) - 1:
            raise RollupMismatch(form=self._form.id, field=name)
        return sum(map(int, text.replace(".", "").split("\n")))

    def _add_other(self, field: Field, value: Value, order: int, times: int) -> None:
        if field.kind in _NUMBERS and not _is_number(field, value):
            raise RollupMismatch(form=self._form.id, field=field.name)
        if field.rollup is RollupKind.SUM:
            self._amounts[field.name] += times * int(value)
        elif field.rollup is RollupKind.COUNT:
            # A flag counts where it is true, anything else where it is filled in.
            self._amounts[field.name] += times * (value is not False)
        else:
            written = _written(field, value, order)
            bag = self._bags[field.name]
            bag[written] = bag.get(written, 0) + times

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


def _is_number(field: Field, value: Value) -> bool:
    if field.kind is FieldKind.INT:
        return isinstance(value, int) and not isinstance(value, bool)
    fits = spelling(field.precision, field.scale).fullmatch
    return isinstance(value, str) and fits(value) is not None


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
