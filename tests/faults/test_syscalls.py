"""R1, R2, R5, R6, R11: real daemons whose system calls kill them, fail, or take their time."""

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults import invariants, tracing
from tests.faults.daemons import PATIENCE_SECONDS, Daemon, Pair, rows, wait_until
from tests.faults.report import record
from tests.faults.tracing import calls_in, copy_synced, traced
from yidao.api.errors import YidaoError
from yidao.node.store.writer import FATAL_EXIT_CODE

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "strace works"),
]
# So many calls of a client under one trace; each is a commit and what follows from it.
CALLS = 3
ROWS = 3
#: Which calls are hit, by their number in the thread that makes them; None for every one.
Moments = tuple[int, ...] | None


def _hand_in(pair: Pair) -> int:
    """Hand rows in until a call fails; gives how many calls were acknowledged."""
    for done in range(CALLS):
        try:
            pair.office.submit(rows(ROWS))
        except YidaoError:
            return done
    return CALLS


def _arrived(pair: Pair) -> None:
    """Wait until nothing waits for the parent, or one end is gone."""

    def over() -> bool:
        status = pair.office.status()
        if status is None or not pair.root.running:
            return not (pair.office.running and pair.root.running)
        return not any(peer.lag for peer in status.peers)

    wait_until("all is sent", over)


def _under_load(pair: Pair, victim: Daemon, moments: Moments, first: str = "") -> Iterable[int]:
    """Give the moments, or all that the victim has while rows are handed in and travel."""
    if moments is not None:
        return moments
    pair.start()
    with traced(victim) as output:
        assert _hand_in(pair) == CALLS
        _arrived(pair)
    return range(1, calls_in(output, first) + 1)


def _record(pair: Pair, name: str, victim: Daemon, injected: int) -> None:
    assert injected, f"nothing was hit: {name}"
    end = "sender" if victim is pair.office else "receiver"
    record(f"{name}, {end}", injected=injected, acked=pair.newly_acked())


def kill_under_load(pair: Pair, victim: Daemon, moments: Moments) -> None:
    """Kill at the k-th write; whatever was acknowledged by then is there."""
    killed = 0
    for k in _under_load(pair, victim, moments):
        pair.start()
        with traced(victim, inject=f"signal=KILL:when={k}") as output:
            _hand_in(pair)
            _arrived(pair)
            # Not every run has as many calls as the one that was counted.
            victim.nursery.wait(victim.pid, 1.0)
        killed += _has_ended(victim, output, "killed by SIGKILL")
        assert pair.faults() == [], f"killed at write {k}"
    _record(pair, "R1, R2 kill -9 at a write under load", victim, killed)


def kill_at_start(pair: Pair, victim: Daemon, moments: Moments) -> None:
    """Kill at the k-th write of a start after a kill; nothing that counts has changed."""
    pair.start()
    assert _hand_in(pair) == CALLS
    pair.kill()
    if moments is None:
        with traced(victim, starting=True) as output:
            victim.wait_ready()
        moments = tuple(range(1, calls_in(output) + 1))
    killed = 0
    for k in moments:
        victim.kill()
        with traced(victim, inject=f"signal=KILL:when={k}", starting=True):
            wait_until(
                "it is dead or ready", lambda: not victim.running or victim.status() is not None
            )
            killed += victim.nursery.wait(victim.pid, 0.2) is not None
        assert pair.faults() == [], f"killed at write {k}"
    _record(pair, "R1, R2 kill -9 at a write of the start", victim, killed)


def fail(pair: Pair, victim: Daemon, call: str, moments: Moments) -> None:
    """EIO: the process ends at once, and what was acknowledged does not rest on that write."""
    failed = 0
    for k in _under_load(pair, victim, moments, call):
        pair.start()
        with traced(victim, failing=call, inject=f"error=EIO:when={k}") as output:
            _hand_in(pair)
            _arrived(pair)
            victim.nursery.wait(victim.pid, 1.0)
        if not _has_ended(victim, output, "INJECTED"):
            continue
        failed += 1
        code = victim.nursery.wait(victim.pid, 0.0)
        assert code == FATAL_EXIT_CODE, f"{call} {k}: {victim.said()[-500:]}"
        assert pair.faults() == [], f"EIO at {call} {k}"
        assert _lost_with_the_cache(pair, victim, output) == []
    _record(pair, f"R5 EIO at {call}", victim, failed)


