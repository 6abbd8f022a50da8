"""Daemons to hurt: a tree that is founded once a session, and a copy of it for each test."""

import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.daemons import Nursery, Pair, found
from tests.faults.report import Tell


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Says something on the terminal, with the seconds since the test began."""
    begun = time.monotonic()

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"{time.monotonic() - begun:7.0f} s  {text}", flush=True)

    return say


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Starts daemons."""
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="session")
def pattern(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The tree as it was founded, stopped; only to be copied."""
    base = tmp_path_factory.getbasetemp()
    if base.name.startswith("popen-"):
        # Of pytest-xdist: whoever of its processes comes first makes it for all.
        base = base.parent
    folder = base / "fault-pattern"
    with (base / "fault-pattern.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Pair(nursery, folder) if folder.exists() else found(nursery, folder)


@pytest.fixture
def pair(nursery: Nursery, pattern: Pair, tmp_path: Path) -> Iterator[Pair]:
    """An office and its parent, stopped; whatever still runs at the end is killed."""
    made = pattern.copy(nursery, tmp_path / "n")
    yield made
    made.kill()
