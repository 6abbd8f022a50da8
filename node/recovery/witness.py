"""Remembers, outside of the store and of its folder, how far the store was.

A copy of the folder, a snapshot of the disk or of the machine brings back all that
is on the disk, any marker of a clean stop too. So this one is no file of the disk:
it lies in a folder that lives in the memory of this machine and ends with its boot,
and it is written with every commit. It holds the boot, a life (16 random bytes that
each start draws and also writes into the database), and two positions: what was
surely reached, and what the commit under way would reach. A store is where it was
left only if its life is this one and its position lies between the two.

What this cannot see is a machine that is brought back with its memory while it
runs: its next session does.
"""

import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from yidao.node import errors
from yidao.sync.ids import NodeId

LIFE_BYTES: Final = 16
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_FORM: Final = struct.Struct(">16s16sQQ")
_NOWHERE: Final = bytes(16)


class NodeRunsTwice(errors.NodeError):
    """Another process of this node runs on this machine, from another folder (params: node)."""

    code = "NODE_RUNS_TWICE"


class Witness:
    """The high-water mark of one node on this machine; held until `close`."""

    def __init__(self, memory: mmap.mmap | None, descriptor: int, boot: bytes) -> None:
        self._memory = memory
        self._descriptor = descriptor
        self._boot = boot
        self._life = _NOWHERE
        self._reached = 0

    @classmethod
    def take(cls, node_id: NodeId, environ: Mapping[str, str], seat: str = "") -> Self:
        """Open the mark of a node, making it if it is missing.

        Where this machine has no such folder nothing is remembered, and every start is
        in doubt.

        Args:
            node_id: The node.
            environ: Names the folder of this machine's memory.
            seat: Tells daemons apart that are one node on one database; "" where one is all.

        Raises:
            NodeRunsTwice: Another process holds it.
        """
        folder, boot = memory_folder(environ), _boot()
        if folder is None or boot is None:
            return cls(None, -1, _NOWHERE)
        path = folder / f"yidao-{os.geteuid()}-{node_id.hex()}{seat}"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError:
            return cls(None, -1, _NOWHERE)
        try:
            if not _is_ours(os.fstat(descriptor)):
                os.close(descriptor)
                return cls(None, -1, _NOWHERE)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise NodeRunsTwice(node=node_id.hex()) from None
        if os.fstat(descriptor).st_size != _FORM.size:
            os.ftruncate(descriptor, 0)
            os.ftruncate(descriptor, _FORM.size)
        return cls(mmap.mmap(descriptor, _FORM.size), descriptor, boot)

    def vouches(self, life: bytes, position: int) -> bool:
        """Whether a store with this life that ends at this position is where it was left."""
        if self._memory is None:
            return False
        fields: tuple[bytes, bytes, int, int] = _FORM.unpack(self._memory[:])
        boot, known, low, high = fields
        return boot == self._boot and known == life != _NOWHERE and low <= position <= high

    def knows_more(self, position: int) -> bool:
        """Whether this machine has seen, since its boot, more than this position."""
        if self._memory is None:
            return False
        fields: tuple[bytes, bytes, int, int] = _FORM.unpack(self._memory[:])
        boot, _, low, _ = fields
        return boot == self._boot and low > position

    def begin(self, position: int) -> None:
        """Take a store over of which nothing is sure yet: until `trust`, nothing vouches for it."""
        self._life, self._reached = _NOWHERE, position
        self._write(position)

    def trust(self, life: bytes) -> None:
        """Remember the store from here on, under the life of this process."""
        self._life = life
        self._write(self._reached)

    def doubt(self) -> None:
        """Vouch for it no more."""
        self._life = _NOWHERE
        self._write(self._reached)

    def reaching(self, position: int) -> None:
        """A commit up to `position` is about to be made."""
        self._write(position)

    def reached(self, position: int) -> None:
        """It is durable."""
        self._reached = position
        self._write(position)

    def close(self) -> None:
        """Let the next process have it; what it says stays."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
            os.close(self._descriptor)

    def _write(self, high: int) -> None:
        if self._memory is not None:
            self._memory[:] = _FORM.pack(self._boot, self._life, self._reached, high)


def memory_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder of this machine that ends with its boot, or None."""
    named = environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or environ.get("XDG_RUNTIME_DIR")
    for folder in (named, "/dev/shm"):  # noqa: S108 (in memory, and the file is checked)
        if folder and Path(folder).is_dir() and os.access(folder, os.W_OK):
            return Path(folder)
    return None


def _boot() -> bytes | None:
    try:
        return bytes.fromhex(_BOOT.read_text().strip().replace("-", ""))
    except (OSError, ValueError):
        return None


def _is_ours(entry: os.stat_result) -> bool:
    return (
        stat.S_ISREG(entry.st_mode) and entry.st_uid == os.geteuid() and not entry.st_mode & 0o077
    )
