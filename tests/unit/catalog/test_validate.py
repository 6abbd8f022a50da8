"""Checking rows: all faults at once, each with field, reason and two languages."""

from datetime import date

import pytest

from yidao.catalog import faults
from yidao.catalog.errors import FormUnknown
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack, Severity, Value
from yidao.catalog.pack.rules import Contexts
from yidao.catalog.validate import Checks, Verdict

Row = dict[str, Value]


def codes(verdict: Verdict) -> list[tuple[str, str]]:
    """Give field and code of every fault."""
    return [(fault.field, fault.rule or fault.code) for fault in verdict.faults]


def test_a_right_row_has_no_fault(
    pack_2022: Pack, checks: Checks, consumption: Row, profile: Row
) -> None:
    """With every context given nothing is skipped and nothing is found."""
    contexts = Contexts(year_ago=consumption, forms={"profile": profile})
    verdict = checks.check(pack_2022, "consumption", consumption, contexts)
    assert verdict == Verdict(faults=(), skipped=())
    assert verdict.ok


def test_rules_without_context_are_reported_as_skipped(
    pack_2022: Pack, checks: Checks, consumption: Row
) -> None:
    """Without last year and without the profile the five rules that need them are named."""
    verdict = checks.check(pack_2022, "consumption", consumption)
    assert verdict.ok
    assert verdict.skipped == (
        "EN-10.elec", "EN-10.water", "EN-12.epa", "EN-12.epc", "EN-12.wpc",
    )  # fmt: skip


VALUES = {
    "a missing value": ("elec_kwh", None, faults.VALUE_MISSING),
    "a float for a decimal": ("elec_kwh", 1.5, faults.VALUE_TYPE),
    "an integer for a decimal": ("elec_kwh", 1, faults.VALUE_TYPE),
    "too few decimals": ("elec_kwh", "1.5", faults.VALUE_SPELLING),
    "minus zero": ("elec_kwh", "-0.00", faults.VALUE_SPELLING),
    "a negative number": ("elec_kwh", "-1.00", faults.VALUE_RANGE),
    "NaN": ("elec_kwh", "NaN", faults.VALUE_SPELLING),
    "full-width digits": ("elec_kwh", "１０.00", faults.VALUE_SPELLING),
    "seventeen digits": ("elec_kwh", "123456789012345.00", faults.VALUE_SPELLING),
    "a wrong check character": ("uscc", "113301060000000196", faults.VALUE_CHECK_DIGIT),
    "a short code": ("uscc", "11330106", faults.VALUE_SPELLING),
    "a period of another kind": ("period", "2025-07", faults.VALUE_PERIOD_KIND),
    "no period at all": ("period", "2025-Q9", faults.VALUE_SPELLING),
    "a year far away": ("period", "9999-Q1", faults.VALUE_SPELLING),
    "a text that is too long": ("note", "长" * 501, faults.VALUE_TOO_LONG),
    "a control character": ("note", "a\x00b", faults.VALUE_SPELLING),
    "a flag for a text": ("note", True, faults.VALUE_TYPE),
}


@pytest.mark.parametrize(("name", "value", "code"), VALUES.values(), ids=VALUES.keys())
def test_one_wrong_value_is_one_fault(
    pack_2022: Pack, checks: Checks, consumption: Row, name: str, value: Value | None, code: str
) -> None:
    """The fault names the field and the reason, in both languages, without the value."""
    row = dict(consumption)
    if value is None:
        del row[name]
    else:
        row[name] = value
    verdict = checks.check(pack_2022, "consumption", row)
    assert codes(verdict) == [(name, code)]
    for fault in verdict.faults:
        label = pack_2022.form("consumption").field(name).label
        assert label.zh in fault.text.zh
        assert label.en in fault.text.en
        assert "{" not in fault.text.zh + fault.text.en
        assert value is None or str(value) not in fault.text.zh + fault.text.en


