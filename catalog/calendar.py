"""Reporting periods and due dates: months, quarters, years of the civil calendar.

A period is written "2025-07", "2025-Q2" or "2025", and that spelling is what
rows, keys and roll-ups carry. No clock is read here: days and the workday
calendar are arguments.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Self

from yidao.catalog.errors import PeriodInvalid

_FIRST_YEAR, _LAST_YEAR = 1980, 2199
_SPELLING = re.compile(r"([0-9]{4})(?:-(Q[1-4]|0[1-9]|1[0-2]))?")
#: The longest run of days off is nine; a calendar that offers none at all is broken.
_MAX_SHIFT_DAYS = 60

PERIOD_PATTERN = r"^[0-9]{4}(?:-(?:Q[1-4]|0[1-9]|1[0-2]))?$"


class PeriodKind(Enum):
    """How often a form is filled in; the value is its spelling in packs."""

    ON_CHANGE = "on_change"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


_PER_YEAR = {PeriodKind.MONTH: 12, PeriodKind.QUARTER: 4, PeriodKind.YEAR: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One month, quarter or year.

    Attributes:
        year: 1980 to 2199.
        index: Counted from 0 within the year.
    """

    kind: PeriodKind
    year: int
    index: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a period.

        Raises:
            PeriodInvalid: Another spelling, or a year out of range.
        """
        match = _SPELLING.fullmatch(text)
        if match is None:
            raise PeriodInvalid(reason="spelling")
        year, rest = int(match[1]), match[2]
        if rest is None:
            return cls._checked(PeriodKind.YEAR, year, 0)
        if rest[0] == "Q":
            return cls._checked(PeriodKind.QUARTER, year, int(rest[1]) - 1)
        return cls._checked(PeriodKind.MONTH, year, int(rest) - 1)

    @classmethod
    def containing(cls, kind: PeriodKind, day: date) -> Self:
        """Give the period of this kind that a day lies in.

        Raises:
            PeriodInvalid: The kind has no periods, or the year is out of range.
        """
        if kind not in _PER_YEAR:
            raise PeriodInvalid(reason="kind")
        return cls._checked(kind, day.year, (day.month - 1) * _PER_YEAR[kind] // 12)

    @classmethod
    def _checked(cls, kind: PeriodKind, year: int, index: int) -> Self:
        if not _FIRST_YEAR <= year <= _LAST_YEAR:
            raise PeriodInvalid(reason="year")
        return cls(kind=kind, year=year, index=index)

    def __str__(self) -> str:
        if self.kind is PeriodKind.YEAR:
            return f"{self.year:04d}"
        if self.kind is PeriodKind.QUARTER:
            return f"{self.year:04d}-Q{self.index + 1}"
        return f"{self.year:04d}-{self.index + 1:02d}"

    @property
    def first_day(self) -> date:
        """The first day; a pack version is chosen by it."""
        return date(self.year, self.index * (12 // _PER_YEAR[self.kind]) + 1, 1)

    @property
    def last_day(self) -> date:
        """The last day; due dates count from it."""
        following = self._step(1)
        return date(following[0], following[1] * (12 // _PER_YEAR[self.kind]) + 1, 1) - timedelta(1)

    def previous(self) -> Self:
        """Give the period just before, of the same kind.

        Raises:
            PeriodInvalid: It would lie before 1980.
        """
        year, index = self._step(-1)
        return self._checked(self.kind, year, index)

    def next(self) -> Self:
        """Give the period just after, of the same kind.

        Raises:
            PeriodInvalid: It would lie after 2199.
        """
        year, index = self._step(1)
        return self._checked(self.kind, year, index)

    def year_ago(self) -> Self:
        """Give the same period of the year before.

        Raises:
            PeriodInvalid: It would lie before 1980.
        """
        return self._checked(self.kind, self.year - 1, self.index)

    def _step(self, by: int) -> tuple[int, int]:
        return divmod(self.year * _PER_YEAR[self.kind] + self.index + by, _PER_YEAR[self.kind])


def due_date(period: Period, after_days: int, is_workday: Callable[[date], bool]) -> date:
    """Give the day by which a return for the period is due.

    It is `after_days` days after the period's last day, and if no work is done
    on that day, the next workday (civil procedure: a time limit that ends on a
    day off ends on the first working day after it).

    Raises:
        PeriodInvalid: The calendar names no workday within 60 days.
    """
    day = period.last_day + timedelta(after_days)
    for _ in range(_MAX_SHIFT_DAYS):
        if is_workday(day):
            return day
        day += timedelta(1)
    raise PeriodInvalid(reason="no_workday")
