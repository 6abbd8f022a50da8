"""A tree of mixed suites: the nation of Ed25519, a province of SM2/SM3, a county of Ed25519."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from yidao.node.demo.tree import DemoNode, free_ports, run_yidao, wait_until
from yidao.sync.evidence import verify_evidence
from yidao.sync.suite import ED25519_SHA256, ML_DSA_44, SM2_SM3

ROOT = Path(__file__).parents[2]
UNITS = 3

pytestmark = pytest.mark.e2e


class Tree:
    """Three real daemons; the nation and the county cosign by ML-DSA-44 as well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = self._node("root", "/")
        run_yidao("init", "--pq", *self._where(self.root))
        quick(self.root)
        self.root.start()
        self.province = self._join(self.root, "province", "/33", "--suite", "gm")
        self.county = self._join(self.province, "county", "/33/3301", "--pq")

    def stop(self) -> None:
        for node in (self.county, self.province, self.root):
            node.stop()

    def _join(self, parent: DemoNode, name: str, path: str, *kinds: str) -> DemoNode:
        node = self._node(name, path)
        bundle = self.folder / f"{name}.bundle"
        label = path.rpartition("/")[2]
        where = ("--data", str(parent.folder), "--out", str(bundle))
        run_yidao("child", "add", label, *where, "--operator", f"admin@{parent.path}")
        run_yidao("join", str(bundle), *kinds, *self._where(node))
        quick(node)
        node.start()
        return node

    def _node(self, name: str, path: str) -> DemoNode:
        link_port, join_port = free_ports(2)
        folder = self.folder / name
        return DemoNode(
            name=name, path=path, folder=folder, link_port=link_port, join_port=join_port
        )

    def _where(self, node: DemoNode) -> tuple[str, ...]:
        return (
            *("--data", str(node.folder), "--listen", f"127.0.0.1:{node.link_port}"),
            *("--join-listen", f"127.0.0.1:{node.join_port}"),
        )


def quick(node: DemoNode) -> None:
    """Let a node cosign every second, which it does once a minute otherwise."""
    with (node.folder / "config.toml").open("a") as config:
        config.write("cosign_interval_seconds = 1\n")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    made = Tree(tmp_path_factory.mktemp("s"))
    try:
        yield made
    finally:
        made.stop()


def returns(node: DemoNode, state: str) -> list[bytes]:
    with node.client() as client:
        found = client.returns(form="consumption", state=state, limit=1_000).returns
    return [each.record_id for each in found]


def cosigners(tree: Tree, node: DemoNode, record: bytes) -> list[str]:
    """Who has cosigned a record so far, as far as a node knows."""
    root_pem = (tree.root.folder / "keys" / "root.pem").read_bytes()
    with node.client() as client:
        evidence = client.export_evidence(record)
    report = verify_evidence(evidence, root_pem, required_tiers=0)
    return [str(each.path) for each in report.cosigners]


def verified(tree: Tree, node: DemoNode, record: bytes) -> dict[str, object]:
    """Take the evidence of a record out of a node and verify it with the root certificate."""
    file = tree.folder / f"{node.name}.zip"
    file.unlink(missing_ok=True)
    run_yidao("evidence", "export", record.hex(), "--data", str(node.folder), "-o", str(file))
    root = tree.root.folder / "keys" / "root.pem"
    told = run_yidao("evidence", "verify", str(file), "--root", str(root), "--json")
    return dict(json.loads(told))


def test_returns_are_accepted_and_proved_through_a_province_of_another_suite(tree: Tree) -> None:
    """Standard down, returns up, acceptance down; evidence verifies by the root alone."""
    root, province, county = tree.root, tree.province, tree.county
    with root.client() as client:
        pack = ROOT / "catalog" / "packs" / "energy-2022.yaml"
        client.publish_pack(pack.read_bytes(), actor="std@/")

    def has_pack() -> bool:
        with county.client() as client:
            return bool(client.packs())

    wait_until("the standard is there", has_pack)
    sample = tree.folder / "sample.xlsx"
    run_yidao("sample", str(sample), "--units", str(UNITS))
    run_yidao("import", str(sample), "--data", str(county.folder), "--actor", "li@/33/3301")
    wait_until("the returns are above", lambda: len(returns(province, "submitted")) == UNITS)
    with province.client() as client:
        client.review_all(actor="wang@/33", decision="accept", form="consumption", period="2025-Q2")
    for node in (root, county):
        wait_until(f"{node.name} knows", lambda n=node: len(returns(n, "accepted")) == UNITS)

    record = returns(root, "accepted")[0]
    # The nation cosigns a county's journals in turn: its line is there after a while.
    for node in (root, county):
        wait_until(
            f"{node.name} has all lines", lambda n=node: len(cosigners(tree, n, record)) == 2
        )
        seen = verified(tree, node, record)
        assert seen["node"] == "/33/3301"
        assert seen["cosigned_by_suites"] == {"/33": [SM2_SM3], "/": [ED25519_SHA256, ML_DSA_44]}
    for node in (root, province, county):
        with node.client() as client:
            assert [problem.code for problem in client.status().problems] == []
    check_what_the_province_wrote(tree)


def check_what_the_province_wrote(tree: Tree) -> None:
    """Its acceptance lies in a journal of SM2 and SM3; only the root certificate is believed."""
    with tree.root.client() as client:
        found = client.returns(form="consumption", state="accepted", limit=10).returns[0]
    file = tree.folder / "return.zip"
    named = ("--unit", found.unit, "--form", "consumption", "--period", found.period)
    run_yidao("evidence", "export", *named, "--data", str(tree.root.folder), "-o", str(file))
    root = tree.root.folder / "keys" / "root.pem"
    told = json.loads(run_yidao("evidence", "verify", str(file), "--root", str(root), "--json"))
    [version] = told["versions"]
    assert (version["verdict"], version["figures"] is not None) == ("accept", True)
    said = {each["kind"]: each["actor"] for each in version["said"]}
    assert said["reporting.return.accepted"] == "wang@/33"