INTEGERS = {
    "a float that is whole": (5.0, faults.VALUE_TYPE),
    "a float": (5.5, faults.VALUE_TYPE),
    "a text": ("5", faults.VALUE_TYPE),
    "a flag": (True, faults.VALUE_TYPE),
    "below the minimum": (0, faults.VALUE_RANGE),
    "ten to the thirtieth": (10**30, faults.VALUE_RANGE),
}


@pytest.mark.parametrize(("value", "code"), INTEGERS.values(), ids=INTEGERS.keys())
def test_integers_are_integers(
    pack_2022: Pack, checks: Checks, profile: Row, value: Value, code: str
) -> None:
    """energy_users is an integer of at least one, and 5.0 is none."""
    verdict = checks.check(pack_2022, "profile", {**profile, "energy_users": value})
    assert codes(verdict) == [("energy_users", code)]


def test_decimals_keep_their_bounds(pack_2022: Pack, checks: Checks, profile: Row) -> None:
    """A floor area of zero is out of range although it is well spelt."""
    verdict = checks.check(pack_2022, "profile", {**profile, "floor_area": "0.00"})
    assert codes(verdict) == [("floor_area", faults.VALUE_RANGE)]
    assert verdict.faults[0].params["low"] == "0.01"


def test_all_faults_come_at_once(pack_2022: Pack, checks: Checks) -> None:
    """In the order of the form, unknown ones last; computed figures follow and are left out."""
    row: Row = {
        "uscc": "x",
        "period": "2025-Q2",
        "elec_fee": 1,
        "water_m3": "1",
        "zz": "",
        "aa": "",
    }
    assert codes(checks.check(pack_2022, "consumption", row)) == [
        ("uscc", faults.VALUE_SPELLING),
        ("elec_kwh", faults.VALUE_MISSING),
        ("elec_fee", faults.VALUE_TYPE),
        ("water_m3", faults.VALUE_SPELLING),
        ("water_fee", faults.VALUE_MISSING),
        ("aa", faults.FIELD_NOT_IN_FORM),
        ("zz", faults.FIELD_NOT_IN_FORM),
    ]


def test_a_thousand_unknown_fields_are_not_a_thousand_faults(
    pack_2022: Pack, checks: Checks, consumption: Row
) -> None:
    """The report is bounded, whatever is sent, and so are the names in it."""
    row = {**consumption, **{f"f{number}" * 100: "" for number in range(1_000)}}
    verdict = checks.check(pack_2022, "consumption", row)
    assert len(verdict.faults) == 50
    assert max(len(fault.field) for fault in verdict.faults) <= 64


RULES = {
    "water is not its parts": ({"water_tap_m3": "91.00"}, "water_m3", "EN-01", Severity.ERROR),
    "petrol is not its parts": (
        {"gasoline_other_l": "0.01"}, "gasoline_l", "EN-02", Severity.ERROR,
    ),
    "diesel is not its parts": (
        {"diesel_vehicle_l": "5.00"}, "diesel_l", "EN-03", Severity.ERROR,
    ),
    "a quantity without fee": ({"elec_fee": "0.00"}, "elec_fee", "EN-08.elec", Severity.ERROR),
    "a fee without quantity": ({"ng_fee": "5.00"}, "ng_fee", "EN-08.ng", Severity.ERROR),
    "heat billed by area has a fee": (
        {"heat_area_billed": "100.00"}, "heat_fee", "EN-08.heat", Severity.ERROR,
    ),
    "a price out of bounds": (
        {"water_fee": "2000.00"}, "water_fee", "EN-09.water", Severity.WARN,
    ),
    "other energy without its kind": (
        {"other_tce": "1.0000", "other_fee": "9.00"}, "other_kind", "EN-17", Severity.ERROR,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "field", "rule", "severity"), RULES.values(), ids=RULES.keys())
