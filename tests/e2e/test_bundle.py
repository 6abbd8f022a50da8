"""A county without a line takes part by files alone; its receipts come back the same way."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from yidao.node.client import Client, ClientError
from yidao.node.demo.tree import DemoNode, free_ports, run_yidao, wait_until

ROOT = Path(__file__).parents[2]
UNITS = 20

pytestmark = pytest.mark.e2e


class Pair:
    """A root and a county whose line is cut right after it has joined."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = free_ports(5)
        self.root = self._node("root", "/", ports[0], ports[1])
        run_yidao("init", "--data", str(self.root.folder), *self._listen(self.root))
        self.root.start()
        bundle = folder / "join.bundle"
        with self.root.client() as client:
            bundle.write_bytes(client.add_child("33", ttl_seconds=600, operator="admin@/"))
        bundle.chmod(0o600)
        self.county = self._node("county", "/33", ports[2], ports[3])
        # A port at which nobody answers: the line is cut for good.
        nowhere = ("--parent", f"127.0.0.1:{ports[4]}")
        data = ("--data", str(self.county.folder))
        run_yidao("join", str(bundle), *data, *nowhere, *self._listen(self.county))
        self.county.start()

    def stop(self) -> None:
        self.county.stop()
        self.root.stop()

    def carry(self, source: DemoNode, target: DemoNode) -> dict[str, object]:
        """Pack at one, take in at the other, as an operator with a stick does."""
        file = self.folder / f"to-{target.name}.yidao"
        file.unlink(missing_ok=True)
        run_yidao(
            *("bundle", "export", target.path, "--data", str(source.folder), "--out", str(file))
        )
        told = run_yidao("bundle", "import", str(file), "--data", str(target.folder), "--json")
        return dict(json.loads(told))

    def _node(self, name: str, path: str, link_port: int, join_port: int) -> DemoNode:
        folder = self.folder / name
        return DemoNode(
            name=name, path=path, folder=folder, link_port=link_port, join_port=join_port
        )

    def _listen(self, node: DemoNode) -> tuple[str, ...]:
        return (
            *("--listen", f"127.0.0.1:{node.link_port}"),
            *("--join-listen", f"127.0.0.1:{node.join_port}"),
        )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("b"))
    try:
        yield made
    finally:
        made.stop()


def _returns(node: DemoNode, state: str) -> int:
    with node.client() as client:
        return len(client.returns(form="consumption", state=state, limit=1_000).returns)


def _foreign(client: Client) -> dict[str, int]:
    """How much of other nodes' journals is held; a node may write into its own at any time."""
    status = client.status()
    own = status.node_id.hex()
    return {each.origin: each.size for each in status.journals if own not in each.origin}


def test_a_county_without_a_line_takes_part_by_files(pair: Pair) -> None:
    """Standard down, returns up, acceptance and receipts down; totals are equal at both."""
    root, county = pair.root, pair.county
    pack = ROOT / "catalog" / "packs" / "energy-2022.yaml"
    with root.client() as client:
        client.publish_pack(pack.read_bytes(), actor="std@/")
    down = pair.carry(root, county)
    assert (down["path"], down["refused"]) == ("/", [])
    sample = pair.folder / "sample.xlsx"
    run_yidao("sample", str(sample), "--units", str(UNITS))
    run_yidao("import", str(sample), "--data", str(county.folder), "--actor", "li@/33")

    up = pair.carry(county, root)
    assert up["refused"] == []
    assert int(str(up["records"])) >= 3 * UNITS
    wait_until("the returns show", lambda: _returns(root, "submitted") == UNITS)
    with root.client() as client:
        client.review_all(actor="wang@/", decision="accept", form="consumption", period="2025-Q2")
    back = pair.carry(root, county)
    assert int(str(back["receipts"])) > 0
    wait_until("the county is told", lambda: _returns(county, "accepted") == UNITS)
    with county.client() as client:
        status = client.status()
        assert status.receipts_current == status.receipts_expected
        lag = {peer.path: peer.lag for peer in status.peers}
    # Its acceptance is a new record of the root's, and nothing of the county's waits.
    assert lag == {"/": 0}
    totals = []
    for node in (root, county):
        with node.client() as client:
            totals.append(client.roll_up(pack="energy", form="consumption", period="2025-Q2"))
    assert totals[0].submitted.returns == totals[1].submitted.returns == UNITS


def test_the_same_bundle_again_changes_nothing(pair: Pair) -> None:
    """What is held is recognised; a bundle may be carried twice, or late."""
    file = pair.folder / "again.yidao"
    run_yidao(*("bundle", "export", "/", "--data", str(pair.county.folder), "--out", str(file)))
    told = [
        json.loads(
            run_yidao("bundle", "import", str(file), "--data", str(pair.root.folder), "--json")
        )
        for _ in range(2)
    ]
    assert [each["records"] for each in told] == [told[0]["records"], 0]
    assert told[0]["refused"] == told[1]["refused"] == []


def test_a_bundle_for_another_or_a_changed_one_is_refused(pair: Pair) -> None:
    """By a typed error that says which, and nothing of it is taken in."""
    with pair.county.client() as client:
        file = client.export_bundle("/").file
        before = _foreign(client)
        with pytest.raises(ClientError, match="PARCEL_FOR_ANOTHER"):
            client.import_bundle(file)
        assert _foreign(client) == before
    with pair.root.client() as client:
        with pytest.raises(ClientError, match="PARCEL_FILE_MALFORMED"):
            client.import_bundle(file[:-1] + bytes([file[-1] ^ 1]))
        with pytest.raises(ClientError, match="PARCEL_PEER_UNKNOWN"):
            client.export_bundle("/44")
