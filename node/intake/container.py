"""Looks a workbook's zip container over before any library opens it.

An .xlsx is a zip of XML. Numbered checks, in this order:
 1. the first bytes: zip, and not an OLE file (old .xls, or a password);
 2. the directory: how many entries, what they are called, where they lie;
 3. sizes as declared (zipfile never inflates more than an entry declares);
 4. no macros, embedded programs, or links to other files;
 5. every XML part: no document type, bounded depth, and for sheets the facts
    that the streaming reader would not tell (see `sheetscan`).
Format: ECMA-376 part 2 (packages); APPNOTE 6.3 of zip.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from yidao.node.intake.errors import (
    EncryptedWorkbook,
    ExternalLinks,
    LegacyWorkbook,
    MacroWorkbook,
    NotWorkbook,
    SourceEmpty,
    SourceTooLarge,
    SourceUnreadable,
    UnsafePackage,
)
from yidao.node.intake.rows import MAX_SOURCE_BYTES
from yidao.node.intake.sheetscan import SheetScan, scan_part

MAX_ENTRIES = 1_000
MAX_SHEETS = 100
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
#: Spreadsheet XML packs 10 to 50 times; deflate's own limit is 1,032.
MAX_RATIO = 200
_RATIO_FREE_BYTES = 1024 * 1024

_OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
# The name of the stream that holds an encrypted package (MS-OFFCRYPTO 2.3.4.4), as OLE stores it.
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_ZIP_MAGIC = b"PK\x03\x04"
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED_FLAG = 0x1
_ACTIVE_PARTS = ("vbaproject.bin", "xl/embeddings/", "xl/activex/", "xl/macrosheets/", "customui/")
_EXTERNAL_PARTS = ("xl/externallinks/", "xl/connections.xml", "xl/querytables/")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What the look over found: the facts of each worksheet, by part name."""

    sheets: Mapping[str, SheetScan]


def check_container(file: IO[bytes], name: str) -> Container:
    """Check a workbook's container and scan its sheets.

    Args:
        file: The opened file; the reader must go on with this one, not open it again.
        name: Its name, for messages.

    Raises:
        IntakeError: One of the kinds named in this module, none else.
    """
    try:
        _check_magic(file, name)  # (1)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_directory(entries, name)  # (2) (3)
            _check_content(entries, name)  # (4)
            return _scan(archive, entries, name)  # (5)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise NotWorkbook(name=name, reason="damaged_zip") from None
    except OSError as error:
        raise SourceUnreadable(name=name, reason=type(error).__name__) from None


def _check_magic(file: IO[bytes], name: str) -> None:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size == 0:
        raise SourceEmpty(name=name)
    if size > MAX_SOURCE_BYTES:
        raise SourceTooLarge(name=name, what="file", limit=MAX_SOURCE_BYTES)
    head = file.read(len(_OLE_MAGIC))
    if head == _OLE_MAGIC:
        encrypted = _ENCRYPTED_STREAM in file.read()
        raise (EncryptedWorkbook if encrypted else LegacyWorkbook)(name=name)
    if not head.startswith(_ZIP_MAGIC):
        raise NotWorkbook(name=name, reason="not_zip")


def _check_directory(entries: list[zipfile.ZipInfo], name: str) -> None:
    if len(entries) > MAX_ENTRIES:
        raise SourceTooLarge(name=name, what="zip_entries", limit=MAX_ENTRIES)
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise SourceTooLarge(name=name, what="unpacked", limit=MAX_UNPACKED_BYTES)
    seen: set[str] = set()
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise EncryptedWorkbook(name=name)
        if reason := _unsafe(entry, seen):
            raise UnsafePackage(name=name, part=_shown(entry), reason=reason)
        seen.add(entry.filename.lower())
    _check_overlap(entries, name)


def _unsafe(entry: zipfile.ZipInfo, seen: set[str]) -> str:
    """Say what is unsafe about one entry, or nothing."""
    # zipfile cuts names at NUL and rewrites separators; the original tells what was meant.
    original = entry.orig_filename
    if ".." in PurePosixPath(original.replace("\\", "/")).parts:
        return "path_traversal"
    if original.startswith(("/", "\\")) or ":" in original or "\\" in original:
        return "path_traversal"
    if "\0" in original:
        return "name"
    if entry.filename.lower() in seen:
        return "duplicate_name"
    if entry.compress_type not in _METHODS:
        return "compression_method"
    if entry.file_size > max(_RATIO_FREE_BYTES, entry.compress_size * MAX_RATIO):
        return "compression_ratio"
    return ""


def _check_overlap(entries: list[zipfile.ZipInfo], name: str) -> None:
    """Refuse entries that share bytes: a bomb of any size fits in a few kilobytes that way."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise UnsafePackage(name=name, part=_shown(entry), reason="overlapping_entries")
        name_bytes = len(entry.orig_filename.encode("utf-8", errors="replace"))
        end = entry.header_offset + _LOCAL_HEADER_BYTES + name_bytes + entry.compress_size


def _check_content(entries: list[zipfile.ZipInfo], name: str) -> None:
    for entry in entries:
        part = entry.filename.lower()
        if any(mark in part for mark in _ACTIVE_PARTS):
            raise MacroWorkbook(name=name, part=_shown(entry))
        if part.startswith(_EXTERNAL_PARTS):
            raise ExternalLinks(name=name, part=_shown(entry))
    if not any(entry.filename == "[Content_Types].xml" for entry in entries):
        raise NotWorkbook(name=name, reason="not_ooxml")


def _scan(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], name: str) -> Container:
    sheets: dict[str, SheetScan] = {}
    for entry in entries:
        if entry.filename.lower().endswith((".xml", ".rels", ".vml")):
            with archive.open(entry) as part:
                scan = scan_part(part, name, _shown(entry))
            if scan is not None:
                sheets[entry.filename] = scan
    if len(sheets) > MAX_SHEETS:
        raise SourceTooLarge(name=name, what="sheets", limit=MAX_SHEETS)
    return Container(sheets=sheets)


def _shown(entry: zipfile.ZipInfo) -> str:
    """Give an entry's name fit for a message."""
    return "".join(char if char.isprintable() else "?" for char in entry.orig_filename)[:100]
