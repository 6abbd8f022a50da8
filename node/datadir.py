"""The data folder: made private, checked for who may enter it, and locked.

The lock is the kernel's (`flock`), not the text of the file: a daemon that was
killed leaves its number behind and no lock, so that a stale file never stands in
the way, and a number that another program got since is never mistaken for ours.
"""

import errno
import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from yidao.node import errors

LOCK_NAME: Final = "daemon.pid"
_PRIVATE_MODE: Final = 0o700


def prepare(path: Path, *, create: bool = True) -> Path:
    """Return the data folder's absolute path, ready for use.

    Args:
        path: The folder. Its parents must exist; it may be missing.
        create: Make it (0700) if it is missing.

    Raises:
        FolderMissing: It is missing and `create` is false, or its parent is missing.
        FolderNotReal: It is a symbolic link or no folder.
        FolderForeign: Another user owns it.
        FolderExposed: Its mode lets others in.
        FolderNotWritable, FolderFull: A trial write fails.
    """
    folder = path.absolute()
    if create and not folder.exists() and not folder.is_symlink():
        _make(folder)
    _check_entry(folder)
    check_write(folder)
    return folder


def sync_folder(folder: Path) -> None:
    """Make names that were created in or removed from `folder` survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=_PRIVATE_MODE)
        folder.chmod(_PRIVATE_MODE)
        sync_folder(folder.parent)
    except FileNotFoundError:
        raise errors.FolderMissing(path=str(folder.parent)) from None
    except OSError as error:
        raise _write_error(folder, error) from None


def _check_entry(folder: Path) -> None:
    try:
        entry = folder.lstat()
    except FileNotFoundError:
        raise errors.FolderMissing(path=str(folder)) from None
    except OSError as error:
        raise errors.FolderNotWritable(path=str(folder), reason=_reason(error)) from None
    if not stat.S_ISDIR(entry.st_mode):
        raise errors.FolderNotReal(path=str(folder))
    if entry.st_uid != os.geteuid():
        raise errors.FolderForeign(path=str(folder))
    if entry.st_mode & 0o077:
        raise errors.FolderExposed(path=str(folder), mode=f"{stat.S_IMODE(entry.st_mode):04o}")


def check_write(folder: Path) -> None:
    """Write and remove a small file: the only honest test of a mount or a quota.

    Raises:
        FolderNotWritable, FolderFull: It cannot be written.
    """
    trial = folder / f".trial.{os.getpid()}"
    try:
        trial.write_bytes(b"\0" * 4096)
        trial.unlink()
    except OSError as error:
        trial.unlink(missing_ok=True)
        raise _write_error(folder, error) from None


def _write_error(folder: Path, error: OSError) -> errors.FolderError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.FolderFull(path=str(folder))
    return errors.FolderNotWritable(path=str(folder), reason=_reason(error))


def _reason(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "EIO")


class FolderLock:
    """The exclusive right to work on a data folder, held until `release` or exit.

    Usable as a context manager.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Lock a prepared folder and write this process's number into the lock file.

        Raises:
            FolderLocked: A living process holds the lock.
            FolderNotWritable, FolderFull: The lock file cannot be written.
        """
        try:
            descriptor = os.open(
                folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise _write_error(folder, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise errors.FolderLocked(path=str(folder), pid=holder or "?") from None
        except OSError as error:
            os.close(descriptor)
            raise _write_error(folder, error) from None
        return cls(descriptor)

    def release(self) -> None:
        """Give the folder free; the lock file stays, since removing it would race."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
