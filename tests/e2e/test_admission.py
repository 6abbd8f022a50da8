"""Three real tiers: a code and a yes to come in, an approval one tier above to come back."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest

from yidao.node import setup
from yidao.node.clock import system_clock_ms
from yidao.node.demo.tree import (
    DemoNode,
    clean_environment,
    free_ports,
    run_yidao,
    wait_until,
    yidao_command,
)
from yidao.node.keys import KeyFolder
from yidao.node.link.errors import JoinWaiting
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.enrolment import KIND, Enrolment, verify_chain
from yidao.sync.ids import NodeId
from yidao.sync.ids import Path as NodePath
from yidao.sync.suite import Ed25519Signer

pytestmark = pytest.mark.e2e


class Tiers:
    """Makes nodes, and ends what it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: list[DemoNode] = []

    def node(self, name: str, path: str) -> DemoNode:
        """A folder and two ports."""
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

    def listen(self, node: DemoNode) -> tuple[str, ...]:
        """How its commands are told where to listen."""
        return (
            *("--data", str(node.folder), "--listen", f"127.0.0.1:{node.link_port}"),
            *("--join-listen", f"127.0.0.1:{node.join_port}"),
        )

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.stop()


@pytest.fixture
def tiers(tmp_path: Path) -> Iterator[Tiers]:
    made = Tiers(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def child(node: DemoNode, verb: str, *more: str) -> dict[str, object]:
    """Run a verb of `yidao child` at a node and return what it answered."""
    at = ("--data", str(node.folder), "--json")
    return dict(json.loads(run_yidao("child", verb, *more, *at)))


def codes(node: DemoNode) -> set[str]:
    """What `status` shows of a node."""
    with node.client() as client:
        return {problem.code for problem in client.status().problems}


def open_requests(node: DemoNode) -> list[tuple[str, str]]:
    """Names and fingerprints of what waits at a node."""
    with node.client() as client:
        return [(each.request, each.fingerprint) for each in client.open_requests()]


def joining(arguments: tuple[str, ...]) -> "subprocess.Popen[str]":
    """A `yidao join` that may have to wait."""
    return subprocess.Popen(
        [*yidao_command(), "join", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )


def write_as_the_province(province: DemoNode) -> None:
    """Enrol a node of one's own at the county's path, by a store that obeys no rule."""
    folder = KeyFolder(province.folder)
    identity, chain = folder.load_identity(), folder.load_chain()
    known = verify_chain(folder.load_certificates().root_pem, chain.statement, chain.proofs)
    store = Store.open(
        f"sqlite:///{province.folder / 'store.db'}",
        clock_ms=system_clock_ms,
        random=lambda size: b"r" * size,
    )
    own = Enrolment(
        node_id=NodeId(b"forged by 33 !!!"),
        path=NodePath.parse("/33/3301"),
        journal_key=Ed25519Signer(b"1" * 32).public_key,
        cosign_key=Ed25519Signer(b"2" * 32).public_key,
        tls_sha256=b"3" * 32,
    )
    draft = Draft(
        record_id=b"enrol at one's w",
        kind=KIND,
        actor="admin@/33",
        object_id=own.node_id.hex(),
        object_version=1,
        created_ms=system_clock_ms(),
        parts=(DraftPart(name="core", body=own.encode()),),
    )
    store.bind(identity, known)
    store.start()
    with patch("yidao.node.store.approving.check_enrolment", lambda *_args: None):
        store.run(lambda tx: tx.append("node", [draft]))
    store.close()


def test_who_comes_in_and_who_comes_back(tiers: Tiers) -> None:
    """Code, yes, lost keys, approval by the grandparent; a province that skips it is exposed."""
    root, province = tiers.node("root", "/"), tiers.node("province", "/33")
    run_yidao("init", *tiers.listen(root))
    with (root.folder / "config.toml").open("a") as config:
        config.write('join_policy = "approve"\n')
    root.start()
    come_in_by_a_code(tiers, root, province)
    come_back_with_approval(tiers, root, province)
    # Revoked again, and this time the province puts a node of its own there.
    with province.client() as client:
        client.revoke_child("3301", reason="machine-lost", operator="admin@/33")
    province.stop()
    write_as_the_province(province)
    province.start()
    wait_until("the root is alarmed", lambda: "REENROLMENT_UNAPPROVED" in codes(root))
    wait_until("and believes none", lambda: standing(root) == ["/", "/33"])


def standing(root: DemoNode) -> list[str]:
    """The paths at which a node is believed to stand."""
    with root.client() as client:
        return [node.path for node in client.list_tree() if node.state != "revoked"]


def come_in_by_a_code(tiers: Tiers, root: DemoNode, province: DemoNode) -> None:
    """A province comes in by a code, and waits until an operator says yes."""
    code = str(child(root, "add", "33", "--short", "--operator", "admin@/")["code"])
    by_code = ("--parent", f"127.0.0.1:{root.join_port}", *tiers.listen(province))
    waits = joining(("--code", code.upper(), *by_code))
    wait_until("the request is here", lambda: bool(open_requests(root)))
    ((request, fingerprint),) = open_requests(root)
    assert not (province.folder / "keys" / "identity.json").exists()
    assert "JOIN_WAITS" in codes(root)
    child(root, "approve", request, "--operator", "admin@/")
    _, told = waits.communicate(timeout=60)
    assert waits.returncode == 0
    assert request in told
    assert fingerprint in told
    province.start()


def join(folder: Path, bundle: Path) -> None:
    """Join in a thread of its own: a browser of other tests may have a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(setup.join_network, folder, bundle, {}).result()


def come_back_with_approval(tiers: Tiers, root: DemoNode, province: DemoNode) -> None:
    """A county comes in by a bundle, loses its keys, and comes back as another node."""
    file = tiers.folder / "county.bundle"

    def bundle() -> None:
        with province.client() as client:
            made = client.add_child("3301", ttl_seconds=3600, operator="admin@/33")
        file.write_bytes(made)
        file.chmod(0o600)

    bundle()
    join(tiers.folder / "county", file)
    with province.client() as client:
        client.revoke_child("3301", reason="machine-lost", operator="admin@/33")
    bundle()
    for _ in range(2):
        with pytest.raises(JoinWaiting):
            join(tiers.folder / "fresh", file)
    asking = ("reenrol", "3301", "--reason", "机器丢失", "--operator", "admin@/33")
    asked = child(province, *asking)
    assert asked["decider"] == "/"
    wait_until("the root is asked", lambda: "REENROLMENT_ASKED" in codes(root))
    assert open_requests(root) == [(asked["request"], asked["fingerprint"])]
    with root.client() as client:
        client.decide_join(str(asked["request"]), approved=True, operator="admin@/")

    def came_back() -> bool:
        try:
            join(tiers.folder / "fresh", file)
        except JoinWaiting:
            return False
        return True

    wait_until("the province knows of the yes", came_back)
    wait_until("the root believes it", lambda: standing(root) == ["/", "/33", "/33/3301"])
    wait_until("nothing is left to do", lambda: codes(root) == set())
