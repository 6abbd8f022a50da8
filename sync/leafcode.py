"""The short code of a record that people can read out, type in and recompute.

    code = Crockford base 32 of the first 80 bits of SHA-256(0x00 || header)

The hash is the record's leaf hash in its journal (RFC 6962), and `header` is
the file `record/header` of the record's evidence. 80 bits are sixteen digits of
five bits each, the most significant first, written in groups of four:
`7Q2M-0X4T-9KAB-HJ31`. The digits are those of Crockford's base 32
(crockford.com/base32.html): no I, L, O or U. Reading takes I and L for 1, O for
0, either case, and passes over hyphens and spaces.

A code that collides with one that is known already is found by trying 2^80
headers. It is a name to look a record up by and no proof: the evidence is the
proof.
"""

from typing import Final

from yidao.sync.errors import PeerError

LEAF_BYTES: Final = 10
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BITS: Final = 5
_LENGTH: Final = LEAF_BYTES * 8 // _BITS
_GROUP: Final = 4
_PASSED_OVER: Final = str.maketrans("ILO", "110", "- \u00a0\u3000")
_VALUES: Final = {digit: value for value, digit in enumerate(_DIGITS)}
# Sixteen digits, with any separators between them that people write.
_MAX_CHARACTERS: Final = 64


class LeafCodeInvalid(PeerError):
    """A text is no code of a record: sixteen digits of Crockford's base 32."""

    code = "RECEIPT_CODE_INVALID"


def leaf_code(leaf_sha256: bytes) -> str:
    """Write the code of a record by its leaf hash, or by the first ten bytes of it."""
    number = int.from_bytes(leaf_sha256[:LEAF_BYTES], "big")
    places = range(_BITS * (_LENGTH - 1), -1, -_BITS)
    digits = "".join(_DIGITS[number >> place & 31] for place in places)
    return "-".join(digits[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def parse_leaf_code(text: str) -> bytes:
    """Read a code: the first ten bytes of the leaf hash.

    Raises:
        LeafCodeInvalid: It is none.
    """
    if len(text) > _MAX_CHARACTERS:
        raise LeafCodeInvalid
    digits = text.strip().upper().translate(_PASSED_OVER)
    if len(digits) != _LENGTH or any(digit not in _VALUES for digit in digits):
        raise LeafCodeInvalid
    number = 0
    for digit in digits:
        number = number << _BITS | _VALUES[digit]
    return number.to_bytes(LEAF_BYTES, "big")
