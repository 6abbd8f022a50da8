"""Restored, rolled back, cloned: real daemons find out, heal and go on, and say what happened."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from yidao.node.client import ClientError, Row
from yidao.node.demo import samples
from yidao.node.demo.tree import (
    DemoNode,
    clean_environment,
    free_ports,
    run_yidao,
    yidao_command,
)
from yidao.node.setup import found, join_network

ROOT = Path(__file__).parents[2]
WORDS = {"是": True, "否": False}
PASSPHRASE = b"sample passphrase\n"

pytestmark = pytest.mark.e2e


def wait_until(step: str, met: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition; seldom, since each look is a call to a daemon that has work."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, step
        time.sleep(0.4)


class Tree:
    """A root, a province and three agencies below it, on one machine and then on others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: list[DemoNode] = []
        rows = itertools.islice(samples.institutions(), 300)
        self._rows = iter(
            Row.of(
                "institution",
                {name: WORDS.get(str(value), value) for name, value in row.cells.items()},
                key=f"sample-{number}",
            )
            for number, row in enumerate(rows)
        )
        self.root = self._node("root", "/")
        found(self.root.folder, self._listen(self.root))
        self.root.start()
        with self.root.client() as client:
            pack = ROOT / "catalog" / "packs" / "energy-2022.yaml"
            client.publish_pack(pack.read_bytes(), actor="std@/")
        self.province = self._join(self.root, "33")
        self.agencies = [self._join(self.province, str(number)) for number in (1, 2, 3)]
        for agency in self.agencies:
            with agency.client() as client:
                wait_until("the pack is here", lambda c=client: bool(c.packs()))  # type: ignore[misc]

    def _node(self, name: str, path: str) -> DemoNode:
        link_port, join_port = free_ports(2)
        made = DemoNode(
            name=name,
            path=path,
            folder=self.folder / name,
            link_port=link_port,
            join_port=join_port,
        )
        self.nodes.append(made)
        return made

    def _listen(self, node: DemoNode) -> dict[str, str | int | float]:
        return {
            "listen": f"127.0.0.1:{node.link_port}",
            "join_listen": f"127.0.0.1:{node.join_port}",
            "backoff_min_seconds": 0.3,
            "backoff_max_seconds": 1.0,
        }

    def _join(self, parent: DemoNode, label: str) -> DemoNode:
        path = f"{parent.path.rstrip('/')}/{label}"
        bundle = self.folder / "join.bundle"
        with parent.client() as client:
            operator = f"admin@{parent.path}"
            bundle.write_bytes(client.add_child(label, ttl_seconds=600, operator=operator))
        bundle.chmod(0o600)
        node = self._node(path.replace("/", "-").strip("-"), path)
        join_network(node.folder, bundle, self._listen(node))
        node.start()
        return node

    def report(self, node: DemoNode, count: int) -> None:
        """Register units at a node."""
        with node.client() as client:
            rows = list(itertools.islice(self._rows, count))
            done = client.submit("energy", rows, actor=f"li@{node.path}")
            assert [fault for result in done.results for fault in result.faults] == []

    def settled(self, node: DemoNode) -> bool:
        """Whether the parent has cosigned everything."""
        with node.client() as client:
            status = client.status()
        current = status.receipts_current == status.receipts_expected > 0
        return current and not any(peer.lag for peer in status.peers if peer.role == "parent")

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.stop()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    folder = tmp_path_factory.mktemp("r")
    machine = folder / "machine"
    machine.mkdir()
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(machine)
    made: Tree | None = None
    try:
        made = Tree(folder)
        yield made
    finally:
        if made is not None:
            made.stop()
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before


def standing(node: DemoNode) -> str:
    with node.client() as client:
        return client.incidents().standing


def epoch(node: DemoNode) -> str:
    with node.client() as client:
        return client.incidents().epoch


def codes(node: DemoNode, *, of: str = "") -> set[str]:
    """What an operator sees, or what is told of a node below."""
    with node.client() as client:
        found = client.incidents(settled=True).incidents
    if not of:
        return {each.code for each in found}
    return {each.params["what"] for each in found if each.params.get("node") == of}


