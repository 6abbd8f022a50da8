"""Keys of the holders of the root list: files that are on no node, locked by a passphrase."""

from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from yidao.node.errors import NodeError
from yidao.node.keys import read_private
from yidao.sync.suite import Ed25519Signer, Signer

MIN_PASSPHRASE_CHARS: Final = 12
# OWASP's figure for PBKDF2 with SHA-256; about half a second, once a ceremony.
_ROUNDS: Final = 600_000


class HolderKeyWrong(NodeError):
    """A holder's key cannot be made or opened (params: name, reason)."""

    code = "HOLDER_KEY_WRONG"


def lock_holder(seed: bytes, passphrase: str, name: str) -> tuple[bytes, bytes]:
    """Return a new holder's file, and the public key.

    Args:
        seed: 32 random bytes.
        passphrase: At least 12 characters.
        name: Of the file, for the error.

    Raises:
        HolderKeyWrong: The passphrase is too short.
    """
    if len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise HolderKeyWrong(name=name, reason=f"passphrase < {MIN_PASSPHRASE_CHARS}")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    locked = (
        PrivateFormat.PKCS8.encryption_builder()
        .kdf_rounds(_ROUNDS)
        .hmac_hash(SHA256())
        .build(passphrase.encode())
    )
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked),
        key.public_key().public_bytes_raw(),
    )


def open_holder(file: Path, passphrase: str) -> Signer:
    """Return the signer of a holder's file.

    Raises:
        KeyFileError: The file is missing, exposed, foreign or not regular.
        HolderKeyWrong: Another passphrase, or no key of a holder.
    """
    data = read_private(file)
    try:
        key = load_pem_private_key(data, passphrase.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise HolderKeyWrong(name=file.name, reason="passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise HolderKeyWrong(name=file.name, reason="kind")
    return Ed25519Signer(key.private_bytes_raw())
