"""Reading and writing files that a person names, with typed errors."""

import errno
import os
from pathlib import Path

from yidao.node.errors import NodeError

_MAX_BYTES = 64 * 1024 * 1024


class InputFileUnreadable(NodeError):
    """A file named on the command line cannot be read. Params: path, reason."""

    code = "INPUT_FILE_UNREADABLE"


class OutputFileUnwritable(NodeError):
    """A file named on the command line cannot be written. Params: path, reason."""

    code = "OUTPUT_FILE_UNWRITABLE"


class ArgumentNotText(NodeError):
    """A word of the command line that must be text is not UTF-8."""

    code = "ARGUMENT_NOT_TEXT"


def read_file(path: Path) -> bytes:
    """Return the bytes of a file of at most 64 MiB.

    Raises:
        InputFileUnreadable: It is missing, too large or not readable.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputFileUnreadable(path=str(path), reason="> 64 MiB")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputFileUnreadable(path=str(path), reason=reason or "") from None


def write_file(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a new file.

    Args:
        path: Where nothing is yet.
        data: What it shall hold.
        mode: Its permissions from its first moment; the umask takes from them.

    Raises:
        OutputFileUnwritable: It is there already, or the folder refuses.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputFileUnwritable(path=str(path), reason=reason or "") from None


def check_new(path: Path) -> None:
    """Refuse a place where `write_file` would fail, before what it is for is made.

    A secret is given once: where it cannot be kept, it must not be given.

    Raises:
        OutputFileUnwritable: It is there already, or its folder is not or refuses.
    """
    if os.path.lexists(path):
        number = errno.EEXIST
    elif not path.parent.is_dir():
        number = errno.ENOENT
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        number = errno.EACCES
    else:
        return
    raise OutputFileUnwritable(path=str(path), reason=os.strerror(number))


def make_folder(path: Path) -> None:
    """Make a folder for its owner alone, if it is not there.

    Raises:
        OutputFileUnwritable: A file has that name, or the folder above refuses.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputFileUnwritable(path=str(path), reason=reason or "") from None
