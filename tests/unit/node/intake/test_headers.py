"""Which column is which field, and which form a sheet is."""

import pytest

from yidao.catalog.pack.model import Form, Pack
from yidao.node.intake.errors import HeaderAmbiguous, KeyColumnMissing
from yidao.node.intake.headers import HeaderIndex


@pytest.mark.parametrize(
    ("name", "heading", "field"),
    [
        ("the field's name", "elec_kwh", "elec_kwh"),
        ("the Chinese label", "电消费量", "elec_kwh"),
        ("the English label in capitals", "ELECTRICITY", "elec_kwh"),
        ("a label with its unit", "电消费量(kWh)", "elec_kwh"),
        ("a label with its unit in full-width brackets", "电消费量\uff08kWh\uff09", "elec_kwh"),
        ("a label broken over two lines", "电\n消费量", "elec_kwh"),
        ("the mark of a required field", "*电消费量", "elec_kwh"),
        ("today's label that ends in brackets", "热力消费量(按热量收费)", "heat_gj"),
        ("the label before it was renamed", "热力消费量", "heat_gj"),
    ],
)
def test_a_heading_is_recognised_in_every_spelling(
    forms: list[Form], name: str, heading: str, field: str
) -> None:
    """Width, case, breaks, units and marks do not matter."""
    match = HeaderIndex(forms).match("Sheet1", 1, ["统一社会信用代码", "报告期", heading])
    assert match is not None, name
    assert match.columns == {"uscc": 1, "period": 2, field: 3}
    assert match.unmatched == ()


def test_a_retired_field_is_matched_though_only_an_old_version_has_it(
    packs: dict[str, Pack],
) -> None:
    """The new version alone knows that it existed, so that its rows can be refused by name."""
    index = HeaderIndex(list(packs["2025"].forms.values()))
    match = index.match("规模", 1, ["统一社会信用代码", "报告期", "建筑面积", "用地面积"])
    assert match is not None
    assert match.form_id == "profile"
    assert match.columns["land_area"] == 4


def test_the_form_with_most_headings_is_taken(forms: list[Form]) -> None:
    """Sheet names are free; what stands in the headings decides."""
    match = HeaderIndex(forms).match("x", 3, ["uscc", "报告期", "建筑面积", "用能人数", "备注二"])
    assert match is not None
    assert match.form_id == "profile"
    assert match.row_number == 3
    assert match.unmatched == ("备注二",)


@pytest.mark.parametrize("sheet", ["monthly_ledger", "能源资源消费月度台账", "Monthly Ledger"])
def test_the_sheet_name_decides_between_equal_forms(forms: list[Form], sheet: str) -> None:
    """Ledger and return share these headings."""
    headings = ["uscc", "period", "elec_kwh", "elec_fee"]
    named = HeaderIndex(forms).match(sheet, 1, headings)
    unnamed = HeaderIndex(forms).match("Sheet1", 1, headings)
    assert named is not None
    assert unnamed is not None
    assert named.form_id == "monthly_ledger"
    assert unnamed.form_id == "consumption"


def test_lines_that_are_no_headings_are_passed_over(forms: list[Form]) -> None:
    """Titles, notes and single words that happen to be labels."""
    index = HeaderIndex(forms)
    for titles in (
        [],
        [""],
        ["公共机构能源资源消费状况"],
        ["单位名称:", "样例"],
        ["单位名称", "样例"],
    ):
        assert index.match("Sheet1", 1, titles) is None


def test_a_form_without_its_key_is_named(forms: list[Form]) -> None:
    """Three headings of one form are no accident: say which key column lacks."""
    with pytest.raises(KeyColumnMissing) as caught:
        HeaderIndex(forms).match("能耗", 1, ["统一社会信用代码", "电消费量", "电费用", "水消费量"])
    assert caught.value.params == {"sheet": "能耗", "field": "period"}


def test_two_columns_for_one_field_are_refused(forms: list[Form]) -> None:
    """Name and label of the same field side by side."""
    with pytest.raises(HeaderAmbiguous) as caught:
        HeaderIndex(forms).match("能耗", 1, ["uscc", "period", "电消费量", "elec_kwh"])
    assert caught.value.params == {"sheet": "能耗", "field": "elec_kwh", "first": 3, "second": 4}


def test_every_label_of_the_standard_names_one_field(forms: list[Form]) -> None:
    """No two fields of a form may share a heading, or neither could be imported by it."""
    index = HeaderIndex(forms)
    for form in forms:
        for field in form.fields.values():
            for heading in (field.name, field.label.zh, field.label.en, *field.formerly):
                if field.name in form.key:
                    continue
                match = index.match(form.id, 1, [*form.key, heading])
                assert match is not None
                assert match.columns.get(field.name) == len(form.key) + 1, (form.id, heading)
