"""A roll-up taken apart: by the nodes below, by region, by class of unit, or unit by unit.

The rows are formed from the versions of returns that count in the roll-up, by
the very choice that the projector makes, so that all rows of one position add
up to it exactly. A return belongs to the node that it came from and to its
unit's region and class as the registry here knows them now; a unit that is in
no registry here has an empty region and class.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from yidao.catalog.calendar import Period
from yidao.catalog.pack.model import Form, Pack
from yidao.catalog.pack.versions import PackSet
from yidao.catalog.rollup import Rollup
from yidao.catalog.rows import parse_row
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import BreakdownInvalid, CursorInvalid
from yidao.node.affairs.registry.views import unit
from yidao.node.affairs.reporting.lines import Book, Line, line_of
from yidao.node.affairs.reporting.owed import Page
from yidao.node.affairs.reporting.queries import FormTotals, Totals, totals_of
from yidao.node.affairs.reporting.snapshot import caught_up
from yidao.node.affairs.reporting.sums import Scope, has_latest, shares_of, summed_form
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.reporting.titles import path_label, region_name, type_name, unit_names
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.sync.errors import PathInvalid
from yidao.sync.ids import Path

_ROWS_AT_ONCE = 1_000
# A region that is not known has the empty key, and an empty mark ends the list.
_AFTER = ">"


class By(Enum):
    """What a row is of; the value is its spelling in the local API."""

    CHILD = "child"
    REGION = "region"
    INST_TYPE = "inst_type"
    UNIT = "unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which roll-up, and how to take it apart.

    Attributes:
        path: Only what came from this node and below it; empty for all.
    """

    pack: str
    form: str
    period: str
    by: str
    scope: str = Scope.ACCEPTED.value
    path: str = ""
    page: Page = field(default_factory=Page)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One row: a path, a code or a unit, what people call it, and its figures."""

    key: str
    title: str
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakDown:
    """One page of shares, by key."""

    rows: tuple[Share, ...]
    next: str
    position: int


def break_down(desk: Desk, wanted: Wanted) -> BreakDown:
    """Take a roll-up apart, one page of it.

    Raises:
        BreakdownInvalid: There is no such `by` or `scope`, or `path` is none of this subtree.
        PackUnknown, PackNotInForce, FormUnknown, PeriodInvalid: There is no such standard.
        CursorInvalid: `page.after` is no mark of this list.
        ViewsBehind: The projections do not catch up with the store.
    """
    by, scope, below = _read(desk, wanted)
    first_day = Period.parse(wanted.period).first_day
    with caught_up(desk) as (conn, position):
        packs = packs_in_force(conn)
        pack = packs.in_force(wanted.pack, first_day)
        pack.form(wanted.form)
        place = _Place(
            pack=pack.id, period=wanted.period, by=by, scope=scope, below=below, packs=packs
        )
        shares, following = _page(conn, place, wanted.form, wanted.page)
        others = {form: _shares(conn, place, form, only=shares) for form in _beside(pack, wanted)}
        titles = _titles(conn, pack, by, shares)
        rows = tuple(
            Share(
                key=key,
                title=titles.get(key, ""),
                totals=totals_of(pack, wanted.form, _forms_of(key, wanted.form, share, others)),
            )
            for key, share in shares.items()
        )
    return BreakDown(rows=rows, next=following, position=position)


def _read(desk: Desk, wanted: Wanted) -> tuple[By, Scope, Path]:
    try:
        by = By(wanted.by)
    except ValueError:
        raise BreakdownInvalid(field="by") from None
    try:
        scope = Scope(wanted.scope)
    except ValueError:
        raise BreakdownInvalid(field="scope") from None
    try:
        below = Path.parse(wanted.path) if wanted.path else desk.path
    except PathInvalid:
        raise BreakdownInvalid(field="path") from None
    if not below.is_within(desk.path):
        raise BreakdownInvalid(field="path")
    return by, scope, below


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """How returns are chosen and sorted into rows."""

    pack: str
    period: str
    by: By
    scope: Scope
    below: Path
    packs: PackSet

    def key_of(self, line: Line, row: Row[Any]) -> str | None:
        """Give the row that a line belongs into; None if it came from elsewhere."""
        path = Path.parse(line.origin_path)
        if not path.is_within(self.below):
            return None
        match self.by:
            case By.UNIT:
                return line.key.unit
            case By.REGION:
                return row.region_code or ""
            case By.INST_TYPE:
                return row.inst_type or ""
            case By.CHILD:
                return str(Path(path.labels[: self.below.depth + 1]))


@dataclass(slots=True)
class _Sum:
    """The figures of one row while lines are added."""

    packs: PackSet
    returns: int = 0
    totals: Rollup | None = None
    _waiting: dict[tuple[str, bytes], list[Line]] = field(default_factory=lambda: defaultdict(list))
    _count: int = 0

    def add(self, line: Line, *, summed: bool) -> None:
        self.returns += 1
        if not summed:
            return
        schema = f"{line.key.pack}/{line.pack_version}/{line.key.form}"
        self._waiting[schema, line.schema_sha256].append(line)
        self._count += 1
        if self._count >= _ROWS_AT_ONCE:
            self._settle()

    def result(self, form_id: str) -> FormTotals:
        self._settle()
        totals = self.totals or Rollup(form=form_id, rows=0, fields={})
        return FormTotals(returns=self.returns, totals=totals)

    def _settle(self) -> None:
        for (schema, digest), lines in self._waiting.items():
            pack, form = self.packs.resolve(schema, digest)
            summed = _rolled(summed_form(pack, form.id), lines)
            self.totals = summed if self.totals is None else self.totals.merge(summed)
        self._waiting.clear()
        self._count = 0


def _rolled(form: Form, lines: list[Line]) -> Rollup:
    if not has_latest(form):
        return Rollup.of(form, (parse_row(line.payload or b"") for line in lines))
    total = Rollup.zero(form)
    for line in lines:
        total = total.add(form, parse_row(line.payload or b""), line.created_ms)
    return total


def _page(
    conn: Connection, place: _Place, form: str, page: Page
) -> tuple[dict[str, FormTotals], str]:
    """Give the rows of one page by key, and the key to go on after."""
    if page.after and not page.after.startswith(_AFTER):
        raise CursorInvalid(field="after")
    after = page.after.removeprefix(_AFTER)
    if place.by is By.UNIT:
        found = _shares(conn, place, form, after_unit=after, most=page.rows + 1)
    else:
        found = _shares(conn, place, form)
    keys = sorted(key for key in found if not page.after or key > after)
    shown = keys[: page.rows]
    return {key: found[key] for key in shown}, _AFTER + shown[-1] if len(keys) > page.rows else ""


def _shares(
    conn: Connection,
    place: _Place,
    form: str,
    *,
    after_unit: str = "",
    most: int = 0,
    only: Collection[str] | None = None,
) -> dict[str, FormTotals]:
    """Sort the returns that count into rows; with `most`, stop at so many rows."""
    sums: dict[str, _Sum] = {}
    units = only if place.by is By.UNIT else None
    for rows in _by_unit(conn, _query(place, form, after_unit, units)):
        share = shares_of(Book([line_of(row) for row in rows])).get(place.scope)
        key = None if share is None else place.key_of(share.line, rows[0])
        if share is None or key is None or (only is not None and key not in only):
            continue
        made = sums.get(key)
        if made is None:
            made = sums[key] = _Sum(place.packs)
        made.add(share.line, summed=share.summed)
        if most and len(sums) >= most:
            break
    return {key: each.result(form) for key, each in sums.items()}


def _query(place: _Place, form: str, after_unit: str, units: Collection[str] | None) -> Select[Any]:
    table = return_version.c
    here = (table.pack == place.pack, table.form == form, table.period == place.period)
    query = (
        select(return_version, unit.c.region_code, unit.c.inst_type)
        .outerjoin(unit, unit.c.uscc == table.unit)
        .where(*here)
        .order_by(table.unit, table.version, table.position)
    )
    if after_unit:
        query = query.where(table.unit > after_unit)
    if units is not None:
        query = query.where(table.unit.in_(list(units)))
    if place.below.labels:
        # Whole returns, since a version from elsewhere may be the one that counts.
        came = or_(
            table.origin_path == str(place.below), table.origin_path.like(f"{place.below}/%")
        )
        query = query.where(table.unit.in_(select(table.unit).where(*here, came)))
    return query


def _by_unit(conn: Connection, query: Select[Any]) -> Iterator[list[Row[Any]]]:
    """Give the versions of one return at a time."""
    with conn.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}) as rows:
        for _, versions in groupby(rows, key=lambda row: row.unit):
            yield list(versions)


def _beside(pack: Pack, wanted: Wanted) -> list[str]:
    """Give the other forms that indicators are formed from."""
    return [
        form
        for form in pack.forms
        if form != wanted.form and any(f"{form}." in each.formula for each in pack.indicators)
    ]


def _forms_of(
    key: str, form: str, share: FormTotals, others: Mapping[str, Mapping[str, FormTotals]]
) -> dict[str, FormTotals]:
    beside = {name: shares[key] for name, shares in others.items() if key in shares}
    return beside | {form: share}


def _titles(conn: Connection, pack: Pack, by: By, keys: Collection[str]) -> Mapping[str, str]:
    match by:
        case By.UNIT:
            return unit_names(conn, keys)
        case By.REGION:
            return {key: region_name(key) for key in keys}
        case By.INST_TYPE:
            return {key: type_name(pack, key) for key in keys}
        case By.CHILD:
            return {key: path_label(key) for key in keys}
