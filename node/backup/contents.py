"""What lies in a backup: files one after the other, then a signed manifest that names them all.

Each file is a 2-byte length, its name, an 8-byte length and its bytes. The last one
is `manifest.json`: canonical JSON of the node, the time, what the store held, and
name, size and SHA-256 of every file before it; a newline; the base64 signature by the
node's cosigning key over that JSON behind a prefix of its own.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from yidao.api.errors import YidaoError
from yidao.node.backup.errors import BackupDamaged
from yidao.sync import suite
from yidao.sync.suite import Signer

MANIFEST: Final = "manifest.json"
STORE: Final = "store.db"
#: Nothing else is unpacked, wherever a name may point.
NAMES: Final = re.compile(r"store\.db|config\.toml|keys/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MANIFEST_DOMAIN: Final = b"yidao-backup-manifest-v1\n"
_MAX_MANIFEST_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a backup."""

    name: str
    size: int
    sha256: str


def file_head(name: str, size: int) -> bytes:
    """Return what stands before a file's bytes."""
    return len(name).to_bytes(2, "big") + name.encode("ascii") + size.to_bytes(8, "big")


def sign_manifest(facts: dict[str, Any], entries: Sequence[Entry], signer: Signer) -> bytes:
    """Return the bytes of the manifest's file."""
    files = [{"name": e.name, "size": e.size, "sha256": e.sha256} for e in entries]
    text = orjson.dumps({**facts, "files": files}, option=orjson.OPT_SORT_KEYS)
    signature = base64.b64encode(signer.sign(MANIFEST_DOMAIN + text))
    return text + b"\n" + signature


class Unpacker:
    """Takes plain bytes as they come, hands out each file's bytes, and keeps their digests."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._buffer = bytearray()
        self.entries: list[Entry] = []
        self.manifest: bytes | None = None

    def run(
        self, chunks: Iterable[bytes], begin: Callable[[str], Callable[[bytes], object]]
    ) -> None:
        """Read all; `begin` is asked for each file and returns where its bytes go.

        Raises:
            BackupDamaged: It is not of this form.
        """
        source = iter(chunks)
        while self._fill(source, 2):
            if self.manifest is not None:
                raise self._damaged("files after the manifest")
            name = self._exactly(source, int.from_bytes(self._exactly(source, 2), "big"))
            size = int.from_bytes(self._exactly(source, 8), "big")
            self._file(source, name.decode("ascii", "replace"), size, begin)
        if self.manifest is None or self._buffer:
            raise self._damaged("no manifest")

    def checked(self, signer: bytes) -> dict[str, Any]:
        """Return the manifest if its node signed it and it names just these files.

        Raises:
            BackupDamaged: Otherwise.
        """
        assert self.manifest is not None, "run() ended well"
        text, _, encoded = self.manifest.partition(b"\n")
        try:
            signature = base64.b64decode(encoded, validate=True)
            suite.verify(suite.of_key(signer), signer, signature, MANIFEST_DOMAIN + text)
            facts = orjson.loads(text)
            files = [(e["name"], e["size"], e["sha256"]) for e in facts["files"]]
        except (YidaoError, binascii.Error, ValueError, KeyError, TypeError):
            raise self._damaged("manifest") from None
        if files != [(e.name, e.size, e.sha256) for e in self.entries]:
            raise self._damaged("files")
        return dict(facts)

    def _file(
        self,
        source: Iterator[bytes],
        name: str,
        size: int,
        begin: Callable[[str], Callable[[bytes], object]],
    ) -> None:
        if name == MANIFEST:
            if size > _MAX_MANIFEST_BYTES:
                raise self._damaged("manifest")
            self.manifest = self._exactly(source, size)
            return
        if NAMES.fullmatch(name) is None or name in {e.name for e in self.entries}:
            raise self._damaged("name")
        take, digest, left = begin(name), hashlib.sha256(), size
        while left:
            if not self._fill(source, 1):
                raise self._damaged("cut off")
            piece = bytes(self._buffer[:left])
            del self._buffer[: len(piece)]
            digest.update(piece)
            take(piece)
            left -= len(piece)
        self.entries.append(Entry(name=name, size=size, sha256=digest.hexdigest()))

    def _exactly(self, source: Iterator[bytes], count: int) -> bytes:
        if not self._fill(source, count):
            raise self._damaged("cut off")
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found

    def _fill(self, source: Iterator[bytes], count: int) -> bool:
        while len(self._buffer) < count:
            piece = next(source, None)
            if piece is None:
                return False
            self._buffer += piece
        return True

    def _damaged(self, reason: str) -> BackupDamaged:
        return BackupDamaged(file=self._name, reason=reason, usable="")
