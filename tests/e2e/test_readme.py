"""The shell blocks of the README lead to an accepted return, in both languages the same."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from yidao.node.demo.tree import clean_environment, free_ports, yidao_command

ROOT = Path(__file__).parents[2]
GIVEN_PORTS = ("7350", "7351", "7360", "7361")
PATIENCE_SECONDS = 20

pytestmark = pytest.mark.e2e


def commands(page: str) -> list[str]:
    """The lines of a page's blocks that begin with `yidao`, comments left out."""
    blocks = re.findall(r"```\n(yidao .*?)```", (ROOT / page).read_text(), re.DOTALL)
    return [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]


class Shell:
    """Types the commands of the README as a reader would: waits, looks, goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: dict[str, str] = {}
        self._running: list[subprocess.Popen[bytes]] = []
        self._ports = dict(zip(GIVEN_PORTS, map(str, free_ports(4)), strict=True))

    def type(self, line: str) -> None:
        """Run one line to its end, or in the background if it ends with `&`."""
        words = self._on_free_ports(line).split()[1:]
        if words[-1] == "&":
            self._start(words[:-1])
        elif "list" in words:
            self._look(line, words)
        else:
            done = self._run(words)
            # A reminder of what is due today is no fault of these commands.
            allowed = (0, 1) if words[0] == "status" else (0,)
            assert done.returncode in allowed, (line, done.stdout, done.stderr)
            self.printed[line] = done.stdout

    def stop(self) -> None:
        """End the daemons that were started here."""
        for process in self._running:
            process.terminate()
            process.wait(PATIENCE_SECONDS)

    def ask(self, line: str) -> dict[str, object]:
        """Run one line with `--json`."""
        return dict(json.loads(self._run([*line.split()[1:], "--json"]).stdout))

    def _start(self, words: list[str]) -> None:
        process = subprocess.Popen(
            [*yidao_command(), *words],
            cwd=self.folder,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._running.append(process)
        data = words[words.index("--data") + 1]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._run(["status", "--data", data]).returncode == 3:
            assert process.poll() is None, words
            assert time.monotonic() < deadline, words
            time.sleep(0.1)

    def _look(self, line: str, words: list[str]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(isinstance(each, list) and each for each in self.ask(line).values()):
            assert time.monotonic() < deadline, line
            time.sleep(0.1)
        self.printed[line] = self._run(words).stdout

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*yidao_command(), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
        )

    def _on_free_ports(self, line: str) -> str:
        if line.startswith("yidao init"):
            line += " --listen 127.0.0.1:7350 --join-listen 127.0.0.1:7351"
        if line.startswith("yidao join"):
            # The port after a free one need not be free.
            line += " --join-listen 127.0.0.1:7361"
        for given, port in self._ports.items():
            line = line.replace(f":{given}", f":{port}")
        return line.replace("catalog/packs", str(ROOT / "catalog/packs"))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder."""
    made = Shell(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def test_the_readme_leads_to_accepted_totals(shell: Shell) -> None:
    """Every line ends well as it stands, and 20 sample returns are accepted at the root."""
    lines = commands("README.md")
    for line in lines:
        shell.type(line)
    (roll_up,) = (line for line in lines if line.startswith("yidao return roll-up"))
    (imported,) = (line for line in lines if line.startswith("yidao import"))
    assert "60" in shell.printed[imported]
    totals = shell.ask(roll_up)
    accepted, submitted = totals["accepted"], totals["submitted"]
    assert isinstance(accepted, dict)
    assert isinstance(submitted, dict)
    assert (submitted["returns"], accepted["returns"]) == (20, 20)
    assert accepted["fields"] == submitted["fields"]
    assert totals["frontiers"]


def test_both_languages_say_the_same_commands() -> None:
    """The Chinese page has the commands of the English one."""
    assert commands("README.zh-CN.md") == commands("README.md")
    assert len(commands("README.md")) > 10
