"""Keys of the holders of the root list: files that are on no node, locked by a passphrase.

A file is a line `yidao-holder-v1 <salt, hex>`, then an encrypted PKCS#8 PEM. Its password
is the hex of scrypt (N = 2^16, r = 8, p = 1, 32 bytes, RFC 7914) over the passphrase,
since what the library itself does with a password is too quick for one that people
can remember.
"""

import hashlib
import re
from pathlib import Path
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
from yidao.node.keys import read_private
from yidao.sync.suite import Ed25519Signer, Signer

MIN_PASSPHRASE_CHARS: Final = 12
SALT_BYTES: Final = 16

_FIRST_LINE: Final = re.compile(rb"yidao-holder-v1 ([0-9a-f]{32})\n")
_SCRYPT_N: Final = 2**16
_SCRYPT_R: Final = 8
# 128 * N * r bytes, and some.
_SCRYPT_BYTES: Final = 80 * 1024 * 1024


class HolderKeyWrong(NodeError):
    """A holder's key cannot be made or opened (params: name, reason)."""

    code = "HOLDER_KEY_WRONG"


def lock_holder(seed: bytes, salt: bytes, passphrase: str, name: str) -> tuple[bytes, bytes]:
    """Return a new holder's file, and the public key.

    Args:
        seed: 32 random bytes.
        salt: 16 random bytes.
        passphrase: At least 12 characters.
        name: Of the file, for the error.

    Raises:
        HolderKeyWrong: The passphrase is too short.
    """
    if len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise HolderKeyWrong(name=name, reason=f"passphrase < {MIN_PASSPHRASE_CHARS}")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    locked = BestAvailableEncryption(_password(passphrase, salt))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    data = b"yidao-holder-v1 " + salt.hex().encode() + b"\n" + pem
    return data, key.public_key().public_bytes_raw()


def open_holder(file: Path, passphrase: str) -> Signer:
    """Return the signer of a holder's file.

    Raises:
        KeyFileError: The file is missing, exposed, foreign or not regular.
        HolderKeyWrong: Another passphrase, or no key of a holder.
    """
    data = read_private(file)
    found = _FIRST_LINE.match(data)
    if found is None:
        raise HolderKeyWrong(name=file.name, reason="form")
    password = _password(passphrase, bytes.fromhex(found[1].decode()))
    try:
        key = load_pem_private_key(data[found.end() :], password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise HolderKeyWrong(name=file.name, reason="passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise HolderKeyWrong(name=file.name, reason="form")
    return Ed25519Signer(key.private_bytes_raw())


def _password(passphrase: str, salt: bytes) -> bytes:
    derived = hashlib.scrypt(
        passphrase.encode(),
        salt=salt,
        n=_SCRYPT_N,
        r=_SCRYPT_R,
        p=1,
        maxmem=_SCRYPT_BYTES,
        dklen=32,
    )
    return derived.hex().encode()
