"""Periods: their days, their neighbours, their due dates."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.calendar import Period, PeriodKind, due_date
from yidao.catalog.errors import PeriodInvalid

DAYS = {
    "a month": ("2025-07", date(2025, 7, 1), date(2025, 7, 31), "2025-06", "2024-07"),
    "February of a leap year": (
        "2024-02", date(2024, 2, 1), date(2024, 2, 29), "2024-01", "2023-02",
    ),
    "the first quarter": ("2026-Q1", date(2026, 1, 1), date(2026, 3, 31), "2025-Q4", "2025-Q1"),
    "the last quarter": ("2025-Q4", date(2025, 10, 1), date(2025, 12, 31), "2025-Q3", "2024-Q4"),
    "a year": ("2025", date(2025, 1, 1), date(2025, 12, 31), "2024", "2024"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "first", "last", "previous", "year_ago"), DAYS.values(), ids=DAYS.keys()
)
def test_a_period_knows_its_days_and_neighbours(
    text: str, first: date, last: date, previous: str, year_ago: str
) -> None:
    """First and last day, the period before and the same one of the year before."""
    period = Period.parse(text)
    assert (period.first_day, period.last_day) == (first, last)
    assert (str(period.previous()), str(period.year_ago())) == (previous, year_ago)
    assert period.previous().next() == period
    assert str(period) == text


REFUSED = {
    "a fifth quarter": "2025-Q5",
    "a thirteenth month": "2025-13",
    "month zero": "2025-00",
    "a day": "2025-07-01",
    "full-width digits": "２０２５",
    "year zero": "0000",
    "a year far away": "9999",
    "a newline": "2025\n",
    "lower case": "2025-q1",
    "nothing": "",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_other_spellings_are_refused(text: str) -> None:
    """A period has one spelling and lies between 1980 and 2199."""
    with pytest.raises(PeriodInvalid):
        Period.parse(text)


@given(
    day=st.dates(min_value=date(1980, 1, 1), max_value=date(2199, 12, 31)),
    kind=st.sampled_from([PeriodKind.MONTH, PeriodKind.QUARTER, PeriodKind.YEAR]),
)
def test_every_day_lies_in_the_period_that_contains_it(day: date, kind: PeriodKind) -> None:
    """`containing` agrees with first and last day, and the spelling reads back."""
    period = Period.containing(kind, day)
    assert period.first_day <= day <= period.last_day
    assert Period.parse(str(period)) == period


def test_what_happens_on_change_has_no_period() -> None:
    """Registers have no periods to lie in."""
    with pytest.raises(PeriodInvalid):
        Period.containing(PeriodKind.ON_CHANGE, date(2025, 1, 1))


def test_the_ends_of_the_calendar_have_one_neighbour() -> None:
    """Nothing lies before 1980 or after 2199."""
    with pytest.raises(PeriodInvalid):
        Period.parse("1980").previous()
    with pytest.raises(PeriodInvalid):
        Period.parse("2199-12").next()
    with pytest.raises(PeriodInvalid):
        Period.parse("1980-Q3").year_ago()


def test_a_due_date_moves_to_the_next_workday() -> None:
    """Fifteen days after a quarter that end on a Saturday become seventeen."""
    quarter = Period.parse("2025-Q1")
    assert due_date(quarter, 15, lambda day: day.weekday() < 5) == date(2025, 4, 15)
    assert due_date(quarter, 19, lambda day: day.weekday() < 5) == date(2025, 4, 21)
    assert due_date(quarter, 0, lambda _: True) == quarter.last_day


def test_a_calendar_without_workdays_is_an_error() -> None:
    """A broken calendar does not make the daemon look for a workday for ever."""
    with pytest.raises(PeriodInvalid):
        due_date(Period.parse("2025"), 0, lambda _: False)
