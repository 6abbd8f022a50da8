"""Blobs: how header bytes and parts lie in one column.

Headers: u32 count, count x u32 lengths, then the bytes, little-endian. Parts: four bytes
0xFF, u32 how many, then the run as it travels (`yidao.sync.partsrun`), so that it is sent
as it lies.

Until revision 0019 parts lay as u32 count, then for each part u32 offset of its record from
the run's first, u8 name length, u32 body length, name, 32-byte salt, body. Such a blob cannot
begin with 0xFFFFFFFF, since no run has so many parts; it is read as long as it lies there.
"""

import struct
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from yidao.node.store import errors
from yidao.sync.errors import WireMalformed
from yidao.sync.partsrun import pack_records, unpack_records
from yidao.sync.record import SALT_BYTES, Part

_COUNT: Final = struct.Struct("<I")
_AS_SENT: Final = b"\xff\xff\xff\xff"
_SENT_AT: Final = len(_AS_SENT) + _COUNT.size
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


def pack_parts(parts: Sequence[SeqPart]) -> bytes:
    """Return parts of records, by ascending number, as one blob."""
    return keep_as_sent(len(parts), pack_records(parts))


def keep_as_sent(count: int, records: bytes) -> bytes:
    """Return so many parts, packed as they came, as one blob."""
    return _AS_SENT + _COUNT.pack(count) + records


def as_sent(blob: bytes) -> bytes:
    """Return the records of a blob as they travel, or nothing if it is of an older kind."""
    return blob[_SENT_AT:] if blob.startswith(_AS_SENT) else b""


def unpack_parts(
    first_seq: int, blob: bytes, only: AbstractSet[int] | None = None
) -> list[SeqPart]:
    """Return the parts of a blob, each with the sequence number of its record.

    Args:
        first_seq: Of its first record; blobs of an older kind count from it.
        blob: What `pack_parts` gave.
        only: The parts of these records alone.

    Raises:
        StoreInconsistent: The blob was cut or its lengths do not add up.
    """
    if blob.startswith(_AS_SENT):
        try:
            (count,) = _COUNT.unpack_from(blob, len(_AS_SENT))
            found, parts = unpack_records(as_sent(blob), only)
        except (struct.error, WireMalformed):
            raise errors.StoreInconsistent(what="parts") from None
        if parts != count:
            raise errors.StoreInconsistent(what="parts")
        return found
    older = _unpack_older(first_seq, blob)
    return older if only is None else [each for each in older if each[0] in only]


def _unpack_older(first_seq: int, blob: bytes) -> list[SeqPart]:
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
