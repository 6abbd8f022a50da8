"""A pack loads whole or is refused with the place and the reason."""

import hashlib
from datetime import date
from fractions import Fraction

import pytest

from yidao.catalog.calendar import PeriodKind
from yidao.catalog.errors import (
    FieldUnknown,
    FormUnknown,
    PackConflict,
    PackInvalid,
    PackNotInForce,
    PackUnknown,
    SchemaMismatch,
    SchemaUnknown,
)
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import FieldKind, RollupKind
from yidao.catalog.pack.versions import PackSet

SMALL = """\
format: 1
pack: sample
version: "1"
title: {zh: 样例, en: Sample}
basis: 样例 sample
valid_from: 2020-01-01
lists:
  KIND:
    title: {zh: 类别, en: Kind}
    items:
      - {code: "1", zh: 甲, en: A}
      - {code: "2", zh: 乙, en: B, valid_from: 2020-01-01, valid_to: 2021-12-31}
forms:
  usage:
    title: {zh: 用量, en: Usage}
    key: [unit_no, period]
    period: quarter
    fields:
      - {name: unit_no, zh: 编号, en: No, type: str, required: true, rollup: countd, max_length: 8}
      - {name: period, zh: 报告期, en: Period, type: period, required: true}
      - {name: kind, zh: 类别, en: Kind, type: code, list: KIND, rollup: hist}
      - {name: used, zh: 用量, en: Used, type: "dec(12,2)", unit: kWh, rollup: sum}
      - {name: head_count, zh: 人数, en: People, type: int, rollup: sum, maximum: 1000}
      - {name: total, zh: 合计, en: All, type: "dec(14,4)", computed: used * f.used / 1000}
    retired:
      - {name: old_field, zh: 旧指标, en: Old field, since: "1"}
rules:
  - id: SA-01
    form: usage
    field: used
    severity: error
    zh: 有人才有用量
    en: Use needs people
    fault: {zh: 没有人却有用量, en: There is use without people}
    needs: [row]
    expr: row.used == 0 || row.head_count > 0
dues:
  usage: {after_days: 15, basis: sample}
factors:
  f: {zh: 系数, en: Factors, basis: sample, values: {used: 0.1229}}
indicators:
  - {id: PER_HEAD, zh: 人均, en: Per head, unit: kWh/人, formula: usage.used / usage.head_count}
benchmarks:
  - {id: b1, zh: 样例, en: Sample, source: sample, values: {PER_HEAD: 12.50}}
"""


def refusal(text: str) -> tuple[str, str]:
    """Load what must be refused and give place and reason."""
    with pytest.raises(PackInvalid) as caught:
        load_pack(text.encode())
    assert caught.value.code == "PACK_INVALID"
    return str(caught.value.params["at"]), str(caught.value.params["reason"])


def test_a_pack_is_read_whole() -> None:
    """Every part of the file is in the model, numbers exact, the digest that of the bytes."""
    pack = load_pack(SMALL.encode())
    assert (pack.id, pack.version, pack.valid_from) == ("sample", "1", date(2020, 1, 1))
    form = pack.form("usage")
    assert (form.key, form.period) == (("unit_no", "period"), PeriodKind.QUARTER)
    used = form.field("used")
    assert (used.kind, used.precision, used.scale) == (FieldKind.DECIMAL, 12, 2)
    assert (used.minimum, used.maximum, used.rollup) == (0, 10**12 - 1, RollupKind.SUM)
    assert form.retired["old_field"].since_version == "1"
    assert pack.factors["f"].values == {"used": Fraction("0.1229")}
    assert pack.benchmarks[0].values == {"PER_HEAD": Fraction("12.5")}
    assert pack.lists["KIND"].items["2"].valid_on(date(2021, 12, 31))
    assert not pack.lists["KIND"].items["2"].valid_on(date(2022, 1, 1))
    assert pack.dues["usage"].after_days == 15
    assert pack.source == SMALL.encode()
    assert pack.digest == hashlib.sha256(SMALL.encode()).digest()
    assert pack.schema_id("usage") == "sample/1/usage"


