"""Reading returns, page by page, and roll-ups with the frontiers that they rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from yidao.api.errors import YidaoError
from yidao.catalog.calendar import Period
from yidao.catalog.indicator import indicator_values
from yidao.catalog.pack.model import Pack
from yidao.catalog.rollup import Rollup
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.errors import CursorInvalid
from yidao.node.affairs.reporting.records import FaultNote, decode_faults
from yidao.node.affairs.reporting.rules import State
from yidao.node.affairs.reporting.snapshot import caught_up
from yidao.node.affairs.reporting.sums import Scope
from yidao.node.affairs.reporting.tables import return_version, rollup, rollup_source
from yidao.node.affairs.reporting.titles import unit_names
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.store.tables import journal
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.merkle import Frontier as MerkleFrontier

DEFAULT_LIMIT = 200
MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRow:
    """One version of a return. `key` is its place in the list, for the next page."""

    key: str
    pack: str
    form: str
    period: str
    unit: str
    version: int
    state: str
    record_id: bytes
    pack_version: str
    origin_path: str
    submitted_by: str
    reviewed_by: str
    reason: str
    faults: tuple[FaultNote, ...]
    payload: bytes
    created_ms: int
    withdrawn_by: str
    withdrawn_reason: str
    unit_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnFilter:
    """Which returns to list; empty = all."""

    form: str = ""
    period: str = ""
    unit: str = ""
    state: str = ""
    after: str = ""
    limit: int = 0


def list_returns(
    conn: Connection, wanted: ReturnFilter, also: Sequence[ColumnElement[bool]] = ()
) -> tuple[tuple[ReturnRow, ...], str]:
    """Give one page, and the key to go on after; empty on the last page.

    Args:
        conn: The store.
        wanted: Which.
        also: Further conditions on `return_version`.

    Raises:
        CursorInvalid: `after` is no key of this list, or there is no such state.
    """
    table = return_version.c
    limit = min(wanted.limit or DEFAULT_LIMIT, MAX_LIMIT)
    query = select(return_version).where(*also)
    for column, value in (
        (table.form, wanted.form),
        (table.period, wanted.period),
        (table.unit, wanted.unit),
    ):
        if value:
            query = query.where(column == value)
    if wanted.state:
        if wanted.state not in {state.value for state in State}:
            raise CursorInvalid(field="state")
        query = query.where(table.state == wanted.state)
    order = (table.form, table.period, table.unit, table.version, table.position)
    if wanted.after:
        query = query.where(after_key(order, _parse_key(wanted.after)))
    rows = conn.execute(query.order_by(*order).limit(limit + 1)).all()
    names = unit_names(conn, {row.unit for row in rows[:limit]})
    page = tuple(return_row(row, names.get(row.unit, "")) for row in rows[:limit])
    return page, page[-1].key if len(rows) > limit else ""


def after_key(columns: Sequence[Any], values: Sequence[str | int]) -> Any:
    """Write `columns > values` so that both databases use the index."""
    return or_(
        *(
            and_(
                *(c == v for c, v in zip(columns[:place], values, strict=False)),
                columns[place] > values[place],
            )
            for place in range(len(columns))
        )
    )


def _parse_key(key: str) -> tuple[str, str, str, int, int]:
    pieces = key.split("/")
    if len(pieces) != 5 or not all(piece.isascii() and piece.isdigit() for piece in pieces[3:]):
        raise CursorInvalid(field="after")
    if any(len(piece) > 18 for piece in pieces[3:]):
        raise CursorInvalid(field="after")
    return pieces[0], pieces[1], pieces[2], int(pieces[3]), int(pieces[4])


def return_row(row: Row[Any], unit_name: str = "") -> ReturnRow:
    """Read one version of a return."""
    return ReturnRow(
        key=f"{row.form}/{row.period}/{row.unit}/{row.version}/{row.position}",
        pack=row.pack,
        form=row.form,
        period=row.period,
        unit=row.unit,
        version=row.version,
        state=row.state,
        record_id=bytes(row.record_id),
        pack_version=row.pack_version,
        origin_path=row.origin_path,
        submitted_by=row.submitted_by,
        reviewed_by=row.reviewed_by,
        reason=row.reason,
        faults=decode_faults(None if row.faults is None else bytes(row.faults)),
        payload=bytes(row.payload or b""),
        created_ms=row.created_ms,
        withdrawn_by=row.withdrawn_by,
        withdrawn_reason=row.withdrawn_reason,
        unit_name=unit_name,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The figures of one scope.

    Attributes:
        returns: How many returns count, by their headers.
        summed: How many of them the figures are of: the rest has not come here.
        fields: Decimal strings and counts by field; a histogram is `field=code`.
        indicators: Decimal strings; those without a value are absent.
    """

    returns: int
    summed: int
    fields: Mapping[str, str]
    indicators: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFrontier:
    """A journal, named by its checkpoint origin, as far as the figures rest on it."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RollUp:
    """The totals of one form and period, over everything that this node holds."""

    submitted: Totals
    accepted: Totals
    frontiers: tuple[JournalFrontier, ...]
    position: int


def roll_up(desk: Desk, pack_id: str, form: str, period: str) -> RollUp:
    """Give the totals as they stand, from one snapshot, with what they come from.

    The frontiers are those of every journal with a return or an acceptance of
    the pack and period: indicators rest on more than one form.

    Raises:
        PackUnknown, PackNotInForce, FormUnknown, PeriodInvalid: There is no such standard.
        ViewsBehind: The projections do not catch up with the store.
    """
    first_day = Period.parse(period).first_day
    with caught_up(desk) as (conn, position):
        pack = packs_in_force(conn).in_force(pack_id, first_day)
        pack.form(form)
        scopes = _scopes(conn, pack_id, period)
        return RollUp(
            submitted=totals_of(pack, form, scopes[Scope.SUBMITTED]),
            accepted=totals_of(pack, form, scopes[Scope.ACCEPTED]),
            frontiers=_frontiers(conn, desk, pack_id, period),
            position=position,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FormTotals:
    """How many returns of a form count, and the figures of those that are here."""

    returns: int
    totals: Rollup


def _scopes(conn: Connection, pack_id: str, period: str) -> dict[Scope, dict[str, FormTotals]]:
    """Read the roll-ups of all forms of a period, versions of the pack put together."""
    found: dict[Scope, dict[str, FormTotals]] = {scope: {} for scope in Scope}
    rows = conn.execute(
        select(rollup)
        .where(rollup.c.pack == pack_id, rollup.c.period == period)
        .order_by(rollup.c.form, rollup.c.pack_version)
    )
    for row in rows:
        forms = found[Scope(row.scope)]
        totals, returns = Rollup.decode(bytes(row.totals)), row.returns
        if (other := forms.get(row.form)) is not None:
            totals, returns = other.totals.merge(totals), other.returns + returns
        forms[row.form] = FormTotals(returns=returns, totals=totals)
    return found


def totals_of(pack: Pack, form: str, forms: Mapping[str, FormTotals]) -> Totals:
    """Write the figures of a form for people, with the indicators that all forms give."""
    mine = forms.get(form)
    if mine is None:
        return Totals(returns=0, summed=0, fields={}, indicators={})
    return Totals(
        returns=mine.returns,
        summed=mine.totals.rows,
        fields=_fields(mine.totals),
        indicators=_indicators(pack, {name: each.totals for name, each in forms.items()}),
    )


def _fields(totals: Rollup) -> dict[str, str]:
    shown: dict[str, str] = {}
    for name, total in totals.totals().items():
        if isinstance(total, Mapping):
            shown |= {f"{name}={code}": str(count) for code, count in total.items()}
        else:
            shown[name] = str(total)
    return shown


def _indicators(pack: Pack, rollups: Mapping[str, Rollup]) -> dict[str, str]:
    try:
        values = indicator_values(pack, rollups)
    except YidaoError:
        # One indicator too large to write must not hide the totals.
        return {}
    return {name: value.shown for name, value in values.items() if value.value is not None}


def _frontiers(
    conn: Connection, desk: Desk, pack_id: str, period: str
) -> tuple[JournalFrontier, ...]:
    sources = select(rollup_source.c.journal_pk).where(
        rollup_source.c.pack == pack_id, rollup_source.c.period == period
    )
    table = journal.c
    rows = conn.execute(
        select(table.node_id, table.channel, table.epoch, table.size, table.frontier)
        .where(table.id.in_(sources))
        .order_by(table.node_id, table.channel, table.epoch)
    )
    network = desk.identity.network
    return tuple(
        JournalFrontier(
            origin=JournalId(
                node_id=NodeId(bytes(row.node_id)), channel=row.channel, epoch=row.epoch
            ).origin(network),
            size=row.size,
            root=MerkleFrontier.from_bytes(bytes(row.frontier)).root(),
        )
        for row in rows
    )
