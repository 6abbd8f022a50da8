"""What a bundle file holds: one side's words of a session, written down instead of said.

The messages are those of the link, in the order in which a session would say
them: hello, resume, receipts, frames. Each stands behind one byte for its kind
(`c` control, `d` data) and four for its length, big-endian.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from yidao.sync import errors
from yidao.sync.ids import Path
from yidao.sync.message import (
    MAX_CONTROL_BYTES,
    MAX_FRAME_BYTES,
    Control,
    Frame,
    Hello,
    Receipt,
    Resume,
)
from yidao.sync.wire import (
    decode_control,
    decode_frame,
    encode_control,
)

#: A bundle's file as a courier carries it.
MAX_FILE_BYTES: Final = 80 * 1024 * 1024
#: A message more than so many would be a bundle of crumbs, made to cost time.
MAX_MESSAGES: Final = 100_000

_CONTROL: Final = ord("c")
_DATA: Final = ord("d")
_HEAD_BYTES: Final = 5


class ParcelMalformed(errors.PeerError):
    """A bundle's content is no parcel (params: reason)."""

    code = "PARCEL_MALFORMED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A bundle's content, every message checked for form and limits."""

    hello: Hello
    resume: Resume
    receipts: tuple[Receipt, ...]
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A bundle's file, the records in it, and those that did not fit."""

    file: bytes
    records: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What a bundle brought; `refused` are codes, one for each journal that was refused."""

    path: Path
    created_ms: int
    records: int
    duplicates: int
    receipts: int
    refused: tuple[str, ...]
    position: int


def write_parcel(
    hello: Hello, resume: Resume, receipts: Iterable[Receipt], frames: Iterable[bytes]
) -> bytes:
    """Write a parcel; `frames` are bytes of `wire.encode_frame`, with their numbers or without."""
    out = bytearray()
    spoken: tuple[Control, ...] = (hello, resume, *receipts)
    for message in spoken:
        _put(out, _CONTROL, encode_control(message))
    for frame in frames:
        _put(out, _DATA, frame)
    return bytes(out)


def read_parcel(data: bytes) -> Parcel:
    """Read a parcel.

    Raises:
        ParcelMalformed: Cut off, another order, or too many messages.
        WireError: A message is wrong; see `wire`.
    """
    hello: Hello | None = None
    resume: Resume | None = None
    receipts: list[Receipt] = []
    frames: list[Frame] = []
    for number, (kind, body) in enumerate(_messages(data)):
        if number >= MAX_MESSAGES:
            raise ParcelMalformed(reason="messages")
        if kind == _DATA and resume is not None:
            frames.append(decode_frame(body))
            continue
        message = decode_control(body) if kind == _CONTROL and not frames else None
        if isinstance(message, Hello) and number == 0:
            hello = message
        elif isinstance(message, Resume) and number == 1:
            resume = message
        elif isinstance(message, Receipt) and resume is not None:
            receipts.append(message)
        else:
            raise ParcelMalformed(reason="order")
    if hello is None or resume is None:
        raise ParcelMalformed(reason="incomplete")
    return Parcel(hello=hello, resume=resume, receipts=tuple(receipts), frames=tuple(frames))


def _put(out: bytearray, kind: int, body: bytes) -> None:
    out.append(kind)
    out += len(body).to_bytes(_HEAD_BYTES - 1, "big")
    out += body


def _messages(data: bytes) -> Iterable[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        head = data[at : at + _HEAD_BYTES]
        size = int.from_bytes(head[1:], "big")
        limit = MAX_FRAME_BYTES if head[0] == _DATA else MAX_CONTROL_BYTES
        body = data[at + _HEAD_BYTES : at + _HEAD_BYTES + size]
        if len(head) < _HEAD_BYTES or size > limit or len(body) < size:
            raise ParcelMalformed(reason="cut off")
        yield head[0], body
        at += _HEAD_BYTES + size
