"""Sealing to one node: only who holds the private half of a cosigning key can read it.

Which way it is sealed follows from the suite under which the recipient is
enrolled, and from nothing in the bytes:

    suite 1   HPKE (RFC 9180, base mode: X25519, HKDF-SHA256, AES-256-GCM) to the
              recipient's key on Curve25519 (`curve`); `name` is HPKE's info.
              encapsulated key (32 bytes) || ciphertext with tag
    suite 3   SM2 encryption of a fresh key of SM4, then SM4-GCM (RFC 8998) with
              `yidao-sm4-seal-v1`, a newline, recipient's key || wrapped key || `name`
              as associated data.
              length of the wrapped key (2 bytes, big-endian) || wrapped key
              || nonce (12 bytes) || ciphertext || tag (16 bytes)

`name` says what the bytes are and between whom, and must differ for every use;
it is covered and not contained.
"""

from collections.abc import Callable
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from yidao.sync import errors, sm2
from yidao.sync.curve import x25519_private, x25519_public
from yidao.sync.suite import ED25519_SHA256
from yidao.sync.suiteerrors import SealedBroken, SuiteUnavailable

SM4_KEY_BYTES: Final = 16
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

_HPKE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_SM_DOMAIN: Final = b"yidao-sm4-seal-v1\n"
_LENGTH_BYTES: Final = 2


class BoxKey(Protocol):
    """The private half of a node's cosigning key, used to open what was sealed to it."""

    @property
    def suite(self) -> int:
        """Number of the suite that the key is of."""

    def open(self, name: bytes, sealed: bytes) -> bytes:
        """Return the plaintext.

        Raises:
            SealedBroken: Sealed to another key or under another name, or changed.
            SuiteUnavailable: The library of the suite is not installed.
        """


class X25519Box:
    """Opens what was sealed to a key of suite 1."""

    suite: Final = ED25519_SHA256

    def __init__(self, ed25519_seed: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(x25519_private(ed25519_seed))

    def open(self, name: bytes, sealed: bytes) -> bytes:
        """Return the plaintext; see `BoxKey`."""
        try:
            return _HPKE.decrypt(sealed, self._key, info=name)
        except (InvalidTag, ValueError):
            raise SealedBroken from None


class Sm2Box:
    """Opens what was sealed to a key of suite 3."""

    suite: Final = sm2.SM2_SM3

    def __init__(self, private_key: bytes, public_key: bytes) -> None:
        self._private = private_key
        self._public = public_key

    def open(self, name: bytes, sealed: bytes) -> bytes:
        """Return the plaintext; see `BoxKey`."""
        size = int.from_bytes(sealed[:_LENGTH_BYTES], "big")
        at = _LENGTH_BYTES + size
        wrapped, nonce = sealed[_LENGTH_BYTES:at], sealed[at : at + NONCE_BYTES]
        if len(sealed) < at + NONCE_BYTES + TAG_BYTES:
            raise SealedBroken
        key = sm2.unwrap(self._private, wrapped)
        if len(key) != SM4_KEY_BYTES:
            raise SealedBroken
        try:
            covered = _covered(self._public, wrapped, name)
            return sm4_open(key, nonce, covered, sealed[at + NONCE_BYTES :])
        except InvalidTag:
            raise SealedBroken from None


def seal(
    suite_number: int,
    recipient_key: bytes,
    name: bytes,
    plaintext: bytes,
    random: Callable[[int], bytes],
) -> bytes:
    """Seal bytes to a node.

    Args:
        suite_number: Of the recipient's enrolment.
        recipient_key: The recipient's cosigning key as it is enrolled.
        name: What this is and between whom; whoever opens must give the same.
        plaintext: Any number of bytes.
        random: Gives that many bytes of the system's generator.

    Raises:
        SuiteUnknown: No such suite, or none that a node is enrolled with.
        SuiteUnavailable: Its library is not installed here.
        KeyMalformed, KeyWeak: The key shares no secret.
    """
    if suite_number == ED25519_SHA256:
        public = X25519PublicKey.from_public_bytes(x25519_public(recipient_key))
        return _HPKE.encrypt(plaintext, public, info=name)
    if suite_number != sm2.SM2_SM3:
        raise errors.SuiteUnknown(suite=suite_number)
    key, nonce = random(SM4_KEY_BYTES), random(NONCE_BYTES)
    wrapped = sm2.wrap(recipient_key, key)
    secret = sm4_seal(key, nonce, _covered(recipient_key, wrapped, name), plaintext)
    return len(wrapped).to_bytes(_LENGTH_BYTES, "big") + wrapped + nonce + secret


def sm4_seal(key: bytes, nonce: bytes, covered: bytes, plaintext: bytes) -> bytes:
    """Return ciphertext and tag of SM4-GCM (RFC 8998); a nonce is used once with a key.

    Raises:
        SuiteUnavailable: The library was built without SM4.
    """
    sealing = _sm4(key, nonce, None).encryptor()
    sealing.authenticate_additional_data(covered)
    return sealing.update(plaintext) + sealing.finalize() + sealing.tag


def sm4_open(key: bytes, nonce: bytes, covered: bytes, sealed: bytes) -> bytes:
    """Return the plaintext of `sm4_seal`; raise `InvalidTag` of the library if it is not that."""
    opening = _sm4(key, nonce, sealed[-TAG_BYTES:]).decryptor()
    opening.authenticate_additional_data(covered)
    return opening.update(sealed[:-TAG_BYTES]) + opening.finalize()


def _covered(public_key: bytes, wrapped: bytes, name: bytes) -> bytes:
    return _SM_DOMAIN + public_key + wrapped + name


def _sm4(key: bytes, nonce: bytes, tag: bytes | None) -> Cipher[GCM]:
    try:
        return Cipher(SM4(key), GCM(nonce, tag))
    except UnsupportedAlgorithm:
        raise SuiteUnavailable(suite=sm2.SM2_SM3, extra=sm2.EXTRA) from None
