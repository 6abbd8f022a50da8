"""Where a follower stands, kept where it outlives the program.

A cursor counts in one store. What was handled is written down after it was
handled, so that a program which is killed in between gets it once more, and
never misses it. Who needs each effect exactly once keeps the mark in the
database that the effect goes to, in one transaction with it (`Cursor`).
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from yidao.api.errors import YidaoError

_FORMAT: Final = "yidao cursor 1"


class CursorFileUnreadable(YidaoError):
    """A file of a cursor holds something else (params: path)."""

    code = "CURSOR_FILE_UNREADABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A position in one store: everything up to it was handled.

    Attributes:
        store_id: 16 bytes.
    """

    store_id: bytes
    position: int


class Cursor(Protocol):
    """Keeps a mark.

    To have each effect exactly once, write `event.mark` into your own database in
    the transaction of the effect, read it back in `load`, and let `save` do nothing.
    """

    def load(self) -> Mark | None:
        """Give the mark to go on from; None to begin with the first record."""

    def save(self, mark: Mark) -> None:
        """Keep a mark; return once it is durable."""


class FileCursor:
    """A mark in a small file: replaced as a whole, and fsynced.

    Args:
        path: The file; its folder must be there.
        every: Write after so many events. With more than 1, a program that is
            killed gets as many again; catching up is faster.
    """

    def __init__(self, path: Path | str, *, every: int = 1) -> None:
        self._path = Path(path)
        self._every = every
        self._waiting = 0

    def load(self) -> Mark | None:
        """Give the mark of the file; None if there is none.

        Raises:
            CursorFileUnreadable: It holds something else.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise CursorFileUnreadable(path=str(self._path)) from None
        try:
            held = json.loads(text)
            if held["format"] != _FORMAT:
                raise CursorFileUnreadable(path=str(self._path))
            return Mark(store_id=bytes.fromhex(held["store_id"]), position=int(held["position"]))
        except (ValueError, TypeError, KeyError):
            raise CursorFileUnreadable(path=str(self._path)) from None

    def save(self, mark: Mark) -> None:
        """Write the mark down, now or with one of the next."""
        self._waiting += 1
        if self._waiting < self._every:
            return
        self._waiting = 0
        held = {"format": _FORMAT, "store_id": mark.store_id.hex(), "position": mark.position}
        beside = self._path.with_name(self._path.name + ".new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(held) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        # The new name is durable only once its folder is.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
