"""Files on their way: a workbook that was uploaded, and what goes back to its owner.

They lie in a private folder that is made anew with each start of the console.
A file belongs to the session that brought it and is gone with it.
"""

import secrets
import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yidao.node.importing import ImportReport

#: Files at once; each is at most `MAX_SOURCE_BYTES` of the intake.
MAX_FILES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFile:
    """One file.

    Attributes:
        id: 128 random bits, hexadecimal.
        owner: The session's cookie; nobody else gets it.
        name: As its owner calls it; never used as a path.
        path: Where it lies.
    """

    id: str
    owner: str
    name: str
    path: Path


class Folder:
    """The files of all sessions; the oldest gives way above the limit."""

    def __init__(self, root: Path) -> None:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(mode=0o700, parents=True)
        self._root = root
        self._held: OrderedDict[str, HeldFile] = OrderedDict()
        self._reports: dict[str, ImportReport] = {}

    def place(self, *, owner: str, name: str) -> HeldFile:
        """Make room for a file; the caller writes it."""
        while len(self._held) >= MAX_FILES:
            self.drop(next(iter(self._held)))
        made = secrets.token_hex(16)
        suffix = ".xlsx" if name.lower().endswith(".xlsx") else ".csv"
        held = HeldFile(id=made, owner=owner, name=name, path=self._root / f"{made}{suffix}")
        self._held[made] = held
        return held

    def find(self, file_id: str, *, owner: str) -> HeldFile | None:
        """Give a file to its owner; to others it does not exist."""
        held = self._held.get(file_id)
        return held if held is not None and held.owner == owner else None

    def keep_report(self, file_id: str, report: ImportReport) -> None:
        """Keep what became of a file's rows, as long as the file."""
        if file_id in self._held:
            self._reports[file_id] = report

    def report(self, file_id: str) -> ImportReport | None:
        """Give what became of a file's rows."""
        return self._reports.get(file_id)

    def drop(self, file_id: str) -> None:
        """Remove a file."""
        held = self._held.pop(file_id, None)
        self._reports.pop(file_id, None)
        if held is not None:
            held.path.unlink(missing_ok=True)

    def drop_of(self, owner: str) -> None:
        """Remove all files of a session."""
        for file_id in [each.id for each in self._held.values() if each.owner == owner]:
            self.drop(file_id)
