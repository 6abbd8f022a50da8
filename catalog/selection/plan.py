"""A question checked against the columns, and rows judged by it.

    plan = Plan.of(question, columns)
    for row in rows:
        if plan.lets_through(row):
            plan.project(row)

Every check of types and masks is made before the first row is read.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from yidao.catalog.masks import mask
from yidao.catalog.numbers import INT64_MAX
from yidao.catalog.pack.model import Value
from yidao.catalog.selection.columns import Cell, Column, Kind, column
from yidao.catalog.selection.conditions import (
    AllOf,
    Comparison,
    Condition,
    Operator,
    comparisons,
)
from yidao.catalog.selection.errors import ColumnMasked, ColumnRefused, ColumnTypeWrong
from yidao.catalog.selection.question import Function, RowsQuestion

Row = Mapping[str, Value]
Test = Callable[[Row], bool]

_NUMBER = re.compile(r"(-?)([0-9]{1,30})(?:\.([0-9]{1,10}))?")
_POWERS: Final[tuple[int, ...]] = tuple(10**digits for digits in range(19))
_BOOLEANS: Final = {"true": True, "false": False}
_FIXING: Final = frozenset({Operator.EQUAL, Operator.IN})
_ORDERED: Final = frozenset({Operator.LESS, Operator.AT_MOST, Operator.GREATER, Operator.AT_LEAST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A question that fits the columns.

    Attributes:
        columns: Those of the answer: selected ones, or those to group by.
        personal: Some column of the answer is in another part of the record.
    """

    question: RowsQuestion
    offered: Mapping[str, Column]
    columns: tuple[Column, ...]
    lets_through: Test

    @classmethod
    def of(cls, question: RowsQuestion, offered: Mapping[str, Column]) -> Self:
        """Check a question.

        Raises:
            ColumnUnknown: The resource has no such column.
            ColumnMasked: Something depends on a masked one, or on what is in another part.
            ColumnRefused: One that may not be shown is asked for by its name.
            ColumnTypeWrong: A value or an operation does not fit the column.
        """
        for each in comparisons(question.condition):
            _open(offered, each.column)
        for measure in question.aggregate:
            if measure.function is not Function.COUNT:
                _check_measure(_open(offered, measure.column), measure.function)
        if question.aggregate:
            columns = tuple(_open(offered, name) for name in question.by)
        else:
            for order in question.order:
                _open(offered, order.column)
            wanted = question.select or [n for n, each in offered.items() if not each.refused]
            columns = tuple(_shown_at_all(offered, name) for name in wanted)
        return cls(
            question=question,
            offered=offered,
            columns=columns,
            lets_through=_test(question.condition, offered),
        )

    @property
    def personal(self) -> bool:
        """Whether some column of the answer is in the personal part of a record."""
        return any(each.personal for each in self.columns)

    def project(self, row: Row) -> tuple[Cell, ...]:
        """Give what the answer shows of a row, masked where it must be."""
        return tuple(_shown(row.get(each.name), each) for each in self.columns)

    def equals(self, name: str) -> tuple[str, ...]:
        """Give the values that a text column must have, as far as the condition fixes them.

        What is not fixed gives nothing. Storage may use it to read fewer rows.
        """
        condition = self.question.condition
        given = condition.conditions if isinstance(condition, AllOf) else (condition,)
        for each in given:
            fixed = isinstance(each, Comparison) and each.operator in _FIXING
            if isinstance(each, Comparison) and fixed and each.column == name:
                return each.values
        return ()


def shown_column(source: Column) -> Column:
    """Give a column as an answer names it: a masked one is text."""
    kind = Kind.TEXT if source.masked else source.kind
    scale = source.scale if kind is Kind.DECIMAL else 0
    return Column(name=source.name, kind=kind, scale=scale, masked=source.masked)


