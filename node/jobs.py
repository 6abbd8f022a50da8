"""What a node does by the clock: reminders, cosigning above the parent, upkeep of the store.

What runs at an interval runs by the clock that never jumps, so that neither a clock that was
wrong nor one that was put right stops it or makes it run a thousand times. Only what belongs
to a time of the day asks for that time. When a job last ran is kept in the store, so that
a job whose time came while the node was down runs once at the next start, however many times
it was missed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from yidao.api.errors import YidaoError
from yidao.node.logging import get_logger

log = get_logger()

# How often a job of a time of the day looks at the clock, which may have been set meanwhile.
_LOOK_SECONDS: Final = 20.0
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Every:
    """At a fixed interval."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Daily:
    """Once a day, UTC."""

    hour: int

    def after(self, last_ms: int) -> int:
        """Return the first time after another one, Unix milliseconds."""
        offset_ms = self.hour * _HOUR_MS
        return last_ms + _DAY_MS - (last_ms - offset_ms) % _DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing to do by the clock.

    Attributes:
        name: Stable; under this name its last run is remembered.
        run: What to do; an error is logged and the job tried again next time.
        catch_up: Run once at the start if its time came while the node was down, and so
            where this daemon begins to lead.
            What runs every few seconds anyway needs no memory.
        everywhere: Run by each daemon of a node, not only by the one that leads: it is
            about the process and its folder.
    """

    name: str
    trigger: Every | Daily
    run: Callable[[], Awaitable[None]]
    catch_up: bool = False
    everywhere: bool = False


class LastRuns:
    """When each job last ran: a port, kept by the store."""

    def __init__(
        self, read: Callable[[str], int | None], write: Callable[[str, int], Awaitable[None]]
    ) -> None:
        self.read = read
        self.write = write


class Jobs:
    """Runs the jobs of one node, on the event loop."""

    def __init__(
        self,
        jobs: Sequence[Job],
        last_runs: LastRuns,
        clock_ms: Callable[[], int],
        leads: Callable[[], bool] = lambda: True,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._jobs = jobs
        self._last_runs = last_runs
        self._clock_ms = clock_ms
        self._leads = leads
        self._look_seconds = look_seconds
        self._tasks: list[asyncio.Task[None]] = []
        self._calls: dict[str, asyncio.Event] = {}

    def start(self) -> None:
        """Begin with every job; those that were missed while the node was down run now."""
        for job in self._jobs:
            call = self._calls[job.name] = asyncio.Event()
            work = self._keep(job, call)
            self._tasks.append(asyncio.create_task(work, name=f"job {job.name}"))
        self.catch_up()

    def catch_up(self) -> None:
        """Let what was missed run now, if it is this daemon's to run. Call on the event loop."""
        for job in self._jobs:
            if job.catch_up and job.name in self._calls:
                self._calls[job.name].set()

    def stop(self) -> None:
        """Run nothing more."""
        for task in self._tasks:
            task.cancel()

    def missed(self, job: Job, now_ms: int) -> bool:
        """Whether the job's time came since it last ran. A job that never ran was not missed."""
        if not job.catch_up or isinstance(job.trigger, Every):
            return False
        last_ms = self._last_runs.read(job.name)
        # A run in the future was noted by a clock that was ahead: when it was, nobody knows.
        return last_ms is not None and not last_ms <= now_ms < job.trigger.after(last_ms)

    async def _keep(self, job: Job, call: asyncio.Event) -> None:
        trigger = job.trigger
        seconds = trigger.seconds if isinstance(trigger, Every) else self._look_seconds
        looked_ms = self._clock_ms()
        while True:
            is_called = await _is_set_within(call, seconds)
            now_ms = self._clock_ms()
            is_due = not is_called
            if isinstance(trigger, Daily):
                is_due = trigger.after(looked_ms) <= now_ms
            # Looked at here, where no run is under way whose end is not written down yet.
            if is_called:
                call.clear()
                is_due = is_due or self._was_missed(job, now_ms)
            if is_due:
                await self._run(job)
            looked_ms = now_ms

    def _was_missed(self, job: Job, now_ms: int) -> bool:
        try:
            return self.missed(job, now_ms)
        except YidaoError as error:
            log.error("jobs.job.failed", job=job.name, code=error.code)
            return False

    async def _run(self, job: Job) -> None:
        if not (job.everywhere or self._leads()):
            return
        try:
            await job.run()
            if job.catch_up:
                await self._last_runs.write(job.name, self._clock_ms())
        except YidaoError as error:
            log.error("jobs.job.failed", job=job.name, code=error.code)
        except Exception:
            # A defect of one run must not be the end of what protects the node.
            log.exception("jobs.job.crashed", job=job.name)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        return await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
