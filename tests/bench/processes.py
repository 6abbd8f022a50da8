"""Processes of a yardstick: they say a line when they are ready, start when told, say figures.

Each ends by itself after `LONGEST_SECONDS`, so that a call never hangs.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LONGEST_SECONDS: Final = 120
ROOT: Final = Path(__file__).parents[2]

Process = subprocess.Popen[str]


@contextmanager
def started(module: str, *arguments: str) -> Iterator[Process]:
    """Run a module of the bench with arguments, until the block ends."""
    command = [sys.executable, "-m", module, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def line_of(process: Process) -> str:
    """Wait for the next line that a process says."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"{process.args!r} ended with {process.wait()}"
    return line.strip()


def tell(process: Process) -> None:
    """Let a process go on that waits in `await_go`."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def await_go() -> None:
    """Say that all is ready and wait until told, in the process itself."""
    print("ready", flush=True)
    sys.stdin.readline()
