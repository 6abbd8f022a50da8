"""Lets tests import the simulator as `sim` (`from sim.world import World`)."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from sim import campaign


@pytest.fixture(autouse=True, scope="package")
def _collector() -> Iterator[None]:
    """Whole trees are garbage in cycles, which the collector would look for all the time."""
    before = gc.get_threshold()
    campaign.collect_rarely()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
