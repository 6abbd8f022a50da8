"""R70: sixty daemons, an hour of mixed faults: all arrives, and nobody takes more and more.

    YIDAO_FAULTS_SECONDS=3600 YIDAO_FAULTS_SEED=7 pytest -m long tests/faults/test_tiers.py

It tells on the terminal how far it is; a seed gives the same faults at the same seconds.
"""

import os
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.faults import disks, invariants, mishaps, samples
from tests.faults.daemons import Load, Nursery, Pair
from tests.faults.links import lacks
from tests.faults.mishaps import Mishap
from tests.faults.report import Tell, record
from tests.faults.tiers import Tiers
from yidao.api.errors import YidaoError

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(lacks()), reason=f"no {lacks()}"),
    pytest.mark.skipif(bool(disks.why_not()), reason=disks.why_not() or "mounts work"),
]

SECONDS: Final = samples.seconds_of("YIDAO_FAULTS_SECONDS", 3_600)
#: A nation, provinces, cities, counties, agencies.
SIZES: Final = (1, 4, 10, 15, 30)
_SHORT_SECONDS: Final = 6.0
_SHORT_SEED: Final = 9
_ROWS_A_CALL: Final = 2
_DIRECTIVE_SECONDS: Final = 20.0
_SAMPLES: Final = 360
_SAMPLE_SECONDS: Final = 2.0
_TELL_SECONDS: Final = 30.0


@pytest.fixture
def seed() -> int:
    """Of the faults: one that was given, or a new one."""
    given = os.environ.get("YIDAO_FAULTS_SEED")
    return random.SystemRandom().randrange(1_000_000) if given is None else int(given)


@dataclass
class Hour:
    """The tree while it is hurt.

    Attributes:
        issued: Each directive of the nation, with the nodes that it names.
        counted: What is told of it, when it is over.
    """

    tree: Tiers
    tell: Tell
    seconds: float
    issued: dict[str, list[str]] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)

    def run(self, plan: list[Mishap], draw: random.Random) -> None:
        """Let everything happen when it is due."""
        due = [(each.at, self.tree.begin, each) for each in plan]
        due += [(each.until, self.tree.lift, each) for each in plan]
        due.sort(key=lambda each: each[0])
        begun = time.monotonic()
        next_sample = next_directive = next_word = 0.0
        while (now := time.monotonic() - begun) < self.seconds or due:
            while due and due[0][0] <= now:
                _, act, mishap = due.pop(0)
                act(mishap)
            self.tree.look_after()
            if now >= next_sample:
                self.tree.sample()
                next_sample = now + max(_SAMPLE_SECONDS, self.seconds / _SAMPLES)
            if now >= next_directive:
                self._issue(draw)
                next_directive = now + _DIRECTIVE_SECONDS
            if now >= next_word:
                self.tell(self._word())
                next_word = now + _TELL_SECONDS
            time.sleep(0.1)

    def missing(self) -> list[str]:
        """Directives that a node which they name does not know."""
        by_path = {each.path: each for each in self.tree.daemons}
        found = []
        for path in sorted({path for paths in self.issued.values() for path in paths}):
            with by_path[path].client() as client:
                known = {each.directive for each in client.directives()}
            found += [
                f"{directive} at {path}"
                for directive, paths in self.issued.items()
                if path in paths and directive not in known
            ]
        return found

    def _issue(self, draw: random.Random) -> None:
        """The nation tells some offices to do something; while it cannot, nothing is issued."""
        root, *below = self.tree.daemons
        targets = [each.path for each in draw.sample(below, min(3, len(below)))]
        number = f"样例{len(self.issued) + 1}号"
        try:
            with root.client() as client:
                done = client.issue(actor="sample@/", number=number, title="核对", targets=targets)
        except YidaoError:
            return
        self.issued[done.directive] = targets
        root.acked.append(done.position.record_id)

    def _word(self) -> str:
        newest = [each.samples[-1] for each in self.tree.nodes if each.samples]
        return (
            f"faults {sum(self.tree.begun.values())}, "
            f"acked {sum(len(each.acked) for each in self.tree.daemons)}, "
            f"directives {len(self.issued)}, "
            f"up {sum(each.running for each in self.tree.daemons)} of {len(self.tree.nodes)}, "
            f"RSS median {statistics.median(each.rss_kib for each in newest) / 1024:.0f} MiB, "
            f"PSS {sum(each.pss_kib for each in newest) / 1024:.0f} MiB in all, "
            f"root {newest[0].rss_kib / 1024:.0f} MiB, load {os.getloadavg()[0]:.1f}"
        )