def test_each_rule_finds_its_mistake(
    pack_2022: Pack,
    checks: Checks,
    consumption: Row,
    change: Row,
    field: str,
    rule: str,
    severity: Severity,
) -> None:
    """One change to a right row breaks the rule that is meant for it."""
    row = {**consumption, **change}
    del row["total_tce"], row["co2_t"]
    verdict = checks.check(pack_2022, "consumption", checks.complete(pack_2022, "consumption", row))
    found = {(fault.field, fault.rule): fault for fault in verdict.faults}
    assert (field, rule) in found
    fault = found[field, rule]
    assert (fault.severity, fault.code) == (severity, faults.RULE_BROKEN)
    assert verdict.ok is (severity is Severity.WARN)
    assert fault.text.zh
    assert fault.text.en


PROFILES = {
    "more heated than built": ({"heated_area": "2000.01"}, "EN-15"),
    "more new-energy vehicles than vehicles": ({"vehicles": 2, "nev": 3}, "EN-16"),
    "a palace": ({"floor_area": "10000.01"}, "EN-11"),
}


@pytest.mark.parametrize(("change", "rule"), PROFILES.values(), ids=PROFILES.keys())
def test_rules_of_the_profile(
    pack_2022: Pack, checks: Checks, profile: Row, change: Row, rule: str
) -> None:
    """Sizes are judged too."""
    verdict = checks.check(pack_2022, "profile", {**profile, **change})
    assert [fault.rule for fault in verdict.faults] == [rule]


def test_a_jump_since_last_year_wants_an_explanation(
    pack_2022: Pack, checks: Checks, consumption: Row
) -> None:
    """More than 30 % warns; the explanation settles it; no last year's use, no warning."""
    contexts = Contexts(year_ago={**consumption, "elec_kwh": "7000.00"})
    verdict = checks.check(pack_2022, "consumption", consumption, contexts)
    assert [fault.rule for fault in verdict.warnings] == ["EN-10.elec"]
    assert verdict.ok
    explained = {**consumption, "note": "新办公楼启用"}
    assert not checks.check(pack_2022, "consumption", explained, contexts).faults
    nothing = Contexts(year_ago={**consumption, "elec_kwh": "0.00"})
    assert not checks.check(pack_2022, "consumption", consumption, nothing).faults


def test_intensity_is_judged_by_the_profile(
    pack_2022: Pack, checks: Checks, consumption: Row, profile: Row
) -> None:
    """Plausible use on a hundredth of the area is not plausible."""
    contexts = Contexts(forms={"profile": {**profile, "floor_area": "20.00"}})
    verdict = checks.check(pack_2022, "consumption", consumption, contexts)
    assert [fault.rule for fault in verdict.warnings] == ["EN-12.epa"]


def test_a_stated_total_that_differs_is_refused(
    pack_2022: Pack, checks: Checks, consumption: Row
) -> None:
    """The total is computed from the factors; a stated one must equal it to the digit."""
    # 10000 kWh * 0.1229 + 100 L * 1.0741 = 1336.41 kgce
    assert consumption["total_tce"] == "1.3364"
    verdict = checks.check(pack_2022, "consumption", {**consumption, "total_tce": "1.3365"})
    assert codes(verdict) == [("total_tce", faults.VALUE_DIFFERS_FROM_COMPUTED)]


def test_completing_a_row_keeps_what_is_stated(pack_2022: Pack, checks: Checks) -> None:
    """`complete` fills what is absent, ignores what it cannot read, and corrects nothing."""
    row = checks.complete(pack_2022, "consumption", {"elec_kwh": "x", "co2_t": "9.0000"})
    assert row == {"elec_kwh": "x", "co2_t": "9.0000", "total_tce": "0.0000"}


ROUNDED = {
    # 110 kgCO2/GJ: 0.005 GJ is 0.00055 t, 0.015 GJ is 0.00165 t: both between two digits.
    "a tie goes up to the even digit": ("heat_gj", "0.005", "co2_t", "0.0006"),
    "a tie goes down to the even digit": ("heat_gj", "0.015", "co2_t", "0.0016"),
    # 0.1229 kgce/kWh: 0.50 kWh is 0.00006145 tce.
    "more than half goes up": ("elec_kwh", "0.50", "total_tce", "0.0001"),
    "less than half goes down": ("elec_kwh", "0.40", "total_tce", "0.0000"),
    "what fits stays exact": ("elec_kwh", "1000.00", "total_tce", "0.1229"),
}


