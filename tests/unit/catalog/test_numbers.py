"""Decimals are exact, have one spelling, and never leave 64 bits unnoticed."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.errors import NumberInvalid, NumberOverflow
from yidao.catalog.numbers import (
    INT64_MAX,
    checked_add,
    checked_sum,
    format_decimal,
    parse_decimal,
    quantise,
    round_ratio,
)

scaled = st.integers(min_value=-(10**18) + 1, max_value=10**18 - 1)


@given(value=scaled, scale=st.integers(min_value=0, max_value=9))
def test_every_scaled_integer_survives_being_written_and_read(value: int, scale: int) -> None:
    """format_decimal and parse_decimal are inverse to each other."""
    assert parse_decimal(format_decimal(value, scale), 18, scale) == value


@given(value=scaled, scale=st.integers(min_value=0, max_value=9))
def test_quantise_leaves_the_accepted_spelling_alone(value: int, scale: int) -> None:
    """A canonical text is its own quantised form."""
    text = format_decimal(value, scale)
    assert quantise(text, 18, scale) == text


REFUSED = {
    "not a number": "NaN",
    "infinity": "Infinity",
    "an exponent": "1e400",
    "minus zero": "-0.00",
    "minus zero without decimals": "-0",
    "full-width digits": "１２.00",
    "Arabic digits": "١٢.00",
    "too few decimals": "1.5",
    "too many decimals": "1.500",
    "no decimals": "1",
    "a leading zero": "01.00",
    "a plus sign": "+1.00",
    "no whole part": ".50",
    "a thousands separator": "1,000.00",
    "an underscore": "1_0.00",
    "a trailing newline": "1.00\n",
    "a leading space": " 1.00",
    "seventeen digits where sixteen fit": "123456789012345.00",
    "nothing": "",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_anything_but_the_one_spelling_is_refused(text: str) -> None:
    """parse_decimal accepts exactly one text for each number."""
    with pytest.raises(NumberInvalid):
        parse_decimal(text, 16, 2)


QUANTISED = {
    "a short fraction is filled": ("12.5", "12.50"),
    "an integer gets its decimals": ("7", "7.00"),
    "spaces around it go": ("  7.10 ", "7.10"),
    "leading zeros go": ("0012.30", "12.30"),
    "zeros beyond the scale go": ("1.2300", "1.23"),
    "minus zero becomes zero": ("-0.000", "0.00"),
    "a negative number stays": ("-3.4", "-3.40"),
    "a bare point": ("5.", "5.00"),
}


@pytest.mark.parametrize(("typed", "expected"), QUANTISED.values(), ids=QUANTISED.keys())
def test_what_people_type_is_brought_to_the_spelling(typed: str, expected: str) -> None:
    """Quantise changes the spelling and never the number."""
    assert quantise(typed, 16, 2) == expected


UNQUANTISABLE = {
    "a digit would be lost": ("1.234", "too_many_decimals"),
    "too many digits": ("99999999999999999", "too_many_digits"),
    "an exponent": ("1e3", "spelling"),
    "full-width digits": ("１２", "spelling"),
    "nothing": ("", "spelling"),
    "ten megabytes of digits": ("1" * 10_000_000, "too_long"),
}


@pytest.mark.parametrize(("typed", "reason"), UNQUANTISABLE.values(), ids=UNQUANTISABLE.keys())
def test_quantise_never_guesses(typed: str, reason: str) -> None:
    """What cannot be kept exactly is refused with the reason, and the value is not repeated."""
    with pytest.raises(NumberInvalid) as caught:
        quantise(typed, 16, 2)
    assert dict(caught.value.params) == {"reason": reason}


def test_sums_stop_at_sixty_four_bits() -> None:
    """The last sum that fits is given, the first that does not is refused."""
    assert checked_add(INT64_MAX - 1, 1) == INT64_MAX
    with pytest.raises(NumberOverflow):
        checked_add(INT64_MAX, 1)
    with pytest.raises(NumberOverflow):
        checked_sum([-INT64_MAX, -1])
    assert checked_sum([INT64_MAX, 5, -5]) == INT64_MAX


def test_ratios_are_rounded_half_even() -> None:
    """Ties go to the even digit, in both directions and below zero."""
    assert round_ratio(Fraction(1, 8), 2) == "0.12"
    assert round_ratio(Fraction(3, 8), 2) == "0.38"
    assert round_ratio(Fraction(-1, 8), 2) == "-0.12"
    assert round_ratio(Fraction(2, 3), 4) == "0.6667"
    with pytest.raises(NumberOverflow):
        round_ratio(Fraction(10**18), 2)