def fill(pair: Pair, victim: Daemon, moments: Moments) -> None:
    """ENOSPC: the caller is told, nothing is half there, and it goes on by itself."""
    failed = 0
    for k in _under_load(pair, victim, moments, "pwrite64"):
        pair.start()
        with traced(victim, failing="pwrite64", inject=f"error=ENOSPC:when={k}") as output:
            _hand_in(pair)
            _arrived(pair)
        failed += "INJECTED" in output.read_text()
        assert victim.running, f"it ended: {victim.said()[-500:]}"
        assert _hand_in(pair) == CALLS, f"refused after ENOSPC at write {k}"
    _record(pair, "R6 ENOSPC at pwrite64", victim, failed)


def _has_ended(victim: Daemon, output: Path, sign: str) -> bool:
    """Whether the fault was met, at the last moment perhaps; then the process is waited for."""
    if sign not in output.read_text():
        return False
    assert victim.nursery.wait(victim.pid, PATIENCE_SECONDS) is not None, "it met it and lives"
    return True


def _lost_with_the_cache(pair: Pair, victim: Daemon, output: Path) -> list[str]:
    """What is wrong if the machine stops now: what was not synced is not there."""
    folder = pair.folder / "power-cut"
    acked = {}
    for each in pair.both:
        copy = folder / each.folder.name
        acked[copy] = each.acked
        copy_synced(each.folder, copy, output if each is victim else None)
    found = invariants.check(list(acked), acked=acked)
    shutil.rmtree(folder)
    return found


def _hand_in_at_once(pair: Pair, calls: int) -> list[str]:
    """Hand in so many rows by as many calls at once; gives the error code of each, or ""."""

    def one(_: int) -> str:
        try:
            pair.office.submit(rows(1))
        except YidaoError as error:
            return error.code
        return ""

    with ThreadPoolExecutor(calls) as pool:
        return list(pool.map(one, range(calls)))


def test_some_moments_of_each_fault(pair: Pair) -> None:
    """R1, R2, R5, R6 at a few calls of both ends; all that was acknowledged arrives at last."""
    kill_under_load(pair, pair.office, (1, 40))
    kill_under_load(pair, pair.root, (20,))
    kill_at_start(pair, pair.office, (7,))
    kill_at_start(pair, pair.root, (7,))
    fail(pair, pair.office, "fdatasync", (2,))
    fail(pair, pair.root, "pwrite64", (9,))
    fill(pair, pair.office, (5,))
    fill(pair, pair.root, (5,))
    assert pair.healed() == []


@pytest.mark.long
@pytest.mark.parametrize("end", ["office", "root"])
@pytest.mark.parametrize("campaign", [kill_under_load, kill_at_start, fill])
def test_every_moment(
    pair: Pair, campaign: Callable[[Pair, Daemon, Moments], None], end: str
) -> None:
    """R1, R2, R6 at every call that writes."""
    campaign(pair, getattr(pair, end), None)
    assert pair.healed() == []


@pytest.mark.long
@pytest.mark.parametrize("end", ["office", "root"])
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_every_failing_write(pair: Pair, call: str, end: str) -> None:
    """R5 at every call that writes or syncs."""
    fail(pair, getattr(pair, end), call, None)
    assert pair.healed() == []


def test_a_slow_disk_slows_and_nothing_more(pair: Pair) -> None:
    """R11: a disk that takes 100 ms to sync: acks come late, nobody is refused or cut off."""
    pair.start()
    with traced(pair.office, failing="fdatasync", inject="delay_enter=100000") as output:
        results = _hand_in_at_once(pair, 8)
        _arrived(pair)
        during = pair.office.status()
    assert set(results) == {""}
    # Nothing is tried again and again: a commit of the rows, and what follows from them.
    assert 0 < calls_in(output, "fdatasync") <= 6 * len(results)
    assert during is not None
    assert [peer.state for peer in during.peers] == ["connected"]
    assert pair.healed() == []
    _record(pair, "R11 100 ms for each fdatasync", pair.office, calls_in(output, "fdatasync"))
