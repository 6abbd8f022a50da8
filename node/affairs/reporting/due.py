"""What is due when, and who has not reported: pure dates, one question to the views."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, and_, exists, func, select

from yidao.catalog.calendar import Period, PeriodKind, due_date
from yidao.catalog.pack.model import Pack
from yidao.catalog.pack.versions import PackSet
from yidao.node.affairs.registry.views import unit
from yidao.node.affairs.reporting.rules import State
from yidao.node.affairs.reporting.tables import return_version
from yidao.sync.ids import Path

SOON_DAYS = 5
_PERIODIC = (PeriodKind.MONTH, PeriodKind.QUARTER, PeriodKind.YEAR)
#: What keeps a return from being missing: it is with the parent, or done.
REPORTED = (State.SUBMITTED, State.DOUBTFUL, State.ACCEPTED, State.SUPERSEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReturn:
    """One form of the last period that has ended.

    Attributes:
        due: The last workday on which it is in time.
        missing: Units that have not reported; -1 before they were counted.
    """

    pack: str
    form: str
    period: str
    due: date
    missing: int = -1

    def is_overdue(self, today: date) -> bool:
        """Whether the day is past."""
        return today > self.due

    def is_soon(self, today: date) -> bool:
        """Whether the day is today or one of the next few."""
        return self.due - timedelta(SOON_DAYS) <= today <= self.due


def due_returns(
    packs: PackSet, today: date, is_workday: Callable[[date], bool]
) -> tuple[DueReturn, ...]:
    """Give what each pack asks for of the last period that ended before today."""
    found = []
    for pack_id in sorted({pack.id for pack in packs.all()}):
        for pack in _in_force(packs, pack_id, today):
            for form_id, due in pack.dues.items():
                form = pack.forms[form_id]
                if form.stays_local or form.period not in _PERIODIC:
                    continue
                period = Period.containing(form.period, today).previous()
                day = due_date(period, due.after_days, is_workday)
                found.append(DueReturn(pack=pack_id, form=form_id, period=str(period), due=day))
    return tuple(found)


def count_missing(conn: Connection, due: DueReturn, own_path: Path) -> int:
    """Count the units of this node and of its children that have not handed the return in."""
    version = return_version
    reported = exists().where(
        and_(
            version.c.pack == due.pack,
            version.c.form == due.form,
            version.c.period == due.period,
            version.c.unit == unit.c.uscc,
            version.c.state.in_([state.value for state in REPORTED]),
        )
    )
    near = [str(path) for path in _hosts(conn) if own_path in (path, path.parent)]
    question = select(func.count()).select_from(unit)
    return int(conn.execute(question.where(unit.c.origin_path.in_(near), ~reported)).scalar_one())


def _hosts(conn: Connection) -> Iterable[Path]:
    rows = conn.execute(select(unit.c.origin_path).distinct()).scalars()
    return [Path.parse(row) for row in rows]


def _in_force(packs: PackSet, pack_id: str, today: date) -> Iterable[Pack]:
    """The version in force today; none before the first one."""
    valid = [pack for pack in packs.all() if pack.id == pack_id and pack.valid_from <= today]
    return sorted(valid, key=lambda pack: pack.valid_from)[-1:]
