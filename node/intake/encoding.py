"""Finds out in which encoding a text file is, from its bytes alone, and says which.

The order is: byte-order mark; UTF-16 by the zero bytes of its ASCII; strict
UTF-8; GB18030 (which contains GBK and GB2312). Nothing is ever replaced or
dropped: a file that is none of them, or of two, is refused with the line.
"""

import codecs
from dataclasses import dataclass

from yidao.node.intake.errors import TableEncoding

_BOMS = (
    # UTF-32's little-endian mark begins with that of UTF-16, so it is looked for first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A text and the encoding that it was found to be in ("utf-8", "gb18030", …)."""

    encoding: str
    text: str


def decode(data: bytes, name: str) -> Decoded:
    """Decode a whole file.

    Raises:
        TableEncoding: The encoding is unknown, unsupported, or changes within the file.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _by_mark(data[len(mark) :], encoding, name)
    if (wide := _wide(data)) is not None:
        return _by_mark(data, wide, name)
    try:
        return Decoded(encoding="utf-8", text=data.decode("utf-8"))
    except UnicodeDecodeError as error:
        bad_utf8 = error.start
    _refuse_mixed(data, name)
    try:
        return Decoded(encoding="gb18030", text=data.decode("gb18030"))
    except UnicodeDecodeError:
        raise TableEncoding(name=name, line=_line(data, bad_utf8), reason="undecodable") from None


def _by_mark(data: bytes, encoding: str, name: str) -> Decoded:
    if encoding == "utf-32":
        raise TableEncoding(name=name, line=1, reason="utf-32")
    try:
        return Decoded(encoding=encoding, text=data.decode(encoding))
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, errors="ignore")
        line = before.count("\n") + 1
        raise TableEncoding(name=name, line=line, reason="undecodable") from None


def _wide(data: bytes) -> str | None:
    """Recognise UTF-16 without a mark: one byte of each ASCII sign is zero."""
    sample = data[:_SAMPLE_BYTES]
    if len(sample) < 4 or b"\0" not in sample:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    # Stray NUL bytes in an 8-bit file are few, or fall on both sides alike. A few on the
    # other side are characters such as 一 (U+4E00).
    if max(even, odd) * 10 < len(sample) or min(even, odd) * 4 > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _refuse_mixed(data: bytes, name: str) -> None:
    """Refuse UTF-8 lines among others: as GB18030 they would be plausible nonsense.

    A line counts as UTF-8 if it decodes strictly and holds a three-byte
    sequence, which GB18030 text does by chance only where it is very short.
    The line named is the first that differs from the lines before it.
    """
    first: bool | None = None
    for number, line in enumerate(data.splitlines(), start=1):
        if line.isascii():
            continue
        utf8 = _is_utf8(line)
        if first is None:
            first = utf8
        elif utf8 is not first:
            raise TableEncoding(name=name, line=number, reason="mixed")


def _is_utf8(line: bytes) -> bool:
    try:
        return any("\u0800" <= char <= "\uffff" for char in line.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1
