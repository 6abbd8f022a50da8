"""Check digits against published sample codes, and the codes made for samples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.catalog.codes import (
    org_check_digit,
    org_code_ok,
    plate_ok,
    resident_id_ok,
    sample_uscc,
    uscc_check_digit,
    uscc_ok,
    vin_ok,
)
from yidao.catalog.errors import CodeInvalid

_USCC = "91350100M000100Y43"


def test_the_published_samples_hold() -> None:
    """The samples of GB 32100, GB 11714, GB 11643 and ISO 3779."""
    assert uscc_ok(_USCC)
    assert org_check_digit("M000100Y") == "4"
    assert org_code_ok("M000100Y4")
    assert org_code_ok("M000100Y-4")
    assert resident_id_ok("11010519491231002X")
    assert vin_ok("1M8GDM9AXKP042788")


@given(
    place=st.integers(min_value=0, max_value=17),
    other=st.sampled_from("0123456789ABCDEFGHJKLMNPQRTUWXY"),
)
def test_one_wrong_character_is_noticed(place: int, other: str) -> None:
    """Any single change of a 统一社会信用代码 breaks it."""
    changed = _USCC[:place] + other + _USCC[place + 1 :]
    assert uscc_ok(changed) is (changed == _USCC)


@given(place=st.integers(min_value=0, max_value=16))
def test_swapped_neighbours_are_noticed(place: int) -> None:
    """Two neighbouring characters in the wrong order break the code."""
    swapped = _USCC[:place] + _USCC[place + 1] + _USCC[place] + _USCC[place + 2 :]
    assert uscc_ok(swapped) is (swapped == _USCC)


REFUSED_USCC = {
    "nothing": "",
    "a letter that the alphabet lacks": "91350100M000100I43",
    "lower case": _USCC.lower(),
    "full-width digits": "９" + _USCC[1:],
    "a newline": _USCC + "\n",
    "seventeen characters": _USCC[:17],
}


@pytest.mark.parametrize("code", REFUSED_USCC.values(), ids=REFUSED_USCC.keys())
def test_what_is_no_code_is_refused(code: str) -> None:
    """uscc_ok says no and raises nothing."""
    assert not uscc_ok(code)


RESIDENTS = {
    "a wrong check digit": "110105194912310021",
    "the 30th of February": "110105194902300026",
    "fifteen digits": "110105491231002",
    "letters": "ABCDEFGHIJKLMNOPQR",
}


@pytest.mark.parametrize("number", RESIDENTS.values(), ids=RESIDENTS.keys())
def test_what_is_no_resident_number_is_refused(number: str) -> None:
    """A resident number has a real birthday and its check digit."""
    assert not resident_id_ok(number)


def test_a_vin_has_no_letters_like_digits_and_its_check_digit() -> None:
    """I, O and Q are refused, and so is another ninth character."""
    assert not vin_ok("1M8GDM9AIKP042788")
    assert not vin_ok("1M8GDM9A1KP042788")
    assert not vin_ok("")


PLATES = {
    "ordinary": ("京A12345", True),
    "police": ("浙A1234警", True),
    "small new energy": ("粤BD12345", True),
    "large new energy": ("粤B12345D", True),
    "the letter O": ("京AO2345", False),
    "no province": ("XA12345", False),
    "too short": ("京A1234", False),
    "full-width digits": ("京A１２３４５", False),
}


@pytest.mark.parametrize(("plate", "expected"), PLATES.values(), ids=PLATES.keys())
def test_plates(plate: str, expected: bool) -> None:
    """Seven characters are ordinary plates, eight are new-energy ones."""
    assert plate_ok(plate) is expected


@given(index=st.integers(min_value=0, max_value=99_999_999), kind=st.sampled_from(["11", "12"]))
def test_sample_codes_are_right_and_tell_region_and_kind(index: int, kind: str) -> None:
    """A sample code passes both checks and begins with kind and division."""
    code = sample_uscc(index, "330106", kind)
    assert uscc_ok(code)
    assert org_code_ok(code[8:17])
    assert code.startswith(f"{kind}330106")
    assert code == sample_uscc(index, "330106", kind)


def test_sample_codes_differ() -> None:
    """A thousand indices give a thousand codes."""
    assert len({sample_uscc(index, "330106") for index in range(1_000)}) == 1_000


SAMPLES = {
    "a negative index": (-1, "330106", "11"),
    "an index too large": (100_000_000, "330106", "11"),
    "a short division": (1, "3301", "11"),
    "another kind": (1, "330106", "91"),
}


@pytest.mark.parametrize(("index", "region", "kind"), SAMPLES.values(), ids=SAMPLES.keys())
def test_samples_out_of_range_are_refused(index: int, region: str, kind: str) -> None:
    """Nothing is silently cut to fit."""
    with pytest.raises(CodeInvalid):
        sample_uscc(index, region, kind)


def test_check_digits_of_nonsense_are_refused() -> None:
    """The digit functions raise a typed error for what is no code."""
    for nonsense in ("", "I" * 17, "１" * 17):
        with pytest.raises(CodeInvalid):
            uscc_check_digit(nonsense)
    with pytest.raises(CodeInvalid):
        org_check_digit("abc")
