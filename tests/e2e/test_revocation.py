"""An operator revokes a node by the command line, and enrols another one in its place."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from yidao.node.client import ClientError
from yidao.node.demo.tree import (
    DemoNode,
    clean_environment,
    free_ports,
    run_yidao,
    wait_until,
    yidao_command,
)

pytestmark = pytest.mark.e2e


class Pair:
    """A root and a province with a line, and room for another province."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = self._node("root", "/")
        run_yidao("init", "--data", str(self.root.folder), *self._listen(self.root))
        self.root.start()
        self.old = self.join("old")

    def join(self, name: str) -> DemoNode:
        """Let a node join at /33, in another one's place if that was revoked, and start it."""
        bundle = self.folder / f"{name}.bundle"
        where = ("--data", str(self.root.folder), "--out", str(bundle))
        run_yidao("child", "add", "33", *where, "--operator", "admin@/")
        node = self._node(name, "/33")
        joining = ("join", str(bundle), "--data", str(node.folder), *self._listen(node))
        if name != "old":
            # Below the root two of its own operators must agree.
            run_yidao(*joining, "--no-wait", expect=2)
            at_root = ("--data", str(self.root.folder), "--json")
            verb = ("child", "reenrol", "33", "--reason", "key stolen", "--operator", "admin@/")
            asked = json.loads(run_yidao(*verb, *at_root))["request"]
            deciding = ("child", "approve", asked, *at_root, "--operator")
            run_yidao(*deciding, "admin@/", expect=4)
            run_yidao(*deciding, "second@/")
        run_yidao(*joining)
        node.start()
        wait_until(f"{name} is connected", lambda: self.state(node) == "connected")
        return node

    def state(self, node: DemoNode) -> str:
        """How a node's line to its parent is."""
        with node.client() as client:
            return client.status().peers[0].state

    def stop(self) -> None:
        for node in (self.old, self.root):
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
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def codes(node: DemoNode) -> set[str]:
    """What `status` shows of a node."""
    with node.client() as client:
        return {problem.code for problem in client.status().problems}


def asked(arguments: list[str], said: bytes) -> tuple[int, str]:
    """Run a command at a terminal and answer it."""
    near, far = pty.openpty()
    process = subprocess.Popen(
        [*yidao_command(), *arguments],
        stdin=far,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_environment(),
    )
    os.close(far)
    os.write(near, said)
    told, _ = process.communicate(timeout=60)
    os.close(near)
    return process.returncode, told.decode()


def test_a_node_is_revoked_and_another_one_takes_its_place(pair: Pair) -> None:
    """Asked first, then for good: the line is cut, both ends say why, the path is free again."""
    root, old = pair.root, pair.old
    verb = ["child", "revoke", "33", "--data", str(root.folder)]
    why = ["--reason", "key-stolen", "--operator", "admin@/"]
    with old.client() as client:
        client.issue_code("30603733010600000001", actor="li@/33")

    def cut() -> list[str]:
        seen = json.loads(run_yidao(*verb, *why, "--dry-run", "--json"))
        assert seen["path"] == "/33"
        return [line["channel"] for line in seen["cut"]]

    wait_until("the root holds its journal", lambda: cut() == ["node"])
    assert pair.state(old) == "connected"
    # Nobody at a terminal and no `--yes`, or a no: nothing happens.
    unasked = subprocess.run(
        [*yidao_command(), *verb, *why, "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=clean_environment(),
        check=False,
    )
    assert b"CONFIRMATION_MISSING" in unasked.stderr
    code, told = asked([*verb, *why], b"n\n")
    assert code != 0
    assert "node/1" in told
    assert pair.state(old) == "connected"
    code, _ = asked([*verb, *why], b"y\n")
    assert code == 0
    wait_until("both ends say it", lambda: "NODE_REVOKED" in codes(root))
    wait_until("the child says it", lambda: "REVOKED_BY_PARENT" in codes(old))
    with root.client() as client:
        assert [peer.state for peer in client.status().peers] == ["revoked"]
        assert [node.state for node in client.list_tree()] == ["self", "revoked"]
        with pytest.raises(ClientError) as again:
            client.revoke_child("33", reason="closed", operator="admin@/")
        assert again.value.code == "CHILD_REVOKED"
    found = subprocess.run(
        [*yidao_command(), "doctor", "--data", str(old.folder), "--json"],
        capture_output=True,
        env=clean_environment(),
        check=False,
    )
    assert b"REVOKED_BY_PARENT" in found.stdout
    file = str(pair.folder / "late.yidao")
    run_yidao("bundle", "export", "/", "--data", str(old.folder), "--out", file)
    brought = subprocess.run(
        [*yidao_command(), "bundle", "import", file, "--data", str(root.folder), "--json"],
        capture_output=True,
        env=clean_environment(),
        check=False,
    )
    assert b"PEER_REVOKED" in brought.stderr
    old.stop()
    new = pair.join("new")
    try:
        assert codes(root) == set()
        with root.client() as client:
            assert [peer.state for peer in client.status().peers] == ["connected"]
    finally:
        new.stop()
