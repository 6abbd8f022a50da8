"""Sample units, sizes and returns of one county: made by rule from a fixed seed.

Every number is a function of (seed, unit, what is drawn), so that it depends
neither on the order of drawing nor on a library's random generator. Yearly
figures stand around the published averages of each class of institution; the
quarters follow a sample seasonal shape. All rows keep every rule of the energy
standard but three, which are wrong on purpose (`WRONG`) and exist in a right
version too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from functools import cache
from hashlib import sha256

from yidao.catalog.codes import sample_uscc

SEED = 20251110
REGION = "330106"
UNITS = 500
#: 类项目细目 of the sample resources.
RESOURCE_CLASS = "30603733010600000001"
PERIODS = ("2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1")

Cell = str | int | Decimal
Cells = Mapping[str, Cell]

_CENT = Decimal("0.01")
_KGCE_PER_KWH, _KGCE_PER_M3, _KGCE_PER_L = Decimal("0.1229"), Decimal("1.3300"), Decimal("1.0741")
# Shares of the year by quarter of the calendar. Sample: warm, humid summers and unheated winters.
_POWER_SHAPE = {
    1: Decimal("0.26"),
    2: Decimal("0.21"),
    3: Decimal("0.32"),
    4: Decimal("0.21"),
}
_GAS_SHAPE = {1: Decimal("0.32"), 2: Decimal("0.22"), 3: Decimal("0.18"), 4: Decimal("0.28")}
_WATER_SHAPE = {1: Decimal("0.22"), 2: Decimal("0.26"), 3: Decimal("0.29"), 4: Decimal("0.23")}


class Wrong(Enum):
    """What is wrong with a sample row."""

    WATER_TOTAL = "water_total"
    RETIRED_FIELD = "retired_field"
    NEGATIVE_ELECTRICITY = "negative_electricity"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """One row: values by field name; figures are exact decimals."""

    form_id: str
    cells: Cells


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongRow:
    """A row that is wrong on purpose.

    Attributes:
        unit: Number of the sample unit, from 1.
        field: The field under which the fault is shown.
        rule: The rule that it breaks, or empty.
    """

    wrong: Wrong
    form_id: str
    unit: int
    period: str
    field: str
    rule: str


WRONG = (
    WrongRow(
        wrong=Wrong.WATER_TOTAL,
        form_id="consumption",
        unit=37,
        period="2025-Q3",
        field="water_m3",
        rule="EN-01",
    ),
    WrongRow(
        wrong=Wrong.RETIRED_FIELD,
        form_id="profile",
        unit=120,
        period="2026-Q1",
        field="land_area",
        rule="",
    ),
    WrongRow(
        wrong=Wrong.NEGATIVE_ELECTRICITY,
        form_id="consumption",
        unit=311,
        period="2025-Q4",
        field="elec_kwh",
        rule="",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    """A class of institutions: its share of the units and its published yearly averages.

    Attributes:
        epa: kgce/m².
        epc: kgce per person.
        wpc: m³ per person.
        users: Smallest and largest headcount of the sample units.
        gas_share: Part of the energy that is natural gas (sample).
    """

    code: str
    inst_type: str
    uscc_kind: str
    percent: int
    epa: Decimal
    epc: Decimal
    wpc: Decimal
    users: tuple[int, int]
    gas_share: Decimal


def _class(
    code: str,
    inst_type: str,
    kind: str,
    percent: int,
    benchmark: str,
    users: tuple[int, int],
    gas: str,
) -> _Class:
    epa, epc, wpc = map(Decimal, benchmark.split())
    return _Class(
        code=code,
        inst_type=inst_type,
        uscc_kind=kind,
        percent=percent,
        epa=epa,
        epc=epc,
        wpc=wpc,
        users=users,
        gas_share=Decimal(gas),
    )


# Benchmarks EPA EPC WPC: Guangdong 2021 by class (广东省能源局 2023-01-03); the last two lines,
# for which it has no class, take the national values of 2022. The rest of a line is sample.
_CLASSES = (
    _class("2", "01", "11", 38, "11.02 397.34 69.99", (15, 240), "0.06"),
    _class("4", "021", "12", 34, "3.28 65.30 43.38", (180, 2400), "0.15"),
    _class("5", "024", "12", 8, "15.88 294.06 55.87", (60, 1600), "0.20"),
    _class("3", "021", "12", 3, "4.77 102.80 50.51", (2500, 9000), "0.12"),
    _class("6", "023", "12", 7, "9.87 66.04 11.17", (40, 420), "0"),
    _class("9", "026", "12", 7, "18.03 321.27 20.99", (10, 160), "0.05"),
    _class("9", "03", "13", 3, "18.03 321.27 20.99", (8, 60), "0"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    number: int
    uscc: str
    kind: _Class
    users: int
    floor_area: Decimal
    vehicles: int
    nev: int


def institutions() -> Iterator[SampleRow]:
    """Give the registry rows (名录库), in the order of the units."""
    for unit in _units():
        admin = unit.kind.uscc_kind == "11"
        yield SampleRow(
            form_id="institution",
            cells={
                "uscc": unit.uscc,
                "name": f"样例单位{unit.number:04d}",
                "region_code": REGION,
                "inst_type": unit.kind.inst_type,
                "benchmark_class": unit.kind.code,
                "is_admin_org": "是" if admin else "否",
                "is_independent": "是",
                "is_key_user": "是" if unit.floor_area >= 10_000 else "否",
                "reg_status": "1",
            },
        )


def profiles() -> Iterator[SampleRow]:
    """Give the size of every unit in every period; one row carries a retired field."""
    for period in PERIODS:
        for unit in _units():
            cells = _profile(unit, period)
            if _wrong(Wrong.RETIRED_FIELD, unit, period):
                cells["land_area"] = _land_area(unit)
            yield SampleRow(form_id="profile", cells=cells)


def consumptions() -> Iterator[SampleRow]:
    """Give the quarterly returns; two rows are wrong."""
    for period in PERIODS:
        for unit in _units():
            cells = _consumption(unit, period)
            if _wrong(Wrong.WATER_TOTAL, unit, period):
                cells["water_m3"] = Decimal(cells["water_m3"]) + 50
            if _wrong(Wrong.NEGATIVE_ELECTRICITY, unit, period):
                cells["elec_kwh"] = -Decimal(cells["elec_kwh"])
            yield SampleRow(form_id="consumption", cells=cells)


def corrected_rows() -> tuple[SampleRow, ...]:
    """Give the rows of `WRONG` as they should have been, in the same order."""
    make = {"profile": _profile, "consumption": _consumption}
    return tuple(
        SampleRow(
            form_id=wrong.form_id,
            cells=make[wrong.form_id](_units()[wrong.unit - 1], wrong.period),
        )
        for wrong in WRONG
    )


@cache
def _units() -> tuple[_Unit, ...]:
    return tuple(_unit(number) for number in range(1, UNITS + 1))


def _unit(number: int) -> _Unit:
    kind = _class_of(_draw(number, "class") * 100)
    low, high = kind.users
    # Squared: most institutions are small.
    users = low + int((high - low) * _draw(number, "users") ** 2)
    # EPA · area = EPC · users, both as published; ±12 % around the area that follows.
    area = users * kind.epc / kind.epa * _between(number, "area", "0.88", "1.12")
    vehicles = users // 25 if kind.uscc_kind == "11" else users // 200
    return _Unit(
        number=number,
        uscc=sample_uscc(number, REGION, kind.uscc_kind),
        kind=kind,
        users=users,
        floor_area=_round(area),
        vehicles=vehicles,
        nev=int(vehicles * _draw(number, "nev")),
    )


def _class_of(percent: Decimal) -> _Class:
    for kind in _CLASSES:
        percent -= kind.percent
        if percent < 0:
            return kind
    return _CLASSES[-1]


def _profile(unit: _Unit, period: str) -> dict[str, Cell]:
    cells: dict[str, Cell] = {
        "uscc": unit.uscc,
        "period": period,
        "floor_area": unit.floor_area,
        "energy_users": unit.users,
        "staff_quota": max(1, unit.users * 9 // 10),
        "heated_area": Decimal(0),
        "vehicles": unit.vehicles,
        "nev": unit.nev,
    }
    # Land area was asked for until the revision that is in force from 2026.
    if period < "2026" and unit.number % 3 == 0:
        cells["land_area"] = _land_area(unit)
    return cells


def _land_area(unit: _Unit) -> Decimal:
    return _round(unit.floor_area * _between(unit.number, "land", "0.6", "1.8"))


def _consumption(unit: _Unit, period: str) -> dict[str, Cell]:
    quarter = int(period[-1])
    energy_kgce = unit.users * unit.kind.epc * _between(unit.number, "energy", "0.82", "1.18")
    water_year = unit.users * unit.kind.wpc * _between(unit.number, "water", "0.80", "1.20")
    petrol_year = Decimal(unit.vehicles - unit.nev) * _between(unit.number, "petrol", "700", "1100")
    building_kgce = max(energy_kgce / 2, energy_kgce - petrol_year * _KGCE_PER_L)
    gas_year = building_kgce * unit.kind.gas_share / _KGCE_PER_M3
    electricity_year = building_kgce * (1 - unit.kind.gas_share) / _KGCE_PER_KWH

    electricity = _part(unit, period, "kwh", electricity_year * _POWER_SHAPE[quarter])
    water = _part(unit, period, "m3", water_year * _WATER_SHAPE[quarter])
    # A few units have wells of their own.
    well = _round(water * Decimal("0.15")) if unit.number % 17 == 0 else Decimal(0)
    cells: dict[str, Cell] = {
        "uscc": unit.uscc,
        "period": period,
        "elec_kwh": electricity,
        "elec_fee": _fee(unit, "elec_price", electricity, "0.56", "0.82"),
        "water_m3": water,
        "water_tap_m3": water - well,
        "water_well_m3": well,
        "water_fee": _fee(unit, "water_price", water, "2.90", "4.60"),
    }
    if gas := _part(unit, period, "gas", gas_year * _GAS_SHAPE[quarter]):
        cells["ng_m3"] = gas
        cells["ng_fee"] = _fee(unit, "gas_price", gas, "3.10", "4.20")
    if petrol := _part(unit, period, "petrol", petrol_year / 4):
        cells["gasoline_l"] = petrol
        cells["gasoline_vehicle_l"] = petrol
        cells["gasoline_other_l"] = Decimal(0)
        cells["gasoline_fee"] = _fee(unit, "petrol_price", petrol, "7.20", "8.20")
    return cells


def _wrong(wrong: Wrong, unit: _Unit, period: str) -> bool:
    return any(
        row.wrong is wrong and row.unit == unit.number and row.period == period for row in WRONG
    )


def _part(unit: _Unit, period: str, what: str, amount: Decimal) -> Decimal:
    """Vary a quarter's amount by ±6 % and bring it to two decimals."""
    return _round(amount * _between(unit.number, f"{what}/{period}", "0.94", "1.06"))


def _fee(unit: _Unit, what: str, amount: Decimal, low: str, high: str) -> Decimal:
    return _round(amount * _between(unit.number, what, low, high))


def _round(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, rounding=ROUND_HALF_UP)


def _between(number: int, what: str, low: str, high: str) -> Decimal:
    return Decimal(low) + (Decimal(high) - Decimal(low)) * _draw(number, what)


def _draw(number: int, what: str) -> Decimal:
    """Draw from [0, 1) in steps of 10⁻⁶."""
    digest = sha256(f"{SEED}/{number}/{what}".encode()).digest()
    return Decimal(int.from_bytes(digest[:8]) % 1_000_000).scaleb(-6)
