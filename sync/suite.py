"""Cryptographic suites: an epoch names one, a message never does.

The suite of a signature is a fact about the key that must have made it, learned
when the key was enrolled. Nothing in signed or unsigned bytes can choose it.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, Protocol

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What a suite is made of."""

    number: int
    name: str
    key_bytes: int
    signature_bytes: int


SUITES: Final = {
    ED25519_SHA256: Suite(
        number=ED25519_SHA256,
        name="Ed25519/SHA-256",
        key_bytes=KEY_BYTES,
        signature_bytes=SIGNATURE_BYTES,
    ),
}


class Signer(Protocol):
    """Holds a private key of a suite; what it is kept in is the caller's matter."""

    @property
    def suite(self) -> int:
        """Number of the suite."""

    @property
    def public_key(self) -> bytes:
        """The raw public key."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature over exactly `message`."""


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


def suite(number: int) -> Suite:
    """Return the suite of that number; raise `SuiteUnknown` if there is none here."""
    found = SUITES.get(number)
    if found is None:
        raise errors.SuiteUnknown(suite=number)
    return found


def check_public_key(number: int, key: bytes) -> None:
    """Return only if `key` is fit for suite `number`.

    Run it where a key enters the tree (enrolment, key change). The library loads
    weak keys and points off the curve without a word, and a proof of possession
    does not stop the weak ones.

    Raises:
        SuiteUnknown: No such suite.
        KeyMalformed: Wrong length, or no point of the curve.
        KeyWeak: Small order, or an encoding that is not canonical.
    """
    suite(number)
    _load_key(key)


def verify(number: int, key: bytes, signature: bytes, message: bytes) -> None:
    """Return only if `signature` over `message` is by `key` under suite `number`.

    Raises:
        SuiteUnknown, KeyMalformed, KeyWeak: As `check_public_key`.
        SignatureInvalid: The signature is not by that key over that message.
    """
    suite(number)
    loaded = _load_key(key)
    try:
        loaded.verify(signature, message)
    except InvalidSignature:
        raise errors.SignatureInvalid from None


def self_test() -> None:
    """Return only if this machine's libraries give the right answers.

    Uses RFC 8032 §7.1 test 2 and FIPS 180-4's "abc". A node runs it at start.

    Raises:
        SuiteSelfTestFailed: A known answer came out wrong.
    """
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    signer = Ed25519Signer(seed)
    if signer.public_key != key or signer.sign(b"\x72") != signature:
        raise errors.SuiteSelfTestFailed(suite=ED25519_SHA256)
    if sha256(b"abc").hexdigest() != digest:
        raise errors.SuiteSelfTestFailed(suite=ED25519_SHA256)
    try:
        verify(ED25519_SHA256, key, signature, b"\x72")
    except errors.PeerError:
        raise errors.SuiteSelfTestFailed(suite=ED25519_SHA256) from None
    try:
        verify(ED25519_SHA256, key, signature, b"\x73")
    except errors.SignatureInvalid:
        return
    raise errors.SuiteSelfTestFailed(suite=ED25519_SHA256)


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
