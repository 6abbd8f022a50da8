"""X25519 keys in PEM, as `openssl genpkey` and `openssl pkey -pubout` write them."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from yidao.node.backup.errors import BackupKeyUnfit

_MAX_BYTES = 16 * 1024


def read_public(path: Path) -> X25519PublicKey:
    """Return the public key of a PEM file; raise `BackupKeyUnfit` for any other file."""
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BackupKeyUnfit(file=str(path)) from None
    if not isinstance(key, X25519PublicKey):
        raise BackupKeyUnfit(file=str(path))
    return key


def read_private(path: Path) -> X25519PrivateKey:
    """Return the private key of a PEM file; raise `BackupKeyUnfit` for any other file."""
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BackupKeyUnfit(file=str(path)) from None
    if not isinstance(key, X25519PrivateKey):
        raise BackupKeyUnfit(file=str(path))
    return key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError:
        raise BackupKeyUnfit(file=str(path)) from None
