"""Faults in system calls: strace attaches to a daemon and kills it, fails a call, or slows it.

strace counts calls for each thread. A daemon opens its store in its first thread and
writes in another one, so attached at the start the k-th call is one of opening, attached
to a running daemon it is one of the writer.
"""

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.daemons import PATIENCE_SECONDS, Daemon, wait_until

# All that changes a file; sockets and pipes are written by others.
WRITES: Final = (
    "pwrite64,fdatasync,fsync,ftruncate,fallocate,unlink,unlinkat,rename,renameat,renameat2"
)

# Threads too; descriptors with their paths; no bytes of what is written.
_STRACE: Final = ("strace", "-f", "-y", "-s", "0")
_NAMES: Final = tuple(f"{call}(" for call in WRITES.split(","))
_WROTE: Final = re.compile(r" pwrite64\(\d+<([^>]*)>, .*, (\d+), (\d+)[) ]")
_HALTED: Final = re.compile(r"^(\d+) +--- stopped by SIGSTOP ---$", re.MULTILINE)
_SYNCING: Final = re.compile(r" f(?:data)?sync\(\d+<([^>]*)>")


@functools.cache
def why_not() -> str:
    """Give why no daemon can be traced here; empty if one can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    program = "import os; os.close(os.open('/dev/null', os.O_RDONLY)); os.fsync(2)"
    fault = ["-e", "trace=fsync", "-e", "inject=fsync:error=EIO"]
    tried = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", *fault, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if "Input/output error" in tried.stderr else "strace cannot inject faults here"


@contextmanager
def traced(
    daemon: Daemon,
    *,
    failing: str = WRITES,
    inject: str = "",
    starting: bool = False,
    shims: Sequence[str] = (),
) -> Iterator[Path]:
    """Trace a daemon for as long as the block runs; gives strace's file, a line a call.

    Args:
        daemon: What is traced.
        failing: Names of the system calls that something befalls, with commas.
        inject: What befalls them, as strace writes it: `error=EIO:when=3`; empty for nothing.
        starting: The daemon does not run: it is started here, and may not be ready yet.
        shims: How it is started, see `nursery.Asked`.
    """
    gate = daemon.folder.with_suffix(".gate")
    if starting:
        os.mkfifo(gate)
        daemon.begin(gate=gate, shims=shims)
    output = daemon.folder.with_suffix(".strace")
    fault = ["-e", f"inject={failing}:{inject}"] if inject else []
    tracer = subprocess.Popen(
        [*_STRACE, "-o", output, "-e", f"trace={WRITES}", *fault, "-p", str(daemon.pid)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until("strace attaches", lambda: _has_tracer(daemon.pid, tracer.pid))
        if starting:
            # Whoever waits for it reads; it is there as long as the process lives.
            os.close(os.open(gate, os.O_WRONLY))
        yield output
    finally:
        try:
            _halt(daemon, output)
        finally:
            tracer.send_signal(signal.SIGTERM)
            tracer.communicate(timeout=PATIENCE_SECONDS)
            _signal(daemon, signal.SIGCONT)
            gate.unlink(missing_ok=True)


def _halt(daemon: Daemon, output: Path) -> None:
    """Stop the daemon between two system calls, as strace has written of every thread.

    strace that lets go of a thread between a call's begin and its end leaves a fault half
    done: the call fails after all, with ENOSYS, and no line says that anything was injected.
    """
    tasks = Path(f"/proc/{daemon.pid}/task")

    def halted() -> bool:
        if not daemon.running:
            return True
        said = set(_HALTED.findall(output.read_text(errors="replace")))
        return {task.name for task in tasks.iterdir()} <= said

    _signal(daemon, signal.SIGSTOP)
    with contextlib.suppress(FileNotFoundError):
        wait_until("it stands between two calls", halted)


def _signal(daemon: Daemon, number: signal.Signals) -> None:
    if daemon.running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(daemon.pid, number)


def _has_tracer(pid: int, tracer: int) -> bool:
    """Whether every thread is traced."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    return bool(tasks) and all(
        f"TracerPid:\t{tracer}\n" in (task / "status").read_text() for task in tasks
    )


def calls_in(output: Path, first: str = "") -> int:
    """Count the calls of the busiest thread in a file of strace's.

    Args:
        output: The file.
        first: Only calls whose name begins so; empty for all.
    """
    counts: Counter[str] = Counter()
    for line in output.read_text(errors="replace").splitlines():
        thread, call = line.split(None, 1)
        counts[thread] += call.startswith(first or _NAMES)
    return max(counts.values(), default=0)


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes that were written to a file."""

    path: Path
    offset: int
    size: int


def unsynced(output: Path) -> list[Written]:
    """Give what was written and not synced afterwards, by a file of strace's."""
    found: list[Written] = []
    syncing: dict[str, Path] = {}
    for line in output.read_text(errors="replace").splitlines():
        thread = line.split(None, 1)[0]
        if wrote := _WROTE.search(line):
            found.append(Written(Path(wrote[1]), int(wrote[3]), int(wrote[2])))
        if began := _SYNCING.search(line):
            syncing[thread] = Path(began[1])
        if "sync" in line and line.rstrip().endswith("= 0") and thread in syncing:
            synced = syncing.pop(thread)
            found = [each for each in found if each.path != synced]
    return found


def copy_synced(folder: Path, copy: Path, output: Path | None) -> None:
    """Copy a store as a power cut would leave it: zeros where nothing was synced.

    Args:
        folder: Of a daemon that is stopped or dead.
        copy: Made here.
        output: strace's file of the daemon since its files were in order; None if all is synced.
    """
    copy.mkdir(parents=True)
    for name in ("store.db", "store.db-wal"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, copy / name)
    for written in unsynced(output) if output else ():
        path = copy / written.path.name
        if written.path.parent == folder and path.exists():
            with path.open("r+b") as file:
                file.seek(written.offset)
                file.write(bytes(max(0, min(written.size, path.stat().st_size - written.offset))))
