"""Exact decimals: strings outside, scaled integers inside, never a float.

A decimal of `dec(precision, scale)` is written with exactly `scale` digits
after the point and at most `precision` digits in all ("123.40" for
dec(16,2)), and stored as the integer 12340. Every stored figure fits a signed
64-bit integer, because that is what both databases add without rounding.
"""

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache

from yidao.catalog.errors import NumberInvalid, NumberOverflow

INT64_MAX = 2**63 - 1
#: Digits of the longest decimal that always fits INT64_MAX.
MAX_PRECISION = 18

# ASCII digits are spelled out: `\d` also matches full-width and Arabic digits.
_LENIENT = re.compile(r"(-?)([0-9]{1,40})(?:\.([0-9]{0,40}))?")
_LONGEST_TEXT = 84


def decimal_pattern(precision: int, scale: int, *, signed: bool) -> str:
    """Give the regular expression of the one accepted spelling of a decimal.

    The pattern alone cannot refuse "-0.00"; `parse_decimal` does.
    """
    whole_digits = precision - scale
    whole = "0" if whole_digits == 0 else f"(?:0|[1-9][0-9]{{0,{whole_digits - 1}}})"
    fraction = "" if scale == 0 else rf"\.[0-9]{{{scale}}}"
    return f"^{'-?' if signed else ''}{whole}{fraction}$"


@lru_cache(maxsize=256)
def spelling(precision: int, scale: int) -> re.Pattern[str]:
    """Give the compiled `decimal_pattern` for `fullmatch`."""
    # Without the anchors, for `$` would let a newline through; `fullmatch` does not.
    return re.compile(decimal_pattern(precision, scale, signed=True)[1:-1])


@lru_cache(maxsize=256)
def column_spelling(precision: int, scale: int) -> re.Pattern[str]:
    """Give what decimals fit whole that are joined by line breaks."""
    one = spelling(precision, scale).pattern
    return re.compile(f"{one}(?:\n{one})*")


def parse_decimal(text: str, precision: int, scale: int) -> int:
    """Read a decimal in its one accepted spelling as a scaled integer.

    Raises:
        NumberInvalid: Another spelling, too many digits, minus zero, NaN,
            infinity, an exponent, digits of another script.
    """
    if spelling(precision, scale).fullmatch(text) is None:
        raise NumberInvalid(reason="spelling")
    value = int(text.replace(".", ""))
    if value == 0 and text[0] == "-":
        raise NumberInvalid(reason="minus_zero")
    return value


def quantise(text: str, precision: int, scale: int) -> str:
    """Bring what a person typed ("12.5", " 7 ") to the accepted spelling, losing nothing.

    Raises:
        NumberInvalid: It is no number, or a digit other than 0 would be lost.
    """
    stripped = text.strip(" ")
    if len(stripped) > _LONGEST_TEXT:
        raise NumberInvalid(reason="too_long")
    match = _LENIENT.fullmatch(stripped)
    if match is None:
        raise NumberInvalid(reason="spelling")
    sign, whole, fraction = match[1], match[2], match[3] or ""
    kept, lost = fraction[:scale].ljust(scale, "0"), fraction[scale:]
    if lost.strip("0"):
        raise NumberInvalid(reason="too_many_decimals")
    value = int(whole + kept)
    if value >= 10**precision:
        raise NumberInvalid(reason="too_many_digits")
    return format_decimal(-value if sign else value, scale)


def format_decimal(value: int, scale: int) -> str:
    """Write a scaled integer in the accepted spelling: `format_decimal(12340, 2)` is "123.40"."""
    if scale == 0:
        return str(value)
    digits = str(abs(value)).rjust(scale + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def checked(value: int) -> int:
    """Return the value if it fits a signed 64-bit integer.

    Raises:
        NumberOverflow: It does not.
    """
    if -INT64_MAX <= value <= INT64_MAX:
        return value
    raise NumberOverflow


def checked_add(left: int, right: int) -> int:
    """Add two scaled integers of one scale.

    Raises:
        NumberOverflow: The sum does not fit.
    """
    return checked(left + right)


def checked_sum(values: Iterable[int]) -> int:
    """Add scaled integers of one scale; only the end is checked, so the order is free.

    Raises:
        NumberOverflow: The sum does not fit.
    """
    return checked(sum(values))


def round_scaled(value: Fraction, scale: int) -> int:
    """Round an exact ratio half-even to a scaled integer.

    Raises:
        NumberOverflow: The result does not fit.
    """
    # round() on a Fraction is exact and half-even (PEP 3141).
    return checked(round(value * 10**scale))


def round_ratio(value: Fraction, scale: int) -> str:
    """Write an exact ratio with `scale` decimals, rounded half-even, for display.

    Raises:
        NumberOverflow: The result does not fit.
    """
    return format_decimal(round_scaled(value, scale), scale)
