"""Replay seeds of the forty-node tree: `python -m tests.sim.run SEED [--log]`."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sim.world import Plan, World, country


def main() -> int:
    """Run the seeds that were asked for; return 1 if any is violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--count", type=int, default=1, help="this many seeds from SEED on")
    parser.add_argument("--small", action="store_true", help="the small trees of the short tests")
    parser.add_argument("--log", action="store_true", help="print what happens")
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        began = time.process_time()
        plan = Plan() if options.small else country(seed)
        world = World(seed, plan, log=print if options.log else None)
        violations = world.run()
        took = time.process_time() - began
        records = sum(len(h) for n in world.view().nodes.values() for h in n.headers.values())
        print(
            f"seed {seed}: {len(world.nodes)} nodes, {records} records held, "
            f"{dict(world.faults)}, settled at {world.scheduler.now:.0f} s, {took:.2f} CPU s"
        )
        for violation in violations:
            print(f"  {violation}")
        failed += bool(violations)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
