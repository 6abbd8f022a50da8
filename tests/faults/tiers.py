"""A tree of many real daemons, each in a network namespace of its own.

It is founded on the loopback interface. Then every node moves into a namespace, with one
address there for all its lines, and each link runs over a relay of its own
(`tunrelay.py`). The local API is a socket in a folder, which namespaces do not hide.
"""

import contextlib
import functools
import signal
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from tests.faults import disks, invariants, samples, watch
from tests.faults.clocks import Clock
from tests.faults.daemons import Daemon, Nursery, Pair, wait_until
from tests.faults.growing import grow
from tests.faults.links import Line, namespace, new_name
from tests.faults.mishaps import CLOCK, FULL, KILLED, LINES, STOPPED, Mishap
from tests.faults.report import Tell
from tests.faults.samples import Sample

#: As many start at once; a start is a second of a processor.
AT_ONCE: Final = 4
#: Lines that heal are to be found out within seconds; sixty daemons share two processors.
_SETTINGS: Final = {
    "YIDAO_KEEPALIVE_SECONDS": "5",
    "YIDAO_KEEPALIVE_TIMEOUT_SECONDS": "5",
    "YIDAO_BACKOFF_MIN_SECONDS": "0.5",
    "YIDAO_BACKOFF_MAX_SECONDS": "5",
    "YIDAO_COSIGN_INTERVAL_SECONDS": "5",
}
_SMALL_KIB: Final = 192 * 1024
_LEFT_KIB: Final = 64
_HOUR_SECONDS: Final = 3_600
_TELL_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 600.0
# A node may write a record of its own at any minute, also while others stop.
_LOOKS: Final = 5


@dataclass(eq=False, kw_only=True)
class Node:
    """One daemon of the tree, and what can be done to it.

    Attributes:
        line: To its parent; none at the root.
        down: It is killed and not yet to be started again.
        full: Its disk is full.
        may_end: Its disk was full since it began: then it may have ended by itself.
        samples: What it took, as long as it was looked at.
    """

    daemon: Daemon
    clock: Clock
    line: Line | None = None
    down: bool = False
    full: bool = False
    may_end: bool = False
    samples: list[Sample] = field(default_factory=list)


