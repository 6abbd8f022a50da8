"""A clerk's own file back with the faults in its cells."""

import io
import zipfile
from pathlib import Path

import openpyxl
import pytest
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill

from yidao.catalog.pack.model import Form, Pack, Text
from yidao.node.intake import annotate as module
from yidao.node.intake.annotate import annotate
from yidao.node.intake.errors import IntakeError
from yidao.node.intake.payload import payload_of
from yidao.node.intake.rows import CellFault, RefusedRow
from yidao.node.intake.source import open_source
from yidao.node.intake.template import form_workbook

USCC = "113301060000000177"
RED = "FFFFC7CE"


def refused_rows(path: Path, forms: list[Form], form: Form) -> list[RefusedRow]:
    """What the importer finds wrong while reading a file."""
    with open_source(path, forms) as source:
        read = [(row, payload_of(form, row).faults) for row in source.rows()]
    return [
        RefusedRow(sheet=row.sheet, row_number=row.row_number, faults=faults)
        for row, faults in read
        if faults
    ]


def fault(row: int, column: int, *, sheet: str = "能耗", rule: str = "", **text: str) -> CellFault:
    said = Text(zh=text.get("zh", "有错"), en=text.get("en", "wrong"))
    return CellFault(
        sheet=sheet, row_number=row, column=column, field="elec_kwh", rule=rule, code="X", text=said
    )


def row_of(*faults: CellFault) -> RefusedRow:
    return RefusedRow(sheet=faults[0].sheet, row_number=faults[0].row_number, faults=faults)


def reopened(data: bytes) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(data))


