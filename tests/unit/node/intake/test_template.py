"""Templates: every form of both versions, in both languages, filled in and read back."""

import io
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from yidao.catalog.codes import sample_uscc
from yidao.catalog.errors import FormUnknown
from yidao.catalog.numbers import format_decimal
from yidao.catalog.pack.model import Field, FieldKind, Form, Pack, Value
from yidao.catalog.validate import Checks
from yidao.node.intake.errors import TemplateInvalid
from yidao.node.intake.payload import payload_of
from yidao.node.intake.source import open_source
from yidao.node.intake.template import form_workbook

UNITS = [(sample_uscc(index, "330106"), f"样例单位{index:04d}") for index in range(3)]
PERIODS = {"profile": "2026-Q1", "consumption": "2026-Q1", "monthly_ledger": "2026-07"}
FORMS = ("institution", "profile", "consumption", "monthly_ledger")
EVERY = [
    pytest.param(version, form, language, id=f"{form} of {version} in {language}")
    for version in ("2022", "2025")
    for form in FORMS
    for language in ("zh", "en")
]
# Rows that the rules take, of the columns that they need.
GOOD: Mapping[str, Mapping[str, object]] = {
    "institution": {"region_code": "330106", "inst_type": "021", "reg_status": "1"},
    "profile": {"floor_area": 5000, "energy_users": 100},
    "consumption": {
        "elec_kwh": 50000.5,
        "elec_fee": 31000,
        "water_m3": 700,
        "water_tap_m3": 600,
        "water_well_m3": 100,
        "water_fee": 3500,
    },
    "monthly_ledger": {"elec_kwh": 17000, "elec_fee": 10540},
}


def template(pack: Pack, form: str, **options: object) -> openpyxl.Workbook:
    data = form_workbook(pack, form, **options)  # type: ignore[arg-type]
    return openpyxl.load_workbook(io.BytesIO(data))


def fields_of(form: Form) -> list[Field]:
    return [field for field in form.fields.values() if not field.computed]


def read_back(book: openpyxl.Workbook, folder: Path, forms: list[Form]):
    path = folder / "filled.xlsx"
    book.save(path)
    with open_source(path, forms) as source:
        return source.sheets, list(source.rows())


def sample(pack: Pack, field: Field, language: str) -> tuple[object, Value]:
    """What a clerk enters, and what is read of it."""
    match field.kind:
        case FieldKind.DECIMAL:
            scaled = max(field.minimum or 0, 1)
            text = format_decimal(scaled, field.scale)
            return Decimal(text), text
        case FieldKind.INT:
            return max(field.minimum or 0, 7), max(field.minimum or 0, 7)
        case FieldKind.BOOL:
            return ("yes" if language == "en" else "是"), True
        case FieldKind.CODE:
            code = next(iter(pack.lists[field.list_id].items))
            return code, code
        case FieldKind.USCC:
            return UNITS[0][0], UNITS[0][0]
        case FieldKind.REGION:
            return "330106", "330106"
        case FieldKind.DATE:
            return "2026-01-31", "2026-01-31"
        case _:
            return "样例", "样例"


@pytest.mark.parametrize(("version", "form_id", "language"), EVERY)
def test_every_column_is_read_as_its_field(
    packs: dict[str, Pack],
    forms: list[Form],
    tmp_path: Path,
    version: str,
    form_id: str,
    language: str,
) -> None:
    """All columns filled in: no fault, no heading unmatched, each value under its own name."""
    pack = packs[version]
    form = pack.form(form_id)
    book = template(pack, form_id, language=language)
    sheet = book.worksheets[1]
    expected: dict[str, Value] = {}
    for column, field in enumerate(fields_of(form), start=1):
        entered, read = sample(pack, field, language)
        if field.kind is FieldKind.PERIOD:
            entered = read = PERIODS[form_id]
        sheet.cell(row=2, column=column, value=entered)
        expected[field.name] = read
    [info], [row] = read_back(book, tmp_path, forms)
    assert (info.form_id, info.unmatched) == (form_id, ())
    payload = payload_of(form, row)
    assert payload.faults == ()
    assert payload.values == expected


