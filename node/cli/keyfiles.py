"""The file of a user's key: 32 bytes in hexadecimal, which only its owner reads."""

import secrets
from pathlib import Path

from yidao.node.cli.files import write_file
from yidao.node.errors import NodeError
from yidao.sync.errors import KeyMalformed
from yidao.sync.suite import Ed25519Signer

_SEED_BYTES = 32
_MAX_CHARACTERS = 256


class KeyFileUnreadable(NodeError):
    """A key file cannot be read, or holds no key (params: path)."""

    code = "KEY_FILE_UNREADABLE"


def make_key(path: Path) -> bytes:
    """Make a key in a new file, and give its public half.

    Raises:
        OutputFileUnwritable: There is such a file, or it cannot be written.
    """
    seed = secrets.token_bytes(_SEED_BYTES)
    write_file(path, (seed.hex() + "\n").encode(), mode=0o600)
    return Ed25519Signer(seed).public_key


def load_key(path: Path) -> Ed25519Signer:
    """Read the key of a file.

    Raises:
        KeyFileUnreadable: There is none, or it holds no key.
    """
    try:
        with path.open(encoding="ascii") as file:
            return Ed25519Signer(bytes.fromhex(file.read(_MAX_CHARACTERS).strip()))
    except (OSError, ValueError, KeyMalformed):
        raise KeyFileUnreadable(path=str(path)) from None