def units(node: DemoNode) -> int:
    with node.client() as client:
        return len(list(client.units()))


def sizes(node: DemoNode, of: DemoNode) -> dict[str, int]:
    """How much of the journals of a node is held that travel up."""
    with of.client() as client:
        node_id = client.status().node_id.hex()
    with node.client() as client:
        journals = client.status().journals
    return {
        each.origin.partition(node_id)[2]: each.size
        for each in journals
        if node_id in each.origin and each.size and {"node", "up:15"} & set(each.origin.split("/"))
    }


def holds(node: DemoNode, of: DemoNode, least: dict[str, int]) -> bool:
    """Whether at least so much is held; a node may write into its own journal at any minute."""
    found = sizes(node, of)
    return all(found.get(name, 0) >= size for name, size in least.items())


def heals(tree: Tree, node: DemoNode, *, before: int, fresh: str) -> None:
    """The node comes back whole, in a new epoch, and its parent holds just what it holds."""
    wait_until("it signs again", lambda: standing(node) == "active")
    assert epoch(node) == fresh
    wait_until("all of it is back", lambda: units(node) == before)
    tree.report(node, 1)
    wait_until("it is acknowledged", lambda: tree.settled(node))
    assert units(node) == before + 1
    parent = tree.province if node in tree.agencies else tree.root
    wait_until("both hold the same", lambda: sizes(parent, node) == sizes(node, node))


@pytest.mark.long
def test_an_old_copy_of_the_folder_heals_and_opens_an_epoch(tree: Tree) -> None:
    """R25: stopped in order, copied, run on, and the old copy put back in its place."""
    node = tree.agencies[0]
    tree.report(node, 2)
    wait_until("acknowledged", lambda: tree.settled(node))
    node.stop()
    old = tree.folder / "old"
    shutil.copytree(node.folder, old)
    node.start()
    assert standing(node) == "active", "an ordinary start asks nobody"
    tree.report(node, 5)
    wait_until("acknowledged", lambda: tree.settled(node))
    before = units(node)
    node.stop()
    shutil.rmtree(node.folder)
    shutil.move(old, node.folder)
    node.start()
    heals(tree, node, before=before, fresh="2")
    assert "STATE_ROLLED_BACK" in codes(node)
    wait_until("it is known above", lambda: "STATE_ROLLED_BACK" in codes(tree.root, of=node.path))


def test_a_snapshot_of_a_running_node_waits_for_its_parent(tree: Tree) -> None:
    """R28 and R26: frozen, copied, run on, killed; the copy signs nothing before it is asked."""
    node = tree.agencies[1]
    tree.report(node, 2)
    wait_until("acknowledged", lambda: tree.settled(node))
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)
    copy = tree.folder / "snapshot"
    shutil.copytree(node.folder, copy, ignore=shutil.ignore_patterns("*.sock"))
    node.process.send_signal(signal.SIGCONT)
    tree.report(node, 4)
    wait_until("acknowledged", lambda: tree.settled(node))
    before = units(node)
    node.kill()
    node.folder = copy
    config = copy / "config.toml"
    told = config.read_text()
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    config.write_text(told.replace(f"127.0.0.1:{tree.province.link_port}", nowhere))
    node.start()
    assert standing(node) == "fenced"
    with pytest.raises(ClientError) as refused:
        tree.report(node, 1)
    assert (refused.value.code, refused.value.retryable) == ("NODE_FENCED", True)
    assert units(node) == before - 4, "reading goes on"
    assert "START_DOUBTFUL" in codes(node)
    node.stop()
    config.write_text(told)
    node.start()
    heals(tree, node, before=before, fresh="2")
    told = run_yidao("--lang", "en", "doctor", "incident", "--data", str(node.folder), expect=1)
    for words in ("What happened", "What is safe", "What to do", "To verify", "yidao/"):
        assert words in told


@pytest.mark.long
def test_a_lost_database_comes_back_from_the_parent(tree: Tree) -> None:
    """R62: the keys are there, the data are gone."""
    node = tree.agencies[2]
    tree.report(node, 3)
    wait_until("acknowledged", lambda: tree.settled(node))
    before = units(node)
    node.stop()
    for file in node.folder.glob("store.db*"):
        file.unlink()
    node.start()
    heals(tree, node, before=before, fresh="2")


