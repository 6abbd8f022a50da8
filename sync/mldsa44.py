"""ML-DSA-44 (FIPS 204): cosignatures that a quantum computer does not forge.

It signs cosignatures only (C2SP tlog-cosignature, type 0x06), beside the
cosigner's other key and never in its place.
"""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from yidao.sync import errors
from yidao.sync.suiteerrors import SuiteUnavailable

ML_DSA_44: Final = 4
SEED_BYTES: Final = 32
KEY_BYTES: Final = 1_312
SIGNATURE_BYTES: Final = 2_420


class MlDsa44Signer:
    """A signer of suite 4 that holds its key in memory."""

    suite: Final = ML_DSA_44

    def __init__(self, seed: bytes) -> None:
        """Take the private key from its 32-byte seed (FIPS 204, algorithm 6).

        Raises:
            KeyMalformed: The seed is not 32 bytes.
            SuiteUnavailable: The library was built without the algorithm.
        """
        if len(seed) != SEED_BYTES:
            raise errors.KeyMalformed(reason="length")
        try:
            self._key = MLDSA44PrivateKey.from_seed_bytes(seed)
        except UnsupportedAlgorithm:
            raise SuiteUnavailable(suite=ML_DSA_44, extra="") from None
        self.public_key: Final = self._key.public_key().public_bytes_raw()

    def pem(self) -> bytes:
        """Return the key's file: PKCS#8 in PEM."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> bytes:
        """Return the 2,420-byte signature over `message`, with an empty context."""
        return self._key.sign(message)


def check_public_key(key: bytes) -> None:
    """Return only if `key` has the length of one: every such string is a key.

    Raises:
        KeyMalformed: Another length.
    """
    if len(key) != KEY_BYTES:
        raise errors.KeyMalformed(reason="length")


def verify(key: bytes, signature: bytes, message: bytes) -> None:
    """Return only if `signature` over `message` is by `key`.

    Raises:
        KeyMalformed: As `check_public_key`.
        SignatureInvalid: The signature is not by that key over that message.
        SuiteUnavailable: The library was built without the algorithm.
    """
    check_public_key(key)
    if len(signature) != SIGNATURE_BYTES:
        raise errors.SignatureInvalid
    try:
        _load_key(key).verify(signature, message)
    except InvalidSignature:
        raise errors.SignatureInvalid from None


@lru_cache(maxsize=256)
def _load_key(key: bytes) -> MLDSA44PublicKey:
    try:
        return MLDSA44PublicKey.from_public_bytes(key)
    except UnsupportedAlgorithm:
        raise SuiteUnavailable(suite=ML_DSA_44, extra="") from None
    except ValueError:
        raise errors.KeyMalformed(reason="key") from None