def test_names_that_do_not_exist_are_typed_errors() -> None:
    """Asking for another form or field is not a KeyError."""
    pack = load_pack(SMALL.encode())
    with pytest.raises(FormUnknown):
        pack.form("other")
    with pytest.raises(FieldUnknown):
        pack.form("usage").field("other")
    with pytest.raises(FieldUnknown):
        pack.form("usage").key_of({"unit_no": "1"})
    assert pack.form("usage").key_of({"unit_no": "1", "period": "2020-Q1"}) == ("1", "2020-Q1")


CHANGES = {
    "another format": ("format: 1", "format: 2", "unknown_format"),
    "an unknown key on top": ("pack: sample", "pack: sample\nextra: 1", "unknown_key"),
    "an unknown key in a field": ("unit: kWh", "unitt: kWh", "unknown_key"),
    "a duplicate key": ("pack: sample", "pack: sample\npack: other", "duplicate_key"),
    "a missing title": ("title: {zh: 样例, en: Sample}\n", "", "missing"),
    "a blank title": ("{zh: 样例, en: Sample}", '{zh: " ", en: Sample}', "blank"),
    "a version that is a number": ('version: "1"', "version: 1", "expected_text"),
    "a day that does not exist": (
        "valid_from: 2020-01-01",
        "valid_from: 2020-02-30",
        "expected_day",
    ),
    "a day of year zero": ("valid_from: 2020-01-01", "valid_from: 0000-01-01", "expected_day"),
    "an end before the beginning": (
        "lists:\n",
        "valid_to: 2019-01-01\nlists:\n",
        "before_valid_from",
    ),
    "an alias": ("basis: 样例 sample", "basis: &a 样例", "anchor_or_alias"),
    "a tag": ("basis: 样例 sample", "basis: !!python/name:os.system x", "tag"),
    "an empty value": ("basis: 样例 sample", "basis:", "empty_value"),
    "a second document": ("pack: sample\n", "pack: sample\n---\n", "several_documents"),
    "a list as key": ("pack: sample", "[pack]: sample", "key_not_text"),
    "broken YAML": ("title: {zh: 样例", "title: {zh: 样例: 样例", "not_yaml"),
    "a name with a capital": ("name: used", "name: Used", "name"),
    "a name with SQL in it": ("name: used", "name: 'x\"; DROP TABLE y'", "name"),
    "a reserved word as name": ("name: used", "name: select", "reserved_name"),
    "a name of 64 characters": ("name: used", f"name: {'u' * 64}", "name"),
    "a field twice": ("name: head_count", "name: used", "duplicate_name"),
    "an unknown type": ("type: int", "type: float", "unknown_type"),
    "a decimal without size": ('type: "dec(12,2)"', "type: dec", "decimal_size"),
    "a decimal of 19 digits": ("dec(12,2)", "dec(19,2)", "decimal_size"),
    "more decimals than digits": ("dec(12,2)", "dec(2,3)", "decimal_size"),
    "bounds that cross": ("maximum: 1000", "minimum: 5, maximum: 4", "bounds"),
    "a bound finer than the field": ("maximum: 1000", "maximum: 0.5", "finer_than_the_scale"),
    "a bound of a text": ("max_length: 8", "maximum: 8", "only_for_numbers"),
    "an unknown roll-up": ("rollup: countd", "rollup: mean", "not_one_of_the_choices"),
    "a sum of texts": ("rollup: countd", "rollup: sum", "rollup_does_not_fit_type"),
    "a sum of a ratio": (
        "unit: kWh, rollup: sum",
        "unit: kWh/m², rollup: sum",
        "rollup_of_a_ratio",
    ),
    "personal data rolled up": (
        "max_length: 8",
        "max_length: 8, pii: true",
        "rollup_of_personal_data",
    ),
    "a code without list": ("list: KIND, ", "", "list_missing"),
    "a list that is missing": ("list: KIND, ", "list: OTHER, ", "unknown_list:OTHER"),
    "a list on a number": ("maximum: 1000", "list: KIND", "list_unexpected"),
    "a code twice": ('{code: "2"', '{code: "1"', "duplicate_code"),
    "a code with a space": ('{code: "2"', '{code: "2 3"', "spelling"),
    "a key that is no field": (
        "key: [unit_no, period]",
        "key: [other]",
        "not_a_required_field:other",
    ),
    "a key that is optional": (
        "key: [unit_no, period]",
        "key: [unit_no, kind]",
        "not_a_required_field:kind",
    ),
    "a period form without period": (
        "period: quarter",
        "period: on_change",
        "period_field",
    ),
    "a grade of five": ("unit: kWh", "grade: 5", "expected_integer"),
    "a retired field that is still there": ("old_field", "used", "still_a_field:used"),
    "a computed product of fields": (
        "computed: used * f.used / 1000",
        "computed: used * head_count",
        "not_a_weighted_sum",
    ),
    "a computed constant": (
        "computed: used * f.used / 1000",
        "computed: used + 1",
        "not_a_weighted_sum",
    ),
    "a computed unknown field": (
        "computed: used * f.used / 1000",
        "computed: useed",
        "unknown_field:useed",
    ),
    "a formula with a call": (
        "computed: used * f.used / 1000",
        'computed: "print(1)"',
        "formula_syntax",
    ),
    "a rule of an unknown field": ("field: used\n", "field: other\n", "unknown_field"),
    "a rule that reads an unknown field": (
        "row.head_count > 0",
        "row.other > 0",
        "unknown_field:other",
    ),
    "a rule of an undeclared context": (
        "row.head_count > 0",
        "prev.used > 0",
        "contexts_differ_from_expression",
    ),
    "a declared context that is not read": (
        "needs: [row]",
        "needs: [row, prev]",
        "contexts_differ_from_expression",
    ),
    "a rule id of another form": ("id: SA-01", "id: sa 1", "spelling"),
    "a severity that does not exist": (
        "severity: error",
        "severity: fatal",
        "not_one_of_the_choices",
    ),
    "a due date of a missing form": (
        "  usage: {after_days",
        "  other: {after_days",
        "unknown_form",
    ),
    "a factor that is no number": (
        "values: {used: 0.1229}",
        "values: {used: NaN}",
        "expected_number",
    ),
    "an exponent": ("values: {used: 0.1229}", "values: {used: 1e400}", "expected_number"),
    "an indicator over an unknown field": (
        "usage.used / usage.head_count",
        "usage.used / usage.other",
        "unknown_field:usage.other",
    ),
    "an indicator over a histogram": (
        "usage.used / usage.head_count",
        "usage.used / usage.kind",
        "unknown_field:usage.kind",
    ),
}


