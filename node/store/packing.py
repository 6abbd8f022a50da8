"""Blobs: how header bytes and parts lie in one column.

Headers: u32 count, count x u32 lengths, then the bytes. Parts: u32 count, then
for each part u32 offset of its record from the run's first, u8 name length,
u32 body length, name, 32-byte salt, body. All little-endian. Neither is signed
or sent; what travels is made from it by `yidao.sync.wire`.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from yidao.node.store import errors
from yidao.sync.record import SALT_BYTES, Part

_COUNT: Final = struct.Struct("<I")
_PART: Final = struct.Struct("<IBI")

SeqPart = tuple[int, Part]
"""A part with the sequence number of its record."""


def pack_headers(headers: Sequence[bytes]) -> bytes:
    """Return header bytes as one blob."""
    table = struct.pack(f"<{len(headers) + 1}I", len(headers), *map(len, headers))
    return table + b"".join(headers)


def unpack_headers(blob: bytes, start: int = 0, limit: int | None = None) -> tuple[bytes, ...]:
    """Return header bytes of a blob.

    Args:
        blob: What `pack_headers` gave.
        start: How many to leave out at the beginning.
        limit: How many at most; None = all.

    Raises:
        StoreInconsistent: The blob was cut or its lengths do not add up.
    """
    try:
        (count,) = _COUNT.unpack_from(blob)
        lengths = struct.unpack_from(f"<{count}I", blob, _COUNT.size)
    except (struct.error, MemoryError):
        raise errors.StoreInconsistent(what="headers") from None
    at = _COUNT.size * (count + 1)
    if at + sum(lengths) != len(blob):
        raise errors.StoreInconsistent(what="headers")
    at += sum(lengths[:start])
    headers = []
    for length in lengths[start : None if limit is None else start + limit]:
        headers.append(blob[at : at + length])
        at += length
    return tuple(headers)


def pack_parts(first_seq: int, parts: Sequence[SeqPart]) -> bytes:
    """Return parts of records from `first_seq` on as one blob."""
    pieces = [_COUNT.pack(len(parts))]
    for seq, part in parts:
        name = part.name.encode()
        pieces += (_PART.pack(seq - first_seq, len(name), len(part.body)), name)
        pieces += (part.salt, part.body)
    return b"".join(pieces)


def unpack_parts(first_seq: int, blob: bytes) -> list[SeqPart]:
    """Return the parts of a blob, each with the sequence number of its record.

    Raises:
        StoreInconsistent: The blob was cut or its lengths do not add up.
    """
    found: list[SeqPart] = []
    try:
        (count,) = _COUNT.unpack_from(blob)
        at = _COUNT.size
        for _ in range(count):
            offset, name_length, body_length = _PART.unpack_from(blob, at)
            at += _PART.size
            salt_at = at + name_length
            body_at = salt_at + SALT_BYTES
            end = body_at + body_length
            name = blob[at:salt_at].decode()
            found.append(
                (
                    first_seq + offset,
                    Part(name=name, salt=blob[salt_at:body_at], body=blob[body_at:end]),
                )
            )
            at = end
    except (struct.error, UnicodeDecodeError):
        raise errors.StoreInconsistent(what="parts") from None
    if at != len(blob):
        raise errors.StoreInconsistent(what="parts")
    return found


def pack_seqs(seqs: Iterable[int]) -> bytes:
    """Return sequence numbers, sorted, 8 bytes each."""
    ordered = sorted(seqs)
    return struct.pack(f"<{len(ordered)}Q", *ordered)


def unpack_seqs(blob: bytes) -> tuple[int, ...]:
    """Return the sequence numbers of a blob."""
    try:
        return struct.unpack(f"<{len(blob) // 8}Q", blob)
    except struct.error:
        raise errors.StoreInconsistent(what="seqs") from None
