"""The ceremony of a root list by commands, and a new root certificate without reinstalling."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from yidao.node.cli.commands import app
from yidao.node.demo.tree import DemoNode, free_ports, run_yidao, wait_until

pytestmark = pytest.mark.e2e

PHRASE = "sample passphrase"


class Network:
    """A root, a province at /33, and holders with their keys in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: list[DemoNode] = []
        self.root = self.node("root", "/")
        run_yidao("init", "--data", str(self.root.folder), *self._listen(self.root))
        self.root.start()
        self.holders = [self._holder(number) for number in range(3)]

    def node(self, name: str, path: str) -> DemoNode:
        """A node that is not set up yet."""
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

    def join(self, label: str) -> DemoNode:
        """Let a node join below the root and start it."""
        bundle = self.folder / f"{label}.bundle"
        where = ("--data", str(self.root.folder), "--out", str(bundle))
        run_yidao("child", "add", label, *where, "--operator", "admin@/")
        node = self.node(label, f"/{label}")
        run_yidao("join", str(bundle), "--data", str(node.folder), *self._listen(node))
        node.start()
        wait_until(f"{label} is connected", lambda: connected(node))
        return node

    def signed(self, name: str, by: range, *options: str) -> Path:
        """A list that some holders signed, put together from their copies."""
        draft = self.folder / f"{name}.draft"
        said("root", "list", "new", "--out", str(draft), *options)
        copies = []
        for number in by:
            copies.append(str(self.folder / f"{name}.{number}"))
            key = str(self.folder / f"holder{number}")
            said("root", "list", "sign", str(draft), key, "--out", copies[-1])
        whole = self.folder / name
        said("root", "list", "combine", *copies, "--out", str(whole))
        return whole

    def publish(self, file: Path) -> int:
        """Publish a list at the root."""
        where = ("--data", str(self.root.folder), "--operator", "admin@/", "--json")
        version: int = json.loads(said("root", "list", "publish", str(file), *where))["version"]
        return version

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.stop()

    def _holder(self, number: int) -> str:
        told = said("root", "holder", "new", str(self.folder / f"holder{number}"), "--json")
        key: str = json.loads(told)["public_key"]
        return key

    def _listen(self, node: DemoNode) -> tuple[str, ...]:
        return (
            *("--listen", f"127.0.0.1:{node.link_port}"),
            *("--join-listen", f"127.0.0.1:{node.join_port}"),
        )


def said(*arguments: str) -> str:
    """Run a command of this very process, as a person who types a passphrase."""
    if arguments[1:3] in (("list", "sign"), ("holder", "new")):
        arguments = (*arguments, "--passphrase-stdin")
    done = CliRunner().invoke(app, list(arguments), input=f"{PHRASE}\n")
    assert done.exit_code == 0, done.output
    return done.stdout


def connected(node: DemoNode) -> bool:
    """Whether a node's line to its parent is up."""
    with node.client() as client:
        return client.status().peers[0].state == "connected"


def version(node: DemoNode) -> int:
    """The version of the list in force at a node, 0 for none."""
    with node.client() as client:
        shown = [each.name for each in client.status().expiries if each.kind == "root-list"]
    return int(shown[0]) if shown else 0


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def test_a_new_root_certificate_is_trusted_by_all_without_reinstalling(network: Network) -> None:
    """Two of three holders list it; a child under it joins, and an old one stays connected."""
    root, old = network.root, network.join("33")
    first = str(root.folder / "keys" / "root.pem")
    holders = [word for key in network.holders for word in ("--holder", key)]
    one = network.signed("one", range(2), "--certificate", first, "--threshold", "2", *holders)
    assert network.publish(one) == 1
    wait_until("the list came down", lambda: version(old) == 1)
    second = str(network.folder / "second.pem")
    said("root", "certificate", "new", "--data", str(root.folder), "--out", second)
    both = ("--certificate", second, "--certificate", first, "--after", str(one))
    two = network.signed("two", range(1, 3), *both)
    assert network.publish(two) == 2
    wait_until("the second list came down", lambda: version(old) == 2)
    # The root issues under the new certificate now; nothing was started anew.
    new = network.join("44")
    assert (version(new), version(old)) == (2, 2)
    assert connected(old)
    new_chain = x509.load_pem_x509_certificates(
        (new.folder / "keys" / "tls.chain.pem").read_bytes()
    )
    new_chain[-1].verify_directly_issued_by(
        x509.load_pem_x509_certificate(Path(second).read_bytes())
    )
    shown = json.loads(said("root", "list", "show", "--data", str(new.folder), "--json"))
    assert (shown["version"], shown["complete"]) == (2, True)
