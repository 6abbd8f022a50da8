"""Roll-ups form a commutative group: order, shape of the tree and corrections do not matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.errors import NumberOverflow, RollupMismatch
from yidao.catalog.numbers import format_decimal
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.pack.model import Form, Pack, Value
from yidao.catalog.rollup import Rollup

Row = dict[str, Value]

_PACK = """\
format: 1
pack: sample
version: "1"
title: {zh: 样例, en: Sample}
basis: sample
valid_from: 2020-01-01
lists:
  KIND:
    title: {zh: 类别, en: Kind}
    items: [{code: "1", zh: 甲, en: A}, {code: "2", zh: 乙, en: B}]
forms:
  usage:
    title: {zh: 用量, en: Usage}
    key: [no]
    period: on_change
    fields:
      - {name: no, zh: 编号, en: Number, type: str, required: true, rollup: countd}
      - {name: used, zh: 用量, en: Used, type: "dec(12,2)", rollup: sum, minimum: -9999999999}
      - {name: people, zh: 人数, en: People, type: int, rollup: sum}
      - {name: open, zh: 开放, en: Open, type: bool, rollup: count}
      - {name: remark, zh: 备注, en: Remark, type: str, rollup: count}
      - {name: kind, zh: 类别, en: Kind, type: code, list: KIND, rollup: hist}
      - {name: least, zh: 最小, en: Least, type: "dec(12,2)", rollup: min, minimum: -9999999999}
      - {name: most, zh: 最大, en: Most, type: int, rollup: max}
      - {name: first_day, zh: 首日, en: First day, type: date, rollup: min}
      - {name: state, zh: 状态, en: State, type: str, rollup: latest}
      - {name: hidden, zh: 不汇总, en: Hidden, type: str}
