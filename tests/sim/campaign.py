"""Many seeds of the forty-node tree at once, on every core, with their speed."""

import fcntl
import gc
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sim.world import World, country
from tests.faults.report import REPORT, record

NAME = "R68 simulator, trees of 40 nodes"
# Which seeds `build/faults.json` counts already; both go with `make clean`.
COUNTED = REPORT.with_name("simulated-seeds")
# How many seeds a process takes at a time: short enough that all end together.
_CHUNK = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one seed.

    Attributes:
        violations: The sentences of the checker; none if all is well.
        mishaps: How often each kind of mishap happened.
        held: Records that nodes held at the end.
        promises: What somebody was told is durable.
    """

    seed: int
    nodes: int
    violations: list[str]
    mishaps: Counter[str]
    held: int
    promises: int
    cpu_seconds: float


@dataclass(slots=True)
class Tally:
    """What a campaign ran, and what it found.

    Attributes:
        seconds: By the clock on the wall, with everything else that the machine did.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> dict[int, list[str]]:
        """The sentences of each seed that was violated."""
        return {each.seed: each.violations for each in self.outcomes if each.violations}

    def __str__(self) -> str:
        seeds = len(self.outcomes)
        rate = seeds / max(self.seconds, 1e-9)
        cost = sum(each.cpu_seconds for each in self.outcomes) / max(seeds, 1)
        lines = [
            f"{seeds} seeds of 40 nodes, {rate:.1f} seeds/s ({cost:.2f} CPU s a seed); "
            f"{sum(each.mishaps.total() for each in self.outcomes)} mishaps, "
            f"{sum(each.held for each in self.outcomes)} records held, "
            f"{sum(each.promises for each in self.outcomes)} promises kept, "
            f"{len(self.failed)} seeds failed",
            *(f"replay: python -m tests.sim.run {seed} --log" for seed in self.failed),
        ]
        return "\n".join(lines)


def run(seeds: Iterable[int], processes: int | None = None) -> Tally:
    """Run every seed in one of several processes (by default one a core)."""
    began = time.perf_counter()
    tally = Tally()
    spawned = multiprocessing.get_context("spawn")
    with spawned.Pool(processes or os.cpu_count(), collect_rarely) as pool:
        tally.outcomes += pool.imap_unordered(play, seeds, _CHUNK)
    tally.seconds = time.perf_counter() - began
    return tally


def collect_rarely() -> None:
    """Let garbage in cycles lie for some seeds: looking for it takes a quarter of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 5, 2)


def play(seed: int) -> Outcome:
    """Run one seed."""
    began = time.process_time()
    world = World(seed, country(seed))
    violations = world.run()
    names = world.mishaps.names()
    return Outcome(
        seed=seed,
        nodes=len(world.nodes),
        violations=violations,
        mishaps=Counter({name: n for name, n in world.faults.items() if name in names}),
        held=sum(len(h) for node in world.view().nodes.values() for h in node.headers.values()),
        promises=len(world.promises),
        cpu_seconds=time.process_time() - began,
    )


def count(outcomes: Collection[Outcome]) -> int:
    """Add to the report what was not counted before; return how many seeds that are.

    A seed that fails is counted whenever it does.
    """
    fresh = _not_counted({each.seed for each in outcomes})
    counted = [each for each in outcomes if each.seed in fresh or each.violations]
    if counted:
        record(
            NAME,
            seeds=len(counted),
            mishaps=sum(each.mishaps.total() for each in counted),
            failed=sum(bool(each.violations) for each in counted),
            cpu_seconds=round(sum(each.cpu_seconds for each in counted), 1),
        )
    return len(counted)


def _not_counted(seeds: set[int]) -> set[int]:
    COUNTED.parent.mkdir(exist_ok=True)
    # Several processes test at once.
    with COUNTED.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        fresh = seeds - {int(line) for line in file}
        file.writelines(f"{seed}\n" for seed in sorted(fresh))
    return fresh
