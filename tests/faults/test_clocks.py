"""Clocks that are wrong, that jump and that are put right: order, records and timers stay sane.

Order in Yidao never comes from a clock. What needs one, certificates and tokens, says by a
typed error that it is wrong, and goes on by itself once it is right.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.clocks import DAY_SECONDS, YEAR_SECONDS, Clock, lacks_time_namespaces
from tests.faults.daemons import Daemon, Load, Pair, rows, wait_until
from tests.faults.links import Proxy
from tests.faults.network import arrived_oldest_first
from tests.faults.report import record
from tests.faults.watch import is_even, losses, parent, problems, rss_kib, status
from yidao.node.demo.tree import free_ports
from yidao.node.link.errors import JoinTokenExpired, JoinTokenUsed
from yidao.node.setup import join_network

pytestmark = pytest.mark.e2e

_AHEAD = 400 * DAY_SECONDS
_BACK = -10 * YEAR_SECONDS
_HOUR = 3_600
# The writer's page cache, `cache_size` in `store.engine`, fills up first; and a little beside.
_CACHE_KIB = 64_000 + 8_000


@dataclass
class Field:
    """A parent and its child, their clocks, and the line between them."""

    pair: Pair
    root_clock: Clock
    office_clock: Clock
    proxy: Proxy

    def settle(self) -> None:
        """Wait until the parent has everything."""
        wait_until("everything has arrived", lambda: is_even(self.pair.office))

    def redial(self) -> None:
        """Let the child dial again."""
        before = len(losses(self.pair.office))
        self.proxy.cut(reset=True)
        wait_until("the cut is noticed", lambda: len(losses(self.pair.office)) > before)

    @property
    def steps(self) -> int:
        """How often a clock was set."""
        return self.root_clock.steps + self.office_clock.steps


@pytest.fixture
def here(pair: Pair, tmp_path: Path) -> Iterator[Field]:
    """A parent and its child, linked; the child's machine has run for ten years if it can."""
    root, office = pair.both
    clocks = []
    for daemon in pair.both:
        clock = Clock(tmp_path / f"{daemon.folder.name}.clock")
        daemon.before = [clock.before]
        clocks.append(clock)
    if not lacks_time_namespaces():
        office.before.append(("tests.faults.clocks:start_later", str(10 * YEAR_SECONDS)))
    root.settings["YIDAO_JOIN_ATTEMPTS_PER_MINUTE"] = "100"
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(("127.0.0.1", root.link_port)))
        office.settings["YIDAO_PARENT_ADDRESS"] = proxy.address
        stack.callback(pair.kill)
        pair.start()
        yield Field(pair, *clocks, proxy)


def _certificate_state(daemon: Daemon) -> str:
    return next(each.state for each in status(daemon).expiries if each.kind == "certificate")


def child_ahead(here: Field) -> None:
    """R54: the child's clock is 400 days ahead: work goes on, its certificate looks ended."""
    office = here.pair.office
    here.office_clock.set(_AHEAD)
    assert _certificate_state(office) == "over"
    office.submit(rows(20))
    here.settle()
    here.redial()
    office.submit(rows(20))
    here.settle()
    here.office_clock.set(0)
    assert _certificate_state(office) == "fine"


def child_back(here: Field) -> None:
    """R54: ten years back no standard is in force yet, and the reason is told; all else lives."""
    office = here.pair.office
    here.office_clock.set(_BACK)
    with office.client() as client:
        done = client.submit("energy", rows(5), actor="sample@/33")
        client.issue_code("30603733010600000054", actor="sample@/33")
    assert {fault.code for each in done.results for fault in each.faults} == {"PACK_NOT_IN_FORCE"}
    here.settle()
    here.redial()
    here.settle()
    office.stop()
    office.begin()
    assert office.wait_end() != 0
    assert "CLOCK_BEFORE_BUILD" in office.log.read_text()
    here.office_clock.set(0)
    office.start()
    here.settle()


def child_oscillates(here: Field, times: int) -> None:
    """R54: a clock that swings by half a minute, under load, breaks no line and no order."""
    lost = len(losses(here.pair.office))
    with Load(here.pair.office):
        for number in range(times):
            here.office_clock.set((30, -30)[number % 2])
            time.sleep(0.05)
    here.office_clock.set(0)
    here.settle()
    assert len(losses(here.pair.office)) == lost


def parent_back_an_hour(here: Field) -> None:
    """R55: under load the parent's clock jumps back: what it confirms goes on being confirmed."""
    office = here.pair.office
    lost, before = len(losses(office)), len(office.acked)
    with Load(office):
        wait_until("there is load", lambda: len(office.acked) > before)
        here.root_clock.set(-_HOUR)
        held = len(office.acked)
        wait_until("the load goes on", lambda: len(office.acked) > held + 20)
    here.settle()
    wait_until("all is confirmed", lambda: _is_confirmed(office))
    here.root_clock.set(0)
    assert len(losses(office)) == lost
    assert problems(office) == set()