def packed(book: openpyxl.Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def workbook(**cells: object) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    book.active.title = "能耗"
    for place, value in cells.items():
        book.active[place] = value
    return book


def filled(packs: dict[str, Pack], path: Path, kwh: object) -> None:
    """A template with one row whose electricity is what is given."""
    book = reopened(form_workbook(packs["2025"], "consumption"))
    for column, value in enumerate((USCC, "2026-Q1", kwh), start=1):
        book.worksheets[1].cell(row=2, column=column, value=value)
    book.save(path)


@pytest.mark.parametrize(("language", "words"), [("zh", "千位分隔符"), ("en", "thousands")])
def test_a_fault_stands_in_its_very_cell_and_goes_when_it_is_mended(
    packs: dict[str, Pack], forms: list[Form], tmp_path: Path, language: str, words: str
) -> None:
    """Red with a remark; the marked file itself is corrected, read again, and comes back clean."""
    form = packs["2025"].form("consumption")
    path = tmp_path / "in.xlsx"
    filled(packs, path, "1,234")
    refused = refused_rows(path, forms, form)
    marked = annotate(path.read_bytes(), refused, language)
    book = reopened(marked)
    listed, _, sheet, _ = book.worksheets
    assert words in sheet["C2"].comment.text
    assert sheet["C2"].fill.start_color.rgb == RED
    assert (sheet["A2"].comment, sheet["C2"].value) == (None, "1,234")
    assert [cell.value for cell in listed[3]][:5] == [
        sheet.title, "2", "C", "「elec_kwh」", "CELL_THOUSANDS_SEPARATOR",
    ]  # fmt: skip
    assert listed["B3"].hyperlink.location == f"'{sheet.title}'!C2"

    path.write_bytes(marked)
    assert refused_rows(path, forms, form) == refused
    sheet["C2"] = 1234
    book.save(path)
    assert refused_rows(path, forms, form) == []
    clean = reopened(annotate(path.read_bytes(), [], language))
    assert len(clean.worksheets) == 4
    assert clean.worksheets[2]["C2"].comment is None
    assert clean.worksheets[2]["C2"].fill.fill_type is None
    assert "elec_kwh" in clean.worksheets[2]["C1"].comment.text


def test_all_faults_of_a_row_are_shown_at_once() -> None:
    """Several of one cell together, one without a cell in the row's first, in the list all."""
    data = packed(workbook(A1="代码", A2=USCC, C2="x"))
    faults = (fault(2, 3), fault(2, 3, rule="EN-01", zh="不平衡"), fault(2, 0, zh="单位未登记"))
    listed, sheet = reopened(annotate(data, [row_of(*faults)])).worksheets
    assert sheet["C2"].comment.text == "有错\n[EN-01] 不平衡"
    assert sheet["A2"].comment.text == "单位未登记"
    assert sheet["A2"].fill.start_color.rgb == RED
    assert [listed.cell(row=row, column=6).value for row in (3, 4, 5)] == [
        "有错", "不平衡", "单位未登记",
    ]  # fmt: skip
    assert listed["A1"].value == "共 3 处错误, 涉及 1 行"


def test_marking_again_changes_nothing_else() -> None:
    """Ours is replaced, the clerk's own remark stays, other cells keep their colour."""
    book = workbook(A1="代码", A2=USCC, B2="x")
    book.active["B2"].comment = Comment("问过财务", "zhao")
    book.active["A1"].fill = PatternFill(fill_type="solid", start_color="FF00FF00")
    once = annotate(packed(book), [row_of(fault(2, 2, zh="第一次"))])
    twice = reopened(annotate(once, [row_of(fault(2, 2, zh="第二次"))])).worksheets[1]
    assert "第二次" in twice["B2"].comment.text
    assert "第一次" not in twice["B2"].comment.text
    assert twice["B2"].comment.text.endswith("问过财务")
    assert twice["A1"].fill.start_color.rgb == "FF00FF00"
    bare = reopened(annotate(once, [])).worksheets[1]
    assert bare["B2"].comment.text == "问过财务"
    assert annotate(once, []) == annotate(once, [])


def test_a_table_of_text_comes_back_as_a_workbook(
    packs: dict[str, Pack], forms: list[Form], tmp_path: Path
) -> None:
    """Codes stay texts, also in GB 18030, and what begins like a formula is one no more."""
    path = tmp_path / "能耗.csv"
    text = f'统一社会信用代码,报告期,电消费量,情况说明\n{USCC},2026-Q1,"1,234",=1+1\n'
    path.write_bytes(text.encode("gb18030"))
    refused = refused_rows(path, forms, packs["2025"].form("consumption"))
    sheet = reopened(annotate(path.read_bytes(), refused)).worksheets[1]
    assert sheet.title == "能耗"
    assert "千位分隔符" in sheet["C2"].comment.text
    assert (sheet["A2"].value, sheet["A2"].data_type) == (USCC, "s")
    formula = sheet["D2"]
    assert (formula.value, formula.data_type, formula.quotePrefix) == ("=1+1", "s", True)
    marked = tmp_path / "marked.xlsx"
    marked.write_bytes(annotate(path.read_bytes(), refused))
    assert [
        (row.row_number, [each.code for each in row.faults])
        for row in refused_rows(marked, forms, packs["2025"].form("consumption"))
    ] == [(row.row_number, [each.code for each in row.faults]) for row in refused]


HOSTILE = {
    "a formula": "=1+1",
    "a command": "@SUM(1)",
    "a link": '=HYPERLINK("http://x")',
    "a minus": "-2+3",
    "a tab": "\t=1",
    "a control sign": "\x07=1",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_becomes_a_formula(text: str) -> None:
    """Neither a text of a fault or a sheet's name, nor what the clerk's file held."""
    book = workbook(A1="代码", A2="x")
    book.create_sheet("=1+1'x")
    data = packed(book)
    faults = [fault(2, 1, zh=text, rule=text), fault(1, 1, sheet="=1+1'x", zh=text)]
    for sheet in reopened(annotate(data, [row_of(each) for each in faults])).worksheets:
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


def test_a_fault_in_merged_cells_is_put_where_a_person_sees_it() -> None:
    """Only the upper left one of them can bear a remark."""
    book = workbook(A1="代码", A2="x")
    book.active.merge_cells("A2:C3")
    sheet = reopened(annotate(packed(book), [row_of(fault(3, 2))])).worksheets[1]
    assert sheet["A2"].comment.text == "有错"


def test_a_fault_beyond_the_sheet_is_listed_only() -> None:
    """An unknown sheet, or a place that no sheet has."""
    faults = [fault(2, 1, sheet="别处"), fault(2_000_000, 1), fault(2, 99_999)]
    listed, sheet = reopened(
        annotate(packed(workbook(A1="x")), [row_of(each) for each in faults])
    ).worksheets
    assert listed.max_row == 5
    assert all(cell.comment is None for row in sheet.iter_rows() for cell in row)


def test_what_would_not_be_read_is_not_marked_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same look over comes first: no workbook, macros, or more cells than may be held."""
    book = workbook(A1="x", B1="y")
    macro = io.BytesIO(packed(book))
    with zipfile.ZipFile(macro, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"x")
    cases = {
        b"": "SOURCE_EMPTY",
        b"PK\x03\x04rest": "WORKBOOK_INVALID",
        macro.getvalue(): "WORKBOOK_ACTIVE_CONTENT",
    }
    for data, code in cases.items():
        with pytest.raises(IntakeError) as caught:
            annotate(data, [])
        assert caught.value.code == code
    monkeypatch.setattr(module, "MAX_CELLS", 1)
    for data in (packed(book), b"x,y\n"):
        with pytest.raises(IntakeError) as caught:
            annotate(data, [])
        assert caught.value.code == "SOURCE_TOO_LARGE"


def test_more_faults_than_are_written_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list says how many it leaves out."""
    monkeypatch.setattr(module, "MAX_FAULTS", 2)
    rows = [row_of(fault(number, 1)) for number in range(2, 7)]
    listed = reopened(annotate(packed(workbook(A1="x")), rows)).worksheets[0]
    assert listed["A1"].value == "共 5 处错误, 涉及 5 行"
    assert listed["A5"].value == "另有 3 处未列出"
