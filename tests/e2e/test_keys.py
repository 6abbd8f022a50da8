"""A middle node changes its keys while returns go up through it, by the command line."""

import json
import runpy
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from yidao.node.client import ClientError, Event, Status
from yidao.node.demo.tree import (
    DemoNode,
    clean_environment,
    free_ports,
    run_yidao,
    wait_until,
    yidao_command,
)
from yidao.sync.evidence import verify_evidence
from yidao.sync.returnevidence import verify_return_evidence

ROOT = Path(__file__).parents[2]
FIRST_UNITS, UNITS = 2, 12
OUTSIDER = runpy.run_path(str(ROOT / "examples" / "verify_evidence.py"))["verify"]

pytestmark = pytest.mark.e2e


class Road:
    """A root, a province and a county on one line, with the standard published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = self._node("root", "/")
        run_yidao("init", "--data", str(self.root.folder), *self._listen(self.root))
        self.root.start()
        self.province = self._join("province", "/33", self.root)
        self.county = self._join("county", "/33/3301", self.province)
        pack = ROOT / "catalog" / "packs" / "energy-2022.yaml"
        with self.root.client() as client:
            client.publish_pack(pack.read_bytes(), actor="std@/")
        with self.county.client() as client:
            wait_until("the standard arrives", lambda: bool(client.packs()))

    @property
    def nodes(self) -> tuple[DemoNode, ...]:
        return (self.root, self.province, self.county)

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.stop()

    def _join(self, name: str, path: str, parent: DemoNode) -> DemoNode:
        bundle = self.folder / f"{name}.bundle"
        label = path.rpartition("/")[2]
        with parent.client() as client:
            operator = f"admin@{parent.path}"
            bundle.write_bytes(client.add_child(label, ttl_seconds=600, operator=operator))
        bundle.chmod(0o600)
        node = self._node(name, path)
        run_yidao("join", str(bundle), "--data", str(node.folder), *self._listen(node))
        node.start()
        return node

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


def keys(node: DemoNode, *verb: str) -> dict[str, object]:
    """Run `yidao keys …` at a node."""
    operator = () if verb[0] == "status" else ("--operator", f"admin@{node.path}")
    told = run_yidao("keys", *verb, *operator, "--data", str(node.folder), "--json")
    return dict(json.loads(told))


def returns(node: DemoNode, state: str) -> int:
    with node.client() as client:
        return len(client.returns(form="consumption", state=state, limit=1_000).returns)


def accept(node: DemoNode) -> None:
    with node.client() as client:
        client.review_all(
            actor=f"wang@{node.path}", decision="accept", form="consumption", period="2025-Q2"
        )


def events(node: DemoNode, kind: str) -> list[Event]:
    with node.client() as client:
        return list(client.follow(kinds=[f"reporting.return.{kind}"], until_now=True))


def judged(road: Road, evidence: bytes) -> str:
    """What an outsider says who has nothing but the root certificate."""
    file = road.folder / "evidence.zip"
    file.write_bytes(evidence)
    said: str = OUTSIDER(file, root_pem(road))
    return said


def root_pem(road: Road) -> Path:
    return road.root.folder / "keys" / "root.pem"


def status(node: DemoNode) -> Status:
    with node.client() as client:
        return client.status()


def connected(node: DemoNode) -> bool:
    return {peer.state for peer in status(node).peers} == {"connected"}


def test_a_middle_node_changes_its_keys_while_returns_go_up(road: Road) -> None:
    """Nothing stops, nothing is lost; records of both epochs are proved from the root alone."""
    root, province, county = road.nodes
    with province.client() as client, pytest.raises(ClientError, match="KEYS_NOT_PREPARED"):
        client.activate_keys(operator="admin@/33")
    hand_in(road, FIRST_UNITS)
    wait_until("the first are here", lambda: returns(province, "submitted") == FIRST_UNITS)
    accept(province)
    first = keys(province, "prepare")
    assert (first["keys"], first["state"]) == ("2", "prepared")
    assert keys(province, "prepare") == first

    importing = threading.Thread(target=hand_in, args=(road, UNITS))
    importing.start()
    assert keys(province, "activate")["state"] == "active"
    importing.join()
    wait_until("all are here", lambda: returns(province, "submitted") == UNITS - FIRST_UNITS)
    accept(province)
    wait_until("the root has the verdicts", lambda: returns(root, "accepted") == UNITS)
    wait_until("the county is told", lambda: returns(county, "accepted") == UNITS)
    wait_until("the root holds the change", lambda: witnessed(province))
    # The county learned it from its parent, and nobody was alarmed.
    assert [status(node).problems for node in road.nodes] == [(), (), ()]

    refuse_steps_out_of_order(province)
    assert keys(province, "taint", "1")["state"] == "tainted"
    assert keys(province, "revoke", "1")["state"] == "revoked"
    assert not (province.folder / "keys" / "journal.key").exists()
    # Who is started anew has the new keys, and its children their line.
    province.stop()
    province.start()
    assert status(province).epoch == "2"
    for node in road.nodes:
        wait_until("the lines stand", lambda node=node: connected(node))
    evidence_of_both_epochs(road)


def hand_in(road: Road, units: int) -> None:
    """Import a sample workbook at the county; rows that are there already change nothing."""
    sample = road.folder / f"sample-{units}.xlsx"
    run_yidao("sample", str(sample), "--units", str(units))
    county = road.county
    run_yidao("import", str(sample), "--data", str(county.folder), "--actor", "li@/33/3301")


def witnessed(node: DemoNode) -> bool:
    with node.client() as client:
        return all(pair.witnessed for pair in client.list_keys().pairs)


def evidence_of_both_epochs(road: Road) -> None:
    """Verdicts from before and after, and a return, exported above, in the middle and below."""
    verdicts = events(road.root, "accepted")
    epochs = set()
    for event in (verdicts[0], verdicts[-1]):
        with road.province.client() as client:
            evidence = client.export_evidence(event.record_id)
        report = verify_evidence(evidence, root_pem(road).read_bytes(), required_tiers=0)
        assert "reporting.return.accepted by wang@/33" in judged(road, evidence)
        epochs.add(report.journal.epoch)
        for node in road.nodes:
            with node.client() as client:
                evidence = client.export_return_evidence(
                    unit=event.unit, form="consumption", period="2025-Q2", with_letters=True
                )
            found = verify_return_evidence(evidence, root_pem(road).read_bytes())
            said = {each.journal.epoch for each in found.records if each.origin.path.depth == 1}
            assert said == {report.journal.epoch}
            assert "reporting.return.submitted by li@/33/3301" in judged(road, evidence)
    assert epochs == {"1", "2"}


def refuse_steps_out_of_order(province: DemoNode) -> None:
    """A pair in use is not tainted, and one that is not tainted is not destroyed."""
    for verb in (("taint", "2"), ("revoke", "1")):
        done = subprocess.run(
            [
                *yidao_command(),
                *("keys", *verb, "--operator", "admin@/33"),
                *("--data", str(province.folder), "--json"),
            ],
            capture_output=True,
            env=clean_environment(),
            check=False,
        )
        assert b"KEYS_UNKNOWN" in done.stderr
