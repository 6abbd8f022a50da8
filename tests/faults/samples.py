"""What a daemon takes of its machine, looked at again and again, and whether that grows.

A leak is small beside what comes and goes, so nothing is said of one sample: a line is laid
through those of the second half, when caches are full and all has happened once, and how
much it rises from its begin to its end must stay under a bound. The longer a run, the
smaller the leak that breaks it. The slope is the median of the slopes of all pairs
(Theil-Sen): a burst or a file that is cut now and then does not bend it.
"""

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from tests.faults.daemons import Daemon

#: For `shims.page_cache`: ours of 64 MB, and 2 MB for each reader, would look like a leak, or
#: hide one, until the store is as large.
PAGE_CACHE_KIB: Final = "256"
#: By how much the line may rise over the second half. Memory: what the allocator takes for
#: new threads and does not give back, and what is read for the first time; a leak of 1,400
#: bytes a record breaks it after 9,000 records, one of 50 bytes after three days.
BOUNDS: Final[Mapping[str, float]] = {
    "rss_kib": 16_384,
    "anonymous_kib": 12_288,
    "fds": 8,
    "threads": 4,
}
#: From where on `yidao doctor` calls the log too large.
WAL_LIMIT_KIB: Final = 512 << 10
_MOST_SAMPLES: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at a daemon.

    Attributes:
        at: Seconds of the monotonic clock.
        anonymous_kib: The memory that no file backs: without code, which is read bit by bit.
        pss_kib: Memory, where what several processes share counts once in all.
        wal_kib: Of the file beside the store.
    """

    at: float
    pid: int
    rss_kib: int
    anonymous_kib: int
    pss_kib: int
    fds: int
    threads: int
    wal_kib: int


def take(daemon: Daemon) -> Sample | None:
    """Look at a daemon; None if its process is gone."""
    here = Path(f"/proc/{daemon.pid}")
    if not daemon.running:
        return None
    try:
        memory = dict(_fields((here / "smaps_rollup").read_text()))
        return Sample(
            at=time.monotonic(),
            pid=daemon.pid,
            rss_kib=memory["Rss"],
            anonymous_kib=memory["Anonymous"],
            pss_kib=memory["Pss"],
            fds=sum(1 for _ in (here / "fd").iterdir()),
            threads=sum(1 for _ in (here / "task").iterdir()),
            wal_kib=wal_kib(daemon),
        )
    except (FileNotFoundError, ProcessLookupError, KeyError):
        # It ended between two looks; of a process that is not waited for nothing is told.
        return None


def wal_kib(daemon: Daemon) -> int:
    """The size of the log beside a store; 0 without one."""
    file = daemon.folder / "store.db-wal"
    return file.stat().st_size >> 10 if file.exists() else 0


def _fields(text: str) -> list[tuple[str, int]]:
    words = [line.split() for line in text.splitlines()[1:]]
    return [(word[0].rstrip(":"), int(word[1])) for word in words]


def second_half(samples: Sequence[Sample]) -> list[Sample]:
    """The samples of the second half of the time; none of a process that is younger.

    What a process takes in its first minutes is no leak, so it must have begun a quarter of
    the time before.
    """
    if not samples:
        return []
    begin, end = samples[0].at, samples[-1].at
    if len({each.pid for each in samples if each.at >= begin + (end - begin) / 4}) > 1:
        return []
    return [each for each in samples if each.at >= (begin + end) / 2]


def growth(samples: Sequence[Sample], what: str) -> float:
    """By how much the line through these samples rises from the first to the last."""
    # All pairs of a few hundred are enough, and of three days would take hours.
    few = samples[:: max(1, len(samples) // _MOST_SAMPLES)]
    slopes = [
        (getattr(late, what) - getattr(early, what)) / (late.at - early.at)
        for early, late in combinations(few, 2)
    ]
    return statistics.median(slopes) * (samples[-1].at - samples[0].at) if slopes else 0.0


def wrong(path: str, samples: Sequence[Sample]) -> list[str]:
    """Say what of a daemon rose by more than its bound, and whether its log was too large."""
    half = second_half(samples)
    found = {what: growth(half, what) if half else 0.0 for what in BOUNDS}
    largest = max((each.wal_kib for each in samples), default=0)
    return [
        *(
            f"{path}: {what} rises by {grown:.0f}, the bound is {BOUNDS[what]:.0f}"
            for what, grown in found.items()
            if grown > BOUNDS[what]
        ),
        *([f"{path}: its log has {largest} KiB"] if largest > WAL_LIMIT_KIB else []),
    ]


def told(sample: Sample) -> str:
    """One look, for a person."""
    return (
        f"RSS {sample.rss_kib / 1024:.0f} MiB, {sample.fds} files, {sample.threads} threads,"
        f" WAL {sample.wal_kib / 1024:.0f} MiB"
    )


def summary(path: str, samples: Sequence[Sample]) -> str:
    """What a daemon took in the second half, and how much that rose, for a person."""
    half = second_half(samples)
    if not half:
        return f"{path}: not one process all the time"
    rises = ", ".join(f"{what} {growth(half, what):+.0f}" for what in (*BOUNDS, "wal_kib"))
    most = max(each.wal_kib for each in samples) / 1024
    return f"{path}: {told(half[-1])}; rises {rises}; most WAL {most:.0f} MiB"


def seconds_of(variable: str, default: float) -> float:
    """How long a campaign runs, from the environment."""
    return float(os.environ.get(variable, default))
