"""Rows as bytes: one canonical form, and nothing read that a row cannot hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.errors import PayloadInvalid
from yidao.catalog.pack.model import Value
from yidao.catalog.rows import encode_row, parse_row

values = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50),
    st.integers(min_value=-(10**15), max_value=10**15),
    st.booleans(),
)


@given(row=st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), values))
def test_a_row_survives_its_bytes(row: dict[str, Value]) -> None:
    """Whatever a row can hold comes back, and its bytes do not depend on the order of keys."""
    data = encode_row(row)
    assert parse_row(data) == row
    assert encode_row(dict(reversed(row.items()))) == data


def test_the_canonical_bytes_are_sorted_and_compact() -> None:
    """Keys in order, no spaces, UTF-8 without escapes."""
    assert encode_row({"b": "水", "a": 1}) == '{"a":1,"b":"水"}'.encode()


def test_other_spellings_of_the_same_row_are_read() -> None:
    """Spaces, escapes and order are the sender's business."""
    data = b' { "b" : "\\u6c34", "a" : 1 } '
    assert parse_row(data) == {"a": 1, "b": "水"}


UNENCODABLE = {
    "a float": {"a": 1.5},
    "null": {"a": None},
    "a list": {"a": [1]},
    "a mapping": {"a": {}},
    "bytes": {"a": b"x"},
    "an integer past 10^15": {"a": 10**15 + 1},
    "a lone surrogate": {"a": "\ud800"},
    "a name that is no text": {1: "a"},
    "a text of 4,001 characters": {"a": "x" * 4_001},
    "more bytes than a row has": {f"f{number}": "长" * 3_999 for number in range(30)},
}


@pytest.mark.parametrize("row", UNENCODABLE.values(), ids=UNENCODABLE.keys())
def test_what_a_row_cannot_hold_is_not_written(row: dict[str, Value]) -> None:
    """No payload is made that its reader would refuse."""
    with pytest.raises(PayloadInvalid):
        encode_row(row)
