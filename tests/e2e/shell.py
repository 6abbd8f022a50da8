"""Types what a page shows, as a reader would: waits, looks, goes on."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from yidao.node.demo.tree import clean_environment, free_ports, yidao_command

ROOT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 30
_GATEWAY: Final = "7390"
_PORTS: Final = ("7350", "7351", "7360", "7361", _GATEWAY)
#: The ports of a page may be taken, and the one after a free one need not be free.
_LISTEN: Final[Mapping[str, str]] = {
    "init": "--listen 127.0.0.1:7350 --join-listen 127.0.0.1:7351",
    "join": "--join-listen 127.0.0.1:7361",
    "gateway": f"--listen 127.0.0.1:{_GATEWAY}",
}


class Shell:
    """A shell in a folder, with ports of its own.

    Attributes:
        printed: What each line has printed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: dict[str, str] = {}
        self._running: list[subprocess.Popen[bytes]] = []
        self._ports = dict(zip(_PORTS, map(str, free_ports(len(_PORTS))), strict=True))

    def type(self, line: str) -> None:
        """Run one command of ours to its end, or in the background if it ends with `&`."""
        words = self._words(line)
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

    def script(self, block: str) -> str:
        """Run a block of any commands to its end; gives what it printed."""
        bin_folder = Path(sys.executable).parent
        return self._told(
            ["bash", "-euo", "pipefail", "-c", self._on_free_ports(block)],
            PATH=f"{bin_folder}:{os.environ['PATH']}",
        )

    def python(self, program: str) -> str:
        """Run a program to its end; gives what it printed."""
        return self._told([sys.executable, "-c", program])

    def stop(self) -> None:
        """End what was started in the background, the last first."""
        for process in reversed(self._running):
            process.terminate()
            process.wait(PATIENCE_SECONDS)

    def ask(self, line: str) -> dict[str, object]:
        """Run one line with `--json`."""
        return dict(json.loads(self._run([*line.split()[1:], "--json"]).stdout))

    def _start(self, words: list[str]) -> None:
        output = self.folder / f"output-{len(self._running)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*yidao_command(), *words],
                cwd=self.folder,
                env=clean_environment(),
                stdout=file,
                stderr=subprocess.DEVNULL,
            )
        self._running.append(process)

        def ready() -> bool:
            assert process.poll() is None, words
            return self._ready(words, output)

        _wait(words, ready)

    def _ready(self, words: list[str], output: Path) -> bool:
        if words[0] == "dev":
            return output.stat().st_size > 0
        if words[0] == "gateway":
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", int(self._ports[_GATEWAY]))) == 0
        data = words[words.index("--data") + 1]
        return self._run(["status", "--data", data]).returncode != 3

    def _look(self, line: str, words: list[str]) -> None:
        def there() -> bool:
            return any(isinstance(each, list) and each for each in self.ask(line).values())

        _wait(words, there)
        self.printed[line] = self._run(words).stdout

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return self._done([*yidao_command(), *words])

    def _told(self, command: list[str], **environment: str) -> str:
        done = self._done(command, **environment)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def _done(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={**clean_environment(), **environment},
            stdin=subprocess.DEVNULL,
        )

    def _words(self, line: str) -> list[str]:
        verb, *rest = line.split()[1:]
        words = [verb, *_LISTEN.get(verb, "").split(), *rest]
        return self._on_free_ports(" ".join(words)).split()

    def _on_free_ports(self, text: str) -> str:
        text = re.sub(r":(\d{4})\b", lambda at: ":" + self._ports.get(at[1], at[1]), text)
        return text.replace("catalog/packs", str(ROOT / "catalog/packs"))


def _wait(what: object, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
