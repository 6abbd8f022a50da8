"""Results as tables: every figure to its last digit, every text as text."""

import csv
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from yidao.node.client import (
    Client,
    ExtraMissing,
    QueryAnswer,
    QueryColumn,
    QueryRow,
    ReturnInfo,
    ReturnPage,
    RollUp,
    Totals,
)
from yidao.node.client.frames import Tabular, table_of

EXACT = "123456789012.10"


@pytest.fixture
def page(client: Client, rows) -> ReturnPage:
    """Two returns, one with a figure that no double holds."""
    client.submit("energy", [rows.institution(1), rows.institution(2)], actor=rows.actor)
    client.submit("energy", [rows.profile(1, EXACT), rows.profile(2, "0.30")], actor=rows.actor)
    return client.returns(form="profile")


class Sample(Tabular):
    """Cells of every kind."""

    def __init__(self, *values: object) -> None:
        self._values = values

    def table(self):
        kinds = {"text": str, "count": int, "flag": bool, "figure": Decimal}
        return table_of(kinds, [dict(zip(kinds, row, strict=True)) for row in self._values])  # type: ignore[arg-type]


SAMPLE = Sample(
    ("=1+1", 1, True, Decimal("-0.10")), (None, None, None, None), ("甲", 2, False, Decimal(7))
)


def test_figures_are_exact_by_the_standard(page: ReturnPage, standard: bytes) -> None:
    """Decimal in pandas and Arrow; a code of digits stays a text."""
    frame = page.typed(standard).to_pandas()
    assert sorted(frame["floor_area"]) == [Decimal("0.30"), Decimal(EXACT)]
    assert set(map(type, frame["unit"])) == {str}
    table = page.typed(standard).to_arrow()
    assert str(table.schema.field("floor_area").type) == "decimal128(38, 2)"
    assert sorted(table["floor_area"].to_pylist()) == [Decimal("0.30"), Decimal(EXACT)]
    assert str(table.schema.field("energy_users").type) == "int64"


def test_without_a_standard_figures_are_the_texts_that_they_are(page: ReturnPage) -> None:
    """Nothing is guessed."""
    assert set(page.to_pandas()["floor_area"]) == {EXACT, "0.30"}


def test_an_answer_is_a_line_a_row() -> None:
    """Figures are decimals; a masked one is a text, and what is not there is nothing."""
    kinds = (("unit", "text", False), ("kwh", "decimal", False), ("fee", "decimal", True))
    columns = [
        QueryColumn(name=name, kind=kind, scale=2, masked=masked) for name, kind, masked in kinds
    ]
    rows = (
        QueryRow(cells={"unit": "甲", "kwh": EXACT, "fee": "*"}, path="/33/a", cached=False),
        QueryRow(cells={"unit": "乙", "kwh": None, "fee": None}, path="/33/b", cached=True),
    )
    answer = QueryAnswer(columns=tuple(columns), rows=rows, nodes=(), complete=True)
    assert answer.table().rows == (
        ("甲", Decimal(EXACT), "*", "/33/a"),
        ("乙", None, None, "/33/b"),
    )
    nothing = QueryAnswer(columns=(), rows=(), nodes=(), complete=True)
    assert nothing.to_pandas().empty


def test_a_roll_up_is_a_line_a_figure(client: Client, page: ReturnPage) -> None:
    """The sum is exact, in every shape."""
    roll_up = client.roll_up(pack="energy", form="profile", period="2025-Q2")
    frame = roll_up.to_pandas()
    (value,) = frame[(frame["scope"] == "submitted") & (frame["name"] == "floor_area")]["value"]
    assert value == Decimal(EXACT) + Decimal("0.30")
    assert Decimal("123456789012.40") in roll_up.to_arrow()["value"].to_pylist()


def test_a_histogram_has_its_codes_in_a_column() -> None:
    """`field=code` is taken apart."""
    totals = Totals(returns=2, summed=2, fields={"inst_type=01": "2"}, indicators={})
    nothing = Totals(returns=0, summed=0, fields={}, indicators={})
    rows = RollUp(submitted=totals, accepted=nothing, frontiers=(), position=1).table().rows
    assert ("submitted", "field", "inst_type", "01", Decimal(2)) in rows


def test_every_kind_of_cell_survives() -> None:
    """Nothing stays nothing, and becomes no zero."""
    frame = SAMPLE.to_pandas()
    assert frame["figure"].tolist() == [Decimal("-0.10"), None, Decimal(7)]
    assert frame["count"].isna().tolist() == [False, True, False]
    table = SAMPLE.to_arrow()
    assert table["figure"].to_pylist() == [Decimal("-0.10"), None, Decimal(7)]
    assert table["flag"].to_pylist() == [True, None, False]
    assert Sample().to_arrow().num_rows == Sample().to_pandas().shape[0] == 0


WIDE = {
    "38 digits": ("9" * 36 + ".99", "decimal128(38, 2)"),
    "past 38 digits": ("9" * 40 + ".9", "decimal256(76, 1)"),
    "a large exponent": ("1E+30", "decimal128(38, 0)"),
}


@pytest.mark.parametrize("case", WIDE)
def test_arrow_takes_the_width_that_figures_need(case: str) -> None:
    """No digit is cut off."""
    text, kind = WIDE[case]
    table = Sample(("", 0, False, Decimal(text))).to_arrow()
    assert str(table.schema.field("figure").type) == kind
    assert table["figure"].to_pylist() == [Decimal(text)]


FORMULAS = {
    "an equals sign": ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
    "a plus": ("+1", "'+1"),
    "a minus": ("-1", "'-1"),
    "an at sign": ("@SUM(1)", "'@SUM(1)"),
    "a tab": ("\t=1", "'\t=1"),
    "a carriage return": ("\r=1", "'\r=1"),
    "a plain text": ('样例, "quoted"', '样例, "quoted"'),
}


@pytest.mark.parametrize("case", FORMULAS)
def test_no_text_of_a_csv_is_run_as_a_formula(tmp_path: Path, case: str) -> None:
    """A negative figure stays a figure."""
    text, written = FORMULAS[case]
    file = tmp_path / "table.csv"
    Sample((text, -1, True, Decimal("-0.10"))).to_csv(file)
    assert file.read_bytes().startswith("\ufefftext,count,flag,figure".encode())
    with file.open(encoding="utf-8-sig", newline="") as lines:
        (_, cells) = csv.reader(lines)
    assert cells == [written, "-1", "True", "-0.10"]


def test_a_name_of_a_field_is_no_formula_either(tmp_path: Path) -> None:
    """Headings come from payloads, and payloads from anywhere."""
    each = ReturnInfo(
        key="",
        form="f",
        period="",
        unit="",
        version=1,
        state="submitted",
        record_id=b"",
        pack_version="",
        origin_path="/",
        submitted_by="",
        reviewed_by="",
        reason="",
        faults=(),
        payload=b'{"=cmd": "x"}',
    )
    file = tmp_path / "table.csv"
    ReturnPage(returns=(each,), next="").to_csv(file)
    assert ",'=cmd" in file.read_text("utf-8-sig").splitlines()[0]


@pytest.mark.parametrize(("package", "call"), [("pandas", "to_pandas"), ("pyarrow", "to_arrow")])
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, call: str
) -> None:
    """With what to install; CSV needs nothing."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissing) as told:
        getattr(SAMPLE, call)()
    assert told.value.params == {"package": package, "extra": "tables"}
