"""A country of real daemons for the bench: counties, a city, a province, a nation, and clerks."""

import functools
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO, TypeVar

from tests.bench.clerk import PACK
from yidao.api.errors import YidaoError
from yidao.node.client import Client
from yidao.node.config import write_settings
from yidao.node.demo.tree import DemoNode, free_ports, run_yidao, wait_until
from yidao.node.setup import CONFIG_NAME

T = TypeVar("T")
PATIENCE_SECONDS = 3_600.0
_TICKS = os.sysconf("SC_CLK_TCK")
_REPOSITORY = Path(__file__).parents[2]
# Signs of life and dials as fast as in the demonstration: the tree must stand soon.
_HASTE: dict[str, str | float] = {"backoff_min_seconds": 0.2, "backoff_max_seconds": 1}


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, user and system (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mebibytes(pid: int) -> float:
    """The largest resident size of a process so far (proc(5), VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def resident_mebibytes(pid: int) -> float:
    """The resident size of a process now (proc(5), VmRSS)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@dataclass(slots=True, kw_only=True)
class Clerk:
    """A process that hands in rows; its CPU time is known once it has ended."""

    process: subprocess.Popen[str]

    @property
    def is_busy(self) -> bool:
        """Whether it still hands in."""
        return self.process.poll() is None

    def go(self) -> None:
        """Let it begin."""
        _of(self.process.stdin).write("\n")
        _of(self.process.stdin).flush()

    def taken(self) -> int:
        """Wait until it is done; gives how many rows were new."""
        text = _of(self.process.stdout).readline()
        assert self.process.wait() == 0, "the clerk failed"
        return int(text)


class Country:
    """The daemons; `tiers` names those of each tier, the counties first."""

    def __init__(self, folder: Path, counties: int) -> None:
        self.folder = folder
        self.nation = self._found()
        self.province = self._join(self.nation, "33")
        self.city = self._join(self.province, "3301")
        self.counties = [self._join(self.city, f"c{number}") for number in range(counties)]
        self.tiers = {
            "county": self.counties,
            "city": [self.city],
            "province": [self.province],
            "nation": [self.nation],
        }
        wait_until("every link is up", self._linked)

    @property
    def nodes(self) -> list[DemoNode]:
        """All daemons, leaves first."""
        return [node for tier in self.tiers.values() for node in tier]

    def publish(self) -> None:
        """Publish the standard at the root and wait until the counties have it."""
        text = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()
        with self.nation.client() as client:
            client.publish_pack(text, actor="standards@/")
        wait_until("the standard reaches every county", self._has_pack)

    def clerk(self, node: DemoNode, step: str, first: int, end: int, regions: int) -> Clerk:
        """Start a clerk at a county; it waits for `go`."""
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.bench.clerk", str(node.socket), step),
                *(str(first), str(end), str(regions), f"clerk@{node.path}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_REPOSITORY,
        )
        assert _of(process.stdout).readline() == "ready\n"
        return Clerk(process=process)

    def cpu(self) -> dict[str, float]:
        """CPU seconds of each tier so far."""
        return {
            name: sum(cpu_seconds(_pid(node)) for node in tier) for name, tier in self.tiers.items()
        }

    def peaks(self) -> dict[str, float]:
        """MiB that the largest daemon of each tier has held."""
        return {
            name: max(peak_mebibytes(_pid(node)) for node in tier)
            for name, tier in self.tiers.items()
        }

    def settle(self) -> None:
        """Wait until every node's parent holds all, and every view shows it."""
        for node in self.nodes:
            idle = functools.partial(_is_settled, node)
            wait_until(f"{node.path} settles", idle, PATIENCE_SECONDS)

    def stop(self) -> None:
        """End the daemons, leaves first."""
        for node in self.nodes:
            node.stop()

    def _found(self) -> DemoNode:
        node = self._node("/", "nation")
        run_yidao("init", "--data", str(node.folder), *_ports(node))
        return _started(node)

    def _join(self, parent: DemoNode, label: str) -> DemoNode:
        base = "" if parent.path == "/" else parent.path
        node = self._node(f"{base}/{label}", label)
        bundle = self.folder / f"{label}.bundle"
        with parent.client() as client:
            operator = f"operator@{parent.path}"
            bundle.write_bytes(client.add_child(label, ttl_seconds=600, operator=operator))
        bundle.chmod(0o600)
        run_yidao("join", str(bundle), "--data", str(node.folder), *_ports(node))
        return _started(node)

    def _node(self, path: str, name: str) -> DemoNode:
        link, join = free_ports(2)
        return DemoNode(
            name=name, path=path, folder=self.folder / name, link_port=link, join_port=join
        )

    def _linked(self) -> bool:
        return all(
            peer.state == "connected"
            for node in self.nodes
            for peer in _asked(node, lambda client: client.status().peers)
        )

    def _has_pack(self) -> bool:
        return all(
            any(pack.id == PACK for pack in _asked(node, lambda client: client.packs()))
            for node in self.nodes
        )


def _started(node: DemoNode) -> DemoNode:
    file = node.folder / CONFIG_NAME
    settings = tomllib.loads(file.read_text())
    file.unlink()
    write_settings(file, {**settings, **_HASTE})
    node.start()
    return node


def _ports(node: DemoNode) -> list[str]:
    listen = ("--listen", f"127.0.0.1:{node.link_port}")
    return [*listen, "--join-listen", f"127.0.0.1:{node.join_port}"]


def _is_settled(node: DemoNode) -> bool:
    try:
        with node.client() as client:
            status = client.status()
    except YidaoError:
        return False
    lags = any(peer.lag for peer in status.peers if peer.role == "parent")
    return not lags and status.applied_position == status.last_position


def _asked(node: DemoNode, ask: Callable[[Client], T]) -> T:
    with node.client() as client:
        return ask(client)


def _pid(node: DemoNode) -> int:
    assert node.process is not None
    return node.process.pid


def _of(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
