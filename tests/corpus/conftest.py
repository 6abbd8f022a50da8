"""The files of this folder import one another as `corpus.*`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
