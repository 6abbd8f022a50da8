"""What grows is told from what comes and goes; the faults of a seed are always the same."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from tests.faults import mishaps, samples
from tests.faults.samples import Sample

_RSS = 90_000


def _taken(rss: Callable[[int], float], *, pid: Callable[[int], int] = lambda _: 1) -> list[Sample]:
    """Samples of an hour, one every ten seconds."""
    return [
        Sample(
            at=second,
            pid=pid(second),
            rss_kib=int(rss(second)),
            anonymous_kib=0,
            pss_kib=0,
            fds=40,
            threads=12,
            wal_kib=0,
        )
        for second in range(0, 3_600, 10)
    ]


def test_a_leak_is_told_from_noise() -> None:
    """Noise, bursts and what fills once at the begin are flat; 12 KiB a second are not."""
    draw = random.Random(1)

    def noise(second: int) -> float:
        burst = 30_000 if second % 600 < 60 else 0
        return _RSS + burst + draw.uniform(-3_000, 3_000)

    def warming(second: int) -> float:
        return noise(second) + 40 * min(second, 1_500)

    for flat in (noise, warming):
        assert samples.wrong("/", _taken(flat)) == []
    leaking = _taken(lambda second: noise(second) + 12 * second)
    assert ["rss_kib" in line for line in samples.wrong("/", leaking)] == [True]


def test_a_log_that_was_once_too_large_is_told() -> None:
    """At any moment, also before the daemon was started again."""
    taken = _taken(lambda _: _RSS, pid=lambda second: 1 + (second > 3_000))
    taken[3] = replace(taken[3], wal_kib=samples.WAL_LIMIT_KIB + 1)
    assert ["log" in line for line in samples.wrong("/", taken)] == [True]


def test_a_daemon_that_was_ended_meanwhile_says_nothing() -> None:
    """A process that began shortly before the second half, or in it, has not settled."""
    for begun in (1_500, 3_000):
        late = _taken(lambda _: _RSS, pid=lambda second, begun=begun: 1 + (second > begun))
        assert samples.second_half(late) == []
    early = _taken(lambda _: _RSS, pid=lambda second: 1 + (second > 600))
    assert len(samples.second_half(early)) == 180


def test_a_seed_gives_the_same_faults() -> None:
    """All kinds come within an hour; nobody spared is killed, no two of a sort overlap."""
    nodes, spared, small = 60, {0, 1, 5, 15, 30}, {58, 59}
    plans = [
        mishaps.plan(seed, 3_600, nodes, gap_seconds=4.0, spared=spared, small=small)
        for seed in (7, 7, 8)
    ]
    first, again, other = plans
    assert first == again != other
    kinds = {each.kind for each in first}
    assert kinds == {*mishaps.LINES, mishaps.KILLED, mishaps.STOPPED, mishaps.FULL, mishaps.CLOCK}
    assert all(each.at < each.until <= 3_600 for each in first)
    assert spared.isdisjoint(each.victim for each in first if each.kind == mishaps.KILLED)
    assert small >= {each.victim for each in first if each.kind == mishaps.FULL}
    lines = [each for each in first if each.kind in mishaps.LINES]
    assert 0 not in {each.victim for each in lines}
    for victim in range(nodes):
        ends = [each for each in lines if each.victim == victim]
        assert all(one.until < later.at for one, later in pairwise(ends))
