"""Shows the sample rows as files and feeds: agency B's workbooks, agency A's metered building."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files
from pathlib import Path

from yidao.catalog.codes import sample_uscc
from yidao.catalog.pack.model import Form, Value
from yidao.node.demo.samples import (
    PERIODS,
    REGION,
    SEED,
    UNITS,
    WRONG,
    SampleRow,
    WrongRow,
    consumptions,
    corrected_rows,
    institutions,
    profiles,
)
from yidao.node.intake.meter import ledger_rows, monthly_energy, quarter_rows, read_meter, replayed
from yidao.node.intake.sheets import SheetRows, write_rows

#: Sample price, one for all hours.
TARIFF_YUAN_PER_KWH = Decimal("0.62")
#: The metered year 2019 is replayed from this day on.
REPLAY_FIRST_DAY = date(2025, 4, 1)

_SHEETS = {"institution": "名录", "profile": "规模", "consumption": "能耗"}
_NOTE = f"样例数据 sample data(种子 seed {SEED});单位与数值均按规则生成,不代表任何真实单位"
_NOTE_AND_HEADINGS = 2

# The building: so large that its metered year stands near the published averages of a city organ
# (2.38 GWh = 292,500 kgce; 11.02 kgce/m², 397.34 kgce a person).
_BUILDING_INDEX = 90_001
_BUILDING_AREA = "26542.00"
_BUILDING_USERS = 736
_BUILDING_WATER_M3_A_MONTH = Decimal("4290.00")
_WATER_YUAN_PER_M3 = Decimal("3.65")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkbookFacts:
    """What a sample workbook holds.

    Attributes:
        rows: Rows by form.
        wrong: The wrong rows with the line each stands on, counted from 1.
    """

    rows: Mapping[str, int]
    wrong: tuple[tuple[WrongRow, str, int], ...]


def write_sample_workbook(path: Path, forms: Sequence[Form]) -> WorkbookFacts:
    """Write agency B's workbook: 名录, 规模 and 能耗 of all sample units.

    Args:
        path: The .xlsx to write.
        forms: `institution`, `profile`, `consumption` of the version that has most fields.

    Returns:
        The number of rows, and where the wrong ones stand.
    """
    _write(path, forms, [*institutions(), *profiles(), *consumptions()])
    return WorkbookFacts(
        rows={
            "institution": UNITS,
            "profile": UNITS * len(PERIODS),
            "consumption": UNITS * len(PERIODS),
        },
        wrong=tuple(
            (
                wrong,
                _SHEETS[wrong.form_id],
                _NOTE_AND_HEADINGS + PERIODS.index(wrong.period) * UNITS + wrong.unit,
            )
            for wrong in WRONG
        ),
    )


def write_corrected_workbook(path: Path, forms: Sequence[Form]) -> None:
    """Write a workbook that holds the wrong rows only, put right.

    Args:
        path: The .xlsx to write.
        forms: As for `write_sample_workbook`.
    """
    _write(path, forms, corrected_rows())


def building_uscc() -> str:
    """Give the sample code of agency A's unit."""
    return sample_uscc(_BUILDING_INDEX, REGION, "11")


def building_institution() -> dict[str, Value]:
    """Give the registry row of agency A's unit."""
    return {
        "uscc": building_uscc(),
        "name": "样例单位9001(计量样例楼)",
        "region_code": REGION,
        "inst_type": "01",
        "benchmark_class": "2",
        "is_admin_org": True,
        "is_independent": True,
        "is_key_user": True,
        "reg_status": "1",
    }


def building_profiles() -> tuple[dict[str, Value], ...]:
    """Give the size of agency A's unit in each period."""
    return tuple(
        {
            "uscc": building_uscc(),
            "period": period,
            "floor_area": _BUILDING_AREA,
            "energy_users": _BUILDING_USERS,
        }
        for period in PERIODS
    )


def meter_feed() -> bytes:
    """Give the quarter-hour feed of 2019 that comes with the package; see data/SOURCES.md."""
    return (files("yidao.node.demo") / "data" / "meter_2019.csv.gz").read_bytes()


def building_ledger() -> tuple[dict[str, Value], ...]:
    """Give twelve ledger rows: electricity from the meter, water from a sample bill.

    Raises:
        MeterIncomplete: Never with the feed that comes with the package.
    """
    months = monthly_energy(replayed(read_meter(meter_feed()), REPLAY_FIRST_DAY))
    fee = (_BUILDING_WATER_M3_A_MONTH * _WATER_YUAN_PER_M3).quantize(
        Decimal("0.01"), rounding=ROUND_HALF_UP
    )
    water: dict[str, Value] = {
        "water_m3": f"{_BUILDING_WATER_M3_A_MONTH:f}",
        "water_fee": f"{fee:f}",
    }
    rows = ledger_rows(months, uscc=building_uscc(), tariff_per_kwh=TARIFF_YUAN_PER_KWH)
    return tuple({**row, **water} for row in rows)


def building_returns(ledger: Iterable[Mapping[str, Value]]) -> tuple[dict[str, Value], ...]:
    """Give the quarterly returns that follow from ledger rows; all water is tap water."""
    return tuple({**row, "water_tap_m3": row["water_m3"]} for row in quarter_rows(ledger))


def _write(path: Path, forms: Sequence[Form], rows: Sequence[SampleRow]) -> None:
    by_id = {form.id: form for form in forms}
    sheets = []
    for form_id, title in _SHEETS.items():
        chosen = [row.cells for row in rows if row.form_id == form_id]
        if chosen:
            used = {name for cells in chosen for name in cells}
            form = by_id[form_id]
            sheets.append(
                SheetRows(
                    title=title,
                    note=_NOTE,
                    form=form,
                    fields=[name for name in form.fields if name in used],
                    rows=chosen,
                )
            )
    write_rows(path, sheets)
