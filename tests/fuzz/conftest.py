"""Lets tests import the targets as `fuzz.targets`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
