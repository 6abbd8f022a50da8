"""`yidao dev`: one command, one sample node, a program that runs as it is printed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from yidao.node.client import Client
from yidao.node.demo.tree import clean_environment, run_yidao, yidao_command

pytestmark = pytest.mark.e2e


def test_one_command_gives_a_node_to_write_programs_against(tmp_path: Path) -> None:
    """Standards, units and returns are there, marked as samples; a second start goes on."""
    folder = tmp_path / "dev"
    first = json.loads(run_yidao("dev", "--data", str(folder), "--once", "--json"))
    assert first["sample"] is True
    assert str(first["seed"]) in (folder / "SAMPLE-样例.txt").read_text()

    process = subprocess.Popen(
        [*yidao_command(), "dev", "--data", str(folder), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with Client.open(Path(ready["socket"])) as client:
            assert client.status().test_network
            assert [pack.id for pack in client.packs()] == ["energy", "energy"]
            units = list(client.units())
            returns = client.returns(period="2025-Q2").returns
        assert len(units) == ready["units"]
        assert all(unit.name.startswith("样例") for unit in units)
        assert [(each.state, each.version) for each in returns] == [("submitted", 1)] * 10

        lines = [line for line in ready["snippet"].splitlines() if line]
        assert len(lines) <= 10
        for outcome in ("submitted", "submitted"):
            told = subprocess.run(
                [sys.executable, "-c", ready["snippet"]],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
            )
            assert told.stdout.splitlines()[0] == outcome
        # The cursor stood at the end already.
        assert told.stdout.splitlines()[1:] == []
        again = json.loads(run_yidao("dev", "--data", str(folder), "--json"))
        assert again == ready
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        process.stdout.close()
    assert not Path(ready["socket"]).exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A real node is no playground."""
    run_yidao("init", "--data", str(tmp_path / "real"))
    run_yidao("dev", "--data", str(tmp_path / "real"), "--once", expect=2)


def test_codes_are_explained() -> None:
    """One, all, and one that is none."""
    assert "KEY_REUSED" in run_yidao("--lang", "en", "errors", "key_reused")
    found = json.loads(run_yidao("errors", "--json"))["errors"]
    assert len(found) > 100
    run_yidao("errors", "NO_SUCH_CODE", expect=2)
