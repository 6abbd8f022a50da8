"""Questions about rows: read strictly, checked before work, evaluated exactly, merged exactly."""

import random
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.api.errors import YidaoError
from yidao.catalog.errors import NumberOverflow
from yidao.catalog.masks import mask
from yidao.catalog.pack.loader import load_pack
from yidao.catalog.selection.columns import BUILT_IN, columns_of
from yidao.catalog.selection.conditions import MAX_COMPARISONS, MAX_DEPTH, parse_condition
from yidao.catalog.selection.errors import (
    AnswerMalformed,
    ColumnMasked,
    ColumnTypeWrong,
    ColumnUnknown,
    GroupsTooMany,
    QuestionInvalid,
)
from yidao.catalog.selection.groups import Groups, measure_columns
from yidao.catalog.selection.order import First
from yidao.catalog.selection.pages import MAX_PAGE_BYTES, read_page, write_pages
from yidao.catalog.selection.plan import Plan, shown_column
from yidao.catalog.selection.question import MAX_BYTES, RowsQuestion

PACK = load_pack((files("yidao.catalog") / "packs" / "energy-2025.yaml").read_bytes())
CONSUMPTION = PACK.forms["consumption"]
REGISTER = PACK.forms["institution"]
OFFERED = columns_of([CONSUMPTION], dict.fromkeys(CONSUMPTION.fields, 1))


def question(**asked: object) -> RowsQuestion:
    return RowsQuestion.make(resource="3060/1", **asked)  # type: ignore[arg-type]


def plan(**asked: object) -> Plan:
    return Plan.of(question(**asked), OFFERED)


ROW = {
    "unit": "91",
    "period": "2025-Q3",
    "state": "accepted",
    "version": 2,
    "elec_kwh": "1000.50",
    "note": "it's 样例",
}


@pytest.mark.parametrize(
    ("where", "through"),
    [
        ("", True),
        ("elec_kwh > 1000", True),
        ("elec_kwh>1000.5", False),
        ("elec_kwh >= 1000.500", True),
        ("elec_kwh = 1000.5001", False),
        ("elec_kwh < 1000.501", True),
        ("elec_kwh in (7, 1000.5)", True),
        ("period = 2025-Q3 and version = 2", True),
        ("version = 3 or period = '2025-Q3' and elec_kwh > 1", True),
        ("(version = 3 or period = '2025-Q3') and elec_kwh < 1", False),
        ("note ~ 样例", True),
        ("note = 'it''s 样例'", True),
        ('note = "it\'s 样例"', True),
        # What is not there fulfils nothing, not even an inequality.
        ("water_m3 != 5", False),
        ("unit = 91 AND state IN (accepted, 'submitted')", True),
    ],
)
def test_a_condition_lets_through_what_it_says(where: str, through: bool) -> None:
    """Numbers as numbers, at the finer scale of both; texts as texts."""
    assert plan(where=where).lets_through(ROW) is through


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("elec_kwh", "operator_expected"),
        ("elec_kwh >", "value_expected"),
        ("elec_kwh > 1 2", "unexpected"),
        ("> 1", "column_expected"),
        ("'elec_kwh' > 1", "column_expected"),
        ("Elec > 1", "column_expected"),
        ("(elec_kwh > 1", "bracket_expected"),
        ("elec_kwh in 1", "bracket_expected"),
        ("elec_kwh > 'x", "spelling"),
        ("elec_kwh ! 1", "spelling"),
        (" and ".join(["a = 1"] * (MAX_COMPARISONS + 1)), "too_many_comparisons"),
        ("(" * (MAX_DEPTH + 1) + "a = 1" + ")" * (MAX_DEPTH + 1), "too_deep"),
        ("a in (" + ", ".join(["1"] * 101) + ")", "list_too_long"),
        ("a = " + "1" * 201, "value_too_long"),
        ("a = 1 or " * 300, "too_long"),
    ],
)
def test_what_is_no_condition_is_refused(where: str, reason: str) -> None:
    """With its reason, before any row is read."""
    with pytest.raises(QuestionInvalid) as refused:
        parse_condition(where)
    assert refused.value.params["reason"] == reason


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    """It is a condition or a typed error."""
    try:
        parse_condition(text)
    except QuestionInvalid:
        return


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"where": "nothing = 1"}, ColumnUnknown),
        ({"select": ("nothing",)}, ColumnUnknown),
        ({"where": "elec_kwh = many"}, ColumnTypeWrong),
        ({"where": "elec_kwh ~ 1"}, ColumnTypeWrong),
        ({"aggregate": ("sum note",)}, ColumnTypeWrong),
        ({"aggregate": ("avg unit",)}, ColumnTypeWrong),
    ],
)
def test_a_question_that_does_not_fit_the_form_is_refused(asked, error) -> None:
    """Every column and value is checked first."""
    with pytest.raises(error):
        plan(**asked)


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ({"limit": 10_001}, "limit"),
        ({"select": ("a",) * 2}, "select"),
        ({"select": tuple(f"a{n}" for n in range(65))}, "select"),
        ({"aggregate": ("median a",)}, "aggregate"),
        ({"aggregate": ("sum",)}, "aggregate"),
        ({"aggregate": ("count a",)}, "aggregate"),
        ({"aggregate": ("count",), "select": ("a",)}, "aggregate"),
        ({"by": ("a",)}, "aggregate"),
        ({"by": tuple("abcde"), "aggregate": ("count",)}, "by"),
        ({"select": ("a",), "order": ("b",)}, "order"),
        ({"order": ("sum a",)}, "order"),
        ({"resource": "x y"}, "resource"),
        ({"pack": "energy", "form": "consumption"}, "resource"),
    ],
)
def test_a_question_past_its_limits_is_refused(asked, part) -> None:
    """The part that is too large or does not fit is named."""
    with pytest.raises(QuestionInvalid) as refused:
        RowsQuestion.make(**{"resource": "3060/1", **asked})
    assert refused.value.params["part"] == part


