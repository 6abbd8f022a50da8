"""Replay one seed: `PYTHONPATH=tests .venv/bin/python -m sim.run --seed 17 --log`."""

import argparse
import sys
import time

from sim.world import World


def main() -> int:
    """Run the seeds that were asked for; return 1 if any is violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1, help="this many seeds from --seed on")
    parser.add_argument("--log", action="store_true", help="print what happens")
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        began = time.perf_counter()
        world = World(seed, log=print if options.log else None)
        violations = world.run()
        took = time.perf_counter() - began
        records = sum(len(h) for n in world.view().nodes.values() for h in n.headers.values())
        print(
            f"seed {seed}: {len(world.nodes)} nodes, {records} records held, "
            f"{dict(world.faults)}, settled at {world.scheduler.now:.0f} s, {took:.2f} s"
        )
        for violation in violations:
            print(f"  {violation}")
        failed += bool(violations)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
