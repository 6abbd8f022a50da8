"""kill -9 of whoever follows and of the daemon: nothing is missed, and what repeats is the last."""

import itertools
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from yidao.api.errors import YidaoError
from yidao.catalog.codes import sample_uscc
from yidao.node.client import Client, FileCursor, OfflineQueue, Row
from yidao.node.demo.tree import DemoNode, clean_environment, free_ports, run_yidao

ROOT = Path(__file__).parents[2]
ACTOR = "li@/"
UNITS = 120

# Writes an event down, durably, before it asks for the next one.
FOLLOWER = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from yidao.node.client import Client, FileCursor
    with Client.open(Path(sys.argv[1])) as client, open(sys.argv[3], "a") as log:
        for event in client.follow(cursor=FileCursor(Path(sys.argv[2])), kinds=["registry."]):
            log.write(f"{event.position}\\n")
            log.flush()
            os.fsync(log.fileno())
            print(event.position, flush=True)
""")

pytestmark = pytest.mark.e2e


@pytest.fixture
def node(tmp_path: Path) -> Iterator[DemoNode]:
    """A root that runs and knows the standard."""
    link_port, join_port = free_ports(2)
    folder = tmp_path / "n"
    run_yidao(
        *("init", "--data", str(folder)),
        *("--listen", f"127.0.0.1:{link_port}", "--join-listen", f"127.0.0.1:{join_port}"),
    )
    made = DemoNode(name="n", path="/", folder=folder, link_port=link_port, join_port=join_port)
    made.start()
    try:
        with made.client() as client:
            pack = ROOT / "catalog" / "packs" / "energy-2022.yaml"
            client.publish_pack(pack.read_bytes(), actor="std@/")
        yield made
    finally:
        made.stop()


def institution(number: int) -> Row:
    cells = {
        "uscc": sample_uscc(number, "330106"),
        "name": f"样例单位{number:04d}",
        "region_code": "330106",
        "inst_type": "01",
        "reg_status": "1",
    }
    return Row.of("institution", cells, key=f"erp-{number}")


class Follower:
    """A follower as a process of its own."""

    def __init__(self, node: DemoNode, folder: Path) -> None:
        self.log = folder / "handled"
        self.process = subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, node.socket, folder / "cursor", self.log],
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )

    def read(self, events: int) -> None:
        """Return once so many more events are handled."""
        assert self.process.stdout is not None
        for _ in range(events):
            assert self.process.stdout.readline()

    def read_to(self, position: int) -> None:
        """Return once that event is handled."""
        assert self.process.stdout is not None
        while int(self.process.stdout.readline()) != position:
            pass

    def kill(self) -> None:
        """As a power cut would."""
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_nothing_is_missed_whoever_is_killed(node: DemoNode, tmp_path: Path) -> None:
    """The follower is killed twice, the daemon once, while rows come in by a queue."""
    with OfflineQueue(tmp_path / "queue.db") as queue:
        queue.put("energy", [institution(n) for n in range(1, 41)], actor=ACTOR)
        with node.client() as client:
            queue.flush(client)
        first = Follower(node, tmp_path)
        first.read(10)
        first.kill()

        second = Follower(node, tmp_path)
        second.read(5)
        queue.put("energy", [institution(n) for n in range(41, 81)], actor=ACTOR)
        node.kill()
        with Client.open(node.socket) as client, pytest.raises(YidaoError):
            queue.flush(client)
        assert queue.count("waiting") == 40
        node.start()
        with node.client() as client:
            queue.flush(client)
            expected = [
                event.position for event in client.follow(kinds=["registry."], until_now=True)
            ]
        second.read_to(expected[-1])
        second.kill()

        third = Follower(node, tmp_path)
        queue.put("energy", [institution(n) for n in range(81, UNITS + 1)], actor=ACTOR)
        with node.client() as client:
            queue.flush(client)
            expected = [
                event.position for event in client.follow(kinds=["registry."], until_now=True)
            ]
        third.read_to(expected[-1])
        third.kill()

    handled = list(map(int, first.log.read_text().split()))
    assert len(expected) == UNITS
    assert set(handled) == set(expected)
    # Each kill may repeat the event that was being handled, and no other.
    assert len(handled) <= UNITS + 2
    assert all(later >= earlier for earlier, later in itertools.pairwise(handled))


def test_two_threads_follow_and_publish_at_once(node: DemoNode, tmp_path: Path) -> None:
    """The order is that of the store, for everybody the same."""
    seen: list[list[int]] = [[], []]

    def follow(number: int) -> None:
        with node.client() as client:
            cursor = FileCursor(tmp_path / f"cursor-{number}", every=10)
            for event in client.follow(cursor=cursor, kinds=["registry."]):
                seen[number].append(event.position)
                if len(seen[number]) == 30:
                    return

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    with node.client() as client:
        for number in range(1, 31):
            client.submit("energy", [institution(number)], actor=ACTOR)
    for thread in threads:
        thread.join(60)
    assert len(seen[0]) == 30
    assert seen[0] == seen[1] == sorted(seen[0])
