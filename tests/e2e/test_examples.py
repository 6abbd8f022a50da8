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


def told(process: subprocess.Popen[str]) -> list[str]:
    """Wait for a program's end and give its lines."""
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output.splitlines()


def test_the_examples_hand_a_return_in_and_follow_it(node: DemoNode, tmp_path: Path) -> None:
    """Taken once however often it is handed in; whoever follows sees it come once."""
    totals = start("follow_the_rollup.py", str(node.folder), "profile", "2025-Q2", "2")
    cursor = str(tmp_path / "cursor")
    records = start("follow_a_resource.py", str(node.folder), "profile", cursor, "1")
    assert totals.stdout is not None
    try:
        assert totals.stdout.readline().startswith("0 submitted, 0 accepted; nothing yet")
        for _ in range(2):
            publisher = start("publish_a_return.py", str(node.folder), "li@/")
            assert told(publisher) == ["1 submitted []", "2 submitted []"]
        (line,) = told(totals)
        assert line.startswith("1 submitted, 0 accepted; ")
        assert "floor_area=5000.00" in line
        (event,) = told(records)
        assert event.split()[1] == "reporting.return.submitted"
        with node.client() as client:
            assert client.returns(form="profile").returns[0].version == 1
            assert len(client.returns(form="profile").returns) == 1
    finally:
        for process in (totals, records):
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", ["publish_a_return", "follow_a_resource", "follow_the_rollup"])
def test_the_essential_part_has_ten_lines(name: str) -> None:
    """What an integrator writes is short; comments and blanks do not count."""
    part = (
        (ROOT / "examples" / f"{name}.py")
        .read_text()
        .split("# The essential part.\n")[1]
        .split("\n\n")[0]
    )
    code = [line for line in part.splitlines() if line.strip() and "#" not in line]
    assert 0 < len(code) <= 10


def test_every_example_is_listed() -> None:
    """A program that nobody finds helps nobody."""
    listed = (ROOT / "examples" / "README.md").read_text()
    for file in (ROOT / "examples").glob("*.py"):
        assert f"({file.name})" in listed