def number(value: Value | None, source: Column) -> int | None:
    """Give a row's number as an integer of the column's scale; None where there is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value * _POWERS[source.scale]
    found = _NUMBER.fullmatch(value)
    if found is None or len(found[3] or "") > source.scale:
        return None
    scaled = int(found[2] + (found[3] or "").ljust(source.scale, "0"))
    return -scaled if found[1] else scaled


def _shown(value: Value | None, source: Column) -> Cell:
    if value is None:
        return None
    if source.masked:
        return mask(value, source.label)
    if source.kind is Kind.INTEGER and (not isinstance(value, int) or abs(value) > INT64_MAX):
        return None
    # A row of an older version may hold another type: an answer has one type a column.
    if source.kind is Kind.BOOLEAN and not isinstance(value, bool):
        return None
    if source.kind is Kind.DECIMAL:
        return str(value) if number(value, source) is not None else None
    return value if source.kind in {Kind.INTEGER, Kind.BOOLEAN} else str(value)


def _open(offered: Mapping[str, Column], name: str) -> Column:
    found = column(offered, name)
    if found.masked or found.personal:
        raise ColumnMasked(column=name)
    return found


def _shown_at_all(offered: Mapping[str, Column], name: str) -> Column:
    found = column(offered, name)
    if found.refused:
        raise ColumnRefused(column=name)
    return found


def _check_measure(source: Column, function: Function) -> None:
    numeric = source.kind in {Kind.INTEGER, Kind.DECIMAL}
    if function in {Function.SUM, Function.AVG} and not numeric:
        raise ColumnTypeWrong(column=source.name, kind=source.kind.value)
    if source.kind is Kind.BOOLEAN:
        raise ColumnTypeWrong(column=source.name, kind=source.kind.value)


def _test(condition: Condition | None, offered: Mapping[str, Column]) -> Test:
    if condition is None:
        return lambda _row: True
    if isinstance(condition, Comparison):
        return _compare(condition, offered[condition.column])
    tests = [_test(each, offered) for each in condition.conditions]
    if isinstance(condition, AllOf):
        return lambda row: all(test(row) for test in tests)
    return lambda row: any(test(row) for test in tests)


def _compare(comparison: Comparison, source: Column) -> Test:
    name, operator = source.name, comparison.operator
    if source.kind is Kind.TEXT:
        return _judged(operator, comparison.values, lambda row: _text(row.get(name)))
    wrong = ColumnTypeWrong(column=name, kind=source.kind.value)
    if operator is Operator.CONTAINS:
        raise wrong
    if source.kind is Kind.BOOLEAN:
        if operator in _ORDERED or any(each not in _BOOLEANS for each in comparison.values):
            raise wrong
        flags = tuple(_BOOLEANS[each] for each in comparison.values)
        return _judged(operator, flags, lambda row: _flag(row.get(name)))
    found = [_NUMBER.fullmatch(each) for each in comparison.values]
    digits = [len(each[3] or "") for each in found if each is not None]
    if len(digits) != len(found):
        raise wrong
    # Compared at the finer of both scales: nothing is rounded.
    scale = max(source.scale, *digits)
    fine = Column(name=name, kind=Kind.DECIMAL, scale=scale)
    numbers = tuple(
        value for each in comparison.values if (value := number(each, fine)) is not None
    )
    return _judged(operator, numbers, lambda row: number(row.get(name), fine))


def _text(value: Value | None) -> str | None:
    return None if value is None or isinstance(value, bool) else str(value)


def _flag(value: Value | None) -> bool | None:
    return value if isinstance(value, bool) else None


def _judged(
    operator: Operator,
    values: tuple[str, ...] | tuple[int, ...],
    read: Callable[[Row], str | int | None],
) -> Test:
    judge = _JUDGES[operator]

    def test(row: Row) -> bool:
        held = read(row)
        return held is not None and judge(held, values)

    return test


# Both sides are of the column's kind, or `_compare` has refused the question.
_JUDGES: Final[Mapping[Operator, Callable[..., bool]]] = {
    Operator.EQUAL: lambda held, values: held == values[0],
    Operator.UNEQUAL: lambda held, values: held != values[0],
    Operator.LESS: lambda held, values: held < values[0],
    Operator.AT_MOST: lambda held, values: held <= values[0],
    Operator.GREATER: lambda held, values: held > values[0],
    Operator.AT_LEAST: lambda held, values: held >= values[0],
    Operator.CONTAINS: lambda held, values: values[0] in held,
    Operator.IN: lambda held, values: held in values,
}
