"""What strace did to a process stands in its file, to the last call."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.faults import tracing
from tests.faults.daemons import Daemon, Nursery, wait_until
from tests.faults.tracing import traced

pytestmark = pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "it works")

# Half of them met a call that had begun and not ended when strace was told to go.
ROUNDS: Final = 5
#: Writes until its input ends, and then says how many writes failed.
WRITER: Final = """
import os, select, sys
file, failed = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), 0
while not select.select([0], [], [], 0)[0]:
    try:
        os.pwrite(file, b"x", 0)
    except OSError:
        failed += 1
print(failed)
"""


def test_no_fault_is_met_that_its_file_does_not_tell(nursery: Nursery, tmp_path: Path) -> None:
    """A writer whose every write fails under strace counts as many as strace's file has."""
    for number in range(ROUNDS):
        folder = tmp_path / f"writer{number}"
        with subprocess.Popen(
            [sys.executable, "-S", "-c", WRITER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as writer:
            traced_one = Daemon(
                nursery=nursery, path="/", folder=folder, memory=tmp_path, link_port=0
            )
            traced_one.pid = writer.pid
            with traced(traced_one, failing="pwrite64", inject="error=EIO:when=1+") as output:
                wait_until("a write fails", lambda told=output: "INJECTED" in told.read_text())
            said, _ = writer.communicate()
        told = output.read_text().count("INJECTED")
        assert int(said) == told
