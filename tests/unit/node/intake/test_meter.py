"""Quarter-hours become months and quarters without losing or inventing anything."""

import gzip
import tracemalloc
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.node.intake.errors import MeterDataInvalid, MeterIncomplete
from yidao.node.intake.meter import (
    MAX_METER_BYTES,
    STEP,
    Gap,
    Reading,
    ledger_rows,
    monthly_energy,
    quarter_rows,
    read_meter,
    replayed,
)

FEBRUARY = datetime.fromisoformat("2025-02-01")
STEPS = 28 * 96


def feed(*values: str, first: str = "2025-02-01T00:00") -> bytes:
    return gzip.compress("\n".join([f"first,{first}", "kw", *values]).encode(), mtime=0)


def month(kw: str = "10", without: range = range(0)) -> list[Reading]:
    return [
        Reading(at=FEBRUARY + step * STEP, kw=Decimal(kw))
        for step in range(STEPS)
        if step not in without
    ]


def test_a_feed_gives_readings_and_leaves_holes_where_lines_are_empty() -> None:
    """Time is implicit in the line, so an empty line still counts."""
    readings = list(read_meter(feed("1.5", "", "2.25")))
    assert readings == [
        Reading(at=FEBRUARY, kw=Decimal("1.5")),
        Reading(at=FEBRUARY + 2 * STEP, kw=Decimal("2.25")),
    ]


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("no gzip", b"first,2025-02-01T00:00\nkw\n1", 0),
        ("gzip cut short", feed("1")[:-9], 0),
        ("not ASCII", gzip.compress("first,2025\n千瓦".encode(), mtime=0), 0),
        ("nothing", gzip.compress(b"", mtime=0), 1),
        ("another heading", gzip.compress(b"from,2025-02-01T00:00\nkw\n", mtime=0), 1),
        ("a day that is none", feed(first="2025-02-30T00:00"), 1),
        ("a sign", feed("1", "-1"), 4),
        ("an exponent", feed("1e5"), 3),
        ("NaN", feed("NaN"), 3),
        ("two points", feed("1.2.3"), 3),
        ("endless digits", feed("1" * 25), 3),
    ],
)
def test_a_feed_that_breaks_its_format_is_refused(name: str, data: bytes, line: int) -> None:
    """With the line, counted from 1; 0 is the file as a whole."""
    with pytest.raises(MeterDataInvalid) as caught:
        list(read_meter(data))
    assert caught.value.params["line"] == line, name


def test_a_feed_that_unpacks_without_end_is_refused() -> None:
    """A gzip bomb is cut off at the limit."""
    bomb = gzip.compress(b"\n" * 100_000_000, compresslevel=1)
    tracemalloc.start()
    try:
        with pytest.raises(MeterDataInvalid) as caught:
            list(read_meter(bomb))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_METER_BYTES
    finally:
        tracemalloc.stop()
    assert caught.value.params["reason"] == "too_long"


def test_a_feed_of_too_many_lines_is_refused() -> None:
    """Also where its bytes are few."""
    with pytest.raises(MeterDataInvalid) as caught:
        list(read_meter(gzip.compress(b"\n" * 400_001)))
    assert caught.value.params["reason"] == "too_long"


def test_a_full_month_is_added_up_exactly() -> None:
    """10 kW for 28 days are 6,720 kWh."""
    (february,) = monthly_energy(month())
    assert february.period == "2025-02"
    assert february.kwh == 6720
    assert (february.readings, february.expected) == (STEPS, STEPS)
    assert february.complete


def test_nothing_is_rounded_before_the_month_is_complete() -> None:
    """Thirteen decimals before hundreds, 2,688 times."""
    (february,) = monthly_energy(month("1.0000000000001"))
    assert february.kwh == Decimal("672.0000000000672")


def test_gaps_are_reported_and_not_filled() -> None:
    """Each run with its first quarter-hour and its length, also at the ends of the month."""
    missing = {0, 1, 100, STEPS - 1}
    (february,) = monthly_energy(
        reading for step, reading in enumerate(month()) if step not in missing
    )
    assert february.gaps == (
        Gap(first=FEBRUARY, count=2),
        Gap(first=FEBRUARY + 100 * STEP, count=1),
        Gap(first=FEBRUARY + (STEPS - 1) * STEP, count=1),
    )
    assert february.kwh == (STEPS - 4) * Decimal("2.5")
    assert not february.complete


