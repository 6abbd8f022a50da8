"""One parent and three thousand children: what they cost it, and how fast it reaches them.

The parent is a real daemon in a process of its own. The children are simulated by one
other process (`fan_children`) over the real link: TLS 1.3 with a certificate and a TCP
connection each, the peer check, hello and resume, heartbeats, and the three streams that
a node of this version opens. Both processes share the machine, so that what the children
cost is in every time.
"""

import platform
import time
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Final

import grpc
import pytest

from tests.bench.fan_family import Family
from tests.bench.fan_parent import children_of, cpu_share, enrol, found, rss_kib
from tests.bench.rows import Row, Rows, at_most
from yidao.node.demo.tree import DemoNode

CHILDREN: Final = 3_000
# The default; a heartbeat each way in that time.
KEEPALIVE_SECONDS: Final = 30.0
STARTS: Final = 5
DIRECTIVES: Final = 3
STORMS: Final = 20
# Sessions and memory come to rest.
REST_SECONDS: Final = 5.0
# The record, with its header and the JSON around it.
BODY: Final = "令" * 600
VERSIONS: Final = f"grpcio {grpc.__version__}, CPython {platform.python_version()}"

Parent = tuple[DemoNode, Family, FilePath]


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parent]:
    """A parent that is not started, and its enrolled children."""
    folder = tmp_path_factory.mktemp("fan")
    node = found(folder)
    yield node, enrol(node, CHILDREN, KEEPALIVE_SECONDS), folder
    if node.running:
        node.stop()


def test_fan_in(parent: Parent, rows: Rows) -> None:
    """What connected children cost a parent that was just started, and a directive to all."""
    node, family, folder = parent
    memory, idle, dials, directives = [], [], [], []
    for _ in range(STARTS):
        node.start()
        pid = started(node)
        with children_of(family, folder) as children, node.client() as client:
            client.who_am_i()
            before = rss_kib(pid)
            dialled = children.ask("dial")
            assert not dialled["failed"], dialled
            dials.append(dialled["seconds"])
            time.sleep(REST_SECONDS)
            memory.append((rss_kib(pid) - before) / CHILDREN)
            # As long as it takes until everybody has given a sign of life.
            idle.append(100 * cpu_share(pid, KEEPALIVE_SECONDS))
            for _ in range(DIRECTIVES):
                children.ask("mark")
                begun = time.monotonic()
                client.issue(
                    actor="founder@/",
                    number=f"bench-{time.time_ns()}",
                    title="bench",
                    body=BODY,
                    targets=[family.children[0].path],
                )
                acked = children.ask("acked")
                assert not acked["missing"], acked
                # Answered after what has come before it: the last acknowledgement too.
                client.who_am_i()
                directives.append(time.monotonic() - begun)
            lost = children.ask("lost")
            assert not lost["lost"], lost
        node.stop()
    many = f"{CHILDREN} children in one other process on the same 2 cores; {VERSIONS}"
    rows.add(
        Row(
            name="fan-in: memory",
            unit="KiB a child",
            runs=tuple(memory),
            target=at_most(110, "value"),
            note="growth of the daemon's RSS from its start to all children connected, three "
            f"streams each; {many}",
        )
    )
    rows.add(
        Row(
            name="fan-in: idle CPU",
            unit="% of a core",
            runs=tuple(idle),
            target=at_most(15, "value"),
            note=f"over {KEEPALIVE_SECONDS:.0f} s, a heartbeat each way in it; {many}",
        )
    )
    rows.add(
        Row(
            name="fan-in: first connect",
            unit="s",
            runs=tuple(dials),
            note=f"all at once to a daemon that was just started; {many}",
        )
    )
    rows.add(
        Row(
            name="fan-out: a directive",
            unit="s",
            runs=tuple(directives),
            target=at_most(2.5, "value"),
            note="a record of 2 KB, from the client's call (durable at the parent before it is "
            "sent) to the last acknowledgement read by the parent; the children acknowledge "
            f"without storing; {many}",
        )
    )


def test_fan_in_storms(parent: Parent, rows: Rows) -> None:
    """All lines are lost and all come back at once, again and again."""
    node, family, folder = parent
    node.start()
    pid = started(node)
    seconds, memory, again = [], [], []
    with children_of(family, folder) as children:
        before = rss_kib(pid)
        assert not children.ask("dial")["failed"]
        for _ in range(STORMS):
            children.ask("drop")
            dialled = children.ask("dial")
            seconds.append(dialled["seconds"])
            assert not dialled["failed"], dialled
            again.append(dialled["again"])
            time.sleep(1.0)
            memory.append((rss_kib(pid) - before) / CHILDREN)
    node.stop()
    many = f"{CHILDREN} children in one other process on the same 2 cores; {VERSIONS}"
    rows.add(
        Row(
            name="fan-in: storm",
            unit="s",
            runs=tuple(seconds),
            target=at_most(20, "value"),
            note="every child dials at once and unthrottled, until the session of each flows; who "
            "is refused waits as a real dialer does (1 to 2 s, then longer) and dials again: "
            f"second dials a storm {again}; {many}",
        )
    )
    half = STORMS // 2
    rows.add(
        Row(
            name="fan-in: memory slope",
            unit="KiB a child and storm",
            runs=tuple(
                (late - early) / half
                for early, late in zip(memory[:half], memory[half:], strict=True)
            ),
            target=at_most(0.5, "value"),
            note=f"between storms {half} apart, of {STORMS}; KiB a child after each: "
            f"{', '.join(f'{each:.0f}' for each in memory)}; {many}",
        )
    )


def started(node: DemoNode) -> int:
    """The process of a daemon that runs."""
    assert node.process is not None
    return node.process.pid
