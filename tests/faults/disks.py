"""Disks to hurt: file systems of their own, in memory and in image files."""

import errno
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

BALLAST: Final = "ballast"
_CHUNK_KIB: Final = 8 * 1024
_MKFS: Final = "/sbin:/usr/sbin"


@functools.cache
def why_not() -> str:
    """Give why no image can be mounted here; empty if one can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            image = make_image(Path(folder) / "try.img", mib=8)
            with mounted(image, Path(folder) / "try"):
                pass
            with in_memory(Path(folder) / "memory", kib=64):
                pass
        except (OSError, subprocess.CalledProcessError) as error:
            return f"no file system can be mounted here: {error}"
    return ""


def make_image(path: Path, *, mib: int, inodes: int = 0) -> Path:
    """Make an ext4 file system in a file.

    Args:
        path: The file.
        mib: Its size.
        inodes: How many files it can hold; 0 for as many as usual.
    """
    with path.open("wb") as file:
        file.truncate(mib * 1024 * 1024)
    limit = ["-N", str(inodes)] if inodes else []
    _run(["mkfs.ext4", "-q", "-F", *limit, str(path)])
    return path


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """Mount an image at a folder, which is made if it is missing."""
    with _mount(["-o", "loop,errors=remount-ro", str(image)], folder):
        yield folder


@contextmanager
def in_memory(folder: Path, *, kib: int) -> Iterator[Path]:
    """Mount a small file system that lives in memory."""
    with _mount(["-t", "tmpfs", "-o", f"size={kib}k", "tmpfs"], folder):
        yield folder


def abort(folder: Path) -> None:
    """Let an ext4 file system see that its disk is broken: it becomes read-only at once."""
    _run(["mount", "-o", "remount,abort", str(folder)])


def fill(folder: Path, *, leave_kib: int) -> None:
    """Fill the disk of a folder by a file, `BALLAST`, but for so much."""
    with (folder / BALLAST).open("wb", buffering=0) as file:
        while (left := free_kib(folder) - leave_kib) > 0:
            try:
                file.write(bytes(min(left, _CHUNK_KIB) * 1024))
            except OSError as error:
                # Whoever lives there may take the last of it meanwhile.
                if error.errno != errno.ENOSPC:
                    raise


def free_kib(folder: Path) -> int:
    """Give how much may be written to the disk of a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize // 1024


@contextmanager
def moved_to(disk: Callable[[Path], AbstractContextManager[Path]], home: Path) -> Iterator[None]:
    """Let a folder live on another disk; at the end it is where it was, as it is then.

    Args:
        disk: Mounts it at a folder.
        home: The folder; nobody uses it now.
    """
    aside = home.with_name(f"{home.name}-aside")
    _move(home, aside)
    with disk(home):
        home.chmod(0o700)
        _move(aside, home)
        try:
            yield
        finally:
            _move(home, aside)
    _move(aside, home)


def _move(source: Path, target: Path) -> None:
    """Move what is in a folder, but sockets, which are of a daemon that is gone."""
    ignored = shutil.ignore_patterns("*.sock", "lost+found")
    shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)


@contextmanager
def _mount(what: Sequence[str], folder: Path) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    _run(["mount", *what, str(folder)])
    try:
        yield
    finally:
        _run(["umount", str(folder)])


def _run(command: list[str]) -> None:
    path = f"{os.environ.get('PATH', '')}:{_MKFS}"
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": path})
