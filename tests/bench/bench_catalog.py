"""What one row costs: reading, checking, rolling up. Run with `make bench`."""

from importlib.resources import files

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack, Value
from yidao.catalog.pack.rules import Contexts
from yidao.catalog.rollup import Rollup
from yidao.catalog.rows import encode_row, parse_row
from yidao.catalog.validate import Checks

Row = dict[str, Value]


@pytest.fixture(scope="module")
def pack() -> Pack:
    """Give the shipped energy pack."""
    return load_pack((files("yidao.catalog") / "packs" / "energy-2025.yaml").read_bytes())


@pytest.fixture
def row(pack: Pack) -> Row:
    """Give a consumption row in which every field is filled in and right."""
    fields = pack.form("consumption").fields.values()
    row: Row = {field.name: f"1.{'0' * field.scale}" for field in fields if field.scale}
    row.update(
        uscc="113301060000000195", period="2026-Q1", other_kind="样例", note="样例",
        water_m3="2.00", gasoline_l="2.00", diesel_l="2.00",
        water_fee="6.00", ng_fee="2.00", gasoline_fee="12.00",
    )  # fmt: skip
    del row["total_tce"], row["co2_t"]
    return Checks().complete(pack, "consumption", row)


def test_read_a_row(benchmark: BenchmarkFixture, row: Row) -> None:
    """Canonical bytes to a row."""
    data = encode_row(row)
    assert benchmark(parse_row, data) == row


def test_check_a_right_row(benchmark: BenchmarkFixture, pack: Pack, row: Row) -> None:
    """Structure, computed fields and the 21 rules of a row that has all its contexts."""
    checks = Checks()
    contexts = Contexts(
        year_ago=row, forms={"profile": {"floor_area": "200.00", "energy_users": 2}}
    )
    verdict = benchmark(checks.check, pack, "consumption", row, contexts)
    assert verdict.faults == ()
    assert verdict.skipped == ()


def test_check_a_wrong_row(benchmark: BenchmarkFixture, pack: Pack, row: Row) -> None:
    """One broken rule: every rule runs for the report."""
    checks = Checks()
    wrong = {**row, "water_m3": "3.00"}
    verdict = benchmark(checks.check, pack, "consumption", wrong)
    assert [fault.rule for fault in verdict.faults] == ["EN-01"]


def test_roll_up_a_row(benchmark: BenchmarkFixture, pack: Pack, row: Row) -> None:
    """A thousand rows of one form at once."""
    form = pack.form("consumption")
    rollup = benchmark(Rollup.of, form, [row] * 1_000)
    assert rollup.rows == 1_000