@pytest.mark.parametrize(
    ("name", "quantity", "computed", "expected"), ROUNDED.values(), ids=ROUNDED.keys()
)
def test_computed_figures_are_rounded_once_half_even(
    pack_2022: Pack, checks: Checks, name: str, quantity: str, computed: str, expected: str
) -> None:
    """The exact weighted sum is rounded at the end, ties to the even digit."""
    assert checks.complete(pack_2022, "consumption", {name: quantity})[computed] == expected


def test_null_is_not_absence(pack_2022: Pack, checks: Checks, consumption: Row) -> None:
    """An optional field is left out; null in its place is a fault."""
    row: dict[str, object] = {**consumption, "note": None}
    verdict = checks.check(pack_2022, "consumption", row)  # type: ignore[arg-type]
    assert codes(verdict) == [("note", faults.VALUE_TYPE)]


def test_an_unknown_form_is_a_typed_error(pack_2022: Pack, checks: Checks) -> None:
    """Asking for a form that the pack lacks is no KeyError."""
    with pytest.raises(FormUnknown):
        checks.check(pack_2022, "other", {})


_DATED = """\
format: 1
pack: sample
version: "1"
title: {zh: 样例, en: Sample}
basis: sample
valid_from: 2020-01-01
lists:
  KIND:
    title: {zh: 类别, en: Kind}
    items:
      - {code: "1", zh: 甲, en: A, valid_to: 2021-12-31}
      - {code: "2", zh: 乙, en: B, valid_from: 2022-01-01}
forms:
  event:
    title: {zh: 事件, en: Event}
    key: [no]
    period: on_change
    fields:
      - {name: no, zh: 编号, en: Number, type: str, required: true}
      - {name: kind, zh: 类别, en: Kind, type: code, list: KIND}
      - {name: day, zh: 日期, en: Day, type: date}
      - {name: place, zh: 区划, en: Division, type: region}
      - {name: change, zh: 变化, en: Change, type: "dec(6,2)", minimum: -100, maximum: 100}
"""


def test_codes_are_valid_on_their_days(checks: Checks) -> None:
    """A code may be used from its first to its last day; without a day only the list counts."""
    pack = load_pack(_DATED.encode())
    row: Row = {"no": "1", "kind": "1"}
    assert checks.check(pack, "event", row, on=date(2021, 12, 31)).ok
    late = checks.check(pack, "event", row, on=date(2022, 1, 1))
    assert codes(late) == [("kind", faults.VALUE_NOT_IN_LIST)]
    assert checks.check(pack, "event", row).ok
    unknown = checks.check(pack, "event", {"no": "1", "kind": "3"})
    assert codes(unknown) == [("kind", faults.VALUE_NOT_IN_LIST)]


SPELLINGS = {
    "a day": ("day", "2024-02-29", True),
    "a day that does not exist": ("day", "2023-02-29", False),
    "day zero": ("day", "0000-00-00", False),
    "the end of time": ("day", "9999-12-31", False),
    "a leap second": ("day", "2016-12-31T23:59:60Z", False),
    "an offset": ("day", "2024-01-01+08:00", False),
    "a short day": ("day", "2024-1-1", False),
    "a county": ("place", "330106", True),
    "twelve digits": ("place", "330106001002", True),
    "eight digits": ("place", "33010600", False),
    "a negative change": ("change", "-12.50", True),
    "minus zero": ("change", "-0.00", False),
    "past the bound": ("change", "-100.01", False),
    "on the bound": ("change", "-100.00", True),
    "past the upper bound": ("change", "100.01", False),
}


@pytest.mark.parametrize(("name", "value", "expected"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_days_divisions_and_signed_numbers(
    checks: Checks, name: str, value: str, expected: bool
) -> None:
    """What is spelt right passes, what is not is one fault of that field."""
    verdict = checks.check(load_pack(_DATED.encode()), "event", {"no": "1", name: value})
    assert verdict.ok is expected
    assert [fault.field for fault in verdict.faults] == ([] if expected else [name])
