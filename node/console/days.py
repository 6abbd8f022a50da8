"""Which version of a standard is meant: that of a period's first day."""

from datetime import date

from yidao.catalog.calendar import Period
from yidao.catalog.errors import CatalogError


def first_day(period: str, today: date) -> date:
    """Give the day by which the version is chosen; today where there is no period."""
    try:
        return Period.parse(period).first_day if period else today
    except CatalogError:
        # What is no period is refused by the node, in its own words.
        return today
