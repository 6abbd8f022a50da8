"""Two daemons of one node over one PostgreSQL with a standby: each of them may die."""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.daemons import Nursery, rows
from tests.faults.report import record
from tests.faults.scaled import Scaled, loads

pytestmark = pytest.mark.e2e


@pytest.fixture
def scaled(nursery: Nursery, tmp_path: Path) -> Iterator[Scaled]:
    """The tree, founded and running."""
    # The servers' user may not enter the folders of pytest.
    with tempfile.TemporaryDirectory(prefix="yidao-pg-") as databases:
        Path(databases).chmod(0o755)
        made = Scaled(nursery, tmp_path, Path(databases))
        try:
            made.found()
            yield made
        finally:
            made.close()


@pytest.mark.parametrize(
    ("kills", "failovers", "seed"),
    [(2, 1, 5), *(pytest.param(25, 2, seed, marks=pytest.mark.long) for seed in range(4))],
)
def test_whoever_dies_under_load(scaled: Scaled, kills: int, failovers: int, seed: int) -> None:
    """Children move over; nothing is lost or applied twice, no two checkpoints of a size differ."""
    chance = random.Random(seed)
    for failover in range(failovers):
        with loads(*scaled.province, *scaled.counties):
            for kill in range(kills):
                time.sleep(chance.uniform(0.2, 0.8))
                victim, left = scaled.province[kill % 2], scaled.province[1 - kill % 2]
                victim.kill()
                scaled.wait_moved(left)
                time.sleep(chance.uniform(0.0, 0.4))
                victim.start()
            # And it comes back to the one that had it, which would be a clone under its old life.
            scaled.pass_lead()
            scaled.pass_lead()
            doubts = scaled.doubts()
            scaled.fail_over()
            scaled.wait_linked()
            # Whoever came to the new server first signed nothing before the parent had spoken.
            assert scaled.doubts() > doubts
            time.sleep(0.3)
        scaled.wait_linked()
        if failover + 1 < failovers:
            scaled.follow()
    acked = sum(len(each.acked) for each in scaled.daemons)
    assert all(each.acked for each in (*scaled.province, *scaled.counties))
    assert scaled.problems() == set()
    assert scaled.folded_once()
    assert scaled.settled() == []
    record(
        "two daemons on PostgreSQL: kill -9 of either, leader cut off, failover to the standby",
        injected=failovers * (kills + 3),
        acked=acked,
    )


@pytest.mark.long
def test_control_a_standby_that_no_commit_waits_for(scaled: Scaled, tmp_path: Path) -> None:
    """Control: a failover to a standby that fell behind must lose what was acknowledged since."""
    scaled.fall_behind()
    handed_in = rows(5)
    scaled.second.submit(handed_in)
    for each in scaled.daemons:
        each.kill()
    scaled.fail_over()
    found = scaled.faults(tmp_path / "shown", settled=False)
    lost = sum(fault.startswith("LOST: record") for fault in found)
    assert lost == len(handed_in)
    record(
        "two daemons on PostgreSQL, control: an asynchronous standby must lose",
        injected=1,
        lost=lost,
    )
