"""The sample county: plausible, consistent, equal on every machine, and wrong in three places."""

from collections import defaultdict
from datetime import date
from fractions import Fraction
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest

from yidao.catalog.calendar import Period
from yidao.catalog.codes import uscc_ok
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Form, Pack, Value
from yidao.catalog.pack.rules import Contexts
from yidao.catalog.pack.versions import PackSet
from yidao.catalog.validate import Checks, Verdict
from yidao.node.demo.samples import (
    PERIODS,
    REGION,
    UNITS,
    WRONG,
    Wrong,
    consumptions,
    corrected_rows,
    institutions,
    profiles,
)
from yidao.node.demo.sampleunits import (
    building_institution,
    building_ledger,
    building_profiles,
    building_returns,
    building_uscc,
    meter_feed,
    write_corrected_workbook,
    write_sample_workbook,
)
from yidao.node.intake.payload import payload_of, period_of
from yidao.node.intake.rows import SourceRow
from yidao.node.intake.source import open_source

Judged = tuple[SourceRow, dict[str, Value], Verdict]


@pytest.fixture(scope="module")
def packs() -> PackSet:
    folder = files("yidao.catalog") / "packs"
    return PackSet.of(
        [load_pack((folder / f"energy-{year}.yaml").read_bytes()) for year in (2022, 2025)]
    )


@pytest.fixture(scope="module")
def forms(packs: PackSet) -> list[Form]:
    return list(packs.version("energy", "2022").forms.values())


def in_force(packs: PackSet, period: str | None) -> Pack:
    day = Period.parse(period).first_day if period else date(2025, 4, 1)
    return packs.in_force("energy", day)


def judge(path: Path, packs: PackSet) -> list[Judged]:
    """Import a workbook as an agency would and check every row with its contexts."""
    every = [
        form
        for version in ("2022", "2025")
        for form in packs.version("energy", version).forms.values()
    ]
    checks, sizes = Checks(), dict[tuple[Value, Value], dict[str, Value]]()
    judged: list[Judged] = []
    with open_source(path, every) as source:
        for row in source.rows():
            pack = in_force(packs, period_of(row))
            payload = payload_of(pack.form(row.form_id), row)
            assert payload.faults == ()
            assert payload.notices == ()
            values = checks.complete(pack, row.form_id, payload.values)
            key = values["uscc"], values.get("period", "")
            size = sizes.get(key)
            contexts = Contexts(forms={} if size is None else {"profile": size})
            verdict = checks.check(pack, row.form_id, values, contexts)
            if row.form_id == "profile" and verdict.ok:
                sizes[key] = values
            judged.append((row, values, verdict))
    return judged


@pytest.fixture(scope="module")
def judged(
    packs: PackSet, forms: list[Form], tmp_path_factory: pytest.TempPathFactory
) -> list[Judged]:
    path = tmp_path_factory.mktemp("sample") / "sample.xlsx"
    write_sample_workbook(path, forms)
    return judge(path, packs)


def test_the_workbook_has_the_promised_rows(judged: list[Judged]) -> None:
    """At least 500 units and 2,000 returns, registry and sizes first."""
    order = [row.form_id for row, _, _ in judged]
    assert order == (
        ["institution"] * UNITS
        + ["profile"] * UNITS * len(PERIODS)
        + ["consumption"] * UNITS * len(PERIODS)
    )
    assert UNITS >= 500


def test_exactly_three_rows_are_refused_each_for_its_reason(
    judged: list[Judged], forms: list[Form], tmp_path: Path
) -> None:
    """And they stand where the writer says that they stand."""
    facts = write_sample_workbook(tmp_path / "again.xlsx", forms)
    refused = {
        (row.sheet, row.row_number): verdict.errors for row, _, verdict in judged if not verdict.ok
    }
    places = {(sheet, row_number): wrong for wrong, sheet, row_number in facts.wrong}
    assert refused.keys() == places.keys()
    assert len(refused) == 3
    codes = {
        Wrong.WATER_TOTAL: {"RULE_BROKEN"},
        Wrong.RETIRED_FIELD: {"FIELD_RETIRED"},
        Wrong.NEGATIVE_ELECTRICITY: {"VALUE_RANGE", "VALUE_SPELLING"},
    }
    for place, wrong in places.items():
        first = refused[place][0]
        assert (first.field, first.rule) == (wrong.field, wrong.rule)
        assert first.code in codes[wrong.wrong]


def test_no_row_of_the_sample_draws_a_warning(judged: list[Judged]) -> None:
    """Prices, areas and intensities lie within what the standard calls plausible."""
    assert [
        (row.row_number, fault.rule) for row, _, verdict in judged for fault in verdict.warnings
    ] == []


def test_the_corrected_rows_are_accepted_and_name_the_same_objects(
    judged: list[Judged], packs: PackSet, forms: list[Form], tmp_path: Path
) -> None:
    """Same form, unit and period as the wrong ones, so that they become their next versions."""
    path = tmp_path / "corrected.xlsx"
    write_corrected_workbook(path, forms)
    corrected = judge(path, packs)
    assert all(verdict.ok for _, _, verdict in corrected)

    def objects(rows: list[Judged]) -> set[tuple[str, Value, Value]]:
        return {(row.form_id, values["uscc"], values["period"]) for row, values, _ in rows}

    assert objects(corrected) == objects([each for each in judged if not each[2].ok])
    assert len(corrected) == 3