@pytest.mark.parametrize(("version", "form_id", "language"), EVERY)
def test_units_that_stand_in_it_are_completed_and_pass_the_standard(
    packs: dict[str, Pack],
    forms: list[Form],
    tmp_path: Path,
    version: str,
    form_id: str,
    language: str,
) -> None:
    """Codes, names and period stand there; a clerk adds the figures, and nothing is wrong."""
    pack = packs[version]
    form = pack.form(form_id)
    period = PERIODS.get(form_id, "")
    book = template(pack, form_id, language=language, units=UNITS, period=period)
    sheet = book.worksheets[1]
    names = [cell.comment.text.split("\n")[1] if cell.comment else "" for cell in sheet[1]]
    for row in range(2, 2 + len(UNITS)):
        for name, value in GOOD[form_id].items():
            sheet.cell(row=row, column=names.index(name) + 1, value=value)
    _, rows = read_back(book, tmp_path, forms)
    assert len(rows) == len(UNITS)
    for row, (code, name) in zip(rows, UNITS, strict=True):
        payload = payload_of(form, row)
        assert payload.faults == ()
        assert payload.values["uscc"] == code
        assert payload.values.get("period", "") == period
        assert payload.values.get("name", name) == name
        check = Checks().form(pack, form_id)
        verdict = check.check(check.complete(payload.values))
        assert verdict.errors == ()


def test_a_template_helps_the_clerk(packs: dict[str, Pack]) -> None:
    """Headings stay in view, codes come from lists, formats keep texts and show decimals."""
    pack = packs["2025"]
    book = template(pack, "institution")
    assert [sheet.sheet_state for sheet in book.worksheets] == ["visible", "visible", "hidden"]
    sheet = book.worksheets[1]
    assert sheet["A1"].value == "*统一社会信用代码"
    assert sheet.freeze_panes == "C2"
    assert sheet.column_dimensions["A"].number_format == "@"
    lists = [each for each in sheet.data_validations.dataValidation if each.type == "list"]
    codes = book["codes"]
    for field in pack.form("institution").fields.values():
        if field.kind is FieldKind.CODE:
            items = list(pack.lists[field.list_id].items)
            ranges = [each.formula1.split("!")[1] for each in lists if "!" in each.formula1]
            found = [[cell[0].value for cell in codes[each.replace("$", "")]] for each in ranges]
            assert items in found
    figures = template(pack, "consumption").worksheets[1]
    assert figures["C1"].value == "*电消费量(kWh)"
    assert "14 位" in figures["C1"].comment.text
    assert figures.column_dimensions["C"].number_format == "0.00"
    told = [cell.value or "" for cell in book.worksheets[0]["A"]]
    assert any("导入" in text for text in told)


def test_a_name_that_is_a_formula_stays_a_text(packs: dict[str, Pack]) -> None:
    """A unit may be called anything; nothing in the workbook runs."""
    names = ('=HYPERLINK("http://x","y")', "+1", "@x")
    hostile = [(code, name) for (code, _), name in zip(UNITS, names, strict=True)]
    for form in ("institution", "consumption"):
        book = template(packs["2025"], form, units=hostile)
        for sheet in book.worksheets:
            for row in sheet.iter_rows():
                assert all(cell.data_type != "f" for cell in row)
        assert book.worksheets[1]["B2"].quotePrefix


def test_equal_input_gives_equal_bytes(packs: dict[str, Pack]) -> None:
    """No date of making is left in the file."""
    first, second = (form_workbook(packs["2025"], "profile", units=UNITS) for _ in "ab")
    assert first == second


def test_what_cannot_be_made_is_refused(packs: dict[str, Pack]) -> None:
    """No such form, or more units than fit."""
    with pytest.raises(FormUnknown):
        form_workbook(packs["2025"], "x")
    with pytest.raises(TemplateInvalid):
        form_workbook(packs["2025"], "profile", units=UNITS * 1_667)
