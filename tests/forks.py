"""Commands of the demonstration's tree, started as forks of a process that has loaded all modules.

A test's tree is half a dozen daemons and as many commands, and each would first spend a
second on loading modules, more than on all that it then does. A fork goes through the
whole command from its first line on. Tests that start `yidao` themselves, as those of the
command line, of the handbooks and of `yidao dev`, start it from nothing.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.faults.daemons import Nursery
from tests.faults.nursery import Asked
from yidao.node.demo import tree

# pytest writes the name of the test that runs into it; no command looks at it.
_PASSING: Final = "PYTEST_CURRENT_TEST"
_FINISH_SECONDS: Final = 600.0

#: As the demonstration itself does it.
launch_from_nothing: Final = tree.launch
from_nothing: Final = tree.finish


class Fork:
    """One command, with what of `subprocess.Popen` tests make use of."""

    def __init__(self, nursery: Nursery, pid: int, arguments: Sequence[str]) -> None:
        self.pid = pid
        self._nursery = nursery
        self._arguments = arguments

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._nursery.code(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired`."""
        seconds = _FINISH_SECONDS if timeout is None else timeout
        code = self._nursery.wait(self.pid, seconds)
        if code is None:
            raise subprocess.TimeoutExpired(list(self._arguments), seconds)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send_signal(signal.SIGKILL)


class Forks:
    """Starts commands, the way `yidao.node.demo.tree` asks for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nursery: Nursery | None = None
        self._environment: dict[str, str] = {}

    def launch(self, arguments: Sequence[str], log: Path, settings: Mapping[str, str]) -> Fork:
        """Start one command in the background; see `tree.launch`."""
        return self._start(arguments, Asked(run=list(arguments), log=str(log), **_plain(settings)))

    def finish(self, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run one command to its end; see `tree.finish`."""
        with tempfile.TemporaryDirectory() as folder:
            said, errors = Path(folder) / "said", Path(folder) / "errors"
            asked = Asked(run=list(arguments), log=str(said), errors=str(errors), **_plain({}))
            code = self._start(arguments, asked).wait()
            return subprocess.CompletedProcess(
                list(arguments), code, said.read_text("utf-8"), errors.read_text("utf-8")
            )

    def can(self, arguments: Sequence[str]) -> bool:
        """Whether a fork would be as good: it has the environment and language of before."""
        with self._lock:
            if self._nursery is None:
                self._environment = _environment()
                self._nursery = Nursery()
        return self._environment == _environment() and "--lang" not in arguments

    def close(self) -> None:
        """End the process that forks."""
        if self._nursery is not None:
            self._nursery.close()

    def _start(self, arguments: Sequence[str], asked: Asked) -> Fork:
        assert self._nursery is not None
        with self._lock:
            pid = self._nursery.start(asked)
        return Fork(self._nursery, pid, arguments)


def _plain(settings: Mapping[str, str]) -> dict[str, object]:
    return {"environment": dict(settings), "gate": "", "most_bytes": 0}


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in tree.clean_environment().items() if name != _PASSING}
    return kept | {"PWD": str(Path.cwd())}


@contextlib.contextmanager
def forking() -> Iterator[None]:
    """Within it, the commands of trees are forks wherever that makes no difference."""
    forks = Forks()

    def launched(arguments: Sequence[str], log: Path, settings: Mapping[str, str]) -> object:
        how = forks.launch if forks.can(arguments) else launch_from_nothing
        return how(arguments, log, settings)

    def finished(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        return (forks.finish if forks.can(arguments) else from_nothing)(arguments)

    tree.launch, tree.finish = launched, finished
    try:
        yield
    finally:
        tree.launch, tree.finish = launch_from_nothing, from_nothing
        forks.close()