def test_repeated_readings_are_reported_and_counted_once() -> None:
    """The first one counts; which of them is right is for people to say."""
    readings = [*month(), Reading(at=FEBRUARY, kw=Decimal(999))]
    (february,) = monthly_energy(readings)
    assert february.repeated == (FEBRUARY,)
    assert february.kwh == 6720
    assert not february.complete


@pytest.mark.parametrize("broken", [month(without=range(5, 8)), [*month(), *month()[:2]]])
def test_an_incomplete_month_makes_no_ledger_row(broken: list[Reading]) -> None:
    """A gap or a repeat needs a person before it becomes a return."""
    with pytest.raises(MeterIncomplete) as caught:
        ledger_rows(monthly_energy(broken), uscc="x", tariff_per_kwh=Decimal("0.62"))
    assert caught.value.params["period"] == "2025-02"
    assert (caught.value.params["gaps"], caught.value.params["repeats"]) in {(3, 0), (0, 2)}


@pytest.mark.parametrize("offset", [timedelta(minutes=1), timedelta(seconds=1)])
def test_a_reading_off_the_quarter_hour_is_refused(offset: timedelta) -> None:
    """Shifting it to the next one would be a guess."""
    with pytest.raises(MeterDataInvalid):
        monthly_energy([Reading(at=FEBRUARY + offset, kw=Decimal(1))])


def test_the_fee_is_charged_on_the_energy_that_stands_in_the_ledger() -> None:
    """Energy half-even to 0.01 kWh, fee half-up to 0.01."""
    (february,) = monthly_energy(month("0.0150297619047619"))  # 10.1 kWh and a little less
    (row,) = ledger_rows([february], uscc="x", tariff_per_kwh=Decimal("0.625"))
    assert row == {
        "uscc": "x",
        "period": "2025-02",
        "elec_kwh": "10.10",
        "elec_fee": "6.31",
        "meter_count": 1,
    }


def test_quarters_are_sums_of_ledger_rows_and_only_whole_ones_are_given() -> None:
    """Whoever keeps the ledger can add the return up by hand."""
    ledger = [
        {"uscc": "x", "period": f"2025-{number:02d}", "elec_kwh": f"{number}.01", "note": "1"}
        for number in range(3, 8)
    ]
    assert quarter_rows([*ledger, ledger[-1]]) == (
        {"uscc": "x", "period": "2025-Q2", "elec_kwh": "15.03"},
    )


def test_a_replayed_year_keeps_month_day_and_time() -> None:
    """April to December fall into the first year, January to March into the second."""
    year = [
        Reading(
            at=datetime.fromisoformat("2019-01-01") + step * timedelta(hours=6), kw=Decimal(step)
        )
        for step in range(365 * 4)
    ]
    moved = list(replayed(year, date(2025, 4, 1)))
    assert [reading.kw for reading in moved] == [reading.kw for reading in year]
    assert all(
        (a.at.month, a.at.day, a.at.time()) == (b.at.month, b.at.day, b.at.time())
        for a, b in zip(year, moved, strict=True)
    )
    assert {(r.at.year, r.at.month) for r in moved} == {
        *((2025, number) for number in range(4, 13)), *((2026, number) for number in range(1, 4)),
    }  # fmt: skip


def test_a_leap_day_has_no_counterpart() -> None:
    """It is refused rather than moved next to another day."""
    leap_day = Reading(at=datetime.fromisoformat("2020-02-29"), kw=Decimal(1))
    with pytest.raises(MeterDataInvalid):
        list(replayed([leap_day], date(2025, 4, 1)))


@given(st.lists(st.integers(0, 9_999_999), min_size=1, max_size=200))
def test_the_sum_is_that_of_the_integers(watts: list[int]) -> None:
    """Against plain integer arithmetic in tenths of watts."""
    readings = [
        Reading(at=FEBRUARY + step * STEP, kw=Decimal(watt).scaleb(-4))
        for step, watt in enumerate(watts)
    ]
    (february,) = monthly_energy(readings)
    assert february.kwh * 40_000 == sum(watts)
