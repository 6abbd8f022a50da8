"""The files of this folder import one another as `corpus.*`; their cases are counted."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.report import record

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope="session")
def cases() -> Iterator[list[str]]:
    """The cases that were run, which `docs/reliability.md` tells the number of."""
    ran: list[str] = []
    yield ran
    if ran:
        record("corpus of bad input", cases=len(ran))


@pytest.fixture(autouse=True)
def _counted(cases: list[str], request: pytest.FixtureRequest) -> None:
    cases.append(request.node.nodeid)
