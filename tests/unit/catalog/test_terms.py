"""What of a text can be searched for, and what a search asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.errors import SearchInvalid
from yidao.catalog.terms import grams, normalised, query_grams

words = st.text(min_size=1, max_size=12)


@given(st.text(max_size=20), words, st.text(max_size=20))
def test_a_part_of_a_text_is_found(before: str, part: str, behind: str) -> None:
    """Whatever stands in a text within blanks is found by itself, in any width and case."""
    folded = normalised(part)
    held = grams(normalised(f"{before} {folded} {behind}"))
    assert query_grams(folded) <= held
    for cut in range(1, len(folded)):
        assert query_grams(folded[:cut]) <= held


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ("", set()),
        (" \t\n\x00", set()),
        ("能", {"能"}),
        ("能耗", {"能耗"}),
        ("公务用车", {"公务用", "务用车"}),
        ("ＥＮＥＲＧＹ", {"energy"}),
        ("elec", {"ele", "lec"}),
        ("能耗 车辆", {"能耗", "车辆"}),
        ("000060/", {"000060", "00060/"}),
        ('"AND*', {'"an', "and", "nd*"}),
    ],
)
def test_a_query_asks_for_runs(query: str, runs: set[str]) -> None:
    """Short words ask for themselves, longer ones for their longest runs."""
    assert query_grams(query) == runs


@pytest.mark.parametrize("query", ["x" * 201, "能" * 10_000, "a " * 17])
def test_too_much_is_refused(query: str) -> None:
    """Over 200 characters or 16 words."""
    with pytest.raises(SearchInvalid):
        query_grams(query)


def test_a_code_is_not_found_by_its_digits_in_another_order() -> None:
    """Runs of six tell 000060 from 000600, which has the same runs of three."""
    assert not query_grams("000060") <= grams("000600")
