"""Workdays in China: the published calendar, and Monday to Friday where it has no data yet."""

from datetime import date

import chinese_calendar

from yidao.node.logging import get_logger

log = get_logger()

_SATURDAY = 5


def is_workday(day: date) -> bool:
    """Whether offices work on a day, moved workdays (调休) included.

    The State Council publishes each year's holidays late in the year before; until
    the calendar holds them, weekdays count as workdays and a warning says so.
    """
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        log.warning("calendar.year.missed", year=day.year)
        return day.weekday() < _SATURDAY
