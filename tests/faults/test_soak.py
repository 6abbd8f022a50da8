"""R72: hours or days of work beside a reader that stays long: nothing that a daemon takes grows.

    YIDAO_SOAK_SECONDS=259200 pytest -m long tests/faults/test_soak.py

It tells on the terminal how far it is.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final

import pytest

from tests.faults import samples
from tests.faults.daemons import Daemon, Load, Pair
from tests.faults.report import Tell, record
from tests.faults.samples import Sample, seconds_of

pytestmark = pytest.mark.e2e

SECONDS: Final = seconds_of("YIDAO_SOAK_SECONDS", 3_600)
#: A reader stays so long, as a backup or a report may, and so long there is none. Nothing can
#: be taken out of the log while it is there; `wal-checkpoint` comes every 300 s.
READER_SECONDS: Final = 600.0
PAUSE_SECONDS: Final = 330.0
_SAMPLES: Final = 1_200
_TELL_SECONDS: Final = 30.0
_CONTROL_SECONDS: Final = 45.0
_LEAK_BYTES: Final = "262144"


class Reader:
    """Opens a snapshot of a store again and again, and keeps each for long."""

    def __init__(self, daemon: Daemon) -> None:
        self._file = daemon.folder / "store.db"
        self._open: sqlite3.Connection | None = None
        self._until = 0.0
        self._seen = 0
        #: How many snapshots were kept to their end.
        self.kept = 0

    def turn(self, now: float) -> None:
        """Open it or close it, if it is time; an open one sees what it saw at first."""
        if now < self._until:
            return
        if self._open is None:
            self._open = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)
            self._open.execute("BEGIN")
            self._seen = self._count()
            self._until = now + READER_SECONDS
        else:
            self.close()
            self._until = now + PAUSE_SECONDS

    def close(self) -> None:
        """Close it, if it is open."""
        if self._open is None:
            return
        with closing(self._open):
            assert self._count() == self._seen, "it was no snapshot"
        self._open = None
        self.kept += 1

    def _count(self) -> int:
        assert self._open is not None
        return int(self._open.execute("SELECT last_position FROM store_head").fetchone()[0])


@contextmanager
def _prepared(pair: Pair, *before: tuple[str, str]) -> Iterator[None]:
    """Both run, with a page cache that is soon full."""
    for each in pair.both:
        each.before = [("tests.faults.shims:page_cache", samples.PAGE_CACHE_KIB), *before]
    pair.start()
    try:
        yield
    finally:
        pair.kill()


def _watched(pair: Pair, seconds: float, tell: Tell) -> tuple[dict[str, list[Sample]], int]:
    """Let both work for so long beside a reader each; gives what they took, and the snapshots."""
    taken: dict[str, list[Sample]] = {each.path: [] for each in pair.both}
    readers = [Reader(each) for each in pair.both]
    begun = time.monotonic()
    next_word = 0.0
    with ExitStack() as stack:
        for reader in readers:
            stack.callback(reader.close)
        while (now := time.monotonic() - begun) < seconds:
            for each, reader in zip(pair.both, readers, strict=True):
                reader.turn(now)
                found = samples.take(each)
                assert found is not None, f"{each.path} ended: {each.said()[-800:]}"
                taken[each.path].append(found)
            if now >= next_word:
                newest = [each[-1] for each in taken.values()]
                tell(f"acked {len(pair.office.acked)}; " + "; ".join(map(samples.told, newest)))
                next_word = now + max(_TELL_SECONDS, seconds / 500)
            time.sleep(min(max(seconds / _SAMPLES, 0.5), 60.0))
    return taken, sum(reader.kept for reader in readers)


@pytest.mark.long
def test_days_of_work_beside_a_long_reader(pair: Pair, tell: Tell) -> None:
    """Memory, files and threads are flat, the log stays below the limit that doctor has."""
    tell(f"{SECONDS:.0f} s")
    with _prepared(pair), Load(pair.office, rows_a_call=5, pause_seconds=0.5):
        taken, snapshots = _watched(pair, SECONDS, tell)
    for path, each in taken.items():
        tell(samples.summary(path, each))
        assert samples.second_half(each), f"{path} was started again"
    assert [line for path, each in taken.items() for line in samples.wrong(path, each)] == []
    assert pair.healed() == []
    record(
        "R72 soak with a long reader",
        acked=len(pair.office.acked),
        snapshots=snapshots,
        seconds=round(SECONDS),
    )


@pytest.mark.long
def test_control_a_leak_rises(pair: Pair, tell: Tell) -> None:
    """Control: daemons that keep 256 KiB of each commit must be found by the same bounds."""
    leak = ("tests.faults.shims:leak", _LEAK_BYTES)
    with _prepared(pair, leak), Load(pair.office, rows_a_call=5, pause_seconds=0.05):
        taken, _ = _watched(pair, _CONTROL_SECONDS, tell)
    for path, each in taken.items():
        found = samples.wrong(path, each)
        assert any("rss_kib" in line for line in found), samples.summary(path, each)
    record("R72 control: a leak of 256 KiB a commit must be found", injected=len(taken))
