"""A road of real daemons for the bench: one node a tier, and what a program publishes at its foot.

Daemons and publishers are processes of their own. A run is over when the receipt of the
foot's last record is at the foot, so that everything was verified and is durable above.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from yidao.node.demo.tree import DemoNode, free_ports, run_yidao, wait_until
from yidao.node.setup import CONFIG_NAME

BATCH = 500
PATHS = ("/", "/33", "/33/3301", "/33/3301/330106")


@dataclass(frozen=True, slots=True)
class Road:
    """Nodes from the root down."""

    nodes: tuple[DemoNode, ...]

    @property
    def root(self) -> DemoNode:
        """Where everything goes."""
        return self.nodes[0]

    @property
    def foot(self) -> DemoNode:
        """Where records are published."""
        return self.nodes[-1]

    def position(self, node: DemoNode) -> int:
        """The last store position of a node."""
        with node.client() as client:
            return client.status().last_position

    def publish(self, records: int, *, until: str = "received") -> float:
        """Publish from a process of its own and give records a second, from first call to end.

        Args:
            records: How many, in requests of `BATCH`.
            until: `received`: the parent's receipt is back; `durable`: the foot has them.
        """
        said = self._run("publisher", records, BATCH, until)
        return records / float(said[0])

    def through(self, records: int) -> float:
        """Publish and give records a second from the first call until the root has them all."""
        before = self.position(self.root)
        began = float(self._run("publisher", records, BATCH, "durable")[1])
        with self.root.client() as client:
            while client.status().last_position < before + records:
                time.sleep(0.005)
        return records / (time.monotonic() - began)

    def catch_up(self, records: int) -> float:
        """Let records wait at the foot, and give records a second once its link comes up."""
        parent = self.nodes[-2]
        parent.stop()
        self.publish(records, until="durable")
        parent.start()
        started = 0.0
        with self.foot.client() as client:
            while True:
                (link,) = client.status().peers
                if not started and link.state == "connected":
                    started = time.perf_counter()
                if started and not link.lag:
                    return records / (time.perf_counter() - started)
                time.sleep(0.005)

    def one_by_one(self, count: int) -> list[tuple[float, float]]:
        """Give for single records the seconds to durable, and from there to the receipt."""
        found = []
        for line in self._run("singles", count, how="one"):
            durable, receipt = map(float, line.split())
            found.append((durable, receipt))
        return found

    def unary(self, count: int) -> list[float]:
        """Give the seconds that single records took by the call for one request."""
        return [float(line) for line in self._run("singles", count, how="unary")]

    def writers(self, streams: int, seconds: float) -> float:
        """Give records a second over so many streams with one record in flight each."""
        return float(self._run("singles", streams, seconds, how="many")[0])

    def _run(self, module: str, *arguments: object, how: str = "") -> list[str]:
        done = subprocess.run(
            [
                *(sys.executable, "-m", f"tests.bench.{module}", *filter(None, [how])),
                *(str(self.foot.socket), self.foot.path, *map(str, arguments)),
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.splitlines()


@contextmanager
def road(folder: Path, tiers: int = 2) -> Iterator[Road]:
    """Found a road of so many tiers, start it, and end it."""
    nodes: list[DemoNode] = []
    try:
        for path in PATHS[:tiers]:
            nodes.append(_node(folder, path, nodes[-1] if nodes else None))
        made = Road(tuple(nodes))
        wait_until("the road is open", lambda: all(map(_is_open, nodes)))
        yield made
    finally:
        for node in reversed(nodes):
            node.stop()


@contextmanager
def fork(folder: Path, quota_kib: int) -> Iterator[tuple[Road, Road]]:
    """Found a root with two children, start them, and end them: a road to each child.

    Args:
        folder: Empty.
        quota_kib: What a child may send, KiB a second.
    """
    nodes: list[DemoNode] = []
    try:
        nodes.append(_node(folder, "/", None, f"child_kib_per_second = {quota_kib}\n"))
        for path in ("/33", "/34"):
            nodes.append(_node(folder, path, nodes[0]))
        root, one, other = nodes
        wait_until("the roads are open", lambda: all(map(_is_open, nodes)))
        yield Road((root, one)), Road((root, other))
    finally:
        for node in reversed(nodes):
            node.stop()


def _node(folder: Path, path: str, above: DemoNode | None, settings: str = "") -> DemoNode:
    name = path.rpartition("/")[2] or "root"
    link, join = free_ports(2)
    node = DemoNode(name=name, path=path, folder=folder / name, link_port=link, join_port=join)
    listen = ["--listen", f"127.0.0.1:{link}", "--join-listen", f"127.0.0.1:{join}"]
    if above is None:
        run_yidao("init", "--data", str(node.folder), *listen)
    else:
        bundle = folder / f"{name}.bundle"
        with above.client() as client:
            operator = f"sample@{above.path}"
            bundle.write_bytes(client.add_child(name, ttl_seconds=600, operator=operator))
        bundle.chmod(0o600)
        run_yidao("join", str(bundle), "--data", str(node.folder), *listen)
    if settings:
        with (node.folder / CONFIG_NAME).open("a") as file:
            file.write(settings)
    node.start()
    return node


def _is_open(node: DemoNode) -> bool:
    with node.client() as client:
        status = client.status()
    return status.state == "active" and all(each.state == "connected" for each in status.peers)


def settle(made: Road) -> None:
    """Wait until nobody has anything to send."""

    def is_idle(node: DemoNode) -> bool:
        with node.client() as client:
            return not any(peer.lag for peer in client.status().peers)

    time.sleep(0.2)
    wait_until("nobody has anything to send", lambda: all(map(is_idle, made.nodes)), 300)