@pytest.mark.parametrize(("old", "new", "reason"), CHANGES.values(), ids=CHANGES.keys())
def test_a_pack_with_one_mistake_is_refused(old: str, new: str, reason: str) -> None:
    """One change to a right pack, one reason why it is refused."""
    assert SMALL.count(old) >= 1
    assert refusal(SMALL.replace(old, new, 1))[1] == reason


_RULE = SMALL[SMALL.index("  - id: SA-01") : SMALL.index("dues:")]
_INDICATOR = SMALL[SMALL.index("  - {id: PER_HEAD") : SMALL.index("benchmarks:")]
_REGISTER = """\
  register:
    title: {zh: 名录, en: Register}
    key: [no]
    period: on_change
    fields: [{name: no, zh: 编号, en: No, type: str, required: true}]
"""
ADDITIONS = {
    "a rule id twice": ("dues:\n", _RULE + "dues:\n", "duplicate_id"),
    "an indicator twice": ("benchmarks:\n", _INDICATOR + "benchmarks:\n", "duplicate_id"),
    "a computed field of a computed field": (
        "    retired:\n",
        '      - {name: twice, zh: 再算, en: Twice, type: "dec(14,4)", computed: total * 2}\n'
        "    retired:\n",
        "unknown_field:total",
    ),
    "a text of 4,001 characters": ("basis: 样例 sample", "basis: " + "x" * 4_001, "text_too_long"),
}


