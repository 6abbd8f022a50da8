"""Reading files that a person names, with typed errors."""

from pathlib import Path

from yidao.node.errors import NodeError

_MAX_BYTES = 64 * 1024 * 1024


class InputFileUnreadable(NodeError):
    """A file named on the command line cannot be read. Params: path, reason."""

    code = "INPUT_FILE_UNREADABLE"


class OutputFileUnwritable(NodeError):
    """A file named on the command line cannot be written. Params: path, reason."""

    code = "OUTPUT_FILE_UNWRITABLE"


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


def write_file(path: Path, data: bytes) -> None:
    """Write a new file.

    Raises:
        OutputFileUnwritable: It is there already, or the folder refuses.
    """
    try:
        with path.open("xb") as file:
            file.write(data)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputFileUnwritable(path=str(path), reason=reason or "") from None
