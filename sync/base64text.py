"""Base64 with one text for one value."""

import base64
import binascii


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of standard base64 with padding, or None for any other text.

    The library ignores stray bits in the last digit, which would give one value
    several texts; hence the comparison.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encode_base64(data) == text else None
