"""A person's data are erased by the command line, and are gone from every tier's files."""

import json
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from yidao.catalog.codes import sample_uscc
from yidao.node.client import Row
from yidao.node.demo.tree import DemoNode, free_ports, run_yidao, wait_until
from yidao.sync.evidence import verify_evidence

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PERSON = "样例张三"
REGION = "330106"


class Road:
    """A root, a county and an agency, each with a line to the one above."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = self._node("root", "/")
        run_yidao("init", "--data", str(self.root.folder), *self._listen(self.root))
        self.root.start()
        self.county = self.join(self.root, "county", "33")
        self.agency = self.join(self.county, "agency", "a")
        self.nodes = (self.root, self.county, self.agency)

    def join(self, parent: DemoNode, name: str, label: str) -> DemoNode:
        """Let a node join below another one, and start it."""
        bundle = self.folder / f"{name}.bundle"
        where = ("--data", str(parent.folder), "--out", str(bundle))
        run_yidao("child", "add", label, *where, "--operator", f"admin@{parent.path}")
        node = self._node(name, f"{parent.path.rstrip('/')}/{label}")
        run_yidao("join", str(bundle), "--data", str(node.folder), *self._listen(node))
        node.start()
        return node

    def stop(self) -> None:
        for node in (self.agency, self.county, self.root):
            node.stop()

    def _node(self, name: str, path: str) -> DemoNode:
        link_port, join_port = free_ports(2)
        folder = self.folder / name
        return DemoNode(
            name=name, path=path, folder=folder, link_port=link_port, join_port=join_port
        )

    def _listen(self, node: DemoNode) -> tuple[str, ...]:
        return (
            *("--listen", f"127.0.0.1:{node.link_port}"),
            *("--join-listen", f"127.0.0.1:{node.join_port}"),
        )


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    made = Road(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def files(node: DemoNode) -> bytes:
    """Every byte of a node's database and its logs."""
    return b"".join(each.read_bytes() for each in node.folder.glob("store.db*"))


def test_an_operator_erases_a_persons_data_at_every_tier(road: Road) -> None:
    """The agency orders it once; the county's file loses it too, and both say why."""
    pack = ROOT / "catalog" / "packs" / "energy-2022.yaml"
    with road.root.client() as client:
        client.publish_pack(pack.read_bytes(), actor="admin@/")
    with road.agency.client() as client:
        wait_until("the standard is here", lambda: bool(client.packs()))
        entry = {
            "uscc": sample_uscc(1, REGION),
            "name": "样例单位0001",
            "region_code": REGION,
            "inst_type": "01",
            "reg_status": "1",
            "statistician": PERSON,
        }
        row = Row(row=1, form="institution", period="", payload=orjson.dumps(entry))
        [done] = client.submit("energy", [row], actor="li@/33/a").results
        assert done.outcome == "submitted"
    record_id = done.record_id
    with road.root.client() as client:
        wait_until("the root knows it", lambda: any(True for _ in client.units()))
    held = [PERSON.encode() in files(node) for node in road.nodes]
    assert held == [False, True, True]
    why = ("--reason", "样例：本人申请", "--basis", "样例依据", "--operator", "li@/33/a")
    where = ("--data", str(road.agency.folder), "--json", "--yes")
    told = json.loads(run_yidao("redact", record_id.hex(), "--part", "pii", *why, *where))
    assert told["everywhere"]
    assert PERSON.encode() not in files(road.agency)
    wait_until("the county erased it", lambda: PERSON.encode() not in files(road.county))
    with road.agency.client() as client:
        [pii] = [each for each in client.parts(record_id) if each.name == "pii"]
    assert (pii.state, pii.reason) == ("redacted", "样例：本人申请")
    evidence = road.folder / "evidence.zip"
    run_yidao("evidence", "export", record_id.hex(), "--out", str(evidence), *where[:2])
    # The root cosigns once a minute; its receipt is no matter of this test.
    root_pem = (road.agency.folder / "keys" / "root.pem").read_bytes()
    [gone] = verify_evidence(evidence.read_bytes(), root_pem, required_tiers=1).gone
    assert (gone.name, str(gone.by), gone.everywhere) == ("pii", "/33/a", True)
