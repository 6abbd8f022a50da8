"""Who owes what: the clerk's list of one node's units, the reviewer's list of a whole subtree."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, select

from yidao.catalog.calendar import Period
from yidao.node.affairs.errors import CursorInvalid, RowPeriodKindWrong
from yidao.node.affairs.registry.views import unit
from yidao.node.affairs.reporting.due import REPORTED, DueReturn, due_returns
from yidao.node.affairs.reporting.queries import DEFAULT_LIMIT, MAX_LIMIT
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.standards.queries import packs_in_force

MISSING = "missing"
_REPORTED_STATES = [state.value for state in REPORTED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A return that a unit owes.

    Attributes:
        days_left: Until `due`; negative when it is over.
        state: `missing`, or the state of the newest version.
        record_id: Of the newest version, or empty.
    """

    pack: str
    form: str
    period: str
    unit: str
    unit_name: str
    due: date
    days_left: int
    state: str
    record_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingUnit:
    """A unit that has not reported; `state` as in `Owed`."""

    unit: str
    unit_name: str
    region_code: str
    origin_path: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingUnits:
    """One page, and how many units there are and have reported in all."""

    missing: tuple[MissingUnit, ...]
    next: str
    units: int
    reported: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list: after the last key of the page before; 0 = 200 rows."""

    after: str = ""
    limit: int = 0

    @property
    def rows(self) -> int:
        """How many rows the page has at most."""
        return min(self.limit or DEFAULT_LIMIT, MAX_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One form and period that somebody is asked about."""

    pack: str
    form: str
    period: str


def list_due(
    conn: Connection,
    own_node_id: bytes,
    today: date,
    is_workday: Callable[[date], bool],
    *,
    of_unit: str = "",
    page: Page,
) -> tuple[tuple[Owed, ...], str]:
    """Give what units of this node owe of the last period that ended, soonest first.

    Raises:
        CursorInvalid: `page.after` is no key of this list.
    """
    asked = due_returns(packs_in_force(conn), today, is_workday)
    asked = tuple(sorted(asked, key=_due_key))
    start, after_unit = _parse_due(page.after)
    found: list[Owed] = []
    for each in asked:
        if _due_key(each) < start:
            continue
        after = after_unit if _due_key(each) == start else ""
        wanted = [unit.c.origin == own_node_id, unit.c.uscc > after]
        if of_unit:
            wanted.append(unit.c.uscc == of_unit)
        place = _Asked(pack=each.pack, form=each.form, period=each.period)
        rows = _not_reported(conn, place, wanted, page.rows + 1 - len(found))
        newest = _newest(conn, place, [row.uscc for row in rows])
        found.extend(_owed(each, row, newest, today) for row in rows)
        if len(found) > page.rows:
            break
    shown = tuple(found[: page.rows])
    return shown, _key_of(shown[-1]) if len(found) > page.rows else ""


def list_missing(
    conn: Connection, pack_id: str, form_id: str, period: str, page: Page
) -> MissingUnits:
    """Give the units that are known here and have not reported a form and period.

    Raises:
        PackUnknown, PackNotInForce, FormUnknown, PeriodInvalid: There is no such standard.
        RowPeriodKindWrong: The form is not reported for periods of that kind.
        CursorInvalid: The form stays at its nodes, so nobody can tell from here.
    """
    parsed = Period.parse(period)
    form = packs_in_force(conn).in_force(pack_id, parsed.first_day).form(form_id)
    if form.period is not parsed.kind:
        raise RowPeriodKindWrong(period=period, kind=parsed.kind.value)
    if form.stays_local:
        raise CursorInvalid(field="form")
    place = _Asked(pack=pack_id, form=form_id, period=period)
    rows = _not_reported(conn, place, [unit.c.uscc > page.after], page.rows + 1)
    newest = _newest(conn, place, [row.uscc for row in rows])
    shown = tuple(
        MissingUnit(
            unit=row.uscc,
            unit_name=row.name,
            region_code=row.region_code,
            origin_path=row.origin_path,
            state=newest.get(row.uscc, (MISSING, b""))[0],
        )
        for row in rows[: page.rows]
    )
    count = select(func.count()).select_from(unit)
    units = int(conn.execute(count).scalar_one())
    missing = int(conn.execute(count.where(~_has_reported(place))).scalar_one())
    return MissingUnits(
        missing=shown,
        next=shown[-1].unit if len(rows) > page.rows else "",
        units=units,
        reported=units - missing,
    )


def _due_key(each: DueReturn) -> tuple[str, str, str, str]:
    return each.due.isoformat(), each.pack, each.form, each.period


def _key_of(owed: Owed) -> str:
    return "/".join((owed.due.isoformat(), owed.pack, owed.form, owed.period, owed.unit))


def _parse_due(key: str) -> tuple[tuple[str, str, str, str], str]:
    if not key:
        return ("", "", "", ""), ""
    pieces = key.split("/")
    if len(pieces) != 5:
        raise CursorInvalid(field="after")
    return (pieces[0], pieces[1], pieces[2], pieces[3]), pieces[4]


def _owed(
    asked: DueReturn, row: Row[Any], newest: dict[str, tuple[str, bytes]], today: date
) -> Owed:
    state, record_id = newest.get(row.uscc, (MISSING, b""))
    return Owed(
        pack=asked.pack,
        form=asked.form,
        period=asked.period,
        unit=row.uscc,
        unit_name=row.name,
        due=asked.due,
        days_left=(asked.due - today).days,
        state=state,
        record_id=record_id,
    )


def _has_reported(place: _Asked) -> ColumnElement[bool]:
    table = return_version.c
    return exists().where(
        and_(
            table.pack == place.pack,
            table.form == place.form,
            table.period == place.period,
            table.unit == unit.c.uscc,
            table.state.in_(_REPORTED_STATES),
        )
    )


def _not_reported(
    conn: Connection, place: _Asked, wanted: Iterable[ColumnElement[bool]], limit: int
) -> list[Row[Any]]:
    rows: Iterable[Row[Any]] = conn.execute(
        select(unit.c.uscc, unit.c.name, unit.c.region_code, unit.c.origin_path)
        .where(*wanted, ~_has_reported(place))
        .order_by(unit.c.uscc)
        .limit(limit)
    )
    return list(rows)


def _newest(conn: Connection, place: _Asked, units: Sequence[str]) -> dict[str, tuple[str, bytes]]:
    """Give state and record of the newest version of each of these units' returns."""
    table = return_version.c
    rows = conn.execute(
        select(table.unit, table.state, table.record_id)
        .where(
            table.pack == place.pack,
            table.form == place.form,
            table.period == place.period,
            table.unit.in_(units),
        )
        .order_by(table.unit, table.version, table.position)
    )
    return {row.unit: (row.state, bytes(row.record_id)) for row in rows}
