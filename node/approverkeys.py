"""The private key of an approver: made on their machine, in one file, behind a passphrase.

A node never sees it. The file is a line `yidao-approver-key-v1 <salt, hex>` and a PEM of
PKCS #8, encrypted by AES-256-CBC (RFC 8018). Its password is, in hex, the Argon2id of
the passphrase and that salt: PBKDF2 with the 2,048 rounds that the library gives a PEM
would let a stolen file be guessed at. The parameters are the second choice of RFC 9106,
section 4: 3 passes over 64 MiB in 4 lanes.
"""

from typing import Final

from argon2.low_level import Type, hash_secret_raw
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
_HEAD: Final = b"yidao-approver-key-v1"
_SALT_BYTES: Final = 16


class PassphraseTooShort(NodeError):
    """The passphrase of a key has too few characters (params: limit)."""

    code = "PASSPHRASE_TOO_SHORT"


class ApproverKeyUnusable(NodeError):
    """A file is no approver's key, or the passphrase is another one."""

    code = "APPROVER_KEY_UNUSABLE"


def new_key(seed: bytes, salt: bytes, passphrase: str) -> tuple[bytes, bytes]:
    """Give the file of a new key and its public key.

    Args:
        seed: 32 random bytes.
        salt: 16 random bytes.
        passphrase: At least twelve characters.

    Raises:
        PassphraseTooShort: It has fewer.
    """
    if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        raise PassphraseTooShort(limit=MIN_PASSPHRASE_CHARACTERS)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    encryption = BestAvailableEncryption(_password(passphrase, salt))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    file = b"%s %s\n%s" % (_HEAD, salt.hex().encode(), pem)
    return file, key.public_key().public_bytes_raw()


def open_key(file: bytes, passphrase: str) -> Ed25519Signer:
    """Give the signer of a key's file.

    Raises:
        ApproverKeyUnusable: It is none, or does not open with that passphrase.
    """
    line, _, pem = file.partition(b"\n")
    head, _, salt = line.partition(b" ")
    if len(file) > _MAX_KEY_BYTES or head != _HEAD:
        raise ApproverKeyUnusable
    try:
        password = _password(passphrase, bytes.fromhex(salt.decode()))
        key = load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ApproverKeyUnusable from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ApproverKeyUnusable
    return Ed25519Signer(key.private_bytes_raw())


def _password(passphrase: str, salt: bytes) -> bytes:
    if len(salt) != _SALT_BYTES:
        raise ApproverKeyUnusable
    raw = hash_secret_raw(
        passphrase.encode(),
        salt,
        time_cost=3,
        memory_cost=64 * 1024,
        parallelism=4,
        hash_len=32,
        type=Type.ID,
    )
    return raw.hex().encode()
