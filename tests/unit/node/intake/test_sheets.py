"""Written rows and the way back through the reader."""

from decimal import Decimal
from pathlib import Path

import pytest

from yidao.catalog.pack.model import Pack
from yidao.node.intake.errors import TemplateInvalid
from yidao.node.intake.payload import payload_of
from yidao.node.intake.sheets import SheetRows, write_rows
from yidao.node.intake.source import open_source

USCC = "113301060000000177"


def test_impossible_sheets_are_refused(packs: dict[str, Pack], tmp_path: Path) -> None:
    """Two of one title, or a field of another form."""
    form = packs["2025"].form("profile")
    path = tmp_path / "t.xlsx"
    rows = SheetRows(title="x", note="", form=form, fields=["uscc"], rows=())
    with pytest.raises(TemplateInvalid):
        write_rows(path, [rows, rows])
    with pytest.raises(TemplateInvalid):
        write_rows(path, [SheetRows(title="x", note="", form=form, fields=["name"], rows=())])
    assert not path.exists()


def test_equal_rows_give_equal_bytes(packs: dict[str, Pack], tmp_path: Path) -> None:
    """No date of writing is left in the file."""
    form = packs["2025"].form("profile")
    rows = [{"uscc": USCC, "period": "2026-Q1", "floor_area": Decimal("1.10"), "energy_users": 3}]
    for name in ("a", "b"):
        fields = list(rows[0])
        write_rows(
            tmp_path / name, [SheetRows(title="规模", note="", form=form, fields=fields, rows=rows)]
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_figures_come_back_as_they_went_in(packs: dict[str, Pack], tmp_path: Path) -> None:
    """To the last of fifteen digits."""
    form = packs["2025"].form("consumption")
    path = tmp_path / "x.xlsx"
    figures = [Decimal("0.01"), Decimal("9999999999999.99"), Decimal("123456.70"), Decimal(0)]
    rows = [{"uscc": USCC, "period": "2026-Q1", "elec_kwh": figure} for figure in figures]
    fields = ["uscc", "period", "elec_kwh"]
    write_rows(path, [SheetRows(title="t", note="a note", form=form, fields=fields, rows=rows)])
    with open_source(path, [form]) as source:
        read = [payload_of(form, row).values["elec_kwh"] for row in source.rows()]
        assert [row.row_number for row in source.rows()] == [3, 4, 5, 6]
    assert read == [f"{figure:.2f}" for figure in figures]
