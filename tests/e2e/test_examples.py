"""Every example runs against a daemon, and is listed."""

import subprocess
import sys
from pathlib import Path

import pytest

from yidao.node.demo.tree import DemoNode, clean_environment, free_ports, run_yidao

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.e2e


def test_the_example_hands_a_return_in(tmp_path: Path) -> None:
    """Taken the first time, unchanged the second: it may be run again."""
    link_port, join_port = free_ports(2)
    folder = tmp_path / "n"
    run_yidao(
        *("init", "--data", str(folder)),
        *("--listen", f"127.0.0.1:{link_port}", "--join-listen", f"127.0.0.1:{join_port}"),
    )
    node = DemoNode(name="n", path="/", folder=folder, link_port=link_port, join_port=join_port)
    node.start()
    try:
        with node.client() as client:
            pack = ROOT / "catalog" / "packs" / "energy-2022.yaml"
            client.publish_pack(pack.read_bytes(), actor="std@/")
        for outcome in ("submitted", "unchanged"):
            done = subprocess.run(
                [sys.executable, str(ROOT / "examples/publish_a_return.py"), str(folder), "li@/"],
                capture_output=True,
                text=True,
                check=False,
                env=clean_environment(),
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.splitlines() == [f"1 {outcome} []", f"2 {outcome} []"]
    finally:
        node.stop()


def test_every_example_is_listed() -> None:
    """A program that nobody finds helps nobody."""
    listed = (ROOT / "examples" / "README.md").read_text()
    for file in (ROOT / "examples").glob("*.py"):
        assert f"({file.name})" in listed
