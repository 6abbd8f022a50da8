"""Indicators: ratios formed from rolled-up parts, at every tier anew, never averaged.

The mean of two counties' kgce/m² is not the province's kgce/m² unless both
have the same floor area. So an indicator is a formula over totals, and where
a total is missing or a divisor is zero it has no value, which is not zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from yidao.catalog.formula import Formula
from yidao.catalog.numbers import round_ratio
from yidao.catalog.pack.lint import factor_names
from yidao.catalog.pack.model import Indicator, Pack, RollupKind
from yidao.catalog.rollup import Rollup


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorValue:
    """What an indicator comes to.

    Attributes:
        value: Exact, or None where it is not defined.
        shown: Rounded half-even to the indicator's scale; "" where it is not defined.
    """

    indicator: Indicator
    value: Fraction | None
    shown: str


def indicator_values(pack: Pack, rollups: Mapping[str, Rollup]) -> dict[str, IndicatorValue]:
    """Form every indicator of a pack from the roll-ups of its forms.

    The roll-ups must cover the same units; for a year, quantities are summed
    over its periods while sizes (area, people) are those of one period.

    Args:
        pack: The version whose indicators and factors are meant.
        rollups: By form id. A form that is absent leaves its indicators undefined.

    Raises:
        NumberOverflow: A value is too large to be written.
    """
    factors = factor_names(pack)

    def lookup(name: str) -> Fraction | None:
        constant = factors.get(name)
        return _total(name, rollups) if constant is None else constant

    values = {}
    for indicator in pack.indicators:
        value = Formula.parse(indicator.formula).value(lookup)
        shown = "" if value is None else round_ratio(value, indicator.scale)
        values[indicator.id] = IndicatorValue(indicator=indicator, value=value, shown=shown)
    return values


def _total(name: str, rollups: Mapping[str, Rollup]) -> Fraction | None:
    form_id, _, field_name = name.partition(".")
    rollup = rollups.get(form_id)
    total = None if rollup is None else rollup.fields.get(field_name)
    if total is None:
        return None
    if total.kind is RollupKind.COUNT_DISTINCT:
        return Fraction(sum(1 for count in total.bag.values() if count > 0))
    return Fraction(total.amount, 10**total.scale)
