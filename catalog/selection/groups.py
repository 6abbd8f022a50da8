"""Counts, sums and extremes by group: exact, and put together over nodes without rounding.

What travels of a group is its parts and never its quotients: an average over
several nodes is formed of their sums and counts, at the very end.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from yidao.catalog.numbers import checked, format_decimal, round_ratio
from yidao.catalog.pack.model import Value
from yidao.catalog.selection.columns import Cell, Column, Kind, column
from yidao.catalog.selection.errors import GroupsTooMany
from yidao.catalog.selection.plan import number, shown_column
from yidao.catalog.selection.question import Function, Measure, RowsQuestion

#: Of one node, and of all together.
MAX_GROUPS: Final = 1_000
MAX_MERGED_GROUPS: Final = 10_000
#: Digits that an average has more than its column.
_AVERAGE_DIGITS: Final = 2


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of one measure over the rows of a group.

    Attributes:
        rows: Rows that have a value.
        value: Their sum, least or greatest; None for a count, and where there is none.
    """

    rows: int
    value: Cell


@dataclass(frozen=True, slots=True)
class Group:
    """One group: its key, how many rows it has, and a part for each measure."""

    key: tuple[Cell, ...]
    rows: int
    parts: tuple[Part, ...]


def measure_columns(
    measures: Iterable[Measure], offered: Mapping[str, Column]
) -> tuple[Column, ...]:
    """Give what each measure is of: its kind and its scale."""
    found = []
    for measure in measures:
        if measure.function is Function.COUNT:
            found.append(Column(name=str(measure), kind=Kind.INTEGER))
        else:
            source = shown_column(column(offered, measure.column))
            found.append(Column(name=str(measure), kind=source.kind, scale=source.scale))
    return tuple(found)


@dataclass(slots=True)
class _Running:
    """A part that grows; numbers are integers of the column's scale."""

    rows: int = 0
    value: int | str | None = None


@dataclass(slots=True)
class _Sum:
    rows: int = 0
    parts: list[_Running] = field(default_factory=list)


class Groups:
    """Groups that grow by rows, or by the groups of other nodes.

    Args:
        question: With at least one measure.
        keys, measures: Columns of the answer, as `shown_column` and `measure_columns` give them.
        limit: How many groups there may be.
    """

    def __init__(
        self,
        question: RowsQuestion,
        keys: Sequence[Column],
        measures: Sequence[Column],
        limit: int = MAX_GROUPS,
    ) -> None:
        self._question = question
        self._keys = tuple(keys)
        self._measures = tuple(measures)
        self._limit = limit
        self._sums: dict[tuple[Cell, ...], _Sum] = {}

    def add_row(self, key: tuple[Cell, ...], row: Mapping[str, Value]) -> None:
        """Count a row in.

        Raises:
            GroupsTooMany: It opens a group too many.
        """
        total = self._group(key)
        total.rows += 1
        for running, measure, source in zip(
            total.parts, self._question.aggregate, self._measures, strict=True
        ):
            if measure.function is not Function.COUNT:
                _add(running, measure.function, _comparable(row.get(measure.column), source), 1)

    def merge(self, groups: Iterable[Group], measures: Sequence[Column]) -> None:
        """Count the groups of another node in; its numbers may be of another scale.

        Raises:
            GroupsTooMany: They open a group too many.
        """
        self._widen(measures)
        for group in groups:
            total = self._group(group.key)
            total.rows += group.rows
            for running, measure, part, source in zip(
                total.parts, self._question.aggregate, group.parts, self._measures, strict=True
            ):
                if measure.function is not Function.COUNT:
                    _add(running, measure.function, _comparable(part.value, source), part.rows)

    def groups(self) -> Iterator[Group]:
        """Give the groups as they travel.

        Raises:
            NumberOverflow: A sum leaves 64 bits.
        """
        for key, total in self._sums.items():
            parts = tuple(
                Part(running.rows, _written(running.value, source))
                for running, source in zip(total.parts, self._measures, strict=True)
            )
            yield Group(key, total.rows, parts)

    def result_columns(self) -> tuple[Column, ...]:
        """Give the columns of `results`."""
        averaged = [
            Column(name=source.name, kind=Kind.DECIMAL, scale=source.scale + _AVERAGE_DIGITS)
            if measure.function is Function.AVG
            else source
            for measure, source in zip(self._question.aggregate, self._measures, strict=True)
        ]
        return (*self._keys, *averaged)

    def results(self) -> Iterator[tuple[Cell, ...]]:
        """Give the groups as they are shown: key, then one value a measure.

        Raises:
            NumberOverflow: A sum leaves 64 bits.
        """
        for key, total in self._sums.items():
            yield (*key, *self._values(total))

    def _values(self, total: _Sum) -> Iterator[Cell]:
        for running, measure, source in zip(
            total.parts, self._question.aggregate, self._measures, strict=True
        ):
            if measure.function is Function.COUNT:
                yield total.rows
            elif measure.function is Function.AVG and isinstance(running.value, int):
                mean = Fraction(checked(running.value), running.rows * 10**source.scale)
                yield round_ratio(mean, source.scale + _AVERAGE_DIGITS)
            else:
                yield _written(running.value, source)

    def _group(self, key: tuple[Cell, ...]) -> _Sum:
        total = self._sums.get(key)
        if total is None:
            if len(self._sums) >= self._limit:
                raise GroupsTooMany(limit=self._limit)
            total = self._sums[key] = _Sum(parts=[_Running() for _ in self._measures])
        return total

    def _widen(self, measures: Sequence[Column]) -> None:
        """Bring what is held to the finer scale where another node has one."""
        for place, (own, other) in enumerate(zip(self._measures, measures, strict=True)):
            if other.scale <= own.scale:
                continue
            factor = 10 ** (other.scale - own.scale)
            for total in self._sums.values():
                running = total.parts[place]
                if isinstance(running.value, int):
                    running.value *= factor
            self._measures = (*self._measures[:place], other, *self._measures[place + 1 :])


def _comparable(value: Cell, source: Column) -> int | str | None:
    if source.kind in {Kind.INTEGER, Kind.DECIMAL}:
        return number(value, source)
    return None if value is None else str(value)


def _add(running: _Running, function: Function, value: int | str | None, rows: int) -> None:
    if value is None:
        return
    running.rows += rows
    held = running.value
    if held is None:
        running.value = value
    elif isinstance(held, int) and isinstance(value, int):
        if function is Function.MIN:
            running.value = min(held, value)
        elif function is Function.MAX:
            running.value = max(held, value)
        else:
            running.value = held + value
    elif isinstance(held, str) and isinstance(value, str):
        running.value = min(held, value) if function is Function.MIN else max(held, value)


def _written(value: int | str | None, source: Column) -> Cell:
    if isinstance(value, int) and source.kind is Kind.DECIMAL:
        return format_decimal(checked(value), source.scale)
    return checked(value) if isinstance(value, int) else value
