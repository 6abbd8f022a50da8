"""Jobs that were missed while the node was down run once at the start."""

import asyncio
from datetime import UTC, datetime

import pytest

from yidao.api.errors import YidaoError
from yidao.node.jobs import Daily, Every, Job, Jobs, LastRuns

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
DAY_MS = 86_400_000
START_MS = int(MIDNIGHT.timestamp() * 1000)


class Memory:
    """Last runs in a dict."""

    def __init__(self, **runs: int) -> None:
        self.runs = runs

    def port(self) -> LastRuns:
        async def write(name: str, now_ms: int) -> None:
            self.runs[name] = now_ms

        return LastRuns(self.runs.get, write)


async def _nothing() -> None:
    return None


@pytest.mark.parametrize(
    ("catch_up", "last_run_ms", "now_ms", "missed"),
    [
        pytest.param(True, START_MS, START_MS + 3 * DAY_MS, True, id="three days down"),
        pytest.param(True, START_MS, START_MS + DAY_MS - 1, False, id="not due yet"),
        pytest.param(True, START_MS, START_MS + DAY_MS, True, id="due this very moment"),
        pytest.param(True, START_MS + 9 * DAY_MS, START_MS, True, id="ran by a clock ahead"),
        pytest.param(True, None, START_MS, False, id="never ran: nothing was missed"),
        pytest.param(False, START_MS, START_MS + 3 * DAY_MS, False, id="needs no memory"),
    ],
)
def test_a_missed_daily_job_is_known(
    *, catch_up: bool, last_run_ms: int | None, now_ms: int, missed: bool
) -> None:
    """A job is missed if its time came between its last run and now."""
    memory = Memory() if last_run_ms is None else Memory(remind=last_run_ms)
    job = Job(name="remind", trigger=Daily(0), run=_nothing, catch_up=catch_up)
    jobs = Jobs([job], memory.port(), lambda: now_ms)
    assert jobs.missed(job, now_ms) is missed


def _run_jobs(job: Job, memory: Memory, until: asyncio.Event) -> None:
    async def run() -> None:
        jobs = Jobs([job], memory.port(), lambda: START_MS + 3 * DAY_MS)
        jobs.start()
        await asyncio.wait_for(until.wait(), 10)
        await asyncio.sleep(0.05)
        jobs.stop()

    asyncio.run(run())


def test_a_missed_job_runs_once_at_the_start_and_is_remembered() -> None:
    """Three missed days are one run, and the run is written down."""
    ran: list[str] = []
    done = asyncio.Event()

    async def remind() -> None:
        ran.append("remind")
        done.set()

    memory = Memory(remind=START_MS)
    _run_jobs(Job(name="remind", trigger=Daily(0), run=remind, catch_up=True), memory, done)
    assert ran == ["remind"]
    assert memory.runs["remind"] == START_MS + 3 * DAY_MS


def test_a_job_that_fails_is_tried_again_and_not_remembered() -> None:
    """A typed error ends one run, not the job; its last run stays what it was."""
    tries = 0
    twice = asyncio.Event()

    async def fail() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            twice.set()
        raise YidaoError

    memory = Memory()
    _run_jobs(Job(name="fail", trigger=Every(0.02), run=fail, catch_up=True), memory, twice)
    assert tries >= 2
    assert memory.runs == {}


def test_who_begins_to_lead_runs_what_was_missed_once() -> None:
    """A daemon that follows runs only what is everybody's; the new leader catches up, once."""
    ran: list[str] = []
    leads = False

    def job(name: str, *, everywhere: bool = False) -> Job:
        async def run() -> None:
            ran.append(name)
            await asyncio.sleep(0)

        return Job(
            name=name, trigger=Daily(0), run=run, catch_up=not everywhere, everywhere=everywhere
        )

    async def beat() -> None:
        ran.append("beat")
        beaten.release()

    async def run() -> None:
        nonlocal leads
        memory = Memory(remind=START_MS)
        own = Job(name="beat", trigger=Every(0.02), run=beat, everywhere=True)
        kept = [job("remind"), job("feeds"), own]
        now_ms = START_MS + 3 * DAY_MS
        jobs = Jobs(kept, memory.port(), lambda: now_ms, lambda: leads)
        jobs.start()
        await beaten.acquire()
        assert set(ran) == {"beat"}
        leads = True
        # As where it is told of twice, the second time while the job is running.
        jobs.catch_up()
        await asyncio.sleep(0)
        jobs.catch_up()
        await beaten.acquire()
        await beaten.acquire()
        jobs.stop()
        assert memory.runs["remind"] == now_ms

    beaten = asyncio.Semaphore(0)
    asyncio.run(asyncio.wait_for(run(), 10))
    assert [name for name in ran if name != "beat"] == ["remind"]


class Moving:
    """A clock that is off by whatever it is told."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.mark.parametrize("jump_days", [-3_650, -1 / 24, 400])
def test_a_clock_that_jumps_neither_stops_nor_floods_an_interval(jump_days: float) -> None:
    """What runs every few seconds goes on at its pace, wherever the time of day is."""
    ran = asyncio.Semaphore(0)
    runs = 0

    async def count() -> None:
        nonlocal runs
        runs += 1
        ran.release()

    async def run() -> None:
        clock = Moving()
        jobs = Jobs([Job(name="beat", trigger=Every(0.02), run=count)], Memory().port(), clock)
        jobs.start()
        await ran.acquire()
        clock.now_ms += int(jump_days * DAY_MS)
        await ran.acquire()
        await ran.acquire()
        jobs.stop()

    asyncio.run(asyncio.wait_for(run(), 10))
    assert runs == 3


def test_a_daily_job_follows_a_clock_that_is_put_right() -> None:
    """A jump over its time runs it once; put back, it waits for its time, not for ten years."""
    ran = 0

    async def count() -> None:
        nonlocal ran
        ran += 1

    async def run() -> None:
        clock = Moving()
        job = Job(name="remind", trigger=Daily(0), run=count, catch_up=True)
        jobs = Jobs([job], Memory().port(), clock, look_seconds=0.005)
        jobs.start()
        for step, wanted in ((400 * DAY_MS, 1), (-4_000 * DAY_MS, 1), (DAY_MS, 2)):
            await asyncio.sleep(0.02)
            clock.now_ms += step
            for _ in range(8):
                await asyncio.sleep(0.005)
            assert ran == wanted
        jobs.stop()

    asyncio.run(run())


def test_a_job_that_breaks_runs_again() -> None:
    """A defect in one run is logged and is not the end of the job."""
    tries = 0
    twice = asyncio.Event()

    async def break_down() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            twice.set()
        raise ZeroDivisionError

    _run_jobs(Job(name="break", trigger=Every(0.02), run=break_down), Memory(), twice)
    assert tries >= 2
