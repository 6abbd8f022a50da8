"""Cryptographic suites: an epoch names one, a message never does.

The suite of a signature is a fact about the key that must have made it, learned
when the key was enrolled. Nothing in signed or unsigned bytes can choose it.

| suite | signs | trees | for |
|---|---|---|---|
| 1 | Ed25519 | SHA-256 | everything |
| 3 | SM2 | SM3 | everything; needs the extra `gm` |
| 4 | ML-DSA-44 | | a second cosignature |
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from yidao.sync import ed25519, errors, mldsa44, sm2
from yidao.sync.ed25519 import ED25519_SHA256, Ed25519Signer
from yidao.sync.mldsa44 import ML_DSA_44
from yidao.sync.sm2 import SM2_SM3
from yidao.sync.suiteerrors import SuiteUnavailable

__all__ = [
    "ED25519_SHA256",
    "ML_DSA_44",
    "SM2_SM3",
    "SPOKEN",
    "SUITES",
    "Ed25519Signer",
    "Hasher",
    "Signer",
    "Suite",
    "check_public_key",
    "hasher",
    "is_available",
    "suite",
    "verify",
]


class Hashed(Protocol):
    """A hash of `hashlib`, as far as trees use it."""

    def digest(self) -> bytes:
        """Return the 32 bytes."""


Hasher = Callable[[bytes], Hashed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What a suite is made of.

    Attributes:
        hasher: Of its Merkle trees; None where no journal can be of the suite.
        check: Returns only if a public key is fit.
        verify: Returns only if (key, signature, message) fit.
    """

    number: int
    name: str
    key_bytes: int
    signature_bytes: int
    hasher: Hasher | None
    check: Callable[[bytes], None]
    verify: Callable[[bytes, bytes, bytes], None]


SUITES: Final = {
    ED25519_SHA256: Suite(
        number=ED25519_SHA256,
        name="Ed25519/SHA-256",
        key_bytes=ed25519.KEY_BYTES,
        signature_bytes=ed25519.SIGNATURE_BYTES,
        hasher=sha256,
        check=ed25519.check_public_key,
        verify=ed25519.verify,
    ),
    SM2_SM3: Suite(
        number=SM2_SM3,
        name="SM2/SM3",
        key_bytes=sm2.KEY_BYTES,
        signature_bytes=sm2.SIGNATURE_BYTES,
        hasher=sm2.Sm3,
        check=sm2.check_public_key,
        verify=sm2.verify,
    ),
    ML_DSA_44: Suite(
        number=ML_DSA_44,
        name="ML-DSA-44",
        key_bytes=mldsa44.KEY_BYTES,
        signature_bytes=mldsa44.SIGNATURE_BYTES,
        hasher=None,
        check=mldsa44.check_public_key,
        verify=mldsa44.verify,
    ),
}
#: Words that name the suites of journals on a command line.
SPOKEN: Final = {"std": ED25519_SHA256, "gm": SM2_SM3}


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


def suite(number: int) -> Suite:
    """Return the suite of that number; raise `SuiteUnknown` if there is none here."""
    found = SUITES.get(number)
    if found is None:
        raise errors.SuiteUnknown(suite=number)
    return found


def hasher(number: int) -> Hasher:
    """Return the hash of a suite's trees.

    Raises:
        SuiteUnknown: No such suite, or none of journals.
    """
    found = suite(number).hasher
    if found is None:
        raise errors.SuiteUnknown(suite=number)
    return found


def of_key(key: bytes) -> int:
    """Return the suite of journals that a public key can be of, by its length.

    Only for files that name no enrolment; whoever knows one takes the suite from there.

    Raises:
        KeyMalformed: No such suite has keys of that length.
    """
    for number in SPOKEN.values():
        if SUITES[number].key_bytes == len(key):
            return number
    raise errors.KeyMalformed(reason="length")


def is_available(number: int) -> bool:
    """Tell whether this machine can verify what is of a suite."""
    if number == SM2_SM3:
        try:
            sm2.library()
        except SuiteUnavailable:
            return False
    return number in SUITES


def check_public_key(number: int, key: bytes) -> None:
    """Return only if `key` is fit for suite `number`.

    Run it where a key enters the tree (enrolment, key change). Libraries load
    weak keys and points off the curve without a word, and a proof of possession
    does not stop the weak ones. It needs no library of the extra `gm`.

    Raises:
        SuiteUnknown: No such suite.
        KeyMalformed: Wrong length, or no point of the curve.
        KeyWeak: Small order, or an encoding that is not canonical.
    """
    suite(number).check(key)


def verify(number: int, key: bytes, signature: bytes, message: bytes) -> None:
    """Return only if `signature` over `message` is by `key` under suite `number`.

    Raises:
        SuiteUnknown, KeyMalformed, KeyWeak: As `check_public_key`.
        SuiteUnavailable: The library of the suite is not installed here.
        SignatureInvalid: The signature is not by that key over that message.
    """
    suite(number).verify(key, signature, message)