"""
PACK = load_pack(_PACK.encode())
FORM = PACK.form("usage")

decimals = st.integers(min_value=-(10**10), max_value=10**10).map(lambda n: format_decimal(n, 2))
rows = st.fixed_dictionaries(
    {"no": st.sampled_from(["a", "b", "c", "d"])},
    optional={
        "used": decimals,
        "people": st.integers(min_value=0, max_value=10**6),
        "open": st.booleans(),
        "remark": st.just("x"),
        "kind": st.sampled_from(["1", "2"]),
        "least": decimals,
        "most": st.integers(min_value=0, max_value=10**6),
        "first_day": st.dates().map(lambda day: day.isoformat()),
        "state": st.sampled_from(["new", "old"]),
        "hidden": st.just("y"),
    },
)
ordered_rows = st.lists(st.tuples(rows, st.integers(min_value=0, max_value=9)), max_size=8)


def rolled(pairs: list[tuple[Row, int]]) -> Rollup:
    """Add rows one after another."""
    total = Rollup.zero(FORM)
    for row, order in pairs:
        total = total.add(FORM, row, order)
    return total


@given(left=ordered_rows, right=ordered_rows, third=ordered_rows)
def test_merging_is_associative_and_commutative(
    left: list[tuple[Row, int]], right: list[tuple[Row, int]], third: list[tuple[Row, int]]
) -> None:
    """Any tree of any order over the same rows gives one roll-up, equal to the byte."""
    a, b, c = rolled(left), rolled(right), rolled(third)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(b) == b.merge(a)
    assert a.merge(Rollup.zero(FORM)) == a
    assert a.merge(b).encode() == b.merge(a).encode()
    assert rolled(left + right) == a.merge(b)


@given(pairs=ordered_rows, old=rows, new=rows, order=st.integers(min_value=0, max_value=9))
def test_replacing_a_version_is_new_minus_old(
    pairs: list[tuple[Row, int]], old: Row, new: Row, order: int
) -> None:
    """Taking the old version back and adding the new one is as if the old had never been."""
    replaced = rolled([*pairs, (old, order)]).subtract(FORM, old, order).add(FORM, new, order)
    assert replaced == rolled([*pairs, (new, order)])


@given(pairs=ordered_rows)
def test_a_correction_may_arrive_before_what_it_corrects(pairs: list[tuple[Row, int]]) -> None:
    """Subtracting first and adding later ends at the same roll-up."""
    total = Rollup.zero(FORM)
    for row, order in pairs:
        total = total.subtract(FORM, row, order)
    assert total.merge(rolled(pairs)) == Rollup.zero(FORM)


@given(pairs=ordered_rows)
def test_a_rollup_survives_its_bytes(pairs: list[tuple[Row, int]]) -> None:
    """Encode and decode are inverse."""
    total = rolled(pairs)
    assert Rollup.decode(total.encode()) == total


@given(many=st.lists(rows, max_size=8))
def test_rolling_up_many_rows_at_once_is_the_same(many: list[Row]) -> None:
    """`of` is repeated `add`."""
    assert Rollup.of(FORM, many) == rolled([(row, 0) for row in many])


def test_rows_are_taken_as_they_come() -> None:
    """So many that they are not held all at once."""
    many = ({"no": f"{number}", "used": f"{number}.25", "people": 1} for number in range(2_501))
    total = Rollup.of(FORM, many)
    assert total.rows == 2_501
    assert total.totals()["used"] == f"{sum(range(2_501)) + 2_501 / 4:.2f}"
    assert (total.totals()["no"], total.totals()["people"]) == (2_501, 2_501)


def test_every_kind_of_rollup_by_hand() -> None:
    """Three rows whose figures can be added in the head."""
    total = rolled(
        [
            ({"no": "a", "used": "0.10", "people": 3, "open": True, "remark": "x", "kind": "1",
              "least": "9.00", "most": 9, "first_day": "2020-05-01", "state": "new"}, 2),
            ({"no": "b", "used": "0.20", "people": 4, "open": False, "kind": "1",
              "least": "10.00", "most": 10, "first_day": "2019-12-31", "state": "old"}, 1),
            ({"no": "a", "used": "-0.05", "kind": "2", "least": "-2.50"}, 3),
        ]
    )  # fmt: skip
    assert total.rows == 3
    assert total.totals() == {
        "no": 2, "used": "0.25", "people": 7, "open": 1, "remark": 1, "kind": {"1": 2, "2": 1},
        "least": "-2.50", "most": 10, "first_day": "2019-12-31", "state": "new",
    }  # fmt: skip


def test_nothing_has_no_extremes() -> None:
    """Sums and counts of no rows are zero; a minimum of no rows is not there."""
    assert Rollup.zero(FORM).totals() == {
        "no": 0, "used": "0.00", "people": 0, "open": 0, "remark": 0, "kind": {},
    }  # fmt: skip


def test_sums_past_64_bits_are_refused() -> None:
    """The total is never wrapped, rounded or silently made larger than a column."""
    huge = Rollup.of(FORM, [{"no": "a", "used": "9999999999.99"}])
    for _ in range(23):
        huge = huge.merge(huge)
    with pytest.raises(NumberOverflow):
        huge.merge(huge)


UNCHECKED: dict[str, Row] = {
    "another scale": {"no": "a", "used": "1.0"},
    "no number": {"no": "a", "used": "x.yz"},
    "full-width digits": {"no": "a", "used": "１.00"},
    "a text for an integer": {"no": "a", "people": "12"},
    "a flag for an integer": {"no": "a", "people": True},
    "an integer for a decimal": {"no": "a", "used": 1},
    "two numbers for one": {"no": "a", "used": "1.00\n2.00"},
    "a line break at the end": {"no": "a", "used": "1.00\n"},
    "an extreme that is no number": {"no": "a", "least": "low"},
    "an extreme that is a text": {"no": "a", "most": "12"},
}


@pytest.mark.parametrize("row", UNCHECKED.values(), ids=UNCHECKED.keys())
def test_rows_that_were_not_checked_are_refused(row: Row) -> None:
    """A value that the form does not allow never reaches a total, alone or among others."""
    good: Row = {"no": "b", "used": "3.00"}
    for many in ([row], [good, row, good], [*[good] * 2_500, row]):
        with pytest.raises(RollupMismatch) as refused:
            Rollup.of(FORM, many)
        assert refused.value.params["field"] in row
    with pytest.raises(RollupMismatch):
        Rollup.zero(FORM).add(FORM, row)


def _encoded(share: str) -> bytes:
    return f'{{"form":"f","rows":0,"fields":{{"a":{share}}}}}'.encode()


GARBAGE = {
    "nothing": b"",
    "no object": b"[]",
    "an unknown kind": _encoded('["mean","int",0,0,{}]'),
    "a missing part": _encoded('["sum","int",0]'),
    "an amount past 64 bits": _encoded('["sum","int",0,9999999999999999999,{}]'),
    "an infinite amount": _encoded('["sum","int",0,1e999,{}]'),
    "an amount with decimals": _encoded('["sum","int",0,1.5,{}]'),
    "an extreme that is no number": _encoded('["min","dec",2,0,{"low":1}]'),
    "a latest value without order": _encoded('["latest","str",0,0,{"new":1}]'),
    "a latest integer that is none": _encoded('["latest","int",0,0,{"%s|x":1}]' % ("0" * 20)),
    "a scale of a thousand": _encoded('["sum","dec",1000,0,{}]'),
    "a flag for an amount": _encoded('["sum","int",0,true,{}]'),
    "a bag that is a list": _encoded('["sum","int",0,0,[]]'),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_bytes_that_are_no_rollup_are_refused(data: bytes) -> None:
    """A roll-up from elsewhere is read strictly."""
    with pytest.raises(RollupMismatch):
        Rollup.decode(data)


def test_different_forms_do_not_merge() -> None:
    """Adding areas to kilowatt hours is a typed error."""
    other = Form(
        id="other", title=FORM.title, key=FORM.key, period=FORM.period,
        stays_local=False, fields=FORM.fields, retired={},
    )  # fmt: skip
    with pytest.raises(RollupMismatch):
        Rollup.zero(FORM).merge(Rollup.zero(other))
    with pytest.raises(RollupMismatch):
        Rollup.zero(FORM).add(other, {"no": "a"})


def test_a_field_that_rolls_up_otherwise_does_not_merge() -> None:
    """A later version that turned a sum into a maximum cannot be added to the earlier one."""
    changed = load_pack(_PACK.replace("type: int, rollup: sum", "type: int, rollup: max").encode())
    with pytest.raises(RollupMismatch) as caught:
        Rollup.zero(FORM).merge(Rollup.zero(changed.form("usage")))
    assert caught.value.params["field"] == "people"


def test_versions_merge_by_name_and_the_finer_scale_wins() -> None:
    """A version with four decimals and one with two are added exactly."""
    finer = load_pack(
        _PACK.replace('"dec(12,2)", rollup: sum', '"dec(14,4)", rollup: sum').encode()
    )
    fine_form = finer.form("usage")
    fine = Rollup.of(fine_form, [{"no": "b", "used": "0.0001"}])
    coarse = Rollup.of(FORM, [{"no": "a", "used": "1.50"}])
    assert coarse.merge(fine).totals()["used"] == "1.5001"
    assert fine.merge(coarse) == coarse.merge(fine)


def test_a_retired_field_keeps_the_share_of_earlier_versions(
    pack_2022: Pack, pack_2025: Pack, profile: Row
) -> None:
    """Land area exists in the 2022 version only; the merged total is that of 2022."""
    old = Rollup.of(pack_2022.form("profile"), [{**profile, "land_area": "5000.00"}])
    new = Rollup.of(pack_2025.form("profile"), [{**profile, "period": "2026-Q1"}])
    for merged in (old.merge(new), new.merge(old)):
        assert merged.totals()["land_area"] == "5000.00"
        assert merged.totals()["floor_area"] == "4000.00"
        assert merged.rows == 2