@contextmanager
def _loads(tree: Tiers, pause_seconds: float) -> Iterator[None]:
    """A little work at every agency."""
    with ExitStack() as stack:
        for agency in tree.tiers[-1]:
            load = Load(agency.daemon, rows_a_call=_ROWS_A_CALL, pause_seconds=pause_seconds)
            stack.enter_context(load)
        yield


def _campaign(
    hour: Hour, seed: int, *, spared: list[int], gap_seconds: float, pause_seconds: float
) -> None:
    """Hurt a tree, and require that all has arrived everywhere in the end."""
    tree, tell = hour.tree, hour.tell
    draw = random.Random(seed)
    tell(f"seed {seed}, {hour.seconds:.0f} s")
    try:
        tree.found(tell)
        tree.move()
        tree.start()
        nodes = len(tree.nodes)
        gap = {"gap_seconds": gap_seconds}
        plan = mishaps.plan(seed, hour.seconds, nodes, spared=spared, small=tree.small, **gap)
        tell(f"{nodes} daemons run, {len(plan)} faults are planned")
        with _loads(tree, pause_seconds):
            hour.run(plan, draw)
        packets = tree.packets()
        tree.wait_settled(tell)
        assert hour.missing() == []
        assert tree.settled(tell) == []
    finally:
        tree.close()
    acked = [each for daemon in tree.daemons for each in daemon.acked]
    at_root = {record_id for _, record_id in invariants.read(tree.daemons[0].folder).record_ids()}
    assert [each.hex() for each in acked if bytes(each) not in at_root] == []
    tell(f"faults {tree.begun}, packets {packets}")
    hour.counted = {
        "injected": sum(tree.begun.values()),
        "packets": packets,
        "acked": len(acked),
        "directives": len(hour.issued),
        "seconds": round(hour.seconds),
    }


def test_seconds_of_everything(nursery: Nursery, pair: Pair) -> None:
    """The same with a small tree, and a seed that hurts lines, processes, a disk and a clock."""
    tree = Tiers(nursery, pair, (1, 1, 1, 2), [4], _SHORT_SEED)
    hour = Hour(tree, lambda _: None, _SHORT_SECONDS)
    _campaign(hour, _SHORT_SEED, spared=[0], gap_seconds=0.5, pause_seconds=0.2)
    record("R70 five daemons, mixed faults", **hour.counted)


@pytest.mark.long
def test_an_hour_of_everything(nursery: Nursery, pair: Pair, tell: Tell, seed: int) -> None:
    """At the end every node holds what it must, and what lived all the time has not grown."""
    last = sum(SIZES) - 1
    # One node of each tier lives all the time.
    spared = [sum(SIZES[:tier]) for tier in range(len(SIZES))]
    small = [last, last - 1, spared[3] + 1]
    tree = Tiers(nursery, pair, SIZES, small, seed)
    hour = Hour(tree, tell, SECONDS)
    _campaign(hour, seed, spared=spared, gap_seconds=4.0, pause_seconds=12.0)
    for each in tree.nodes:
        tell(samples.summary(each.daemon.path, each.samples))
    assert all(samples.second_half(tree.nodes[each].samples) for each in spared)
    assert [
        line for each in tree.nodes for line in samples.wrong(each.daemon.path, each.samples)
    ] == []
    record(f"R70 {len(tree.nodes)} daemons, mixed faults", **hour.counted)
