"""The private key of an approver: made on their machine, in one file, behind a passphrase.

A node never sees it. The file is PKCS #8, encrypted by AES-256-CBC under a key that
PBKDF2 derives from the passphrase (RFC 8018), as any OpenSSL reads it.
"""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from yidao.node.errors import NodeError
from yidao.sync.suite import Ed25519Signer

MIN_PASSPHRASE_CHARACTERS: Final = 12
_MAX_KEY_BYTES: Final = 16 * 1024


class PassphraseTooShort(NodeError):
    """The passphrase of a key has too few characters (params: limit)."""

    code = "PASSPHRASE_TOO_SHORT"


class ApproverKeyUnusable(NodeError):
    """A file is no approver's key, or the passphrase is another one."""

    code = "APPROVER_KEY_UNUSABLE"


def new_key(seed: bytes, passphrase: str) -> tuple[bytes, bytes]:
    """Give the PEM of a new key and its public key.

    Args:
        seed: 32 random bytes.
        passphrase: At least twelve characters.

    Raises:
        PassphraseTooShort: It has fewer.
    """
    if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        raise PassphraseTooShort(limit=MIN_PASSPHRASE_CHARACTERS)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    encryption = BestAvailableEncryption(passphrase.encode())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return pem, key.public_key().public_bytes_raw()


def open_key(pem: bytes, passphrase: str) -> Ed25519Signer:
    """Give the signer of a key's file.

    Raises:
        ApproverKeyUnusable: It is none, or does not open with that passphrase.
    """
    if len(pem) > _MAX_KEY_BYTES:
        raise ApproverKeyUnusable
    try:
        key = load_pem_private_key(pem, passphrase.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ApproverKeyUnusable from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ApproverKeyUnusable
    return Ed25519Signer(key.private_bytes_raw())
