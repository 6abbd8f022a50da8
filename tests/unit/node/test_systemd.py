"""The units for systemd, and the word that a node is up."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from yidao.node.systemd import UnitPathUnfit, console_unit, node_unit, notify_ready

PROGRAM = Path("/bin/true")
DATA = Path("/var/lib/yidao")
UNITS = {
    "of a node": node_unit(DATA, program=PROGRAM, account="root"),
    "of a node, a user's own": node_unit(DATA, program=PROGRAM, account=None),
    "of a console": console_unit(DATA, program=PROGRAM, account="root"),
}


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit(name: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing; each line is in its section once."""
    unit = UNITS[name]
    if shutil.which("systemd-analyze") and "user" not in name:
        file = tmp_path / "yidao-sample.service"
        file.write_text(unit)
        done = subprocess.run(
            ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr.strip()) == (0, "")
    sections = [line for line in unit.splitlines() if line.startswith("[")]
    assert sections == ["[Unit]", "[Service]", "[Install]"]
    settings = [line for line in unit.splitlines() if "=" in line]
    assert len(settings) == len(set(settings))


def test_a_node_gets_its_folder_and_little_else() -> None:
    """The unit hardens, waits for the node's own word, and passes SIGHUP on."""
    unit = UNITS["of a node"]
    for line in (
        "Type=notify",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "ReadWritePaths=/var/lib/yidao",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "User=root",
    ):
        assert line in unit.splitlines()
    assert "CapabilityBoundingSet" not in UNITS["of a node, a user's own"]
    at_home = node_unit(DATA, program=Path("/home/li/.venv/bin/yidao"), account="li")
    assert "ProtectHome=read-only" in at_home


@pytest.mark.parametrize("path", ["/a b", '/a"b', "/a$b", "/a%b", "/a\nExecStart=/bin/sh", "/a;b"])
def test_a_path_that_systemd_would_read_differently_is_refused(path: str) -> None:
    """A path can add no line and no word to the unit."""
    with pytest.raises(UnitPathUnfit):
        node_unit(Path(path), program=PROGRAM, account=None)
    with pytest.raises(UnitPathUnfit):
        node_unit(DATA, program=Path(path), account=None)


@pytest.mark.parametrize("name", ["a path", "an abstract name"])
def test_the_word_that_the_node_is_up_reaches_systemd(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """READY=1 as one datagram; nothing is sent where nobody listens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify_ready()
    asked = str(tmp_path / "n") if name == "a path" else f"@yidao-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(asked.replace("@", "\0"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", asked)
        notify_ready()
        assert listener.recv(100) == b"READY=1"
