"""A folder of private files: written once and completely, read only where nobody else can."""

import os
import stat
from pathlib import Path as FilePath
from typing import Final, Self

from yidao.node import errors
from yidao.node.datadir import sync_folder
from yidao.node.keys.names import FOLDER_NAME

# The largest, chain.json of a node 15 tiers down, stays far below.
MAX_FILE_BYTES: Final = 1024 * 1024


class PrivateFolder:
    """Reads and writes the files of `<data folder>/keys`, whatever is in them."""

    def __init__(self, data_dir: FilePath) -> None:
        self.path: Final = data_dir / FOLDER_NAME

    @classmethod
    def create(cls, data_dir: FilePath) -> Self:
        """Make the folder (0700) if it is missing, and return it."""
        folder = cls(data_dir)
        try:
            folder.path.mkdir(mode=0o700)
            sync_folder(data_dir)
        except FileExistsError:
            pass
        except OSError as error:
            raise errors.FolderNotWritable(
                path=str(folder.path), reason=error.strerror or ""
            ) from None
        return folder

    def has(self, name: str) -> bool:
        """Whether a file of that name is there, whatever its state."""
        return os.path.lexists(self.path / name)

    def write(self, name: str, data: bytes) -> None:
        """Write a new file, 0600 and fsynced; never over one that is there.

        Raises:
            KeyFileExists: A file of that name is there.
            FolderNotWritable: The disk refuses.
        """
        if self.has(name):
            raise errors.KeyFileExists(name=name)
        self.replace(name, data)

    def replace(self, name: str, data: bytes) -> None:
        """Write a file, putting it in the place of an older one in one step."""
        staged = self.path / f".{name}.new"
        try:
            staged.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(staged, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            staged.replace(self.path / name)
            sync_folder(self.path)
        except OSError as error:
            staged.unlink(missing_ok=True)
            raise errors.FolderNotWritable(
                path=str(self.path), reason=error.strerror or ""
            ) from None

    def remove(self, name: str) -> None:
        """Remove a file for good; one that is not there is no error."""
        (self.path / name).unlink(missing_ok=True)
        sync_folder(self.path)

    def destroy(self, name: str) -> None:
        """Overwrite a private file and remove it; one that is not there is no error.

        What a copying file system or a worn disk keeps of it is beyond us.
        """
        file = self.path / name
        if file.is_symlink() or not file.is_file():
            return
        with file.open("r+b") as opened:
            opened.write(bytes(file.stat().st_size))
            opened.flush()
            os.fsync(opened.fileno())
        self.remove(name)

    def read(self, name: str) -> bytes:
        """Return a file's bytes if it can be trusted.

        Raises:
            KeyFileMissing, KeyFileNotRegular, KeyFileForeign, KeyFileExposed:
                As the entry on the disk is.
            KeyFileMalformed: It is far too long for any file of this folder.
        """
        return read_private(self.path / name)


def read_private(path: FilePath) -> bytes:
    """Return the bytes of a file that only this user can read (see `PrivateFolder.read`)."""
    name = path.name
    try:
        # O_NONBLOCK keeps a FIFO that was put in the file's place from hanging us.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise errors.KeyFileMissing(name=name) from None
    except OSError:
        raise errors.KeyFileNotRegular(name=name) from None
    try:
        entry = os.fstat(descriptor)
        if not stat.S_ISREG(entry.st_mode):
            raise errors.KeyFileNotRegular(name=name)
        if entry.st_uid != os.geteuid():
            raise errors.KeyFileForeign(name=name)
        if entry.st_mode & 0o077:
            raise errors.KeyFileExposed(name=name, mode=f"{stat.S_IMODE(entry.st_mode):04o}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE_BYTES:
        raise errors.KeyFileMalformed(name=name)
    return data