def test_a_question_survives_its_way() -> None:
    """Equal questions are equal bytes."""
    asked = question(
        where="elec_kwh > 1 and unit in (1, 2)", select=("unit", "elec_kwh"), order=("-elec_kwh",)
    )
    assert RowsQuestion.decode(asked.encode()) == asked
    grouped = question(aggregate=("count", "sum elec_kwh"), by=("period",), order=("-count",))
    assert RowsQuestion.decode(grouped.encode()) == grouped


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b'{"resource":1}',
        b'{"resource":"1/1","limit":true}',
        b'{"resource":"1/1","limit":1.5}',
        b'{"resource":"1/1","limit":-1}',
        b'{"resource":"1/1","select":"a"}',
        b'{"resource":"1/1","select":[1]}',
        b'{"resource":"1/1","where":["a"]}',
        b'{"resource":"1/1","more":1}',
        b'{"resource":"1/1","pack":"p","form":"f"}',
        b"[" * 12_000,
        b" " * (MAX_BYTES + 1),
    ],
)
def test_what_is_no_question_is_refused(data: bytes) -> None:
    """With a typed error."""
    with pytest.raises(QuestionInvalid):
        RowsQuestion.decode(data)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_decoders(data: bytes) -> None:
    """Neither that of questions nor that of answers raises anything but its typed error."""
    for read in (RowsQuestion.decode, lambda d: read_page(d, keys=1, measures=1)):
        with pytest.raises(YidaoError):
            read(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("resource", "as_of_ms", "cut", "columns", "rows", "groups"), json_values
        ),
    ),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_no_json_breaks_the_reader_of_answers(members, keys, measures) -> None:
    """Whatever another node sends is a page or a typed error."""
    import orjson

    try:
        read_page(orjson.dumps(members), keys=keys, measures=measures)
    except AnswerMalformed:
        return


