r"""Types of note signatures: what a key signs, and what names its type in ids and vkeys.

C2SP signed-note gives one byte to each type: 0x01 Ed25519, 0x04 a timestamped
Ed25519 cosignature, 0x06 one of ML-DSA-44. SM2 has none; for that the
specification keeps 0xff, "followed by a longer identifier", here a line of ASCII.

An Ed25519 or SM2 cosignature signs `cosignature/v1\n` `time <decimal>\n` and the
note's text. One of ML-DSA-44 signs the structure `cosigned_message` of C2SP
tlog-cosignature, whose start is 0 and whose end is the tree's size.
"""

from dataclasses import dataclass
from typing import Final

from yidao.sync import errors
from yidao.sync.base64text import decode_base64
from yidao.sync.suite import ED25519_SHA256, ML_DSA_44, SM2_SM3

_SUBTREE_LABEL: Final = b"subtree/v1\n\0"
_MAX_NAME_BYTES: Final = 255
_ROOT_BYTES: Final = 32
_SIZE_DIGITS: Final = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyType:
    """One type of signature lines.

    Attributes:
        marker: What stands before the public key in key ids and vkeys.
        suite: Whose signature it is.
        is_cosignature: Whether a time stands before the signature and is signed.
    """

    marker: bytes
    suite: int
    is_cosignature: bool = False


TYPE_ED25519: Final = KeyType(marker=b"\x01", suite=ED25519_SHA256)
TYPE_COSIGNATURE: Final = KeyType(marker=b"\x04", suite=ED25519_SHA256, is_cosignature=True)
TYPE_MLDSA_COSIGNATURE: Final = KeyType(marker=b"\x06", suite=ML_DSA_44, is_cosignature=True)
TYPE_SM2: Final = KeyType(marker=b"\xffyidao-sm2-sm3-v1\n", suite=SM2_SM3)
TYPE_SM2_COSIGNATURE: Final = KeyType(
    marker=b"\xffyidao-sm2-sm3-cosignature-v1\n", suite=SM2_SM3, is_cosignature=True
)
TYPES: Final = (
    TYPE_ED25519,
    TYPE_COSIGNATURE,
    TYPE_MLDSA_COSIGNATURE,
    TYPE_SM2,
    TYPE_SM2_COSIGNATURE,
)
_LOGS: Final = {each.suite: each for each in TYPES if not each.is_cosignature}
_COSIGNERS: Final = {each.suite: each for each in TYPES if each.is_cosignature}


def log_type(suite: int) -> KeyType:
    """Return how a log of that suite signs; raise `SuiteUnknown` if none does."""
    found = _LOGS.get(suite)
    if found is None:
        raise errors.SuiteUnknown(suite=suite)
    return found


def cosigner_type(suite: int) -> KeyType:
    """Return how a cosigner of that suite signs; raise `SuiteUnknown` if none does."""
    found = _COSIGNERS.get(suite)
    if found is None:
        raise errors.SuiteUnknown(suite=suite)
    return found


def cosigned_message(key_type: KeyType, text: str, name: str, time_s: int) -> bytes:
    """Return what a cosignature signs.

    Args:
        key_type: Of the cosigner's key.
        text: The checkpoint without its signature lines.
        name: The cosigner's key name.
        time_s: Unix seconds.

    Raises:
        NoteMalformed: The text is no checkpoint (where that matters).
    """
    if key_type.suite != ML_DSA_44:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    lines = text.split("\n")
    size = lines[1] if len(lines) == 4 and len(lines[1]) <= _SIZE_DIGITS else ""
    root = decode_base64(lines[2]) if size else None
    cosigner, origin = name.encode(), lines[0].encode()
    if root is None or len(root) != _ROOT_BYTES or not (size.isascii() and size.isdigit()):
        raise errors.NoteMalformed(reason="checkpoint")
    if not 0 < len(cosigner) <= _MAX_NAME_BYTES or not 0 < len(origin) <= _MAX_NAME_BYTES:
        raise errors.NoteMalformed(reason="name")
    return b"".join(
        (
            _SUBTREE_LABEL,
            bytes((len(cosigner),)) + cosigner,
            time_s.to_bytes(8, "big"),
            bytes((len(origin),)) + origin,
            bytes(8),
            int(size).to_bytes(8, "big"),
            root,
        )
    )
