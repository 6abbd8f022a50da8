"""The first rows of an order, in room for about twice as many."""

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from yidao.catalog.selection.columns import Cell, Column, Kind
from yidao.catalog.selection.plan import number
from yidao.catalog.selection.question import Order

_SPARE: Final = 1_000

T = TypeVar("T")


class First(Generic[T]):
    """Keeps the first `limit` of what is added; without an order, those that came first.

    Numbers are compared as numbers; what has no value comes last. What is
    equal stays as it came.
    """

    def __init__(self, order: Sequence[Order], columns: Sequence[Column], limit: int) -> None:
        """Take the order, and what the cells are of; an order by other columns does nothing."""
        places = {source.name: place for place, source in enumerate(columns)}
        self._order = [
            (places[each.column], columns[places[each.column]], each.descending)
            for each in order
            if each.column in places
        ]
        self._limit = limit
        self._kept: list[tuple[Sequence[Cell], T]] = []
        self.dropped = False

    @property
    def full(self) -> bool:
        """Whether nothing that comes can change what is kept."""
        return not self._order and self.dropped

    def add(self, cells: Sequence[Cell], item: T) -> None:
        """Offer one item with the cells by which it is placed."""
        if not self._order and len(self._kept) >= self._limit:
            self.dropped = True
            return
        self._kept.append((cells, item))
        if len(self._kept) >= 2 * self._limit + _SPARE:
            self._cut()

    def take(self) -> list[T]:
        """Give what is kept, in order."""
        self._cut()
        return [item for _, item in self._kept]

    def _cut(self) -> None:
        # One stable sort a column, the last one first.
        for place, source, descending in reversed(self._order):
            self._kept.sort(key=lambda kept: _key(kept[0][place], source), reverse=descending)
            self._kept.sort(key=lambda kept: kept[0][place] is None)
        if len(self._kept) > self._limit:
            del self._kept[self._limit :]
            self.dropped = True


def _key(cell: Cell, source: Column) -> tuple[int, str]:
    if source.kind is Kind.TEXT:
        return 0, str(cell)
    if isinstance(cell, bool):
        return int(cell), ""
    return number(cell, source) or 0, ""
