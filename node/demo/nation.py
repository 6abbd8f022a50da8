"""The tree of the demonstration: five tiers, six nodes, enrolled parent by parent."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yidao.node.config import write_settings
from yidao.node.demo.line import Line
from yidao.node.demo.tree import DemoNode, free_ports, run_yidao, wait_until
from yidao.node.setup import CONFIG_NAME

ACTOR = "样例管理员"

# A demonstration cannot wait for a line as an office can: signs of life every
# two seconds, the next dial within one.
_HASTE: dict[str, str | float] = {
    "keepalive_seconds": 2,
    "keepalive_timeout_seconds": 2,
    "cosign_interval_seconds": 1,
    "backoff_min_seconds": 0.2,
    "backoff_max_seconds": 1,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: its key in the code, its name, its label below its parent."""

    key: str
    name: str
    label: str
    parent: str | None


PLACES = (
    Place("nation", "国家", "", None),
    Place("province", "浙江省", "33", "nation"),
    Place("city", "杭州市", "3301", "province"),
    Place("county", "西湖区", "330106", "city"),
    Place("agency_a", "样例机构甲", "sample-a", "county"),
    Place("agency_b", "样例机构乙", "sample-b", "county"),
)


class Nation:
    """Six daemons; `nodes` by key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, DemoNode] = {}
        self._line: Line | None = None

    def __getitem__(self, key: str) -> DemoNode:
        return self.nodes[key]

    @property
    def line(self) -> Line:
        """The line between county and city."""
        if self._line is None:
            raise RuntimeError("the county has no line yet")
        return self._line

    @property
    def agencies(self) -> tuple[DemoNode, DemoNode]:
        """The leaves."""
        return self["agency_a"], self["agency_b"]

    @property
    def offices(self) -> tuple[DemoNode, ...]:
        """The tiers above the agencies, from the county up."""
        return self["county"], self["city"], self["province"], self["nation"]

    def found(self, tell: Callable[[str], None]) -> None:
        """Make every node in turn: join by a single-use bundle, then start."""
        for place in PLACES:
            link_port, join_port = free_ports(2)
            parent = self.nodes[place.parent] if place.parent else None
            base = "" if parent is None or parent.path == "/" else parent.path
            node = DemoNode(
                name=place.name,
                path=f"{base}/{place.label}",
                folder=self.folder / place.key,
                link_port=link_port,
                join_port=join_port,
            )
            if parent is None:
                self._init(node)
            else:
                self._join(node, parent, place)
            self.nodes[place.key] = node
            node.start()
            tell(f"{node.name} {node.path}")
        wait_until("every link is up", self._linked)

    def rest(self) -> None:
        """End every daemon in order, leaves first, each once its parent has all of it.

        A node may write a record at any minute, so stores can be compared only at rest.
        """
        for node in reversed(self.nodes.values()):
            wait_until(f"{node.path} has nothing to send", functools.partial(_is_idle, node))
            node.stop()

    def wake(self) -> None:
        """Start every daemon again, the root first."""
        for node in self.nodes.values():
            node.start()

    def stop(self) -> None:
        """End every daemon, leaves first, then the line."""
        for node in reversed(self.nodes.values()):
            node.stop()
        if self._line is not None:
            self._line.__exit__()

    def _init(self, node: DemoNode) -> None:
        run_yidao("init", "--data", str(node.folder), *self._ports(node))
        self._haste(node)

    def _join(self, node: DemoNode, parent: DemoNode, place: Place) -> None:
        bundle = self.folder / f"{place.key}.bundle"
        with parent.client() as client:
            bundle.write_bytes(
                client.add_child(place.label, ttl_seconds=600, operator=f"{ACTOR}@{parent.path}")
            )
        bundle.chmod(0o600)
        options = self._ports(node)
        if place.key == "county":
            self._line = Line(parent.link_port)
            self._line.__enter__()
            options += ["--parent", f"127.0.0.1:{self._line.port}"]
        run_yidao("join", str(bundle), "--data", str(node.folder), *options)
        self._haste(node)

    def _ports(self, node: DemoNode) -> list[str]:
        return [
            "--listen",
            f"127.0.0.1:{node.link_port}",
            "--join-listen",
            f"127.0.0.1:{node.join_port}",
        ]

    def _haste(self, node: DemoNode) -> None:
        """Add the demonstration's times to the settings that the command wrote."""
        import tomllib

        file = node.folder / CONFIG_NAME
        settings = tomllib.loads(file.read_text())
        file.unlink()
        write_settings(file, {**settings, **_HASTE})

    def _linked(self) -> bool:
        for node in self.nodes.values():
            with node.client() as client:
                if any(peer.state != "connected" for peer in client.status().peers):
                    return False
        return True


def _is_idle(node: DemoNode) -> bool:
    """Whether no record of the node waits for its parent."""
    with node.client() as client:
        return not any(peer.lag for peer in client.status().peers if peer.role == "parent")
