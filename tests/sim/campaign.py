"""Many seeds of the forty-node tree at once, on every core, with their speed."""

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sim.world import World, country

# How many seeds a process takes at a time: short enough that all end together.
_CHUNK = 5


@dataclass(slots=True)
class Tally:
    """What a campaign ran, and what it found.

    Attributes:
        seconds: By the clock on the wall, with everything else that the machine did.
        cpu_seconds: Of all processes together.
        faults: How often each kind of mishap happened, over all seeds.
        held: Records that nodes held at the end, over all seeds.
        failed: The sentences of each seed that was violated.
    """

    seeds: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    held: int = 0
    promises: int = 0
    failed: dict[int, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        rate, cost = self.seeds / max(self.seconds, 1e-9), self.cpu_seconds / max(self.seeds, 1)
        lines = [
            f"{self.seeds} seeds of 40 nodes, {rate:.1f} seeds/s ({cost:.2f} CPU s a seed); "
            f"{sum(self.faults.values())} mishaps, {self.held} records held, "
            f"{self.promises} promises kept, {len(self.failed)} seeds failed",
            *(f"replay: python -m tests.sim.run {seed} --log" for seed in self.failed),
        ]
        return "\n".join(lines)


def run(seeds: Iterable[int], processes: int | None = None) -> Tally:
    """Run every seed in one of several processes (by default one a core)."""
    began = time.perf_counter()
    tally = Tally()
    with multiprocessing.get_context("spawn").Pool(processes or os.cpu_count()) as pool:
        for seed, violations, faults, held, promises, cpu in pool.imap_unordered(
            _one, seeds, _CHUNK
        ):
            tally.seeds += 1
            tally.faults.update(faults)
            tally.held += held
            tally.promises += promises
            tally.cpu_seconds += cpu
            if violations:
                tally.failed[seed] = violations
    tally.seconds = time.perf_counter() - began
    return tally


def _one(seed: int) -> tuple[int, list[str], Counter[str], int, int, float]:
    began = time.process_time()
    world = World(seed, country(seed))
    violations = world.run()
    faults = Counter({name: n for name, n in world.faults.items() if name in world.mishaps.names()})
    held = sum(len(h) for node in world.view().nodes.values() for h in node.headers.values())
    cpu = time.process_time() - began
    return seed, violations, faults, held, len(world.promises), cpu
