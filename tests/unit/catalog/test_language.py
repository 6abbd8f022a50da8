"""The rule language: exact integers, declared contexts, bounded, and never a crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.errors import PackInvalid
from yidao.catalog.numbers import format_decimal
from yidao.catalog.pack.language import change_within, ratio_within, translate
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Pack, Value
from yidao.catalog.pack.rules import Contexts, RuleSet
from yidao.catalog.rows import Numbers

_PACK = """\
format: 1
pack: sample
version: "1"
title: {{zh: 样例, en: Sample}}
basis: sample
valid_from: 2020-01-01
forms:
  usage:
    title: {{zh: 用量, en: Usage}}
    key: [no]
    period: on_change
    fields:
      - {{name: no, zh: 编号, en: Number, type: str, required: true}}
      - {{name: coarse, zh: 粗, en: Coarse, type: "dec(12,1)"}}
      - {{name: fine, zh: 细, en: Fine, type: "dec(14,4)"}}
      - {{name: huge, zh: 大, en: Huge, type: "dec(18,0)"}}
      - {{name: people, zh: 人数, en: People, type: int}}
      - {{name: open, zh: 开放, en: Open, type: bool}}
      - {{name: note, zh: 说明, en: Note, type: str}}
  size:
    title: {{zh: 规模, en: Size}}
    key: [no]
    period: on_change
    fields:
      - {{name: no, zh: 编号, en: Number, type: str, required: true}}
      - {{name: area, zh: 面积, en: Area, type: area}}
rules:
{rules}
"""
_RULE = """\
  - id: SA-{number:02}
    form: usage
    field: coarse
    severity: error
    zh: 样例
    en: Sample
    fault: {{zh: 样例, en: Sample}}
    needs: [{needs}]
    expr: {expr}
