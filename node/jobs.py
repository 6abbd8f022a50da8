"""What a node does by the clock: reminders, cosigning above the parent, upkeep of the store.

Jobs run on the event loop by APScheduler. When a job last ran is kept in the
store, so that a job whose time came while the node was down runs once at the
next start, however many times it was missed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from yidao.api.errors import YidaoError
from yidao.node.logging import get_logger

log = get_logger()

_SECOND_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing to do by the clock.

    Attributes:
        name: Stable; under this name its last run is remembered.
        run: What to do; a typed error is logged and the job tried again next time.
        catch_up: Run once at the start if its time came while the node was down.
            What runs every few seconds anyway needs no memory.
        everywhere: Run by each daemon of a node, not only by the one that leads: it is
            about the process and its folder.
    """

    name: str
    trigger: BaseTrigger
    run: Callable[[], Awaitable[None]]
    catch_up: bool = False
    everywhere: bool = False


def every(seconds: float) -> BaseTrigger:
    """Run at a fixed interval."""
    return IntervalTrigger(seconds=seconds, timezone=UTC)


def daily(hour: int, minute: int = 0) -> BaseTrigger:
    """Run once a day, UTC."""
    return CronTrigger(hour=hour, minute=minute, timezone=UTC)


class LastRuns:
    """When each job last ran: a port, kept by the store."""

    def __init__(
        self, read: Callable[[str], int | None], write: Callable[[str, int], Awaitable[None]]
    ) -> None:
        self.read = read
        self.write = write


class Jobs:
    """Runs the jobs of one node."""

    def __init__(
        self,
        jobs: Sequence[Job],
        last_runs: LastRuns,
        clock_ms: Callable[[], int],
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._jobs = jobs
        self._last_runs = last_runs
        self._clock_ms = clock_ms
        self._leads = leads
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None}
        )

    def start(self) -> None:
        """Schedule every job; those that were missed while the node was down run now."""
        for job in self._jobs:
            self._scheduler.add_job(self._run, job.trigger, args=[job], id=job.name)
        self._scheduler.start()
        self.catch_up()

    def catch_up(self) -> None:
        """Let what was missed run now, if it is this daemon's to run."""
        if not self._leads() or not self._scheduler.running:
            return
        now_ms = self._clock_ms()
        for job in self._jobs:
            if self.missed(job, now_ms):
                self._scheduler.modify_job(job.name, next_run_time=_moment(now_ms))

    def stop(self) -> None:
        """Run nothing more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def missed(self, job: Job, now_ms: int) -> bool:
        """Whether the job's time came since it last ran. A job that never ran was not missed."""
        if not job.catch_up:
            return False
        last_ms = self._last_runs.read(job.name)
        if last_ms is None:
            return False
        # One second on, since a cron trigger may name the very moment of the last run.
        due = job.trigger.get_next_fire_time(_moment(last_ms), _moment(last_ms + _SECOND_MS))
        return due is not None and due <= _moment(now_ms)

    async def _run(self, job: Job) -> None:
        if not (job.everywhere or self._leads()):
            return
        try:
            await job.run()
        except YidaoError as error:
            log.error("jobs.job.failed", job=job.name, code=error.code)
            return
        if job.catch_up:
            await self._last_runs.write(job.name, self._clock_ms())


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / _SECOND_MS, UTC)
