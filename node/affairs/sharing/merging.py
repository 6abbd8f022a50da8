"""Putting the answers of many nodes together: exact, in bounded room, whatever the order."""

from collections.abc import Iterator, Sequence

from yidao.catalog.selection.columns import Cell, Column
from yidao.catalog.selection.errors import AnswerMalformed
from yidao.catalog.selection.groups import MAX_MERGED_GROUPS, Groups
from yidao.catalog.selection.order import First
from yidao.catalog.selection.question import RowsQuestion
from yidao.node.affairs.sharing.results import Line, NodeFate, Rows
from yidao.node.affairs.sharing.rows import Found

_LINES_AT_ONCE = 500


class Merge:
    """The answer to one question as it grows.

    Attributes:
        cut: Something was left out because of the limit.
    """

    def __init__(self, question: RowsQuestion) -> None:
        self.cut = False
        self._question = question
        self._columns: tuple[Column, ...] | None = None
        self._groups: Groups | None = None
        self._first: First[Line] | None = None
        self._given = 0

    @property
    def in_pieces(self) -> bool:
        """Whether rows can be handed on before all is known."""
        return not self._question.aggregate and not self._question.order

    @property
    def enough(self) -> bool:
        """Whether nothing that comes can change the answer."""
        return self.in_pieces and self._given >= self._question.limit

    def take(self, found: Found, fate: NodeFate) -> Rows | None:
        """Take what came of a node; give what can be handed on already.

        Raises:
            AnswerMalformed: Its columns are of other kinds than those of the others.
            GroupsTooMany: The groups of all nodes are too many.
        """
        if self._question.aggregate:
            self._take_groups(found)
            fate.rows += sum(group.rows for group in found.groups)
            return None
        places = self._places(found.columns)
        lines = [
            Line(_aligned(cells, places), str(fate.path), bool(fate.cached)) for cells in found.rows
        ]
        fate.rows += len(lines)
        if self.in_pieces:
            room = self._question.limit - self._given
            self.cut = self.cut or len(lines) > room
            self._given += len(lines[:room])
            return self._rows(lines[:room])
        if self._first is None:
            self._first = First(self._question.order, self._columns or (), self._question.limit)
        for line in lines:
            self._first.add(line.cells, line)
        return None

    def rest(self) -> Iterator[Rows]:
        """Give what could not be handed on before.

        Raises:
            NumberOverflow: A sum over all nodes leaves 64 bits.
        """
        if self._groups is not None:
            self._columns = self._groups.result_columns()
            self._first = First(self._question.order, self._columns, self._question.limit)
            for cells in self._groups.results():
                self._first.add(cells, Line(cells))
        if self._first is None:
            return
        lines = self._first.take()
        self.cut = self.cut or self._first.dropped
        for start in range(0, len(lines), _LINES_AT_ONCE):
            rows = self._rows(lines[start : start + _LINES_AT_ONCE])
            if rows is not None:
                yield rows

    def _rows(self, lines: Sequence[Line]) -> Rows | None:
        return Rows(self._columns or (), tuple(lines)) if lines else None

    def _take_groups(self, found: Found) -> None:
        keys = len(self._question.by)
        if self._groups is None:
            self._columns = found.columns
            self._groups = Groups(
                self._question,
                found.columns[:keys],
                found.columns[keys:],
                MAX_MERGED_GROUPS,
            )
        elif [each.kind for each in found.columns] != [each.kind for each in self._columns or ()]:
            raise AnswerMalformed(reason="columns")
        self._groups.merge(found.groups, found.columns[keys:])

    def _places(self, columns: Sequence[Column]) -> list[int | None]:
        """Say where the columns of the answer stand in those of a node."""
        if self._columns is None:
            self._columns = tuple(columns)
        at = {each.name: place for place, each in enumerate(columns)}
        for own in self._columns:
            place = at.get(own.name)
            other = own if place is None else columns[place]
            # One node may mask what another one shows.
            if other.kind is not own.kind and not (other.masked or own.masked):
                raise AnswerMalformed(reason="columns")
        return [at.get(each.name) for each in self._columns]


def _aligned(cells: Sequence[Cell], places: Sequence[int | None]) -> tuple[Cell, ...]:
    return tuple(None if place is None else cells[place] for place in places)
