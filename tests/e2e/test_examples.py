"""Every example runs against a daemon, and is listed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from yidao.node.demo.tree import DemoNode, clean_environment, free_ports, run_yidao

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoNode]:
    """A root that runs and knows the standard."""
    link_port, join_port = free_ports(2)
    folder = tmp_path_factory.mktemp("e") / "n"
    run_yidao(
        *("init", "--data", str(folder)),
        *("--listen", f"127.0.0.1:{link_port}", "--join-listen", f"127.0.0.1:{join_port}"),
    )
    made = DemoNode(name="n", path="/", folder=folder, link_port=link_port, join_port=join_port)
    made.start()
    try:
        with made.client() as client:
            pack = ROOT / "catalog" / "packs" / "energy-2022.yaml"
            client.publish_pack(pack.read_bytes(), actor="std@/")
        yield made
    finally:
        made.stop()


def start(example: str, *arguments: str) -> subprocess.Popen[str]:
    """Start an example as a reader would."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / example), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )


def test_the_examples_hand_a_return_in_and_follow_it(node: DemoNode) -> None:
    """Taken the first time, unchanged the second; whoever follows the totals sees it come once."""
    follower = start("follow_the_rollup.py", str(node.folder), "profile", "2025-Q2", "8")
    assert follower.stdout is not None
    try:
        assert follower.stdout.readline().startswith("0 submitted, 0 accepted; nothing yet")
        for outcome in ("submitted", "unchanged"):
            publisher = start("publish_a_return.py", str(node.folder), "li@/")
            told, errors = publisher.communicate(timeout=60)
            assert publisher.returncode == 0, errors
            assert told.splitlines() == [f"1 {outcome} []", f"2 {outcome} []"]
        told, errors = follower.communicate(timeout=60)
        assert follower.returncode == 0, errors
        (line,) = told.splitlines()
        assert line.startswith("1 submitted, 0 accepted; ")
        assert "floor_area=5000.00" in line
    finally:
        follower.kill()
        follower.wait()


def test_every_example_is_listed() -> None:
    """A program that nobody finds helps nobody."""
    listed = (ROOT / "examples" / "README.md").read_text()
    for file in (ROOT / "examples").glob("*.py"):
        assert f"({file.name})" in listed
