"""Clocks of daemons that tests move while the daemons run.

`Clock` writes how far a daemon's clocks are off, and `follow` makes a process read it
where the node asks for the time. What libraries ask by themselves, such as TLS, stays right.
"""

import ctypes
import importlib
import mmap
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Final

_OFFSETS: Final = struct.Struct("qq")
_NS: Final = 1_000_000_000
_CLONE_NEWTIME: Final = 0x80
DAY_SECONDS: Final = 86_400
YEAR_SECONDS: Final = 365 * DAY_SECONDS


class Clock:
    """How far the clocks of one daemon are off."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.steps = 0
        self._seconds = [0.0, 0.0]
        file.write_bytes(_OFFSETS.pack(0, 0))

    @property
    def before(self) -> tuple[str, str]:
        """What a daemon does before it starts, to follow this clock."""
        return ("tests.faults.clocks:follow", str(self.file))

    def set(self, wall: float | None = None, monotonic: float | None = None) -> None:
        """Set the clock of the day, or the one that never goes back, so many seconds ahead."""
        for index, seconds in enumerate((wall, monotonic)):
            if seconds is not None:
                self._seconds[index] = seconds
        self.steps += 1
        with self.file.open("r+b") as file:
            file.write(_OFFSETS.pack(*(int(each * _NS) for each in self._seconds)))


def follow(file: str) -> None:
    """Let this process read its clocks by what the file says, at every moment."""
    with Path(file).open("r+b") as opened:
        offsets = mmap.mmap(opened.fileno(), _OFFSETS.size)

    def off(index: int) -> int:
        return int(_OFFSETS.unpack(offsets)[index])

    # The node asks for the time of day in one place, and for the other clock in the link.
    stands_in = {
        "yidao.node.clock": SimpleNamespace(time_ns=lambda: time.time_ns() + off(0)),
        "yidao.node.link.driver": SimpleNamespace(
            monotonic=lambda: time.monotonic() + off(1) / _NS
        ),
    }
    for name, clock in stands_in.items():
        vars(importlib.import_module(name))["time"] = clock


def start_later(seconds: str) -> None:
    """Move this process into a time namespace whose machine has run for so much longer.

    Raises:
        OSError: The kernel has none, or the user may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWTIME) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/timens_offsets").write_text(f"monotonic {seconds} 0\nboottime {seconds} 0\n")
    there = os.open("/proc/self/ns/time_for_children", os.O_RDONLY)
    try:
        if libc.setns(there, _CLONE_NEWTIME) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(there)


def lacks_time_namespaces() -> str:
    """Name why there are none, "" if there are."""
    program = "from tests.faults.clocks import start_later; start_later('60')"
    tried = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    return "" if tried.returncode == 0 else f"time namespaces ({tried.stderr.strip()[-60:]})"
