"""What is done to the line between two real daemons, and what must be true afterwards.

The daemons stand in namespaces of their own, joined by a relay that does to packets what
bad lines do; what needs no more than TCP goes through a proxy. Where namespaces cannot be
had, the rest is tested, and the reason named (`links.lacks`). Each function is one
fault of security.md 3.3, as often as it is told, and ends when all has arrived.
"""

import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.faults import invariants
from tests.faults.daemons import Pair, rows, wait_until
from tests.faults.links import DOWN, UP, Proxy, Space, lacks
from tests.faults.report import record
from tests.faults.watch import (
    is_even,
    losses,
    parent,
    pause,
    resume,
    rss_kib,
    status,
)

#: What R16 does to packets, both ways.
BAD_LINE: Final = {"loss": 0.1, "delay": 0.05, "jitter": 0.05, "duplicate": 0.2, "corrupt": 0.02}
BLACK_HOLE: Final = {"largest": 600}
KBIT_64: Final = {"rate": 8_000}
_LOOKS_A_RECORD: Final = 10
_CAUSES: Final = frozenset(
    {
        *("UNAVAILABLE", "INTERNAL", "DATA_UNAVAILABLE", "DATA_INTERNAL"),
        *("SESSION_SILENT", "PARENT_SILENT", "LINK_CLOSED"),
    }
)


@dataclass
class Field:
    """A parent and its child, and the lines between them."""

    pair: Pair
    space: Space | None
    proxy: Proxy
    noticed: str = ""

    def need_space(self) -> Space:
        """The namespaces, or a reason to leave a part out."""
        if self.space is None:
            pytest.skip(f"no {lacks()}")
        return self.space

    def report(self, count: int = 20) -> None:
        """Somebody hands rows in at the child."""
        self.pair.office.submit(rows(count))

    def settle(self, seconds: float = 90.0) -> None:
        """Wait until the parent has everything."""
        office = self.pair.office
        wait_until("everything has arrived", lambda: is_even(office), seconds)

    def until_lost(self, what: str, act: Callable[[], object]) -> str:
        """Do something to the line, and wait until the child knows; gives why, in its words."""
        before = len(losses(self.pair.office))
        started = time.monotonic()
        act()
        wait_until(f"{what} is noticed", lambda: len(losses(self.pair.office)) > before)
        # For the report alone: how long it took is the machine's affair.
        self.noticed = f"{time.monotonic() - started:.1f} s, the newest"
        return losses(self.pair.office)[before]

    def dial_through_proxy(self) -> None:
        """Let the child's line go through the proxy from now on."""
        office = self.pair.office
        office.stop()
        office.before = []
        office.settings["YIDAO_PARENT_ADDRESS"] = self.proxy.address
        office.start()
        self.settle()


def bad_line(here: Field, batches: int, seconds: float = 0.0) -> None:
    """R16: what TCP repairs costs time and nothing else."""
    space = here.need_space()
    space.set(up=BAD_LINE, down=BAD_LINE)
    for _ in range(batches):
        here.report()
        time.sleep(seconds / batches)
    here.settle()
    counts = space.counts()
    space.heal()
    for fault in ("lost", "duplicated", "corrupted"):
        assert counts[f"up {fault}"] + counts[f"down {fault}"], fault
    record("R16 lossy, late, duplicating line", injected=_faults(counts), records=batches * 20)


def killed(here: Field, times: int) -> None:
    """R17: the kernel kills the live connection again and again."""
    space = here.need_space()
    dead = 0
    for _ in range(times):
        here.report(3)
        here.until_lost("R17", lambda: _count(space.kill_connections(), "nothing to kill"))
        dead += 1
        wait_until("the child is back", lambda: parent(here.pair.office).state == "connected")
    here.settle()
    record("R17 connection killed (ss -K)", injected=dead, records=3 * times)


def reset(here: Field, times: int) -> None:
    """R18: a firewall answers a segment in mid-stream by RST."""
    space, office = here.need_space(), here.pair.office
    before = space.counts()
    for number in range(times):
        fault = {(UP, DOWN)[number % 2]: {"reset": 1.0}}
        lost = len(losses(office))

        def hit(fault: dict[str, dict[str, float]] = fault, lost: int = lost) -> bool:
            # A segment that a dead connection sends once more may be the one that is hit.
            space.set(**fault)
            here.report(1)
            return len(losses(office)) > lost

        wait_until("R18 is noticed", hit)
        space.heal()
        here.settle()
    resets = sum(n for what, n in (space.counts() - before).items() if what.endswith("reset"))
    assert resets >= times
    record("R18 tcp-reset in mid-stream", injected=resets)


def partition(here: Field, times: int) -> None:
    """R59: packets of one direction vanish; both ends notice, and go on when they come again."""
    space = here.need_space()
    for direction in (UP, DOWN) * times:
        fault = {direction: {"closed": 1.0}}
        what = f"{direction} closed"
        cause = here.until_lost(what, lambda fault=fault: (space.set(**fault), here.report(5)))
        assert cause in _CAUSES, cause
        space.heal()
        here.settle()
    record("R59 asymmetric partition", injected=2 * times, noticed=here.noticed)


