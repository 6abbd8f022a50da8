"""Roll-ups while a batch is folded: moved by new minus old, never computed afresh."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, select, tuple_

from yidao.api.errors import YidaoError
from yidao.catalog.pack.model import Form, Pack, RollupKind
from yidao.catalog.rollup import Rollup
from yidao.catalog.rows import parse_row
from yidao.node.affairs.reporting.lines import Book, Line
from yidao.node.affairs.reporting.rules import counts
from yidao.node.affairs.reporting.tables import rollup
from yidao.node.affairs.standards.queries import packs_in_force


class Scope(Enum):
    """What a total counts; the value is its name in the table."""

    # Members are compared by identity; the usual hash is computed from the name, in Python.
    __hash__ = object.__hash__

    SUBMITTED = "submitted"
    ACCEPTED = "accepted"


_SCOPES: Final = tuple(Scope)


class Cell(NamedTuple):
    """One row of the table `rollup`."""

    pack: str
    form: str
    period: str
    scope: Scope
    pack_version: str

    @classmethod
    def of(cls, line: Line, scope: Scope) -> "Cell":
        """Give the cell that a line counts in."""
        return cls(
            pack=line.key.pack,
            form=line.key.form,
            period=line.key.period,
            scope=scope,
            pack_version=line.pack_version,
        )


@dataclass(slots=True, kw_only=True)
class _Tally:
    returns: int
    totals: Rollup


class Share(NamedTuple):
    """What one return contributes to one scope: a line, and whether its figures are in the sum."""

    line: Line
    summed: bool


def shares_of(book: Book) -> dict[Scope, Share]:
    """Give what a return contributes as its book stands."""
    if not book.lines:
        return {}
    if len(book.lines) == 1:
        # Nearly every return has one version.
        (only,) = book.lines
        share = Share(line=only, summed=only.is_summable)
        counting = zip(_SCOPES, counts(only.state), strict=True)
        return {scope: share for scope, it_counts in counting if it_counts}
    chosen = book.counted()
    shares = {}
    for line in book.lines:
        if line.position == chosen.submitted:
            shares[Scope.SUBMITTED] = Share(line=line, summed=line.is_summable)
        if line.position == chosen.accepted:
            shares[Scope.ACCEPTED] = Share(line=line, summed=line.is_summable)
    return shares


def summed_form(pack: Pack, form_id: str) -> Form:
    """Give the form without its key fields.

    A key is different in each row: to count distinct keys means to hold them
    all, and their number is the number of returns anyhow.
    """
    form = pack.form(form_id)
    return replace(
        form, fields={name: each for name, each in form.fields.items() if name not in form.key}
    )


@dataclass(slots=True)
class Sums:
    """The roll-ups that a batch touches.

    A row whose figures cannot be added (a number that overflows, a payload
    that is none) is excluded with the error's code: it counts, but is in no
    sum. It never stops the fold.
    """

    conn: Connection
    _tallies: dict[Cell, _Tally] = field(default_factory=dict)
    _known: set[Cell] = field(default_factory=set)
    _adding: dict[Cell, list[Line]] = field(default_factory=lambda: defaultdict(list))
    _forms: dict[tuple[str, bytes], Form] = field(default_factory=dict)
    # Lines by position whose figures will stand in the submitted sums.
    _submitted: set[int] = field(default_factory=set)
    # By the positions of the lines that are in it.
    _rollups: dict[tuple[int, ...], Rollup] = field(default_factory=dict)

    def load(self, lines: Sequence[Line]) -> None:
        """Read the cells that these lines may count in."""
        places = {(line.key.pack, line.key.form, line.key.period) for line in lines}
        if not places:
            return
        table = rollup.c
        found = self.conn.execute(
            select(rollup).where(tuple_(table.pack, table.form, table.period).in_(places))
        )
        for row in found:
            cell = Cell(
                pack=row.pack,
                form=row.form,
                period=row.period,
                scope=Scope(row.scope),
                pack_version=row.pack_version,
            )
            self._known.add(cell)
            self._tallies[cell] = _Tally(
                returns=row.returns, totals=Rollup.decode(bytes(row.totals))
            )

    def move(self, before: dict[Scope, Share], after: dict[Scope, Share]) -> None:
        """Replace what a return contributed by what it contributes now."""
        for scope in _SCOPES:
            old, new = before.get(scope), after.get(scope)
            if old == new:
                continue
            if old is not None:
                self._count(Cell.of(old.line, scope), -1)
                if old.summed:
                    self._subtract(old.line, scope)
            if new is not None:
                self._count(Cell.of(new.line, scope), 1)
                if new.summed:
                    self._adding[Cell.of(new.line, scope)].append(new.line)
        submitted = after.get(Scope.SUBMITTED)
        if submitted is not None and submitted.summed:
            self._submitted.add(submitted.line.position)

    def settle(self) -> None:
        """Add what was moved in: many rows at once, and one by one only to find a bad one."""
        for cell in sorted(self._adding, key=lambda cell: cell.scope is Scope.ACCEPTED):
            lines = [line for line in self._adding[cell] if not line.excluded]
            if not self._add_all(cell, lines):
                for line in lines:
                    self._add(cell, line)
        self._adding.clear()

    def _add_all(self, cell: Cell, lines: Sequence[Line]) -> bool:
        if not lines:
            return True
        tally = self._tally(cell)
        try:
            form = self._form(lines[0])
            # The latest value depends on each row's own time; and lines of one
            # version number might still name different bytes of the pack.
            if has_latest(form) or len({line.schema_sha256 for line in lines}) > 1:
                return False
            tally.totals = tally.totals.merge(self._rollup(form, lines))
        except YidaoError:
            return False
        return True

    def _rollup(self, form: Form, lines: Sequence[Line]) -> Rollup:
        """Add rows up once, for both scopes: above the parent they come into both together."""
        place = tuple(line.position for line in lines)
        known = self._rollups.get(place)
        if known is None:
            rows = [parse_row(line.payload or b"") for line in lines]
            known = self._rollups[place] = Rollup.of(form, rows)
        return known

    def save(self) -> None:
        """Write the cells back; one that counts nothing any more is removed."""
        if not self._tallies:
            return
        if self._known:
            table = rollup.c
            columns = (table.pack, table.form, table.period, table.scope, table.pack_version)
            places = [
                (cell.pack, cell.form, cell.period, cell.scope.value, cell.pack_version)
                for cell in self._known
            ]
            self.conn.execute(delete(rollup).where(tuple_(*columns).in_(places)))
        rows = [
            {
                "pack": cell.pack,
                "form": cell.form,
                "period": cell.period,
                "scope": cell.scope.value,
                "pack_version": cell.pack_version,
                "returns": tally.returns,
                "totals": tally.totals.encode(),
            }
            for cell, tally in self._tallies.items()
            if tally.returns
        ]
        if rows:
            self.conn.execute(rollup.insert(), rows)

    def _count(self, cell: Cell, by: int) -> None:
        self._tally(cell).returns += by

    def _tally(self, cell: Cell) -> _Tally:
        tally = self._tallies.get(cell)
        if tally is None:
            # No fields yet: merging brings those of the first rows.
            empty = Rollup(form=cell.form, rows=0, fields={})
            tally = self._tallies[cell] = _Tally(returns=0, totals=empty)
        return tally

    def _form(self, line: Line) -> Form:
        """Find the form that a line was made by, among the packs that were there before it.

        Packs that came later are left out, so that a rebuild decides the same.

        Raises:
            SchemaUnknown, SchemaMismatch: There is none.
        """
        schema = f"{line.key.pack}/{line.pack_version}/{line.key.form}"
        known = self._forms.get((schema, line.schema_sha256))
        if known is None:
            packs = packs_in_force(self.conn, before_position=line.position)
            pack, form = packs.resolve(schema, line.schema_sha256)
            known = self._forms[schema, line.schema_sha256] = summed_form(pack, form.id)
        return known

    def _add(self, cell: Cell, line: Line) -> None:
        tally = self._tally(cell)
        try:
            row = parse_row(line.payload or b"")
            tally.totals = tally.totals.add(self._form(line), row, line.created_ms)
        except YidaoError as error:
            self._exclude(cell, line, error.code)

    def _exclude(self, cell: Cell, line: Line, code: str) -> None:
        # Accepted sums are settled last: what they refuse may be in the submitted ones already.
        if cell.scope is Scope.ACCEPTED and line.position in self._submitted:
            self._subtract(line, Scope.SUBMITTED)
        line.excluded = code
        line.changed = True

    def _subtract(self, line: Line, scope: Scope) -> None:
        row = parse_row(line.payload or b"")
        tally = self._tally(Cell.of(line, scope))
        tally.totals = tally.totals.subtract(self._form(line), row, line.created_ms)


def has_latest(form: Form) -> bool:
    """Whether a field goes by the time of each row."""
    return any(each.rollup is RollupKind.LATEST for each in form.fields.values())
