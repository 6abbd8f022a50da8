"""A tree of real daemons on the loopback interface, started and stopped as an operator would.

Every node is one process (`yidao run`) with its own folder, ports and
identity. Its local account may do everything, as on a test network: the
demonstration plays all of its people. Only processes started here are
ended here, by their process id.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from yidao.api.errors import YidaoError
from yidao.node.client import Client

# Above what is registered for most services, below Linux's range for outgoing connections (32768).
_PORTS = range(20_000, 32_000)
_turns = itertools.count(os.getpid() * 997)
_START_SECONDS = 20.0
_EVERYBODY = {
    "YIDAO_LOCAL_ACCOUNT": "full",
    "YIDAO_FOUR_EYES": "false",
    "YIDAO_ADMINISTRATOR_KEYS": "false",
}
_STOP_SECONDS = 15.0


class DemoStepFailed(YidaoError):
    """A step of the demonstration did not come out as it must. Params: step, detail."""

    code = "DEMO_STEP_FAILED"


def free_ports(count: int) -> list[int]:
    """Find loopback ports that are free now and stay so until they are used.

    The kernel gives outgoing connections any port of its own range, so a free one of
    that range may be taken a moment later. These lie below it; a process never gives
    one twice, and starts where others are unlikely to be.
    """
    found: list[int] = []
    while len(found) < count:
        port = _PORTS[next(_turns) % len(_PORTS)]
        with socket.socket() as probe:
            # As a server binds: what a closed connection left behind is not in the way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


def wait_until(step: str, met: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition; a demonstration that waits in vain has failed.

    Raises:
        DemoStepFailed: the condition was not met in time.
    """
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            raise DemoStepFailed(step=step, detail=f"not within {seconds:.0f} s")
        time.sleep(0.05)


@dataclass(slots=True, kw_only=True)
class DemoNode:
    """One daemon of the demonstration.

    Attributes:
        name: What a person calls it, `浙江省`.
        path: Its place, `/33`.
        folder: Its data folder.
    """

    name: str
    path: str
    folder: Path
    link_port: int
    join_port: int
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder.with_suffix(".log")

    @property
    def socket(self) -> Path:
        """The local API's socket."""
        return self.folder / "local.sock"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the daemon and return once its local API answers."""
        self.process = launch(["run", "--data", str(self.folder)], self.log, _EVERYBODY)
        wait_until(f"start {self.path}", self._answers, _START_SECONDS)

    def stop(self) -> None:
        """End the daemon in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the daemon as a power cut would."""
        self._end(signal.SIGKILL)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of this node's local API."""
        with Client.open(self.socket) as client:
            yield client

    def _answers(self) -> bool:
        if not self.running:
            tail = self.log.read_text(errors="replace")[-600:]
            raise DemoStepFailed(step=f"start {self.path}", detail=tail)
        try:
            # A client tries again by itself, for seconds, behind a socket that a killed
            # daemon left: the kernel says at once whether anybody listens.
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
        except OSError:
            return False
        try:
            with self.client() as client:
                client.status()
        except YidaoError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        if self.running:
            self.process.send_signal(number)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise DemoStepFailed(
                step=f"stop {self.path}", detail=f"did not end within {_STOP_SECONDS:.0f} s"
            ) from None
        self.process = None


def yidao_command() -> list[str]:
    """The command line that runs this very installation of Yidao."""
    return [sys.executable, "-m", "yidao.node"]


def clean_environment() -> dict[str, str]:
    """The environment without settings of another node."""
    return {name: value for name, value in os.environ.items() if not name.startswith("YIDAO_")}


def launch(
    arguments: Sequence[str], log: Path, settings: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start one command in the background; what it says goes to the log's end."""
    with log.open("ab") as said:
        return subprocess.Popen(  # noqa: S603
            [*yidao_command(), *arguments],
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            env={**clean_environment(), **settings},
        )


def finish(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end, whatever that is."""
    return subprocess.run(  # noqa: S603
        [*yidao_command(), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
    )


def run_yidao(*arguments: str, expect: int = 0) -> str:
    """Run one command to its end and return what it printed.

    Raises:
        DemoStepFailed: it ended with another exit code than expected.
    """
    done = finish(arguments)
    if done.returncode != expect:
        detail = f"exit {done.returncode}: {done.stderr[-600:]}"
        raise DemoStepFailed(step="yidao " + " ".join(arguments[:2]), detail=detail)
    return done.stdout
