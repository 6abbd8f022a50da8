"""Whatever is rolled back, restored, booted or cloned: two histories of one key are exposed."""

from collections import Counter
from typing import Any

import pytest

from sim import rollback
from sim.rollback import Process, Rollbacks
from yidao.sync.fencing import Standing, Verdict
from yidao.sync.lives import Heard, Lives

MISHAPS = {
    *("write", "meet", "copy", "restart", "roll_back", "clone", "boot", "restore", "wait"),
    *("decide", "epochs"),
}


def test_two_histories_are_always_exposed() -> None:
    """No two roots for one size of one epoch stay unknown, and all kinds of mishap happen."""
    seen: Counter[str] = Counter()
    for seed in range(60):
        world = Rollbacks(seed)
        assert world.run() == [], seed
        seen.update(world.counts)
        seen["epochs"] += len(world.held)
    assert set(seen) == MISHAPS
    assert min(seen.values()) > 50, "each kind of mishap, and many epochs"


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 11_000, 1_000), ids=lambda n: f"seeds {n}+1000")
def test_two_histories_are_always_exposed_in_a_campaign(first: int) -> None:
    """The same for ten thousand other seeds."""
    for seed in range(first, first + 1_000):
        assert Rollbacks(seed).run(150) == [], seed


def _careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every process sign from its start on, whatever vouches for its disk."""
    real = Rollbacks.started

    def started(self: Rollbacks, *args: Any, **kwargs: Any) -> Process:
        made = real(self, *args, **kwargs)
        made.standing = Standing.ACTIVE
        return made

    monkeypatch.setattr(Rollbacks, "started", started)


def _forks() -> tuple[int, list[str]]:
    """Two roots for one size that left their machines, and those that nobody noticed."""
    worlds = [Rollbacks(seed) for seed in range(20)]
    unseen = [line for world in worlds for line in world.run()]
    return sum(len(roots) > 1 for world in worlds for roots in world.told.values()), unseen


def test_without_the_fence_there_are_many_more_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: who signs at every start forks where the fenced one does not, and is seen."""
    fenced, _ = _forks()
    _careless(monkeypatch)
    forks, unseen = _forks()
    assert forks > 4 * max(fenced, 1)
    assert unseen == []


def test_a_parent_that_does_not_compare_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other control: with the comparison taken out the invariant is broken at once."""
    _careless(monkeypatch)
    monkeypatch.setattr(rollback, "check_held", lambda *_: None)
    monkeypatch.setattr(rollback, "judge", lambda *_: Verdict.EQUAL)
    monkeypatch.setattr(Lives, "hear", lambda self, _life, _now: (self, Heard.ONE))
    _, unseen = _forks()
    assert unseen