def test_a_restored_parent_is_healed_by_its_children(tree: Tree) -> None:
    """R60 and R61: backed up while it works, restored elsewhere; the children say and send."""
    province = tree.province
    backup = tree.folder / "backups" / "old.yidao-backup"
    backup.parent.mkdir()

    def yidao(*words: str) -> None:
        subprocess.run(
            [*yidao_command(), *words, "--passphrase-stdin"],
            input=PASSPHRASE,
            env=clean_environment(),
            check=True,
            capture_output=True,
        )

    yidao("backup", "make", str(backup), "--data", str(province.folder))
    for agency in tree.agencies:
        tree.report(agency, 3)
    tree.report(province, 1)
    for node in (*tree.agencies, province):
        wait_until("acknowledged", lambda n=node: tree.settled(n))  # type: ignore[misc]
    before = {agency.path: sizes(province, agency) for agency in tree.agencies}
    own = units(province)
    province.stop()
    newest = backup.with_name("new.yidao-backup")
    newest.write_bytes(backup.read_bytes()[:-9])
    found = json.loads(run_yidao("backup", "verify", str(backup.parent), "--json", expect=1))
    assert found["usable"] == str(backup)
    yidao("restore", str(backup), str(tree.folder / "restored"))
    province.folder = tree.folder / "restored"
    province.start()
    wait_until("it signs again", lambda: standing(province) == "active")
    assert epoch(province) == "2"
    for agency in tree.agencies:
        wait_until(
            "it has sent again what was lost",
            lambda a=agency: holds(province, a, before[a.path]),  # type: ignore[misc]
        )
        assert "PEER_ROLLED_BACK" in codes(agency)
    wait_until("all units are here", lambda: units(province) == own)
    assert {"STORE_RESTORED", "STATE_ROLLED_BACK"} <= codes(province)
    tree.report(province, 1)
    wait_until("it is acknowledged", lambda: tree.settled(province))
    wait_until(
        "both hold the same", lambda: sizes(tree.root, province) == sizes(province, province)
    )
    wait_until("the root knows", lambda: "STORE_RESTORED" in codes(tree.root, of="/33"))
    with tree.root.client() as client:
        assert [p.code for p in client.status().problems if p.code == "SEAL_FORK"] == []


def test_of_two_clones_one_signs_and_all_above_know(tree: Tree) -> None:
    """R27: a copy on another machine takes over, the older process signs nothing any more."""
    node = tree.agencies[0]
    node.stop()
    copy = tree._node("clone", node.path)
    shutil.copytree(node.folder, copy.folder)
    node.start()
    tree.report(node, 1)
    wait_until("acknowledged", lambda: tree.settled(node))
    config = copy.folder / "config.toml"
    text = config.read_text()
    for mine, theirs in ((copy.link_port, node.link_port), (copy.join_port, node.join_port)):
        text = text.replace(f"127.0.0.1:{theirs}", f"127.0.0.1:{mine}")
    config.write_text(text)
    elsewhere = tree.folder / "elsewhere"
    elsewhere.mkdir()
    here = os.environ["XDG_RUNTIME_DIR"]
    os.environ["XDG_RUNTIME_DIR"] = str(elsewhere)
    try:
        copy.start()
    finally:
        os.environ["XDG_RUNTIME_DIR"] = here
    wait_until("the older one is fenced", lambda: standing(node) == "cloned")
    wait_until("the newer one signs", lambda: standing(copy) == "active")
    with pytest.raises(ClientError) as refused:
        tree.report(node, 1)
    assert refused.value.code == "NODE_FENCED"
    assert "NODE_CLONED" in codes(node)
    wait_until("the parent shows it", lambda: "NODE_CLONED" in codes(tree.province))
    wait_until("so does the root", lambda: "NODE_CLONED" in codes(tree.root, of=node.path))
    tree.report(copy, 1)
    wait_until("acknowledged", lambda: tree.settled(copy))
    with tree.province.client() as client:
        assert [p.code for p in client.status().problems if p.code == "SEAL_FORK"] == []
