"""How private keys of SM2 are written to files: PKCS#8 in PEM, as OpenSSL and GmSSL do.

The library for all other keys knows no SM2, so the one DER form that such a key
has is put together here: PrivateKeyInfo (RFC 5208) with id-ecPublicKey and the
curve 1.2.156.10197.1.301 (GM/T 0006), around an ECPrivateKey (RFC 5915) that
holds both halves.
"""

import base64
import binascii
from typing import Final

from yidao.sync.sm2 import KEY_BYTES, PRIVATE_BYTES

_BEGIN: Final = b"-----BEGIN PRIVATE KEY-----\n"
_END: Final = b"-----END PRIVATE KEY-----\n"
_LINE: Final = 64
_HEAD: Final = bytes.fromhex(
    "308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420"
)
_MIDDLE: Final = bytes.fromhex("a14403420004")


def sm2_pem(private_key: bytes, public_key: bytes) -> bytes:
    """Return the file of a key, given as 32 and 64 bytes."""
    text = base64.b64encode(_HEAD + private_key + _MIDDLE + public_key)
    lines = [text[at : at + _LINE] + b"\n" for at in range(0, len(text), _LINE)]
    return _BEGIN + b"".join(lines) + _END


def read_sm2_pem(data: bytes) -> tuple[bytes, bytes] | None:
    """Return both halves of the key in a file of `sm2_pem`; None for any other file."""
    body = data.removeprefix(_BEGIN).removesuffix(_END).replace(b"\n", b"")
    try:
        der = base64.b64decode(body, validate=True)
    except binascii.Error:
        return None
    private = der[len(_HEAD) : len(_HEAD) + PRIVATE_BYTES]
    public = der[-KEY_BYTES:]
    # One key has one file; what differs in a byte is not read.
    return (private, public) if sm2_pem(private, public) == data else None
