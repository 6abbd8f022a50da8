"""The code of a record: written, read, recomputed by hand."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.sync.leafcode import LEAF_BYTES, LeafCodeInvalid, leaf_code, parse_leaf_code
from yidao.sync.merkle import leaf_hash


def test_a_code_is_what_the_formula_says() -> None:
    """Figures worked out by hand: zeros, ones, and one bit at either end."""
    assert leaf_code(bytes(10)) == "0000-0000-0000-0000"
    assert leaf_code(b"\xff" * 10) == "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
    assert leaf_code(b"\x80" + bytes(9)) == "G000-0000-0000-0000"
    assert leaf_code(bytes(9) + b"\x01") == "0000-0000-0000-0001"
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = int(hashlib.sha256(b"\0a header").hexdigest()[:20], 16)
    by_hand = "".join(digits[number // 32**place % 32] for place in range(15, -1, -1))
    assert leaf_code(leaf_hash(b"a header")).replace("-", "") == by_hand


@given(st.binary(min_size=LEAF_BYTES, max_size=32))
def test_a_code_reads_back(leaf: bytes) -> None:
    """As it is printed, without hyphens, in lower case, and with the letters that look alike."""
    code = leaf_code(leaf)
    alike = code.replace("0", "o").replace("1", "l")
    for text in (code, code.replace("-", ""), code.lower(), f" {code} ", alike):
        assert parse_leaf_code(text) == leaf[:LEAF_BYTES]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0000",
        "0000-0000-0000-000U",
        "0000-0000-0000-00000",
        "０" * 16,
        "0" * 16 + "-" * 60,
        "é" * 16,
    ],
)
def test_what_is_no_code_is_refused(text: str) -> None:
    """Too short, too long, a letter that is none, digits of another script."""
    with pytest.raises(LeafCodeInvalid):
        parse_leaf_code(text)
