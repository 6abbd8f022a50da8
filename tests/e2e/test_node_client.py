"""A client in another language, made from the .proto files alone, publishes and follows."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from yidao.catalog.codes import sample_uscc
from yidao.node.client import Row
from yidao.node.demo.tree import DemoNode, free_ports, run_yidao

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "node_client"
UNIT = sample_uscc(9, "330106")

pytestmark = pytest.mark.e2e


@pytest.fixture
def node(tmp_path: Path) -> Iterator[DemoNode]:
    """A root that runs, knows the standard and one unit."""
    link_port, join_port = free_ports(2)
    folder = tmp_path / "n"
    run_yidao(
        *("init", "--data", str(folder)),
        *("--listen", f"127.0.0.1:{link_port}", "--join-listen", f"127.0.0.1:{join_port}"),
    )
    made = DemoNode(name="n", path="/", folder=folder, link_port=link_port, join_port=join_port)
    made.start()
    entry = {
        "uscc": UNIT,
        "name": "样例单位0009",
        "region_code": "330106",
        "inst_type": "01",
        "reg_status": "1",
    }
    try:
        with made.client() as client:
            pack = ROOT / "catalog" / "packs" / "energy-2022.yaml"
            client.publish_pack(pack.read_bytes(), actor="std@/")
            client.submit("energy", [Row.of("institution", entry)], actor="li@/")
        yield made
    finally:
        made.stop()


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one program to its end."""
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_client_from_the_proto_files_alone_publishes_and_follows(
    node: DemoNode, tmp_path: Path
) -> None:
    """Taken once, repeated under its key, seen both times; a refusal bears its code."""
    for program in ("node", "npm"):
        assert shutil.which(program), f"{program} is missing: install Node.js 18 or newer"
    folder = tmp_path / "client"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    installed = run("npm", "ci", "--no-audit", "--no-fund", folder=folder)
    assert installed.returncode == 0, installed.stderr
    common = ("node", "publish.mjs", str(node.socket), "li@/", UNIT)
    protos = str(ROOT / "proto")

    for said in ("submitted first", "submitted repeat"):
        done = run(*common, "5000.00", protos, folder=folder)
        assert done.returncode == 0, done.stderr
        outcome, seen = done.stdout.splitlines()
        assert outcome == said
        _, kind, name, payload = seen.split(" ", 3)
        assert (kind, name) == (
            "reporting.return.submitted",
            f"return/energy/profile/2025-Q2/{UNIT}",
        )
        assert json.loads(payload)["floor_area"] == "5000.00"

    wrong = run(
        "node", "publish.mjs", str(node.socket), "nobody", UNIT, "1.00", protos, folder=folder
    )
    assert (wrong.returncode, wrong.stderr.strip()) == (1, "ACTOR_INVALID")


def test_the_lock_file_names_no_registry() -> None:
    """It is used behind mirrors, too."""
    lock = (EXAMPLE / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert '"integrity"' in lock
