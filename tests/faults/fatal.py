"""A daemon that one record ends, and whoever starts it again each time, as systemd would.

    python -m tests.faults.fatal RECORD_ID DEATHS run --data FOLDER

The view of units calls `abort` when it is given the record: no exception, no clean-up,
what a fault in native code or the kernel's memory killer does. DEATHS is a file that gets
one line for each process that died.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yidao.node.affairs.registry.views import UnitProjector
from yidao.node.cli import main as yidao

# More than a daemon may need to get past one record.
MOST_STARTS = 12


def main() -> None:
    """Start the daemon again and again until it ends in order."""
    record_id, deaths = bytes.fromhex(sys.argv[1]), Path(sys.argv[2])
    del sys.argv[1:3]
    real = UnitProjector.fold

    def fold(self: Any, conn: Any, records: Sequence[Any], reader: Any) -> None:
        if any(bytes(record.header.record_id) == record_id for record in records):
            os.abort()
        real(self, conn, records, reader)

    UnitProjector.fold = fold  # type: ignore[method-assign]
    for _ in range(MOST_STARTS):
        child = os.fork()
        if not child:
            yidao()
            os._exit(0)
        signal.signal(signal.SIGTERM, lambda *_, child=child: os.kill(child, signal.SIGTERM))
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGABRT:
            return
        with deaths.open("a") as file:
            file.write(f"{child}\n")


if __name__ == "__main__":
    main()
