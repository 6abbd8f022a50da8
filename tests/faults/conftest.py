"""Daemons to hurt: a tree that is founded once a session, and a copy of it for each test."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.daemons import Nursery, Pair, found


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