@pytest.mark.parametrize(("old", "new", "reason"), ADDITIONS.values(), ids=ADDITIONS.keys())
def test_a_pack_with_something_added_is_refused(old: str, new: str, reason: str) -> None:
    """One addition to a right pack, one reason why it is refused."""
    assert refusal(SMALL.replace(old, new, 1))[1] == reason


def test_what_has_no_period_is_never_due() -> None:
    """A register is a right form, but a due date for it is a mistake."""
    text = SMALL.replace("rules:\n", _REGISTER + "rules:\n", 1)
    assert load_pack(text.encode()).form("register").period is PeriodKind.ON_CHANGE
    due = "dues:\n  register: {after_days: 1, basis: sample}\n"
    assert refusal(text.replace("dues:\n", due))[1] == "unknown_form"


def test_a_refusal_names_the_place() -> None:
    """The place is a path in the file, so that its author finds it."""
    at, _ = refusal(SMALL.replace("unit: kWh", "unitt: kWh"))
    assert at == "/forms/usage/fields[3]/unitt"


def test_the_same_bytes_may_come_again_and_other_bytes_may_not() -> None:
    """Publishing a version twice is harmless; changing a published version is not."""
    pack = load_pack(SMALL.encode())
    packs = PackSet.of([pack])
    assert packs.add(load_pack(SMALL.encode())).all() == (pack,)
    changed = load_pack(SMALL.replace("kWh", "MWh").encode())
    with pytest.raises(PackConflict):
        packs.add(changed)
    same_day = load_pack(SMALL.replace('version: "1"', 'version: "2"').encode())
    with pytest.raises(PackConflict):
        packs.add(same_day)


def test_the_version_in_force_is_chosen_by_day() -> None:
    """The later version supersedes from its first day; before the first there is none."""
    first = load_pack(SMALL.encode())
    second = load_pack(
        SMALL.replace('version: "1"', 'version: "2"')
        .replace("2020-01-01", "2022-01-01", 1)
        .encode()
    )
    packs = PackSet.of([second, first])
    assert packs.in_force("sample", date(2021, 12, 31)) is first
    assert packs.in_force("sample", date(2022, 1, 1)) is second
    with pytest.raises(PackNotInForce):
        packs.in_force("sample", date(2019, 12, 31))
    with pytest.raises(PackUnknown):
        packs.in_force("other", date(2022, 1, 1))
    assert [pack.version for pack in packs.all()] == ["1", "2"]
    assert packs.version("sample", "2") is second
    with pytest.raises(PackUnknown):
        packs.version("sample", "3")


def test_a_version_can_end() -> None:
    """After its last day a version without successor is not in force."""
    ended = load_pack(SMALL.replace("lists:\n", "valid_to: 2020-12-31\nlists:\n", 1).encode())
    packs = PackSet.of([ended])
    assert packs.in_force("sample", date(2020, 12, 31)) is ended
    with pytest.raises(PackNotInForce):
        packs.in_force("sample", date(2021, 1, 1))


def test_a_record_is_resolved_by_schema_and_digest() -> None:
    """What a header names must be held, with exactly the bytes that it means."""
    pack = load_pack(SMALL.encode())
    packs = PackSet.of([pack])
    assert packs.resolve("sample/1/usage", pack.digest) == (pack, pack.form("usage"))
    for unknown in ("sample/2/usage", "sample/1/other", "", "sample", "///", "x" * 10_000):
        with pytest.raises(SchemaUnknown):
            packs.resolve(unknown, pack.digest)
    with pytest.raises(SchemaMismatch):
        packs.resolve("sample/1/usage", b"\0" * 32)