class Tiers:
    """The tree. Nothing but `found` and `close` may be called from several threads.

    Args:
        pair: Its root and its first node, founded and stopped.
        sizes: How many nodes each tier has, the root's and its own first; the second has
            at least one.
        small: Numbers of nodes whose disk is a small one.
    """

    def __init__(
        self, nursery: Nursery, pair: Pair, sizes: Sequence[int], small: Collection[int], seed: int
    ) -> None:
        assert sizes[0] == 1
        self.nodes: list[Node] = []
        #: Faults that were begun, by kind; and daemons that ended on a full disk.
        self.begun: dict[str, int] = {}
        self._nursery = nursery
        self._pair = pair
        self._sizes = sizes
        self.small = small
        self._seed = seed
        self._parents: list[int] = []
        self._stack = ExitStack()

    @property
    def daemons(self) -> list[Daemon]:
        """All, from the top down."""
        return [each.daemon for each in self.nodes]

    @property
    def tiers(self) -> list[list[Node]]:
        """The nodes of each tier, the root's first."""
        left = iter(self.nodes)
        return [[next(left) for _ in range(size)] for size in self._sizes]

    def found(self, tell: Tell) -> None:
        """Let all nodes join, each below one of the tier above; all are stopped afterwards."""
        self._pair.start()
        above = [self._pair.root]
        self._add(self._pair.root, 0)
        for tier, size in enumerate(self._sizes[1:], 1):
            first = len(self.nodes) - len(above)
            made = [self._pair.office] if tier == 1 else []
            for number in range(len(made), size):
                label = f"{'abcdefgh'[tier]}{number}"
                made.append(
                    grow(self._nursery, above[number % len(above)], label, self._pair.folder)
                )
            for number, daemon in enumerate(made):
                self._add(daemon, first + number % len(above))
                if tier < len(self._sizes) - 1:
                    if not daemon.running:
                        daemon.start()
                    wait_until(f"{daemon.path} is linked", lambda d=daemon: watch.is_even(d))
            tell(f"tier {tier}: {size} nodes have joined")
            above = made
        self.stop()

    def move(self) -> None:
        """Give every node its namespace, its line, its clock, and some a small disk."""
        names = [new_name(f"n{number}") for number in range(len(self.nodes))]
        for name in names:
            self._stack.enter_context(namespace(name))
        for number, node in enumerate(self.nodes):
            daemon, own = node.daemon, _address(number)
            daemon.before = [
                ("tests.faults.links:enter", names[number]),
                ("tests.faults.shims:page_cache", samples.PAGE_CACHE_KIB),
                node.clock.before,
            ]
            daemon.settings.update(_SETTINGS)
            daemon.settings["YIDAO_LISTEN"] = f"{own}:{daemon.link_port}"
            if number:
                parent = self._parents[number]
                above = _address(parent)
                port = self.nodes[parent].daemon.link_port
                daemon.settings["YIDAO_PARENT_ADDRESS"] = f"{above}:{port}"
                line = Line(
                    (names[number], f"{own} peer {above}"),
                    (names[parent], f"{above} peer {own}"),
                    self._seed + number,
                    f"line{number}",
                )
                node.line = self._stack.enter_context(line)
        for number in self.small:
            disk = functools.partial(disks.in_memory, kib=_SMALL_KIB)
            self._stack.enter_context(disks.moved_to(disk, self.nodes[number].daemon.folder))

    def start(self) -> None:
        """Start what does not run, a few at a time, from the top down."""
        waiting = [each.daemon for each in self.nodes if not each.daemon.running]
        for first in range(0, len(waiting), AT_ONCE):
            for daemon in waiting[first : first + AT_ONCE]:
                daemon.begin()
            for daemon in waiting[first : first + AT_ONCE]:
                daemon.wait_ready()

    def stop(self) -> None:
        """Stop all in order, tier by tier from below."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for tier in reversed(self.tiers):
                list(pool.map(Daemon.stop, [each.daemon for each in tier]))

    def close(self) -> None:
        """End everything."""
        for each in self.nodes:
            each.daemon.kill()
        self._stack.close()

    def begin(self, mishap: Mishap) -> None:
        """Let a fault begin."""
        node = self.nodes[mishap.victim]
        self.begun[mishap.kind] = self.begun.get(mishap.kind, 0) + 1
        if mishap.kind in LINES:
            assert node.line is not None
            node.line.set(**LINES[mishap.kind])
        elif mishap.kind == KILLED:
            node.down = True
            node.daemon.kill()
        elif mishap.kind == STOPPED:
            _if_it_runs(watch.pause, node.daemon)
        elif mishap.kind == FULL:
            node.full = node.may_end = True
            disks.fill(node.daemon.folder, leave_kib=_LEFT_KIB)
        elif mishap.kind == CLOCK:
            node.clock.set(wall=_HOUR_SECONDS * (1 if mishap.victim % 2 else -1))

    def lift(self, mishap: Mishap) -> None:
        """Let a fault end."""
        node = self.nodes[mishap.victim]
        if mishap.kind in LINES:
            assert node.line is not None
            node.line.heal()
        elif mishap.kind == KILLED:
            node.down = False
        elif mishap.kind == STOPPED:
            _if_it_runs(watch.resume, node.daemon)
        elif mishap.kind == FULL:
            node.full = False
            (node.daemon.folder / disks.BALLAST).unlink()
        elif mishap.kind == CLOCK:
            node.clock.set(wall=0)

    def look_after(self) -> None:
        """Start what is to run and does not, as systemd would; it is not waited for.

        Raises:
            AssertionError: A daemon ended by itself, and not for want of space.
        """
        for node in self.nodes:
            daemon = node.daemon
            if daemon.running or node.down or node.full:
                continue
            code = self._nursery.code(daemon.pid)
            if code != -signal.SIGKILL:
                assert node.may_end, (
                    f"{daemon.path} ended by itself, {code}: {daemon.said()[-800:]}"
                )
                self.begun["ends on a full disk"] = self.begun.get("ends on a full disk", 0) + 1
            node.may_end = False
            daemon.begin()

    def sample(self) -> None:
        """Look at what every daemon takes."""
        for node in self.nodes:
            if (found := samples.take(node.daemon)) is not None:
                node.samples.append(found)
                node.may_end &= node.full

    def packets(self) -> int:
        """How many packets something has befallen."""
        counted = [each.line.counts() for each in self.nodes if each.line is not None]
        return sum(n for each in counted for what, n in each.items() if not what.endswith("passed"))

    def wait_settled(self, tell: Tell) -> None:
        """Wait until nothing waits anywhere, from below to the top and down again."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        said = time.monotonic()
        while uneven := [each.path for each in self.daemons if not watch.is_even(each)]:
            assert time.monotonic() < deadline, f"never even: {uneven}"
            self.look_after()
            if time.monotonic() > said + _TELL_SECONDS:
                said = time.monotonic()
                tell(f"not even yet: {len(uneven)}, {uneven[:3]}")
            time.sleep(1.0)

    def settled(self, tell: Tell) -> list[str]:
        """Let all send everything, stop them, and give what is wrong with their stores."""
        found: list[str] = []
        acked = {each.folder: each.acked for each in self.daemons}
        for look in range(_LOOKS):
            self.start()
            self.wait_settled(tell)
            self.stop()
            begun = time.monotonic()
            found = invariants.check(list(acked), acked=acked, settled=True)
            tell(f"look {look}: {len(found)} faults, read in {time.monotonic() - begun:.0f} s")
            if not found or not all(fault.startswith(("SHORT", "PART")) for fault in found):
                break
        return found

    def _add(self, daemon: Daemon, parent: int) -> None:
        clock = Clock(daemon.folder.with_suffix(".clock"))
        self.nodes.append(Node(daemon=daemon, clock=clock))
        self._parents.append(parent)


def _if_it_runs(act: Callable[[Daemon], None], daemon: Daemon) -> None:
    """Do something to a process, unless it has just ended by itself."""
    if daemon.running:
        with contextlib.suppress(ProcessLookupError):
            act(daemon)


def _address(number: int) -> str:
    """Of a node, in its namespace."""
    return f"10.67.{number // 250}.{number % 250 + 1}"
