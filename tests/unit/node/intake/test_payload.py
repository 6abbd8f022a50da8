"""Texts of cells become typed values; only spelling changes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.calendar import PeriodKind
from yidao.catalog.pack.model import Field, FieldKind, Form, RollupKind, Text
from yidao.node.intake import faults
from yidao.node.intake.faults import TEXTS, words
from yidao.node.intake.payload import Payload, payload_of, period_of
from yidao.node.intake.rows import SourceRow


def field(name: str, kind: FieldKind) -> Field:
    decimal = kind is FieldKind.DECIMAL
    return Field(
        name=name,
        label=Text(zh=f"{name}项", en=f"the {name}"),
        kind=kind,
        precision=8 if decimal else 0,
        scale=2 if decimal else 0,
        unit="",
        required=False,
        rollup=RollupKind.NONE,
        pii=False,
        grade=1,
        list_id="",
        minimum=None,
        maximum=None,
        max_length=100,
        computed="",
        formerly=(),
    )


FORM = Form(
    id="form",
    title=Text(zh="表", en="form"),
    key=("uscc",),
    period=PeriodKind.QUARTER,
    stays_local=False,
    fields={
        name: field(name, FieldKind(kind))
        for name, kind in {
            "dec": "dec", "int": "int", "bool": "bool", "date": "date", "code": "code",
            "uscc": "uscc", "period": "period", "str": "str", "region": "region",
        }.items()
    },
    retired={},
)  # fmt: skip


def typed(**cells: str) -> Payload:
    columns = {name: at for at, name in enumerate(FORM.fields, start=1)}
    row = SourceRow(sheet="s", row_number=7, form_id="form", cells=cells, columns=columns)
    return payload_of(FORM, row)


@pytest.mark.parametrize(
    ("name", "text", "value", "noticed"),
    [
        ("dec", "12.5", "12.50", False),
        ("dec", " 7 ", "7.00", False),
        ("dec", "-3", "-3.00", False),
        ("dec", "007", "7.00", False),
        ("dec", "1.500", "1.50", False),
        ("dec", "\uff11\uff12\uff0e\uff15", "12.50", True),
        ("dec", "\u200b12.5", "12.50", True),
        ("int", "12", 12, False),
        ("int", "12.0", 12, False),
        ("int", "\uff11\uff12", 12, True),
        ("bool", "是", True, False),
        ("bool", "NO", False, False),
        ("bool", "true", True, False),
        ("bool", "0", False, False),
        ("date", "2025-01-31", "2025-01-31", False),
        ("date", "2025/1/31", "2025-01-31", True),
        ("date", "2025年1月31日", "2025-01-31", True),
        ("code", "021", "021", False),
        ("code", "\uff10\uff12\uff11", "021", True),
        ("region", "330106", "330106", False),
        ("uscc", "91350100m000100y43", "91350100M000100Y43", True),
        ("uscc", "\u3000113301060000000177\u00a0", "113301060000000177", False),
        ("period", "2025-Q2", "2025-Q2", False),
        ("period", "2025Q2", "2025-Q2", True),
        ("period", "2025年第二季度", "2025-Q2", True),
        ("period", "2025年3季度", "2025-Q3", True),
        ("period", "2025年四季", "2025-Q4", True),
        ("period", "2025-07", "2025-07", False),
        ("period", "2025年7月", "2025-07", True),
        ("period", "2025-07-01", "2025-07", True),
        ("period", "2025年", "2025", True),
        ("period", "2025", "2025", False),
        ("str", "  样例 单位 ", "样例 单位", False),
        ("str", "-", "-", False),
        ("str", "-12.5", "-12.5", False),
        ("str", "全角\uff21\uff22", "全角\uff21\uff22", False),
    ],
)  # fmt: skip
def test_a_spelling_that_means_one_thing_is_taken(
    name: str, text: str, value: object, noticed: bool
) -> None:
    """And where characters were exchanged, a notice says so."""
    payload = typed(**{name: text})
    assert payload.values == {name: value}
    assert payload.faults == ()
    assert [notice.code for notice in payload.notices] == ["CELL_NORMALISED"] * noticed


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("dec", "1,234", "CELL_THOUSANDS_SEPARATOR"),
        ("dec", "1,234,567.89", "CELL_THOUSANDS_SEPARATOR"),
        ("dec", "1\uff0c234", "CELL_THOUSANDS_SEPARATOR"),
        ("dec", "1 234", "CELL_THOUSANDS_SEPARATOR"),
        ("int", "1,234", "CELL_THOUSANDS_SEPARATOR"),
        ("dec", "12,5", "CELL_NUMBER_INVALID"),
        ("dec", "1.234.5", "CELL_NUMBER_INVALID"),
        ("dec", "12 kWh", "CELL_NUMBER_INVALID"),
        ("dec", "1e3", "CELL_NUMBER_INVALID"),
        ("dec", "NaN", "CELL_NUMBER_INVALID"),
        ("dec", "一百", "CELL_NUMBER_INVALID"),
        ("dec", "٣", "CELL_NUMBER_INVALID"),
        ("dec", "+5", "CELL_NUMBER_INVALID"),
        ("dec", "1.005", "CELL_TOO_MANY_DECIMALS"),
        ("dec", "12345678", "CELL_TOO_MANY_DIGITS"),
        ("dec", "9" * 200, "CELL_TOO_MANY_DIGITS"),
        ("int", "1.5", "CELL_TOO_MANY_DECIMALS"),
        ("int", "1" * 16, "CELL_TOO_MANY_DIGITS"),
        ("bool", "也许", "CELL_YES_NO_INVALID"),
        ("date", "2025-02-30", "CELL_DATE_INVALID"),
        ("date", "0000-00-00", "CELL_DATE_INVALID"),
        ("date", "31.01.2025", "CELL_DATE_INVALID"),
        ("date", "2025-01-31 10:00:00", "CELL_DATE_INVALID"),
        ("str", "两\n行", "CELL_CONTROL_CHARACTER"),
        ("str", "响\x07铃", "CELL_CONTROL_CHARACTER"),
        ("str", " =1+1", "CELL_FORMULA_TEXT"),
        ("str", "-2+cmd", "CELL_FORMULA_TEXT"),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_or_would_lose_something_is_a_fault(
    name: str, text: str, code: str
) -> None:
    """The fault names cell and field in both languages; the value is left out."""
    payload = typed(**{name: text})
    assert payload.values == {}
    (fault,) = payload.faults
    assert (fault.code, fault.field, fault.row_number) == (code, name, 7)
    assert fault.column == list(FORM.fields).index(name) + 1
    assert f"{name}项" in fault.text.zh
    assert f"the {name}" in fault.text.en


def test_empty_cells_are_absent_and_all_faults_come_at_once() -> None:
    """Blanks of every kind are no values; a second fault does not hide behind the first."""
    payload = typed(dec=" \u3000", str="\u00a0", int="x", bool="y", date="never", code="\ufeff")
    assert payload.values == {"bool": True}
    assert [fault.field for fault in payload.faults] == ["int", "date"]


def test_what_is_no_spelling_of_a_period_or_code_is_left_to_the_standard() -> None:
    """The standard's own check names it with its own reason."""
    payload = typed(period="第二季度", uscc="123", code="四", other=" 5 ")
    assert payload.values == {"period": "第二季度", "uscc": "123", "code": "四", "other": "5"}
    assert payload.faults == ()