def test_masked_columns_are_shown_masked_and_nothing_depends_on_them() -> None:
    """Else a mask could be asked away, one comparison after the other."""
    offered = columns_of([REGISTER], {"name": 1, "statistician": 1, "in_compound": 4})
    asked = Plan.of(question(), offered)
    row = {"unit": "91", "name": "样例单位", "statistician": "欧阳修", "in_compound": "A1"}
    shown = dict(zip((c.name for c in asked.columns), asked.project(row), strict=True))
    assert (shown["name"], shown["statistician"]) == ("样例单位", "欧阳*")
    assert shown["in_compound"] == "***"
    for wrong in (
        {"where": "statistician = 张三"},
        {"where": "unit = 1 or (in_compound ~ A)"},
        {"order": ("statistician",)},
        {"aggregate": ("count",), "by": ("in_compound",)},
        {"aggregate": ("min statistician",)},
    ):
        with pytest.raises(ColumnMasked):
            Plan.of(question(**wrong), offered)
    counted = Plan.of(question(aggregate=("count",)), offered)
    assert counted.lets_through(row)


def test_only_what_the_resource_offers_can_be_asked() -> None:
    """A field of the form that is no item of the resource is no column."""
    offered = columns_of([CONSUMPTION], {"elec_kwh": 1})
    assert set(offered) == {*BUILT_IN, "elec_kwh"}
    with pytest.raises(ColumnUnknown):
        Plan.of(question(where="elec_fee > 1"), offered)


@pytest.mark.parametrize(
    ("value", "label", "shown"),
    [
        ("11010519491231002X", "身份证号", "110105********002X"),
        ("110105194912310021", "身份证号", "110105********0021"),
        ("13812341234", "联系电话", "138****1234"),
        ("6222021234567890", "账号", "***7890"),
        ("京A12345", "号牌号码", "京A***45"),
        ("京AD12345", "号牌号码", "京A***45"),
        ("张三", "统计负责人", "张*"),
        ("欧阳修", "联系人姓名", "欧阳*"),
        ("欧阳", "联系人姓名", "欧*"),
        ("张三", "备注", "***"),
        ("杭州市西湖区样例路1号", "地址", "***"),
        (12345, "金额", "***"),
        (True, "是否", "***"),
    ],
)
def test_masks(value, label: str, shown: str) -> None:
    """By the shape of the value; a person's name also by the title of its field."""
    assert mask(value, label) == shown


def grouped(rows, **asked) -> Groups:
    made = plan(**asked)
    keys = tuple(shown_column(each) for each in made.columns)
    groups = Groups(made.question, keys, measure_columns(made.question.aggregate, OFFERED))
    for row in rows:
        groups.add_row(made.project(row), row)
    return groups


def rows_of(seed: int, count: int) -> list[dict[str, object]]:
    chance = random.Random(seed)
    return [
        {
            "unit": str(number),
            "period": f"2025-Q{chance.randint(1, 4)}",
            "version": chance.randint(1, 9),
            **({"elec_kwh": f"{chance.randint(-(9**9), 9**9) / 100:.2f}"} if number % 7 else {}),
        }
        for number in range(count)
    ]


ASKED = {
    "aggregate": ("count", "sum elec_kwh", "min elec_kwh", "max unit", "avg elec_kwh"),
    "by": ("period",),
}


@given(st.integers(0, 1_000), st.integers(0, 40), st.integers(1, 4))
def test_many_nodes_add_up_as_one_would(seed: int, count: int, nodes: int) -> None:
    """To the last digit, averages too: they are formed of sums and counts, never of averages."""
    rows = rows_of(seed, count)
    whole = grouped(rows, **ASKED)
    merged = grouped([], **ASKED)
    columns = measure_columns(question(**ASKED).aggregate, OFFERED)
    for node in range(nodes):
        merged.merge(grouped(rows[node::nodes], **ASKED).groups(), columns)
    assert sorted(whole.results()) == sorted(merged.results())
    for period, held, total, *_ in whole.results():
        mine = [row for row in rows if row["period"] == period]
        assert held == len(mine)
        figures = [Decimal(str(row["elec_kwh"])) for row in mine if "elec_kwh" in row]
        assert total == (f"{sum(figures):.2f}" if figures else None)