"""


def pack_with(*rules: tuple[str, str]) -> Pack:
    """Make a pack of rules, each given as what it needs and its expression."""
    text = "".join(
        _RULE.format(number=place, needs=needs, expr="'" + expr + "'")
        for place, (needs, expr) in enumerate(rules, 1)
    )
    return load_pack(_PACK.format(rules=text).encode())


def outcome(
    expr: str, row: dict[str, Value], contexts: Contexts | None = None, needs: str = "row"
) -> str:
    """Run one rule and say what came of it: holds, broken, failed or skipped."""
    pack = pack_with((needs, expr))
    form = pack.form("usage")
    numbers = Numbers(form).checked_row(row)
    findings, skipped = RuleSet(pack, form).run(row, numbers, contexts or Contexts())
    if skipped:
        return "skipped"
    if not findings:
        return "holds"
    return "failed" if findings[0].failed else "broken"


ROW: dict[str, Value] = {
    "no": "1", "coarse": "2.5", "fine": "2.5000", "people": 3, "open": True, "note": "x",
}  # fmt: skip

OUTCOMES = {
    "equal numbers of different scale are equal": ("row.coarse == row.fine", "holds"),
    "an integer field meets a decimal on one scale": ("row.people > row.coarse", "holds"),
    "a literal is as exact as a field": ("row.coarse == 2.5", "holds"),
    "a literal may be finer than the field": ("row.coarse == 2.50001", "broken"),
    "a sum of scales is exact": ("row.coarse + row.fine == 5", "holds"),
    "a difference may be negative": ("row.coarse - row.people == -0.5", "holds"),
    "an absent number is zero": ("row.huge == 0", "holds"),
    "a flag": ("row.open", "holds"),
    "a negated flag": ("!row.open", "broken"),
    "a text": ('row.note != ""', "holds"),
    "a choice": ("row.people > 2 ? row.open : false", "holds"),
    "a ratio inside its bounds": ('ratio_within(row.coarse, row.people, "0.8", "0.9")', "holds"),
    "a ratio on its bound": ('ratio_within(row.coarse, row.fine, "1", "1")', "holds"),
    "a ratio outside": ('ratio_within(row.coarse, row.people, "0.84", "1")', "broken"),
    "a ratio to nothing": ('ratio_within(row.coarse, row.huge, "0", "9")', "broken"),
    "a number where a truth value belongs": ("row.coarse", "failed"),
    "a text added to a number": ("row.coarse + row.note == 1", "failed"),
    "a ratio of texts": ('ratio_within(row.note, row.people, "0", "1")', "failed"),
}


@pytest.mark.parametrize(("expr", "expected"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_what_a_rule_comes_to(expr: str, expected: str) -> None:
    """Each expression over one row, with what must come of it."""
    assert outcome(expr, ROW) == expected


def test_doubles_would_have_been_wrong() -> None:
    """0.1 + 0.2 is 0.3 here."""
    row: dict[str, Value] = {"no": "1", "coarse": "0.1", "fine": "0.2000"}
    assert outcome("row.coarse + row.fine == 0.3", row) == "holds"


def test_numbers_past_64_bits_are_never_compared_as_doubles() -> None:
    """18 digits brought to four more decimals leave 64 bits: the rule cannot be computed."""
    row: dict[str, Value] = {"no": "1", "huge": "999999999999999999", "fine": "1.0000"}
    assert outcome("row.huge > row.fine", row) == "failed"
    assert outcome("row.huge > 0", row) == "holds"


def test_overflow_inside_a_rule_is_a_finding() -> None:
    """A sum past 64 bits is not computable, and no exception leaves the rule set."""
    expr = "+".join(["row.huge"] * 12) + " > 0"
    assert outcome(expr, {"no": "1", "huge": "999999999999999999"}) == "failed"


def test_a_rule_without_its_context_is_skipped_and_not_passed() -> None:
    """`year_ago` unknown: neither holds nor broken."""
    expr = 'change_within(row.coarse, year_ago.coarse, "0.30")'
    assert outcome(expr, ROW, needs="row, year_ago") == "skipped"
    known = Contexts(year_ago={"no": "1", "coarse": "2.0"})
    assert outcome(expr, ROW, known, needs="row, year_ago") == "holds"
    known = Contexts(year_ago={"no": "1", "coarse": "1.9"})
    assert outcome(expr, ROW, known, needs="row, year_ago") == "broken"


def test_every_context_can_be_read() -> None:
    """prev, children and other forms are seen under their names."""
    contexts = Contexts(
        prev={"no": "1", "coarse": "1.0"},
        children={"coarse": "2.5"},
        forms={"size": {"no": "1", "area": "100.00"}},
    )
    expr = "row.coarse == children.coarse && prev.coarse == 1 && forms.size.area == 100"
    assert outcome(expr, ROW, contexts, needs="row, prev, children, forms.size") == "holds"


def test_an_unchecked_context_cannot_crash_a_rule() -> None:
    """Rows of other contexts may hold anything; the rule is then not computable."""
    for nonsense in ("１.0", "x", "1_0", "1e400", "", "2.55", " 1"):
        contexts = Contexts(prev={"coarse": nonsense})
        assert outcome("prev.coarse >= 0", ROW, contexts, needs="prev") == "failed"


def test_only_the_broken_rules_of_several_are_found(capfd: pytest.CaptureFixture[str]) -> None:
    """The conjunction fails, then each rule answers for itself; nothing is printed."""
    pack = pack_with(
        ("row", "row.coarse == 2.5"),
        ("row", "row.coarse == 1"),
        ("row", "row.note > 1"),
        ("row, prev", "row.coarse == prev.coarse"),
    )
    form = pack.form("usage")
    findings, skipped = RuleSet(pack, form).run(ROW, Numbers(form).checked_row(ROW), Contexts())
    assert [(each.rule.id, each.failed) for each in findings] == [("SA-02", False), ("SA-03", True)]
    assert skipped == ("SA-04",)
    assert capfd.readouterr() == ("", "")


REFUSED = {
    "a method": "row.note.matches(row.note)",
    "a regular expression": '"a".matches("(a+)+$")',
    "a macro": "[1, 2].all(x, x > 0)",
    "an index": "row[0] == 1",
    "a map": "{1: 2}",
    "multiplication": "row.coarse * row.fine == 1",
    "division": "row.coarse / row.fine == 1",
    "remainder": "row.people % 2 == 0",
    "an unknown function": "size(row.note) > 0",
    "an unknown name": "now > 0",
    "a context without a field": "row == 1",
    "a double": "row.coarse == 1e3",
    "an escape in a text": 'row.note == "\\n"',
    "a bytes literal": 'b"x" == b"x"',
    "unbalanced parentheses": "(row.coarse == 1",
    "a bound that is no number": 'ratio_within(row.coarse, row.fine, "low", "2")',
    "nothing to compare": "row.coarse ==",
    "a bitwise and": "row.open & row.open",
    "25 nested parentheses": "(" * 25 + "row.open" + ")" * 25,
    "a thousand characters": " || ".join(["row.open"] * 90),
    "full-width digits": "row.coarse == １",
}


@pytest.mark.parametrize("expr", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_of_the_language_is_refused_at_loading(expr: str) -> None:
    """No such rule ever reaches a row: the pack does not load."""
    with pytest.raises(PackInvalid):
        pack_with(("row", expr.replace("'", "''")))


@given(
    part=st.integers(min_value=0, max_value=10**9),
    whole=st.integers(min_value=1, max_value=10**9),
    low=st.integers(min_value=0, max_value=10**6),
    high=st.integers(min_value=0, max_value=10**6),
)
def test_ratios_are_compared_exactly(part: int, whole: int, low: int, high: int) -> None:
    """ratio_within agrees with comparing cross products of integers."""
    bounds = format_decimal(low, 3), format_decimal(high, 3)
    expected = low * whole <= part * 1000 <= high * whole
    assert ratio_within(part, whole, *bounds) is expected


@given(now=st.integers(min_value=0, max_value=10**6), before=st.integers(min_value=1))
def test_changes_are_compared_exactly(now: int, before: int) -> None:
    """change_within agrees with integer arithmetic."""
    assert change_within(now, before, "0.30") is (10 * abs(now - before) <= 3 * before)


def test_functions_answer_null_for_what_they_cannot_compute() -> None:
    """They never raise, since the library would print it."""
    assert ratio_within("1", 2, "0", "1") is None
    assert ratio_within(1, 2, "x", "1") is None
    assert change_within(1, 2, 0.3) is None
    assert change_within(1, 0, "0.3") is False


def test_the_cel_text_holds_scaled_integers() -> None:
    """Fields and literals of a rule are on the finest scale among them."""
    pack = pack_with(("row", "row.coarse + 0.25 <= row.fine"))
    condition = translate(pack.rules[0], pack.forms)
    assert condition.cel_text == "V_row_D_coarse_S4 + 2500 <= V_row_D_fine_S4"
    assert {each.variable: each.value_in(ROW) for each in condition.operands} == {
        "V_row_D_coarse_S4": 25000,
        "V_row_D_fine_S4": 25000,
    }
