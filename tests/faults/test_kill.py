"""R3: both ends are killed at random times under load; what was acknowledged is there."""

import random
import time

import pytest

from tests.faults.daemons import Load, Pair
from tests.faults.report import record

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("cycles", [5, pytest.param(1_000, marks=pytest.mark.long)])
def test_either_end_dies_at_random_times(pair: Pair, cycles: int) -> None:
    """Nothing that was acknowledged is lost, nothing is there twice, and all arrives at last."""
    chance = random.Random(3)
    pair.start()
    with Load(pair.office):
        for _ in range(cycles):
            time.sleep(chance.uniform(0.0, 0.5))
            victims = chance.choice([(pair.root,), (pair.office,), pair.both])
            for each in victims:
                each.kill()
            pair.start()
    assert pair.healed() == []
    record(
        "R3 kill -9 of both ends under load", injected=cycles, acked=len(pair.office.acked), lost=0
    )
