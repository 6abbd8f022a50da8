"""Join codes: what people type, what is forgiven, and what is found."""

import hashlib
from collections.abc import Callable

import pytest

from yidao.api.errors import YidaoError
from yidao.node.link import errors
from yidao.node.link.joincode import CODE_CHARS, GROUPS, JoinCode, parse_code, pin_of

CODE = JoinCode(
    token=bytes(range(5)),
    secret=hashlib.sha256(b"sample").digest()[:16],
    pin=pin_of(hashlib.sha256(b"root").digest()),
)
TEXT = CODE.format()
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


FORGIVEN: dict[str, Callable[[str], str]] = {
    "as it was shown": lambda text: text,
    "upper case": str.upper,
    "without hyphens": lambda text: text.replace("-", ""),
    "blanks for hyphens, and around": lambda text: f"  {text.replace('-', ' ')}\n",
    "full-width letters and digits": _full_width,
    "ideographic blanks and dashes": lambda text: text.replace("-", "　—"),
    "o for 0, l and i for 1": lambda text: text[:7] + text[7:].replace("0", "o").replace("1", "I"),
    "0 and 1 in the word before": lambda text: text.replace("yidao1", "y1da0l"),
}


@pytest.mark.parametrize("written", FORGIVEN.values(), ids=FORGIVEN)
def test_what_people_make_of_it_is_understood(written: Callable[[str], str]) -> None:
    """It is the same code."""
    assert parse_code(written(TEXT)) == CODE


def _swapped(group: int) -> str:
    groups = TEXT.split("-")
    groups[group], groups[group + 1] = groups[group + 1], groups[group]
    return "-".join(groups)


REFUSED: dict[str, tuple[type[YidaoError], str]] = {
    "nothing": (errors.JoinCodeForm, ""),
    "another word": (errors.JoinCodeForm, TEXT.replace("yidao1", "kubeadm")),
    "a later version": (errors.JoinCodeForm, TEXT.replace("yidao1", "yidao2")),
    "a group is missing": (errors.JoinCodeLength, TEXT.rsplit("-", 1)[0]),
    "one character too many": (errors.JoinCodeLength, TEXT + "0"),
    "a letter that no code has": (errors.JoinCodeCharacter, TEXT[:-1] + "u"),
    "a Chinese character": (errors.JoinCodeCharacter, TEXT[:-1] + "码"),
    "two groups exchanged": (errors.JoinCodeMistyped, _swapped(3)),
}


@pytest.mark.parametrize(("error", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_code_is_refused_by_type(error: type[YidaoError], text: str) -> None:
    """And the error holds nothing of the secret."""
    with pytest.raises(error) as raised:
        parse_code(text)
    assert not any(group in str(raised.value) for group in TEXT.split("-")[1:])


def test_every_wrong_character_and_every_swap_is_found_in_its_group() -> None:
    """Of 63 places with 31 wrong characters each, and of all neighbours that differ."""
    plain = TEXT.removeprefix("yidao1").replace("-", "")
    assert len(plain) == CODE_CHARS == 63
    wrong = [
        (at, plain[:at] + char + plain[at + 1 :])
        for at in range(CODE_CHARS)
        for char in ALPHABET
        if char != plain[at]
    ]
    swapped = [
        (at, plain[:at] + plain[at + 1] + plain[at] + plain[at + 2 :])
        for at in range(CODE_CHARS - 1)
        if plain[at] != plain[at + 1] and at // 7 == (at + 1) // 7
    ]
    for at, text in (*wrong, *swapped):
        with pytest.raises(errors.JoinCodeMistyped) as raised:
            parse_code("yidao1" + text)
        assert raised.value.params["group"] == at // 7 + 1
    assert GROUPS == 9


def test_the_secret_is_not_shown_by_chance() -> None:
    """Not in a traceback or a log line."""
    assert CODE.secret.hex() not in repr(CODE)
    assert repr(CODE.secret) not in repr(CODE)
