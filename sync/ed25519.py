"""Ed25519 (RFC 8032), with the keys refused that the library loads without a word.

A weak key verifies one fixed signature for many messages or for all, and a proof
of possession does not stop it.
"""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from yidao.sync import errors

ED25519_SHA256: Final = 1
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_FIELD_PRIME: Final = 2**255 - 19
_CURVE_D: Final = -121665 * pow(121666, -1, _FIELD_PRIME) % _FIELD_PRIME
# y coordinates of the points of order 1, 2, 4 and 8. With such
# a key one fixed signature verifies for many messages or for all.
_SMALL_ORDER_Y: Final = frozenset(
    (
        0,
        1,
        _FIELD_PRIME - 1,
        int.from_bytes(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            "little",
        ),
        int.from_bytes(
            bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
            "little",
        ),
    )
)


class Ed25519Signer:
    """A signer of suite 1 that holds its key in memory."""

    suite: Final = ED25519_SHA256

    def __init__(self, seed: bytes) -> None:
        """Take the private key from its 32-byte seed (RFC 8032 §5.1.5).

        Raises:
            KeyMalformed: The seed is not 32 bytes.
        """
        if len(seed) != KEY_BYTES:
            raise errors.KeyMalformed(reason="length")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: Final = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return self._key.sign(message)


def check_public_key(key: bytes) -> None:
    """Return only if `key` is fit.

    Raises:
        KeyMalformed: Wrong length, or no point of the curve.
        KeyWeak: Small order, or an encoding that is not canonical.
    """
    _load_key(key)


def verify(key: bytes, signature: bytes, message: bytes) -> None:
    """Return only if `signature` over `message` is by `key`.

    Raises:
        KeyMalformed, KeyWeak: As `check_public_key`.
        SignatureInvalid: The signature is not by that key over that message.
    """
    loaded = _load_key(key)
    try:
        loaded.verify(signature, message)
    except InvalidSignature:
        raise errors.SignatureInvalid from None


# A tree of 3,000 children sends seals by the same few thousand keys all day.
@lru_cache(maxsize=8192)
def _load_key(key: bytes) -> Ed25519PublicKey:
    if len(key) != KEY_BYTES:
        raise errors.KeyMalformed(reason="length")
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    if y >= _FIELD_PRIME or y in _SMALL_ORDER_Y:
        raise errors.KeyWeak
    # x^2 = (y^2 - 1) / (d y^2 + 1) must have a root; the quotient of two numbers is a
    # square exactly if their product is (Euler's criterion).
    product = (y * y - 1) * (_CURVE_D * y * y + 1)
    if pow(product, (_FIELD_PRIME - 1) // 2, _FIELD_PRIME) != 1:
        raise errors.KeyMalformed(reason="point")
    return Ed25519PublicKey.from_public_bytes(key)