def test_a_cell_that_could_not_be_read_keeps_its_fault_and_gives_no_value() -> None:
    """Faults of reading come first and are not repeated."""
    row = SourceRow(sheet="s", row_number=2, form_id="form", cells={"int": "x"}, columns={"int": 1})
    row = replace(row, faults=(row.fault("int", "CELL_TOO_LONG", Text(zh="长", en="long")),))
    payload = payload_of(FORM, row)
    assert payload.values == {}
    assert [fault.code for fault in payload.faults] == ["CELL_TOO_LONG"]


def test_the_period_of_a_row_is_known_before_its_form_is() -> None:
    """The version of a form is chosen by it."""
    row = SourceRow(
        sheet="s", row_number=2, form_id="f", cells={"period": "2026年一季度"}, columns={}
    )
    assert period_of(row) == "2026-Q1"
    assert period_of(replace(row, cells={})) is None
    assert period_of(replace(row, cells={"period": "  "})) is None


@given(st.dictionaries(st.sampled_from(list(FORM.fields)), st.text(max_size=40)))
def test_no_text_whatever_raises(cells: dict[str, str]) -> None:
    """Each given field ends as a value, as a fault, or was blank."""
    payload = typed(**cells)
    assert not payload.values.keys() & {fault.field for fault in payload.faults}
    assert payload.values.keys() | {fault.field for fault in payload.faults} <= cells.keys()


def test_every_fault_has_a_text_in_both_languages() -> None:
    """With its places filled from the field, and none left open."""
    label = Text(zh="电消费量", en="Electricity")
    for code in TEXTS:
        text = words(code, label, scale=2, precision=16, limit=9, cells=3, columns=4)
        for language in (text.zh, text.en):
            assert language
            assert "{" not in language
    codes = {value for name, value in vars(faults).items() if name.startswith(("CELL_", "ROW_"))}
    assert codes == TEXTS.keys()
