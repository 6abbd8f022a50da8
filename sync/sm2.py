"""SM2, SM3 and SM4: the national algorithms, by GmSSL, checked before it sees anything.

SM2 is GB/T 32918 (GM/T 0003) on the curve of its part 5, with SM3 (GB/T 32905)
and the signer's name `1234567812345678` that GM/T 0009 gives where no other was
agreed. Yidao keeps a public key as 64 bytes, x then y, and a signature as 64
bytes, r then s, big-endian. GmSSL speaks DER, so that every signature is turned
here, strictly: one value has one form.

GmSSL (package `gmssl_pyx`, the extra `gm`) is loaded at the first use. It writes
a line to standard error where a signature fails; whatever can be told without
it is refused before.
"""

from functools import lru_cache
from types import ModuleType
from typing import Final

from yidao.sync import errors
from yidao.sync.suiteerrors import SealedBroken, SignatureFailed, SuiteUnavailable

SM2_SM3: Final = 3
EXTRA: Final = "gm"
KEY_BYTES: Final = 64
PRIVATE_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_HALF: Final = 32
# GB/T 32918.5: the recommended curve, y^2 = x^3 + ax + b over p, of prime order n.
_P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_A: Final = _P - 3
_B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02


class Sm3:
    """SM3 with the one call of `hashlib` that trees use."""

    __slots__ = ("_value",)

    def __init__(self, data: bytes) -> None:
        self._value: bytes = library().sm3_hash(data)

    def digest(self) -> bytes:
        """Return the 32 bytes."""
        return self._value


class Sm2Signer:
    """A signer of suite 3 that holds its key in memory."""

    suite: Final = SM2_SM3

    def __init__(self, private_key: bytes, public_key: bytes) -> None:
        """Take both halves; they are tried on each other.

        Raises:
            SuiteUnavailable: See `library`.
            KeyMalformed: One is none, or they do not belong together.
        """
        check_public_key(public_key)
        if len(private_key) != PRIVATE_BYTES:
            raise errors.KeyMalformed(reason="length")
        self._private = private_key
        self.public_key: Final = public_key
        probe = b"yidao-key-pair-v1\n"
        try:
            verify(public_key, self.sign(probe), probe)
        except (SignatureFailed, errors.SignatureInvalid):
            raise errors.KeyMalformed(reason="pair") from None

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`.

        Raises:
            SignatureFailed: The library refuses.
        """
        gm = library()
        try:
            return raw_of_der(gm.sm2_sign(self._private, self.public_key, message))
        except (gm.GmsslInnerError, errors.SignatureInvalid):
            raise SignatureFailed(suite=SM2_SM3) from None


@lru_cache(maxsize=1)
def library() -> ModuleType:
    """Return GmSSL.

    Raises:
        SuiteUnavailable: It is not installed, or does not load on this machine.
    """
    try:
        import gmssl_pyx
    except ImportError:
        raise SuiteUnavailable(suite=SM2_SM3, extra=EXTRA) from None
    module: ModuleType = gmssl_pyx
    return module


def generate() -> tuple[bytes, bytes]:
    """Make a key: the private half (32 bytes) and the public one, out of the library's generator.

    Raises:
        SuiteUnavailable: See `library`.
    """
    public, private = library().sm2_key_generate()
    return private, public


def check_public_key(key: bytes) -> None:
    """Return only if `key` is a point of the curve, which is of prime order: none is weak.

    The point at infinity has no such form; zeros in its place are off the curve.

    Raises:
        KeyMalformed: Another length, a coordinate that is none, or off the curve.
    """
    if len(key) != KEY_BYTES:
        raise errors.KeyMalformed(reason="length")
    x, y = _pair(key)
    if x >= _P or y >= _P or (y * y - (x * x + _A) * x - _B) % _P:
        raise errors.KeyMalformed(reason="point")


def verify(key: bytes, signature: bytes, message: bytes) -> None:
    """Return only if `signature` over `message` is by `key`.

    Raises:
        SuiteUnavailable: See `library`.
        KeyMalformed: See `check_public_key`.
        SignatureInvalid: The signature is not by that key over that message.
    """
    gm = library()
    check_public_key(key)
    encoded = der_of_raw(signature)
    try:
        good = gm.sm2_verify(key, message, encoded)
    except gm.GmsslInnerError:
        raise errors.SignatureInvalid from None
    if good is not True:
        raise errors.SignatureInvalid


def der_of_raw(signature: bytes) -> bytes:
    """Return a signature in DER.

    Raises:
        SignatureInvalid: Not 64 bytes, or r or s is not from 1 to n - 1.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise errors.SignatureInvalid
    r, s = _pair(signature)
    _check_range(r, s)
    body = _integer(r) + _integer(s)
    return bytes((_SEQUENCE, len(body))) + body


def raw_of_der(encoded: bytes) -> bytes:
    """Return a signature out of its one DER form (GM/T 0009): SEQUENCE of two INTEGERs.

    Raises:
        SignatureInvalid: Any other form, bytes behind it, or a number out of range.
    """
    numbers = []
    at = 2
    for _ in range(2):
        size = encoded[at + 1] if len(encoded) > at + 1 else 0
        numbers.append(int.from_bytes(encoded[at + 2 : at + 2 + size], "big"))
        at += 2 + size
    r, s = numbers
    _check_range(r, s)
    raw = r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
    # What is written again must be what was read: every other form of it falls here.
    if der_of_raw(raw) != encoded:
        raise errors.SignatureInvalid
    return raw


def wrap(key: bytes, secret: bytes) -> bytes:
    """Encrypt a short secret to a public key: SM2Cipher of GM/T 0009 in DER.

    Raises:
        SuiteUnavailable: See `library`.
        KeyMalformed: See `check_public_key`; or the secret is empty or has over 255 bytes.
    """
    gm = library()
    check_public_key(key)
    try:
        made: bytes = gm.sm2_encrypt(key, secret)
    except gm.GmsslInnerError:
        raise errors.KeyMalformed(reason="library") from None
    return made


def unwrap(private_key: bytes, wrapped: bytes) -> bytes:
    """Decrypt what `wrap` made.

    Raises:
        SuiteUnavailable: See `library`.
        SealedBroken: It was made for another key, or changed.
    """
    gm = library()
    try:
        secret: bytes = gm.sm2_decrypt(private_key, wrapped)
    except gm.GmsslInnerError:
        raise SealedBroken from None
    return secret


def _pair(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:_HALF], "big"), int.from_bytes(data[_HALF:], "big")


def _check_range(r: int, s: int) -> None:
    # (r + s) mod n is the t of the verification, which must not be 0.
    if not 0 < r < _N or not 0 < s < _N or r + s == _N:
        raise errors.SignatureInvalid


def _integer(number: int) -> bytes:
    body = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes((_INTEGER, len(body))) + body
