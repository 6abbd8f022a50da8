"""R3: both ends are killed at random times under load; what was acknowledged is there."""

import random
import time

import pytest

from tests.faults.daemons import Load, Pair
from tests.faults.report import record

pytestmark = pytest.mark.e2e


#: The long campaign is run in slices of so many cycles, 1,000 in all.
SLICES, CYCLES = 20, 50


def _campaign(pair: Pair, cycles: int, seed: int) -> None:
    chance = random.Random(seed)
    pair.start()
    killed = 0
    with Load(pair.office):
        for _ in range(cycles):
            time.sleep(chance.uniform(0.0, 0.3))
            victims = chance.choice([(pair.root,), (pair.office,), pair.both])
            for each in victims:
                killed += each.running
                each.kill()
            pair.start()
    assert pair.healed() == []
    acked = pair.newly_acked()
    assert acked
    record("R3 kill -9 of both ends under load", injected=killed, acked=acked)


def test_either_end_dies_at_random_times(pair: Pair) -> None:
    """Nothing that was acknowledged is lost, nothing is there twice, and all arrives at last."""
    _campaign(pair, 3, 0)


@pytest.mark.long
@pytest.mark.parametrize("part", range(SLICES))
def test_either_end_dies_a_thousand_times(pair: Pair, part: int) -> None:
    """The same a thousand times."""
    _campaign(pair, CYCLES, part + 1)
