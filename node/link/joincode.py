"""A join token as a code that a person reads out, writes down and types.

`yidao1-` and nine groups of seven characters: token (40 bits), secret (128 bits), and
the first 100 bits of SHA-256 of the root certificate's SubjectPublicKeyInfo, as
kubeadm pins its root for joining. The alphabet is Crockford's base 32
(https://www.crockford.com/base32.html), which has no letters that look like digits.
The last character of each group checks it: every single wrong character and every two
neighbours in the wrong order are found, and the person is told in which group.
"""

import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Final

from yidao.node.link.bundle import TOKEN_ID_BYTES
from yidao.node.link.errors import (
    JoinCodeCharacter,
    JoinCodeForm,
    JoinCodeLength,
    JoinCodeMistyped,
)

PREFIX: Final = "yidao1"
TOKEN_BYTES: Final = 5
SECRET_BYTES: Final = 16
PIN_BITS: Final = 100
GROUP_CHARS: Final = 7

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {char: value for value, char in enumerate(_ALPHABET)}
# What people read and type for a digit, as Crockford has it.
_READ_AS: Final = str.maketrans({"o": "0", "i": "1", "l": "1"})
_DASHES: Final = "-‐‑‒–—―−_"
_TOKEN_CHARS: Final = 8
_SECRET_CHARS: Final = 26
_PIN_CHARS: Final = PIN_BITS // 5
_DATA_CHARS: Final = _TOKEN_CHARS + _SECRET_CHARS + _PIN_CHARS
GROUPS: Final = _DATA_CHARS // (GROUP_CHARS - 1)
CODE_CHARS: Final = GROUPS * GROUP_CHARS


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCode:
    """What the code says.

    Attributes:
        token: 5 bytes; no secret.
        secret: 16 random bytes.
        pin: The first 100 bits of the root key's SHA-256, as 20 characters.
    """

    token: bytes
    secret: bytes
    pin: str

    def __repr__(self) -> str:
        # The generated one would print the secret into logs and tracebacks.
        return f"JoinCode(token={self.token.hex()})"

    @property
    def token_id(self) -> str:
        """The token's id in the parent's store, 16 hex digits."""
        return self.token.ljust(TOKEN_ID_BYTES, b"\0").hex()

    @property
    def mac_secret(self) -> bytes:
        """The 32 bytes that stand for the secret in every MAC."""
        return hashlib.sha256(b"yidao-join-code-v1\n" + self.secret).digest()

    def format(self) -> str:
        """Return the code in groups."""
        data = _encode(self.token, _TOKEN_CHARS) + _encode(self.secret, _SECRET_CHARS) + self.pin
        size = GROUP_CHARS - 1
        groups = [data[at : at + size] for at in range(0, len(data), size)]
        return "-".join([PREFIX, *(g + _check(n, g) for n, g in enumerate(groups))])


def pin_of(key_sha256: bytes) -> str:
    """Return the 20 characters by which a code names the root's key."""
    return _encode(key_sha256, 52)[:_PIN_CHARS]


def parse_code(text: str) -> JoinCode:
    """Return what a person typed: any case, with or without blanks and hyphens, full width too.

    Raises:
        JoinCodeForm: It does not begin as these codes do.
        JoinCodeLength: Characters are missing or too many.
        JoinCodeCharacter: A character that no code has.
        JoinCodeMistyped: A group does not fit its check character.
    """
    plain = "".join(
        char
        for char in unicodedata.normalize("NFKC", text).lower()
        if not char.isspace() and char not in _DASHES
    )
    if not plain.translate(_READ_AS).startswith(PREFIX.translate(_READ_AS)):
        raise JoinCodeForm(prefix=PREFIX)
    body = plain[len(PREFIX) :].translate(_READ_AS)
    for at, char in enumerate(body):
        if char not in _VALUES:
            raise JoinCodeCharacter(character=char, group=at // GROUP_CHARS + 1)
    if len(body) != CODE_CHARS:
        raise JoinCodeLength(found=len(body), wanted=CODE_CHARS)
    data = ""
    for number in range(GROUPS):
        group = body[number * GROUP_CHARS : (number + 1) * GROUP_CHARS]
        if _check(number, group[:-1]) != group[-1]:
            raise JoinCodeMistyped(group=number + 1)
        data += group[:-1]
    return JoinCode(
        token=_decode(data[:_TOKEN_CHARS], TOKEN_BYTES),
        secret=_decode(data[_TOKEN_CHARS : _TOKEN_CHARS + _SECRET_CHARS], SECRET_BYTES),
        pin=data[-_PIN_CHARS:],
    )


def _encode(data: bytes, chars: int) -> str:
    value = int.from_bytes(data, "big") << (5 * chars - 8 * len(data))
    return "".join(_ALPHABET[value >> (5 * (chars - 1 - at)) & 31] for at in range(chars))


def _decode(text: str, length_bytes: int) -> bytes:
    value = 0
    for char in text:
        value = value << 5 | _VALUES[char]
    # Bits beyond the bytes are zero in every code that was made; others cost a wrong MAC.
    return (value >> (5 * len(text) - 8 * length_bytes)).to_bytes(length_bytes, "big")


def _check(number: int, group: str) -> str:
    """Return the check character of a group: a weighted sum in the field of 32 elements.

    The weights are successive powers of the field's generator, so that no weight is 0
    and no two are equal; the group's number is summed too, so that exchanged groups show.
    """
    total = number
    for char in group:
        total = _double(total ^ _VALUES[char])
    return _ALPHABET[total]


def _double(value: int) -> int:
    """Multiply by the generator in GF(2^5) with x^5 + x^2 + 1."""
    value <<= 1
    return value ^ 0b100101 if value & 32 else value
