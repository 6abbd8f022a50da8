"""The oracle, as a program of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from yidao.node.demo.tree import DemoNode

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


@pytest.fixture(scope="session")
def assert_totals() -> Callable[[DemoNode, dict[str, dict[str, str]]], None]:
    """Compares a node's accepted totals with the oracle's, both ways, to the last digit."""

    def compare(node: DemoNode, truth: dict[str, dict[str, str]]) -> None:
        assert truth
        with node.client() as client:
            for cell, sums in truth.items():
                form, period = cell.split()
                seen = client.roll_up(pack="energy", form=form, period=period).accepted
                figures = {n: Decimal(v) for n, v in seen.fields.items() if n != "uscc"}
                claimed = {n: v for n, v in figures.items() if v}
                # A row may hold integers that no roll-up adds, such as its year.
                summed = {n: Decimal(v) for n, v in sums.items() if n in figures}
                assert seen.returns == int(sums["returns"]), (node.path, cell)
                assert claimed == summed, (node.path, cell)
                assert claimed, (node.path, cell)

    return compare