def test_nodes_of_two_scales_add_up() -> None:
    """The finer one holds, whichever answers first."""
    from dataclasses import replace

    asked = {"aggregate": ("sum elec_kwh",)}
    [coarse] = measure_columns(question(**asked).aggregate, OFFERED)
    fine = replace(coarse, scale=4)
    for order in ((coarse, fine), (fine, coarse)):
        groups = Groups(question(**asked), (), (order[0],))
        for scale in order:
            one = Groups(question(**asked), (), (scale,))
            one.add_row((), {"elec_kwh": "1.25" if scale is coarse else "0.0001"})
            groups.merge(one.groups(), (scale,))
        assert list(groups.results()) == [("1.2501",)]


def test_a_sum_past_64_bits_is_an_error_and_never_wraps() -> None:
    """As everywhere else."""
    groups = grouped([{"elec_kwh": "9" * 16 + ".00"}] * 20, aggregate=("sum elec_kwh",))
    with pytest.raises(NumberOverflow):
        list(groups.results())


def test_groups_are_bounded() -> None:
    """A question cannot make a node keep a group for each row."""
    with pytest.raises(GroupsTooMany):
        grouped(rows_of(1, 1_001), aggregate=("count",), by=("unit",))


@given(st.integers(0, 1_000), st.integers(1, 30))
def test_the_first_of_an_order_are_those_of_all(seed: int, limit: int) -> None:
    """Numbers as numbers, what has no value last, whatever came first."""
    rows = rows_of(seed, 60)
    made = plan(select=("unit", "elec_kwh"), order=("-elec_kwh",), limit=limit)
    first: First[tuple[object, ...]] = First(made.question.order, made.columns, limit)
    for row in rows:
        cells = made.project(row)
        first.add(cells, cells)
    figures = [Decimal(str(row["elec_kwh"])) for row in rows if "elec_kwh" in row]
    expected = [f"{each:.2f}" for each in sorted(figures, reverse=True)]
    expected += [None] * (60 - len(expected))
    assert [cells[1] for cells in first.take()] == expected[:limit]
    assert first.dropped is (limit < 60)


def test_an_answer_survives_its_way_in_pages() -> None:
    """Every page is small, states the columns and holds whole rows."""
    made = plan(select=("unit", "elec_kwh", "version", "note"))
    columns = tuple(shown_column(each) for each in made.columns)
    rows = [made.project({**row, "note": "样例" * 40}) for row in rows_of(3, 2_000)]
    pages = list(write_pages(resource="3060/1", as_of_ms=5, cut=True, columns=columns, rows=rows))
    assert len(pages) > 5
    assert max(map(len, pages)) < 64 * 1024
    read = [read_page(page, keys=0, measures=0) for page in pages]
    assert [row for page in read for row in page.rows] == rows
    assert {(page.columns, page.cut, page.as_of_ms) for page in read} == {(columns, True, 5)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rows": [["x", "1.00", True]]}, "type"),
        ({"rows": [["x", "1.000", 1]]}, "cell"),
        ({"rows": [["x", "1e5", 1]]}, "cell"),
        ({"rows": [["x", 1.5, 1]]}, "type"),
        ({"rows": [["x", "1.00"]]}, "count"),
        ({"rows": [["x" * 4_001, "1.00", 1]]}, "cell"),
        ({"rows": [[]] * 10_001}, "too_many"),
        ({"columns": [["unit", "float", 0, False]]}, "columns"),
        ({"columns": [["Unit;", "text", 0, False]]}, "columns"),
        ({"as_of_ms": -1}, "number"),
        ({"cut": 1}, "type"),
    ],
)
def test_a_page_of_another_shape_is_refused(change, reason: str) -> None:
    """A cell is of its column's kind, or the page is none."""
    import orjson

    page = {
        "resource": "1",
        "as_of_ms": 1,
        "cut": False,
        "columns": [
            ["unit", "text", 0, False],
            ["elec_kwh", "decimal", 2, False],
            ["version", "integer", 0, False],
        ],
        "rows": [["x", "1.00", 1]],
    }
    read_page(orjson.dumps(page), keys=0, measures=0)
    with pytest.raises(AnswerMalformed) as refused:
        read_page(orjson.dumps(page | change), keys=0, measures=0)
    assert refused.value.params["reason"] == reason
    with pytest.raises(AnswerMalformed):
        read_page(b" " * (MAX_PAGE_BYTES + 1), keys=0, measures=0)
