"""Forty nodes in four tiers under every fault at once: lines, disks, machines, clocks.

One line of a campaign says how many seeds it ran, and how many a second (`pytest -s`).
A campaign in slices: `YIDAO_SIM_FROM=12000 YIDAO_SIM_SEEDS=2000` names its seeds; the
report adds the slices up and counts a seed once.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sim import broken, campaign
from sim.sim_node import SimNode
from sim.world import Plan, World, country

SEEDS = 12
LONG_FROM = int(os.environ.get("YIDAO_SIM_FROM", "10000"))
LONG_SEEDS = int(os.environ.get("YIDAO_SIM_SEEDS", "10000"))
SLICE = 500


@pytest.mark.parametrize("seed", range(SEEDS))
def test_country_survives_everything(seed: int) -> None:
    """Acked is kept, in order, once; two histories are exposed; all that is left ends equal."""
    outcome = campaign.play(seed)
    campaign.count([outcome])
    assert outcome.violations == [], f"replay: python -m tests.sim.run {seed} --log"
    assert outcome.nodes == 40


def test_a_seed_is_counted_once_and_a_failure_always(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices that overlap add up to what was run, and no failure hides behind an earlier run."""
    recorded: list[dict[str, float]] = []
    monkeypatch.setattr(campaign, "COUNTED", tmp_path / "build" / "seeds")
    monkeypatch.setattr(campaign, "record", lambda _, **counts: recorded.append(counts))
    good, bad = campaign.play(0), replace(campaign.play(1), violations=["LOST: a record"])
    assert [campaign.count(each) for each in ([good], [good, bad], [good], [bad])] == [1, 1, 0, 1]
    assert [each["failed"] for each in recorded] == [0, 1, 1]
    assert recorded[0]["mishaps"] == good.mishaps.total() > 10


# When the thirty days of the second begin, two lines are parted that were to come up again.
@pytest.mark.parametrize("seed", [49, 149])
def test_thirty_days_without_a_line_lose_nothing(seed: int) -> None:
    """Everybody writes, restarts and loses power alone for thirty days; then all is there."""
    world = World(seed, country(seed))
    assert world.run() == [], f"replay: python -m tests.sim.run {seed} --log"
    assert world.scheduler.now > 30 * 86_400
    assert world.faults["away"] == 1


@pytest.mark.parametrize("seed", [11026, 11189, 11195, 11295, 11314, 12650, 13694, 13839, 15721])
def test_seeds_that_once_failed(seed: int) -> None:
    """A fork within one seal; a cursor that fits by chance while a node resumes."""
    assert World(seed, country(seed)).run() == [], f"replay: python -m tests.sim.run {seed} --log"


@pytest.mark.long
@pytest.mark.parametrize(
    "first",
    range(LONG_FROM, LONG_FROM + LONG_SEEDS, SLICE),
    ids=lambda n: f"seeds {n}+{SLICE}",
)
def test_country_survives_a_campaign(first: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for ten thousand other seeds, on all cores."""
    seeds = range(first, min(first + SLICE, LONG_FROM + LONG_SEEDS))
    tally = campaign.run(seeds)
    counted = campaign.count(tally.outcomes)
    with capsys.disabled():
        print(f"\n{tally}\n{counted} of them were not counted before")
    assert tally.failed == {}
    assert sorted(each.seed for each in tally.outcomes) == list(seeds)


def test_every_mishap_really_happens() -> None:
    """No kind of mishap is only in the list: each finds something to happen to."""
    worlds = [World(seed, country(seed)) for seed in range(8)]
    for world in worlds:
        world.run()
    names = {name for world in worlds for name in world.mishaps.names()} - {"away"}
    assert len(names) == 18
    assert names <= {name for world in worlds for name, n in world.faults.items() if n}


SET_BACK = ("restore", "roll_back", "clone", "crash")
CLOCKS = ("jump_clock", "half_open", "part", "crash")
CONTROLS = {
    "positions given twice": (broken.GivesPositionsTwice, ("clone", "restore", "crash"), "SHORT"),
    "torn commits": (broken.KeepsTornCommits, ("crash", "cut"), "PART"),
    "second histories": (broken.ComparesNothing, SET_BACK, "DIFFERS"),
    "time by the wall clock": (broken.TimesByTheWallClock, CLOCKS, "SHORT"),
}


@pytest.mark.parametrize(
    ("node_type", "mishaps", "finding"), CONTROLS.values(), ids=CONTROLS.keys()
)
def test_broken_country_is_found(
    node_type: type[SimNode], mishaps: tuple[str, ...], finding: str
) -> None:
    """With one guard taken out of a smaller tree, a few dozen seeds find it by its name."""
    plan = Plan(
        shapes=("1+2+4+8",), disasters=True, hostile=False, faults=12, appends=60, only=mishaps
    )
    found: set[str] = set()
    for seed in range(60):
        found |= {line.split(":")[0] for line in World(seed, plan, node_type).run()}
        if finding in found:
            return
    pytest.fail(f"60 seeds found {found or 'nothing'}, not {finding}")
