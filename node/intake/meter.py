"""Adds quarter-hour meter readings up to monthly ledgers and quarterly returns, exactly.

    meter data ─ read_meter ─▶ readings ─ replayed ─▶ readings of another year
      ─ monthly_energy ─▶ months ─ ledger_rows ─▶ form monthly_ledger
      ─ quarter_rows ─▶ figures for form consumption

Pure: bytes and values in, values out. Energy of a quarter-hour is its mean
power times 0.25 h. Decimals stay exact until a month's total is brought to the
ledger's two places; quarters are sums of ledger rows, so that what is
reported can be added up by hand from what is kept. Gaps and repeated readings
are reported and never filled in: a month that has any makes no ledger row.
"""

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, Inexact, localcontext

from yidao.catalog.calendar import Period, PeriodKind
from yidao.catalog.pack.model import Value
from yidao.node.intake.errors import MeterDataInvalid, MeterIncomplete

STEP = timedelta(minutes=15)
STEP_HOURS = Decimal("0.25")
#: A year of quarter-hours is 35,040; a feed of ten years still fits.
MAX_READINGS = 400_000
MAX_METER_BYTES = 16 * 1024 * 1024
_CENT = Decimal("0.01")
# Wide enough that no sum of readings is ever rounded; if one were, it would raise.
_EXACT = Context(prec=60, traps=[Inexact])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Mean power of the quarter-hour that begins at `at` (local time, without a zone)."""

    at: datetime
    kw: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """So many quarter-hours without a reading, from `first` on."""

    first: datetime
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthEnergy:
    """One month of one meter.

    Attributes:
        period: "2025-04".
        kwh: Exact sum over the readings there are; of repeated ones the first counts.
        readings: Quarter-hours with a reading.
        expected: Quarter-hours of the month.
        repeated: Quarter-hours that were given more than once.
    """

    period: str
    kwh: Decimal
    readings: int
    expected: int
    gaps: tuple[Gap, ...]
    repeated: tuple[datetime, ...]

    @property
    def complete(self) -> bool:
        """Whether every quarter-hour was read exactly once."""
        return not self.gaps and not self.repeated


def read_meter(data: bytes) -> Iterator[Reading]:
    """Read a compact feed: gzip of `first,<ISO minute>`, a heading `kw`, then one value a line.

    An empty line is a quarter-hour without a reading.

    Raises:
        MeterDataInvalid: It is not gzip, too long, or a line is no value.
    """
    try:
        with gzip.open(io.BytesIO(data)) as packed:
            content = packed.read(MAX_METER_BYTES + 1)
        if len(content) > MAX_METER_BYTES or content.count(b"\n") > MAX_READINGS:
            raise MeterDataInvalid(line=0, reason="too_long")
        lines = content.decode("ascii").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise MeterDataInvalid(line=0, reason="not_gzip_text") from None
    return _readings(lines)


def _readings(lines: Sequence[str]) -> Iterator[Reading]:
    at = _first(lines)
    for number, line in enumerate(lines[2:], start=3):
        if line:
            yield Reading(at=at, kw=_power(line, number))
        at += STEP


def _first(lines: Sequence[str]) -> datetime:
    name, _, text = (lines[0] if lines else "").partition(",")
    if name != "first" or len(lines) < 2 or lines[1] != "kw":
        raise MeterDataInvalid(line=1, reason="heading")
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M")  # noqa: DTZ007 (local time by definition)
    except ValueError:
        raise MeterDataInvalid(line=1, reason="first") from None


def _power(text: str, number: int) -> Decimal:
    whole, _, fraction = text.partition(".")
    # Decimal() itself would also take signs, exponents, NaN and digits of other scripts.
    if not (whole.isdigit() and (fraction.isdigit() or not fraction) and len(text) <= 24):
        raise MeterDataInvalid(line=number, reason="value")
    return Decimal(text)


def replayed(readings: Iterable[Reading], first_day: date) -> Iterator[Reading]:
    """Move a year of readings into the year that begins on `first_day`, date for date.

    Month, day and time of each reading stay; only the year changes. With
    `first_day` 2025-04-01, April to December 2019 become April to December
    2025, and January to March 2019 become January to March 2026. Weekdays
    therefore shift (2019-04-01 was a Monday, 2025-04-01 is a Tuesday), and
    public holidays are not realigned: the result is a sample.

    Raises:
        MeterDataInvalid: A 29 February has no counterpart.
    """
    for reading in readings:
        at = reading.at
        later = (at.month, at.day) >= (first_day.month, first_day.day)
        try:
            moved = at.replace(year=first_day.year if later else first_day.year + 1)
        except ValueError:
            raise MeterDataInvalid(line=0, reason="leap_day") from None
        yield Reading(at=moved, kw=reading.kw)


def monthly_energy(readings: Iterable[Reading]) -> tuple[MonthEnergy, ...]:
    """Add readings up by month, in the order of the months.

    Raises:
        MeterDataInvalid: A reading does not begin on a quarter-hour.
    """
    months: dict[tuple[int, int], dict[datetime, Decimal]] = {}
    repeats: Counter[datetime] = Counter()
    for reading in readings:
        at = reading.at
        if at.minute % 15 or at.second or at.microsecond:
            raise MeterDataInvalid(line=0, reason="not_a_quarter_hour")
        month = months.setdefault((at.year, at.month), {})
        if at in month:
            repeats[at] += 1
        else:
            month[at] = reading.kw
    return tuple(
        _month(key, months[key], sorted(at for at in repeats if (at.year, at.month) == key))
        for key in sorted(months)
    )


def _month(
    key: tuple[int, int], values: Mapping[datetime, Decimal], repeated: Sequence[datetime]
) -> MonthEnergy:
    start = datetime(key[0], key[1], 1)  # noqa: DTZ001 (local time by definition)
    period = Period.containing(PeriodKind.MONTH, start.date())
    expected = period.last_day.day * 24 * 4
    with localcontext(_EXACT):
        kwh = sum(values.values(), Decimal(0)) * STEP_HOURS
    return MonthEnergy(
        period=str(period),
        kwh=kwh,
        readings=len(values),
        expected=expected,
        gaps=tuple(_gaps(start, expected, values)),
        repeated=tuple(repeated),
    )


def _gaps(start: datetime, expected: int, values: Mapping[datetime, Decimal]) -> Iterator[Gap]:
    first: datetime | None = None
    count = 0
    for step in range(expected):
        at = start + step * STEP
        if at not in values:
            first = first or at
            count += 1
        elif first is not None:
            yield Gap(first=first, count=count)
            first, count = None, 0
    if first is not None:
        yield Gap(first=first, count=count)


def ledger_rows(
    months: Iterable[MonthEnergy], *, uscc: str, tariff_per_kwh: Decimal
) -> tuple[dict[str, Value], ...]:
    """Make rows of the form `monthly_ledger`: energy to 0.01 kWh half-even, fee to 0.01 half-up.

    Args:
        months: Of one unit's only meter.
        uscc: The unit's code.
        tariff_per_kwh: Price in 元; one price for all hours.

    Raises:
        MeterIncomplete: A month has gaps or repeated readings.
    """
    rows: list[dict[str, Value]] = []
    for month in months:
        if not month.complete:
            gaps, repeats = sum(gap.count for gap in month.gaps), len(month.repeated)
            raise MeterIncomplete(period=month.period, gaps=gaps, repeats=repeats)
        kwh = month.kwh.quantize(_CENT, rounding=ROUND_HALF_EVEN)
        # The bill is for the energy that stands on it, so the rounded figure is charged.
        fee = (kwh * tariff_per_kwh).quantize(_CENT, rounding=ROUND_HALF_UP)
        rows.append(
            {
                "uscc": uscc,
                "period": month.period,
                "elec_kwh": f"{kwh:f}",
                "elec_fee": f"{fee:f}",
                "meter_count": 1,
            }
        )
    return tuple(rows)


def quarter_rows(ledger: Iterable[Mapping[str, Value]]) -> tuple[dict[str, Value], ...]:
    """Add ledger rows of one unit up to quarters, figure by figure, in the order of the quarters.

    Every decimal text of the ledger is summed under its own name, which the
    form `consumption` shares. Only quarters with all three months are given.

    Raises:
        PeriodInvalid: A row's period is none.
    """
    quarters: dict[str, dict[str, Decimal]] = {}
    months: dict[str, set[date]] = {}
    units: dict[str, str] = {}
    for row in ledger:
        day = Period.parse(str(row["period"])).first_day
        quarter = str(Period.containing(PeriodKind.QUARTER, day))
        months.setdefault(quarter, set()).add(day)
        units[quarter] = str(row["uscc"])
        sums = quarters.setdefault(quarter, {})
        for name, value in row.items():
            if name not in ("uscc", "period", "note") and isinstance(value, str):
                sums[name] = sums.get(name, Decimal(0)) + Decimal(value)
    return tuple(
        {
            "uscc": units[quarter],
            "period": quarter,
            **{name: f"{total:f}" for name, total in quarters[quarter].items()},
        }
        for quarter in sorted(quarters)
        if len(months[quarter]) == 3
    )
