"""A command that is a fork does what one does that starts from nothing."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forks import Forks, from_nothing
from yidao.node.demo import tree

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """Starts forks."""
    made = Forks()
    yield made
    made.close()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["errors", "KEY_REUSED"], id="answers"),
        pytest.param(["status", "--data", "/nowhere", "--json"], id="refuses"),
        pytest.param(["no-such-verb"], id="is misused"),
    ],
)
def test_it_answers_as_from_nothing(forks: Forks, arguments: list[str]) -> None:
    """Exit code and all that is printed are equal, and no process of a test runner is seen."""
    assert forks.can(arguments)
    forked = forks.finish(arguments)
    plain = from_nothing(arguments)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        plain.returncode,
        plain.stdout,
        plain.stderr,
    )
    assert forked.stdout or forked.stderr


def test_another_environment_or_language_is_started_from_nothing(
    forks: Forks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a fork could not know of keeps a command from being one."""
    assert forks.can(["status"])
    assert not forks.can(["status", "--lang", "en"])
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert not forks.can(["status"])
    monkeypatch.undo()
    assert forks.can(["status"])
    monkeypatch.setenv("YIDAO_LOG_LEVEL", "debug")
    assert forks.can(["status"]), "no command is told of it"


def test_a_killed_one_ends_by_the_signal(forks: Forks, tmp_path: Path) -> None:
    """Whoever waits is told the signal, as of any process."""
    folder = tmp_path / "node"
    ports = [f"127.0.0.1:{port}" for port in tree.free_ports(2)]
    listen = ["--listen", ports[0], "--join-listen", ports[1]]
    assert forks.can([])
    assert forks.finish(["init", "--data", str(folder), *listen]).returncode == 0
    daemon = forks.launch(["run", "--data", str(folder)], tmp_path / "log", {})
    tree.wait_until("it listens", (folder / "local.sock").is_socket)
    assert daemon.poll() is None
    os.kill(daemon.pid, signal.SIGKILL)
    assert daemon.wait(30) == -signal.SIGKILL