def black_hole(here: Field) -> None:
    """R71: large packets vanish and nobody says so; the line comes back by itself after it."""
    space = here.need_space()
    before = space.counts()
    here.until_lost(
        "black hole", lambda: (space.set(up=BLACK_HOLE, down=BLACK_HOLE), here.report(50))
    )
    # The way is closed for handshakes too, and the child can say so.
    office = here.pair.office
    wait_until("the way is diagnosed", lambda: status(office).parent_error == "PARENT_SILENT")
    counts = space.counts() - before
    swallowed = counts["up swallowed"] + counts["down swallowed"]
    assert swallowed
    space.heal()
    here.settle()
    record("R71 MTU black hole", injected=swallowed, records=50)


def slow(here: Field, batches: int, rows_a_batch: int) -> None:
    """R71: 64 kbit/s; what waits arrives."""
    space = here.need_space()
    space.set(up=KBIT_64, down=KBIT_64)
    for _ in range(batches):
        here.report(rows_a_batch)
    here.settle(600)
    space.heal()
    record("R71 64 kbit/s", records=batches * rows_a_batch)


def cut_everywhere(here: Field, counts: dict[str, list[int]]) -> None:
    """R19: the connection ends after every one of these byte counts, by FIN and by RST."""
    proxy = here.proxy
    done = 0
    for direction, sizes in counts.items():
        for size in sizes:
            here.report(1)
            proxy.cut_after(direction, size, reset=bool(size % 2))
            wanted = proxy.counts["cut after"] + 2
            proxy.cut(reset=bool(size % 3))
            looks = 0

            def is_cut(wanted: int = wanted) -> bool:
                # Two: one of them may be the look at why the line was lost, and no session.
                nonlocal looks
                looks += 1
                if looks % _LOOKS_A_RECORD == 0:
                    # An idle line does not come to the higher counts.
                    here.report(1)
                return proxy.counts["cut after"] >= wanted

            wait_until(f"cut after {size} bytes {direction}", is_cut)
            done += 1
    proxy.heal()
    here.settle()
    record("R19 cut after N bytes", injected=done)


def half_open(here: Field) -> None:
    """R59: a line that is open for both ends and carries nothing."""
    cause = here.until_lost("half open", lambda: here.proxy.stall(UP, DOWN))
    assert cause in _CAUSES, cause
    here.report(5)
    here.proxy.heal()
    here.settle()
    record("R59 half open", injected=1, noticed=here.noticed)


def stopped(here: Field) -> None:
    """R59: the parent's process stands still, and then goes on as if nothing had been."""
    here.until_lost("peer stopped", lambda: pause(here.pair.root))
    here.report(5)
    resume(here.pair.root)
    here.settle()
    record("R59 peer stopped (SIGSTOP)", injected=1, noticed=here.noticed)


def away(here: Field, records: int, batch: int) -> list[int]:
    """R45: the parent is away while work goes on; gives the child's memory after each batch."""
    here.pair.root.stop()
    memory = []
    for _ in range(records // batch):
        here.report(batch)
        memory.append(rss_kib(here.pair.office))
    assert parent(here.pair.office).lag >= records
    here.pair.root.start()
    here.settle()
    record("R45 parent away, real daemons", records=records)
    return memory


def arrived_oldest_first(pair: Pair) -> None:
    """What waited in one lane came in the order in which it was written."""
    root, office = (invariants.read(each.folder) for each in pair.both)
    own = {journal for journal in office.own if journal.channel.startswith("up:15")}
    written = [(j, seq) for j, seq in office.view.effects if j in own]
    arrived = [(j, seq) for j, seq in root.view.effects if j in own]
    assert len(written) >= len(pair.office.acked)
    assert arrived == written


def ends_clean(here: Field, folder: Path) -> None:
    """Both hold the same, in order and once; and the checker is awake."""
    assert here.pair.healed() == []
    arrived_oldest_first(here.pair)
    acked = here.pair.office.acked
    assert len(set(acked)) == len(acked)
    _removed_record_is_missed(here.pair, folder)
    record("network, in all", acked=len(acked))


def _removed_record_is_missed(pair: Pair, folder: Path) -> None:
    """The control: a store from which acknowledged records were taken is not clean."""
    copy = folder / "root"
    shutil.copytree(pair.root.folder, copy, ignore=shutil.ignore_patterns("*.sock"))
    with sqlite3.connect(copy / "store.db") as conn:
        conn.execute(
            "DELETE FROM segment WHERE position = (SELECT max(position) FROM segment WHERE"
            " journal_id IN (SELECT id FROM journal WHERE channel = 'up:15' AND own = 0))"
        )
    conn.close()
    found = {line.split(":")[0] for line in invariants.check([copy, pair.office.folder])}
    assert found >= {"LOST", "HEAD"}, found


def spread(size: int, count: int, draw: random.Random) -> list[int]:
    """So many byte counts from the first byte to the last, one in each stretch."""
    step = size / count
    return [1 + int(step * (n + draw.random())) for n in range(count)]


def _faults(counts: Counter[str]) -> int:
    return sum(n for what, n in counts.items() if not what.endswith("passed"))


def _count(number: int, else_say: str) -> int:
    assert number, else_say
    return number
