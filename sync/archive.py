"""A zip of named bytes, in memory: written one way, read under caps that hold before work is done.

The same entries give the same bytes (not compressed; fixed order, date and
attributes), so an evidence file can itself be compared by its hash. Only that
form is read: whoever flips any bit of a file, also of the zip's own headers, is
refused, and nothing can be hidden beside the entries.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

from yidao.sync import errors

MAX_ENTRIES: Final = 256
MAX_ENTRY_BYTES: Final = 512 * 1024
MAX_CONTENT_BYTES: Final = 8 * 1024 * 1024
# The zip's own names and headers.
MAX_ARCHIVE_BYTES: Final = MAX_CONTENT_BYTES + 256 * 1024

# Names are matched whole, never joined to a folder: no `..`, no leading slash.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}(/[a-z0-9][a-z0-9.-]{0,63}){0,4}")
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def write_archive(entries: Mapping[str, bytes]) -> bytes:
    """Return a zip of `entries` in their order.

    Raises:
        EvidenceMalformed: A name or a size that `read_archive` would refuse.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in entries.items():
            _check_name(name)
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, body)
        _check_caps(archive.infolist())
    return buffer.getvalue()


def read_archive(data: bytes) -> dict[str, bytes]:
    """Return the entries of a zip.

    Raises:
        EvidenceMalformed: No zip, a strange or repeated name, encryption, any
            compression, a wrong checksum, anything over a cap, or a single byte that
            `write_archive` would have written otherwise.
    """
    if len(data) > MAX_ARCHIVE_BYTES:
        raise errors.EvidenceMalformed(reason="too large")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _check_caps(infos)
            entries = {info.filename: _read(archive, info) for info in infos}
    # The library answers bad bytes with these, depending on where they are bad.
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
        UnicodeError,
        KeyError,
        IndexError,
        OverflowError,
    ):
        raise errors.EvidenceMalformed(reason="zip") from None
    if write_archive(entries) != data:
        raise errors.EvidenceMalformed(reason="zip form")
    return entries


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # The library reads at most the declared size, but may return less.
    with archive.open(info) as file:
        body = file.read()
    if len(body) != info.file_size:
        raise errors.EvidenceMalformed(reason="entry size")
    return body


def _check_caps(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MAX_ENTRIES or len({info.filename for info in infos}) != len(infos):
        raise errors.EvidenceMalformed(reason="entries")
    for info in infos:
        _check_name(info.filename)
        if info.file_size > MAX_ENTRY_BYTES:
            raise errors.EvidenceMalformed(reason="entry size")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise errors.EvidenceMalformed(reason="compression")
    if sum(info.file_size for info in infos) > MAX_CONTENT_BYTES:
        raise errors.EvidenceMalformed(reason="too large")


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise errors.EvidenceMalformed(reason="entry name")
