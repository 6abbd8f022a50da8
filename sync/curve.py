"""A node's Ed25519 key as a key of Curve25519, so that files can be encrypted to it.

The two curves are one in two forms (RFC 7748, 4.1): u = (1 + y) / (1 - y). The
conversion is that of libsodium's `crypto_sign_ed25519_pk_to_curve25519`; using
one key pair for both is safe as long as each use names itself.
"""

import hashlib
from typing import Final

from yidao.sync import suite

_PRIME: Final = 2**255 - 19


def x25519_public(ed25519_public: bytes) -> bytes:
    """Return the u coordinate of a node's key.

    Raises:
        KeyMalformed, KeyWeak: See `suite.check_public_key`: such a key would share
            no secret.
    """
    suite.check_public_key(suite.ED25519_SHA256, ed25519_public)
    y = int.from_bytes(ed25519_public, "little") & ((1 << 255) - 1)
    u = (1 + y) * pow(1 - y, -1, _PRIME) % _PRIME
    return u.to_bytes(32, "little")


def x25519_private(ed25519_seed: bytes) -> bytes:
    """Return the scalar of a node's key, from its 32-byte seed (RFC 8032, 5.1.5)."""
    return hashlib.sha512(ed25519_seed).digest()[:32]
