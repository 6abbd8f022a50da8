"""The oracle, as a program of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ORACLE = Path(__file__).parents[1] / "oracle" / "oracle.py"


@pytest.fixture(scope="session")
def ask_oracle() -> Callable[[Path], dict[str, Any]]:
    """Runs the oracle on a folder of nodes, without the project on its path."""

    def ask(folder: Path) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-S", str(ORACLE), str(folder)],
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
        )
        return dict(json.loads(done.stdout))

    return ask