def test_sample_units_say_that_they_are_samples() -> None:
    """Different valid codes, names that nobody bears, one district."""
    rows = [row.cells for row in institutions()]
    assert len({cells["uscc"] for cells in rows}) == UNITS
    assert all(uscc_ok(str(cells["uscc"])) for cells in rows)
    assert all("样例" in str(cells["name"]) for cells in rows)
    assert {cells["region_code"] for cells in rows} == {REGION}


def test_land_area_stands_in_rows_of_2025_and_in_one_wrong_row_of_2026(
    judged: list[Judged],
) -> None:
    """The 2022 version allows it, the revision refuses it."""
    periods = [
        str(values["period"])
        for row, values, _ in judged
        if row.form_id == "profile" and "land_area" in values
    ]
    assert len([period for period in periods if period < "2026"]) > 300
    assert len([period for period in periods if period >= "2026"]) == 1


def test_the_county_stands_near_the_published_averages(
    judged: list[Judged], packs: PackSet
) -> None:
    """Energy per person and per area, water per person, of each class that has a benchmark.

    Within a quarter of the published value: units differ, and vehicle fuel is
    not part of the energy of a building.
    """
    benchmarks = {each.id: each.values for each in packs.version("energy", "2022").benchmarks}
    class_of = {
        values["uscc"]: values["benchmark_class"]
        for row, values, _ in judged
        if row.form_id == "institution"
    }
    sums: dict[tuple[Value, str], Fraction] = defaultdict(Fraction)
    for row, values, verdict in judged:
        if row.form_id != "institution" and verdict.ok:
            for name in ("total_tce", "water_m3", "floor_area", "energy_users"):
                if name in values:
                    sums[class_of[values["uscc"]], name] += Fraction(str(values[name]))
    for code in "23456":
        year = benchmarks[f"guangdong-2021-{code}"]
        users = sums[code, "energy_users"] / len(PERIODS)
        area = sums[code, "floor_area"] / len(PERIODS)
        found = {
            "EPC": sums[code, "total_tce"] * 1000 / users,
            "EPA": sums[code, "total_tce"] * 1000 / area,
            "WPC": sums[code, "water_m3"] / users,
        }
        for name, value in found.items():
            assert Fraction(3, 4) < value / year[name] < Fraction(5, 4), (code, name, float(value))


def test_the_sample_is_the_same_on_every_machine(forms: list[Form], tmp_path: Path) -> None:
    """Golden digest of all rows: a change of the sample is a decision, not an accident."""
    digest = sha256()
    for row in (*institutions(), *profiles(), *consumptions(), *corrected_rows()):
        digest.update(repr((row.form_id, sorted(map(str, row.cells.items())))).encode())
    golden = "b8335cccf71fe07ab3921e7c7badd81591127a60bd2e83604c0f4ed650084a22"
    assert digest.hexdigest() == golden
    for name in ("a", "b"):
        write_sample_workbook(tmp_path / name, forms)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_metered_building_gives_four_good_returns(packs: PackSet) -> None:
    """From 35,040 quarter-hours over twelve ledger rows, every row accepted without a warning."""
    checks = Checks()
    ledger = building_ledger()
    assert [row["period"] for row in ledger] == [
        *(f"2025-{number:02d}" for number in range(4, 13)),
        *(f"2026-{number:02d}" for number in range(1, 4)),
    ]
    sizes = {row["period"]: row for row in building_profiles()}
    returns = building_returns(ledger)
    assert tuple(row["period"] for row in returns) == PERIODS
    for form_id, rows in (
        ("institution", [building_institution()]),
        ("profile", sizes.values()),
        ("monthly_ledger", ledger),
        ("consumption", returns),
    ):
        for row in rows:
            period = row.get("period")
            pack = in_force(packs, str(period) if period else None)
            full = checks.complete(pack, form_id, row)
            contexts = Contexts(forms={"profile": sizes[period]} if period in sizes else {})
            assert checks.check(pack, form_id, full, contexts).faults == ()
    assert all(row["uscc"] == building_uscc() for row in returns)


def test_the_year_of_the_building_is_that_of_the_package() -> None:
    """2,380,081.58 kWh: the sum of the package's column times a quarter of an hour."""
    total = sum(Fraction(str(row["elec_kwh"])) for row in building_ledger())
    assert total == Fraction("2380081.58")
    assert (
        sha256(meter_feed()).hexdigest()
        == "d985e237d960d01a1b5974c2f67fd78074621e42b5af1f18136031b47b0347c4"
    )


def test_the_wrong_rows_are_of_both_versions() -> None:
    """One of each kind; the retired field only makes sense under the revision."""
    assert {wrong.wrong for wrong in WRONG} == set(Wrong)
    assert [row.period for row in WRONG if row.wrong is Wrong.RETIRED_FIELD] == ["2026-Q1"]
