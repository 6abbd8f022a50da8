"""The rows of a resource at the node that is asked, and their evaluation in bounded room."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from yidao.catalog.calendar import PeriodKind
from yidao.catalog.errors import FormUnknown, PayloadInvalid
from yidao.catalog.masks import Outcome
from yidao.catalog.pack.model import Form, Value
from yidao.catalog.rows import parse_row
from yidao.catalog.selection.columns import Cell, Column, columns_of, mask_sensitive
from yidao.catalog.selection.groups import Group, Groups, measure_columns
from yidao.catalog.selection.order import First
from yidao.catalog.selection.plan import Plan, shown_column
from yidao.catalog.selection.question import RowsQuestion
from yidao.node.affairs.registry.views import unit
from yidao.node.affairs.reporting.rules import State
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.sharing.errors import AnswerAbandoned
from yidao.node.affairs.sharing.rules import Offer
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.store.records import read_records

#: Of all rows of one answer, as JSON.
MAX_ROWS_BYTES: Final = 8 * 1024 * 1024

_ROWS_AT_ONCE: Final = 256
_CURRENT: Final = (State.ACCEPTED.value, State.SUBMITTED.value, State.RECORDED.value)
_NO_CELLS: Final[tuple[Cell, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a question comes to on one node.

    Attributes:
        columns: Of the rows; or of the groups' keys, then one a measure.
        cut: More rows matched than are given.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...] = ()
    groups: tuple[Group, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Held:
    """One current row, with the position of its record."""

    position: int
    row: Mapping[str, Value]


def forms_of(conn: Connection, pack: str, form: str) -> tuple[Form, ...]:
    """Give a form in every version of its standard that is here, oldest first.

    Raises:
        FormUnknown: No version has it.
    """
    packs = [each for each in packs_in_force(conn).all() if each.id == pack]
    found = tuple(each.forms[form] for each in packs if form in each.forms)
    if not found:
        raise FormUnknown(pack=pack[:64], form=form[:64])
    return found


def evaluate(
    conn: Connection,
    question: RowsQuestion,
    offer: Offer,
    *,
    abandoned: Callable[[], bool],
    judge: Callable[[int], Outcome] = mask_sensitive,
) -> Found:
    """Answer a question from the owner's rows that are in this store.

    Args:
        conn: One snapshot.
        question: What is asked.
        offer: The resource.
        abandoned: Whether nobody waits any more.
        judge: What becomes of a column of a grade.

    Raises:
        FormUnknown: No standard here has the resource's form.
        ColumnUnknown, ColumnMasked, ColumnRefused, ColumnTypeWrong: See `Plan.of`.
        GroupsTooMany, NumberOverflow: See `Groups`.
        AnswerAbandoned: Nobody waits any more.
    """
    forms = forms_of(conn, offer.pack, offer.form)
    plan = Plan.of(question, columns_of(forms, offer.grades, judge))
    held = _units(conn, offer, plan) if _is_registry(forms) else _returns(conn, offer, plan)
    passing = (each for each in _watched(held, abandoned) if plan.lets_through(each.row))
    if question.aggregate:
        return _grouped(plan, passing)
    return _listed(conn, plan, passing)


def _is_registry(forms: Sequence[Form]) -> bool:
    return forms[-1].period is PeriodKind.ON_CHANGE


def _returns(conn: Connection, offer: Offer, plan: Plan) -> Iterator[_Held]:
    """Read the newest version that counts of each unit and period, in their order."""
    table = return_version.c
    query = select(
        table.position, table.unit, table.period, table.state, table.version, table.payload
    ).where(
        table.pack == offer.pack,
        table.form == offer.form,
        table.origin == offer.owner,
        table.state.in_(_CURRENT),
        table.payload.is_not(None),
    )
    for name, stored in (("period", table.period), ("unit", table.unit)):
        if values := plan.equals(name):
            query = query.where(stored.in_(values))
    rows = conn.execute(
        query.order_by(table.period, table.unit, table.version, table.position),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    for _, versions in itertools.groupby(rows, key=lambda row: (row.period, row.unit)):
        *_, newest = versions
        yield from _held(
            newest.position,
            bytes(newest.payload),
            unit=newest.unit,
            period=newest.period,
            state=newest.state,
            version=newest.version,
        )


def _units(conn: Connection, offer: Offer, plan: Plan) -> Iterator[_Held]:
    """Read the entries of the register: it holds the newest of each unit."""
    table = unit.c
    query = select(table.position, table.uscc, table.version, table.entry).where(
        table.pack == offer.pack, table.origin == offer.owner
    )
    if values := plan.equals("unit"):
        query = query.where(table.uscc.in_(values))
    rows = conn.execute(query.order_by(table.uscc), execution_options={"yield_per": _ROWS_AT_ONCE})
    for row in rows:
        yield from _held(
            row.position,
            bytes(row.entry),
            unit=row.uscc,
            period="",
            state=State.RECORDED.value,
            version=row.version,
        )


def _held(position: int, payload: bytes, **built_in: Value) -> Iterator[_Held]:
    try:
        row = parse_row(payload)
    except PayloadInvalid:
        # A faulty origin's row is a doubt in the views and no row of an answer.
        return
    yield _Held(position, {**row, **built_in})


def _watched(rows: Iterator[_Held], abandoned: Callable[[], bool]) -> Iterator[_Held]:
    for count, row in enumerate(rows):
        if count % _ROWS_AT_ONCE == 0 and abandoned():
            raise AnswerAbandoned
        yield row


def _grouped(plan: Plan, passing: Iterator[_Held]) -> Found:
    keys = tuple(shown_column(each) for each in plan.columns)
    measures = measure_columns(plan.question.aggregate, plan.offered)
    groups = Groups(plan.question, keys, measures)
    for held in passing:
        groups.add_row(plan.project(held.row), held.row)
    return Found(columns=(*keys, *measures), groups=tuple(groups.groups()))


def _listed(conn: Connection, plan: Plan, passing: Iterator[_Held]) -> Found:
    columns = tuple(shown_column(each) for each in plan.columns)
    first: First[_Held] = First(plan.question.order, columns, plan.question.limit)
    for held in passing:
        first.add(plan.project(held.row) if plan.question.order else _NO_CELLS, held)
        if first.full:
            break
    kept = first.take()
    personal = _personal(conn, kept) if plan.personal else {}
    rows: list[tuple[Cell, ...]] = []
    room = MAX_ROWS_BYTES
    for held in kept:
        cells = plan.project({**personal.get(held.position, {}), **held.row})
        room -= sum(len(str(cell)) for cell in cells)
        if room < 0:
            break
        rows.append(cells)
    return Found(columns=columns, rows=tuple(rows), cut=first.dropped or len(rows) < len(kept))


def _personal(conn: Connection, kept: Sequence[_Held]) -> dict[int, Mapping[str, Value]]:
    """Read the personal parts of rows, segment by segment; a part that is not here is left out."""
    found: dict[int, Mapping[str, Value]] = {}
    wanted = {held.position for held in kept}
    scanned = 0
    for position in sorted(wanted):
        if position <= scanned:
            continue
        records, scanned = read_records(conn, position - 1, 1)
        for record in records:
            body = record.parts.get("pii")
            if record.position in wanted and body is not None:
                try:
                    found[record.position] = parse_row(body)
                except PayloadInvalid:
                    continue
    return found