def _is_confirmed(daemon: Daemon) -> bool:
    seen = status(daemon)
    return seen.receipts_current == seen.receipts_expected


def parent_wrong(here: Field) -> None:
    """R55: a parent whose clock is wrong refuses by name, and takes the child back by itself."""
    office = here.pair.office
    for off, code in ((_AHEAD, "EXPIRED"), (-_HOUR, "EARLY"), (_BACK, "EARLY")):
        here.root_clock.set(off)
        here.redial()
        wanted = f"PEER_CERTIFICATE_{code}"
        wait_until(wanted, lambda wanted=wanted: status(office).parent_error.endswith(wanted))
        office.submit(rows(5))
        here.root_clock.set(0)
        here.settle()


def join_once(here: Field, folder: Path) -> None:
    """R56: a bundle enrols one node, whatever the parent's clock did before and after."""
    root = here.pair.root
    with root.client() as client:
        bundle = client.add_child("56", ttl_seconds=600, operator="sample@/")

    def join(name: str) -> None:
        file = folder / f"{name}.bundle"
        file.touch(0o600)
        file.write_bytes(bundle)
        ports = [f"127.0.0.1:{port}" for port in free_ports(2)]
        settings = {"listen": ports[0], "join_listen": ports[1]}
        # In a thread: another test of this process may have left an event loop in this one.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(join_network, folder / name, file, settings).result()

    folder.mkdir()
    here.root_clock.set(2 * DAY_SECONDS)
    with pytest.raises(JoinTokenExpired):
        join("late")
    here.root_clock.set(0)
    join("first")
    for number, off in enumerate((-_HOUR, 30, 2 * DAY_SECONDS, 0)):
        here.root_clock.set(off)
        with pytest.raises(JoinTokenUsed):
            join(f"twin{number}")
    with root.client() as client:
        below = [node.path for node in client.list_tree() if node.path == "/56"]
    assert below == ["/56"]
    shutil.rmtree(folder)


def suspended(here: Field, times: int) -> None:
    """R57: the machine slept for an hour: at most the line is made anew, and all goes on."""
    office = here.pair.office
    before = len(losses(office))
    for number in range(1, times + 1):
        here.office_clock.set(wall=number * _HOUR, monotonic=number * _HOUR)
        office.submit(rows(5))
        here.settle()
    here.office_clock.set(wall=0)
    why = losses(office)[before:]
    assert set(why) <= {"SESSION_SILENT"}
    assert len(why) <= times


def test_clocks_of_every_kind(here: Field, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """A parent and its child live through every wrong clock; in the end both hold the same."""
    phases: dict[str, Callable[[], object]] = {
        "R54 child ahead": lambda: child_ahead(here),
        "R54 child back": lambda: child_back(here),
        "R54 child oscillates": lambda: child_oscillates(here, 20),
        "R55 parent back under load": lambda: parent_back_an_hour(here),
        "R56 one grant": lambda: join_once(here, tmp_path / "join"),
        "R55 parent wrong": lambda: parent_wrong(here),
        "R57 suspended": lambda: suspended(here, 2),
    }
    for name, phase in phases.items():
        with subtests.test(name):
            phase()
    with subtests.test("R57 a machine that has run for ten years"):
        if lack := lacks_time_namespaces():
            pytest.skip(f"no {lack}")
        office = here.pair.office.pid
        its, ours = (Path(f"/proc/{of}/ns/time").readlink() for of in (office, "self"))
        assert its != ours
    # Not `healed`, which waits for every link of the root: one node was only enrolled.
    here.settle()
    for daemon in reversed(here.pair.both):
        daemon.stop()
    assert here.pair.faults() == []
    arrived_oldest_first(here.pair)
    acked = here.pair.office.acked
    record("R54-R57 clocks", injected=here.steps, acked=len(acked))


@pytest.mark.long
def test_a_parent_that_is_away_for_thirty_days(here: Field) -> None:
    """R45: a month by the child's clock, rows every day, while its certificate ends.

    The clock is right again when the parent returns, since TLS itself never saw it move; how
    an ended certificate is renewed has tests of its own (`test_renewal.py`).
    """
    root, office = here.pair.both
    root.stop()
    memory = []
    for day in range(1, 31):
        here.office_clock.set(day * DAY_SECONDS)
        for _ in range(10):
            office.submit(rows(100))
        memory.append(rss_kib(office))
    assert _certificate_state(office) == "over"
    assert parent(office).lag >= 30_000
    here.office_clock.set(0)
    root.start()
    here.settle()
    assert here.pair.healed() == []
    arrived_oldest_first(here.pair)
    assert memory[-1] - memory[0] < _CACHE_KIB, memory
    record("R45 parent away for 30 days", injected=30, acked=len(office.acked))
