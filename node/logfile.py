"""The log as a file of limited size: put aside when it is full, opened anew when told to."""

import io
import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from yidao.node.errors import ConfigValueInvalid

_PRIVATE_MODE: Final = 0o600
_MIB: Final = 1024 * 1024


class _PrivateHandler(RotatingFileHandler):
    """Opens its file for the owner alone."""

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, _PRIVATE_MODE)
        return io.TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="utf-8", newline="\n")


class LogFile(io.TextIOBase):
    """A stream of log lines, at most `count` + 1 files of `limit_mib` each.

    A line that cannot be written, say on a full disk, is told on standard error and
    lost: the log must not stop the work.

    Raises:
        ConfigValueInvalid: The file cannot be opened.
    """

    def __init__(self, path: Path, *, limit_mib: int, count: int) -> None:
        try:
            self._handler = _PrivateHandler(
                path, maxBytes=limit_mib * _MIB, backupCount=count, encoding="utf-8"
            )
        except OSError as error:
            raise ConfigValueInvalid(
                key="log_file", source=str(path), reason=error.strerror or ""
            ) from None

    def write(self, text: str) -> int:
        """Write one line; its end, which `print` writes by itself, comes with the line."""
        if not (line := text.removesuffix("\n")):
            return len(text)
        self._handler.handle(logging.LogRecord("yidao", logging.INFO, "", 0, line, None, None))
        return len(text)

    def reopen(self) -> None:
        """Open the file of that name anew: logrotate(8) has moved the old one away."""
        self._handler.acquire()
        try:
            if self._handler.stream is not None:
                self._handler.stream.close()
            self._handler.stream = self._handler._open()  # noqa: SLF001 (its own class, above)
        finally:
            self._handler.release()

    def close(self) -> None:
        """Close the file."""
        self._handler.close()
        super().close()
