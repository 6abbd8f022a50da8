"""Protobuf's numbers of variable length, for bytes that are put together by hand."""


def varint(number: int) -> bytes:
    """Return a number >= 0 as a varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
