"""What a reader was given when the process died: a note that outlives the process.

An exception leaves a record out (see `poison`); a record that ends the process itself,
by a fault in native code or by all the memory there is, would end it again at every
start. So before a reader is given records, their positions are noted in a page of a
file that is mapped into memory: no call and no fsync, and the kernel keeps it whatever
becomes of the process. Who finds a note at its start gives that reader the same records
one by one, each noted alone. A record at which the process died `MOST_DEATHS` times is
left out like one that raises.

After a power cut the note may be old. Then records are given singly once, which only
costs time.
"""

import json
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import structlog

from yidao.node.store.values import StoredRecord

MOST_DEATHS: Final = 3
NOTE_NAME: Final = "reading"
COUNTS_NAME: Final = "deaths.json"

_PAGE: Final = mmap.PAGESIZE

log = structlog.get_logger()


class EndedProcess(Exception):
    """The process died every time that this reader was given this record."""


class Deaths:
    """The notes of one process; its readers all run in one thread.

    Args:
        page: Holds the note; in a file of the data folder, or of this process alone.
        counts: Where deaths are counted over starts, None if they are not.
        found: Of each reader the first and last position at which the process died, and
            how often it did at single records.
    """

    def __init__(
        self,
        page: mmap.mmap | None = None,
        counts: Path | None = None,
        found: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self._page = page or mmap.mmap(-1, _PAGE)
        self._counts = counts
        self._found = found or {}

    @classmethod
    def remembered(cls, folder: Path) -> Self:
        """Take over what the last process left in a data folder.

        Where that cannot be written nothing is noted, and a process that starts there has
        other worries.
        """
        try:
            page = _map(folder / NOTE_NAME)
            found = _read(folder / COUNTS_NAME)
        except OSError as error:
            log.warning("store.deaths.unnoted", error=type(error).__name__)
            return cls()
        made = cls(page, folder / COUNTS_NAME, found)
        made._count_last()
        return made

    @contextmanager
    def reading(self, name: str, records: Sequence[StoredRecord]) -> Iterator[None]:
        """Note that a reader is given records, for as long as it is."""
        if not records:
            yield
            return
        note = f"{name} {records[0].position} {records[-1].position}\n".encode()
        self._page[: len(note)] = note
        try:
            yield
        finally:
            self._page[:1] = b"\n"

    def suspects(self, name: str, records: Sequence[StoredRecord]) -> bool:
        """Whether the process died while this reader was given some of these records."""
        about = self._found.get(name)
        return (
            about is not None
            and bool(records)
            and records[0].position <= about["last"]
            and records[-1].position >= about["first"]
        )

    def check(self, name: str, record: StoredRecord) -> None:
        """Return only if a reader may be given a record once more.

        Raises:
            EndedProcess: The process died at it too often.
        """
        about = self._found.get(name)
        if about is not None and about["deaths"].get(str(record.position), 0) >= MOST_DEATHS:
            raise EndedProcess

    def passed(self, name: str, position: int) -> None:
        """Forget what is behind a reader: its cursor there is durable."""
        about = self._found.get(name)
        if about is not None and about["last"] <= position:
            del self._found[name]
            self._write()

    def _count_last(self) -> None:
        note, _, _ = bytes(self._page[:]).partition(b"\n")
        self._page[:1] = b"\n"
        try:
            name, first_text, last_text = note.decode("ascii").split(" ")
            first, last = int(first_text), int(last_text)
        except ValueError:
            # Nothing was being read, or a power cut left something else there.
            return
        about = self._found.setdefault(name, {"first": first, "last": last, "deaths": {}})
        about["first"], about["last"] = min(about["first"], first), max(about["last"], last)
        if first == last:
            about["deaths"][str(first)] = about["deaths"].get(str(first), 0) + 1
        deaths = max(about["deaths"].values(), default=0)
        log.error("store.process.died", reader=name, first=first, last=last, deaths=deaths)
        self._write()

    def _write(self) -> None:
        if self._counts is None:
            return
        fresh = self._counts.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(self._found), "ascii")
            fresh.replace(self._counts)
        except OSError as error:
            # A full disk: then a death counts as none.
            log.warning("store.deaths.unnoted", error=type(error).__name__)


def _map(path: Path) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size != _PAGE:
            # Written, since a hole that no disk has room for ends who maps it.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"\n".ljust(_PAGE, b"\0"), 0)
        if os.fstat(descriptor).st_size != _PAGE:
            raise OSError
        return mmap.mmap(descriptor, _PAGE)
    finally:
        os.close(descriptor)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return what earlier starts have counted; what a power cut spoilt is nothing."""
    try:
        found = json.loads(path.read_text("ascii"))
        return {
            str(name): {
                "first": int(about["first"]),
                "last": int(about["last"]),
                "deaths": {str(at): int(count) for at, count in about["deaths"].items()},
            }
            for name, about in found.items()
        }
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}
