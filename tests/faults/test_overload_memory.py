"""R49: a root with 256 MiB of memory in all; and one that the kernel ends for want of it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.daemons import Load, Pair
from tests.faults.report import record

pytestmark = pytest.mark.e2e

#: cgroup v1; of v2 the memory controller is seldom given to a child here.
CONTROLLER = Path("/sys/fs/cgroup/memory")
LIMIT_BYTES = 256 << 20
#: Enters the group that it is given, and takes more than that has.
HOG = f"""
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
kept = bytearray({2 * LIMIT_BYTES})
time.sleep(60)
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory group of our own, empty again at the end."""
    made = CONTROLLER / f"yidao-test-{os.getpid()}"
    try:
        made.mkdir()
        (made / "memory.limit_in_bytes").write_text(str(LIMIT_BYTES))
    except OSError as error:
        pytest.skip(f"no memory group can be made here: {error}")
    try:
        yield made
    finally:
        deadline = time.monotonic() + 20
        while (made / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        made.rmdir()


@pytest.mark.parametrize("seconds", [3, pytest.param(300, marks=pytest.mark.long)])
def test_it_lives_in_little_memory_and_survives_its_end(
    pair: Pair, group: Path, seconds: int
) -> None:
    """Under load nothing is ended; when something else takes all memory, nothing acked is lost."""
    pair.start()
    (group / "cgroup.procs").write_text(str(pair.root.pid))
    with Load(pair.office, rows_a_call=100):
        time.sleep(seconds)
        assert pair.root.running
        # The kernel is to choose the daemon, whoever asks for the memory.
        Path(f"/proc/{pair.root.pid}/oom_score_adj").write_text("1000")
        entry = str(group / "cgroup.procs")
        hog = subprocess.Popen([sys.executable, "-c", HOG, entry])
        try:
            assert pair.root.wait_end() == -signal.SIGKILL
        finally:
            with contextlib.suppress(ProcessLookupError):
                hog.kill()
            hog.wait()
    assert pair.healed() == []
    record("R49 ends by the kernel for want of memory", injected=1, acked=len(pair.office.acked))
