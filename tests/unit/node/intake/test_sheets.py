"""Templates, marked copies and the way back through the reader."""

import zipfile
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from yidao.catalog.pack.model import Form, Pack
from yidao.node.intake.errors import IntakeError, TemplateInvalid
from yidao.node.intake.payload import payload_of
from yidao.node.intake.sheets import SheetRows, write_marked, write_rows, write_template
from yidao.node.intake.source import open_source

USCC = "113301060000000177"


def test_a_template_can_be_filled_in_and_read_back(
    packs: dict[str, Pack], forms: list[Form], tmp_path: Path
) -> None:
    """Every heading that is written is recognised, on the sheet of its form."""
    path = tmp_path / "template.xlsx"
    chosen = list(packs["2025"].forms.values())
    write_template(chosen, path)
    book = openpyxl.load_workbook(path)
    for sheet in book.worksheets:
        sheet.append([USCC])
    book.save(path)
    with open_source(path, forms) as source:
        assert [sheet.form_id for sheet in source.sheets] == [form.id for form in chosen]
        assert all(sheet.unmatched == () for sheet in source.sheets)
        for form, row in zip(chosen, source.rows(), strict=True):
            asked = [field.name for field in form.fields.values() if not field.computed]
            assert list(row.columns) == asked


def test_a_template_keeps_codes_as_text(packs: dict[str, Pack], tmp_path: Path) -> None:
    """Else 021 typed by a clerk would lose its zero."""
    path = tmp_path / "template.xlsx"
    write_template([packs["2025"].form("institution")], path)
    sheet = openpyxl.load_workbook(path).active
    assert sheet.column_dimensions["A"].number_format == "@"
    assert sheet["A1"].value == "*统一社会信用代码"
    assert "uscc" in sheet["A1"].comment.text


def test_impossible_templates_are_refused(packs: dict[str, Pack], tmp_path: Path) -> None:
    """None, two of one title, or a field of another form."""
    form = packs["2025"].form("profile")
    path = tmp_path / "t.xlsx"
    with pytest.raises(TemplateInvalid):
        write_template([], path)
    with pytest.raises(TemplateInvalid):
        write_template([form, form], path)
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


def test_faults_are_marked_in_their_cells(
    packs: dict[str, Pack], forms: list[Form], tmp_path: Path
) -> None:
    """Colour and a remark in both languages; several faults of a cell stand together."""
    form = packs["2025"].form("consumption")
    path, marked = tmp_path / "in.xlsx", tmp_path / "marked.xlsx"
    rows = [{"uscc": USCC, "period": "2026-Q1", "elec_kwh": "1,234"}]
    fields = ["uscc", "period", "elec_kwh"]
    write_rows(path, [SheetRows(title="能耗", note="", form=form, fields=fields, rows=rows)])
    with open_source(path, forms) as source:
        (row,) = source.rows()
    faults = payload_of(form, row).faults
    write_marked(path, marked, [*faults, *faults, row.fault("", "X", faults[0].text, "EN-01")])
    sheet = openpyxl.load_workbook(marked)["能耗"]
    assert sheet["C2"].comment.text.count("千位分隔符") == 2
    assert "thousands separators" in sheet["C2"].comment.text
    assert sheet["C2"].fill.start_color.rgb == "FFFFC7CE"
    assert sheet["A2"].comment.text.startswith("EN-01 ")
    assert sheet["B2"].comment is None


def test_a_workbook_that_would_not_be_read_is_not_marked_either(tmp_path: Path) -> None:
    """The same look over comes first, and nothing is written."""
    path, marked = tmp_path / "in.xlsx", tmp_path / "marked.xlsx"
    path.write_bytes(b"no workbook")
    with pytest.raises(IntakeError) as caught:
        write_marked(path, marked, [])
    assert caught.value.code == "WORKBOOK_INVALID"
    openpyxl.Workbook().save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"x")
    with pytest.raises(IntakeError) as caught:
        write_marked(path, marked, [])
    assert caught.value.code == "WORKBOOK_ACTIVE_CONTENT"
    assert not marked.exists()
