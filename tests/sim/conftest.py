"""Lets tests import the simulator as `sim` (`from sim.world import World`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
