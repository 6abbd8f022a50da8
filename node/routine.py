"""The jobs that every node has, and where it remembers when they last ran."""

import asyncio
import secrets
from collections.abc import Sequence

import orjson
from sqlalchemy import select

from yidao.node.alarms import Alarms
from yidao.node.clock import system_clock_ms, utc
from yidao.node.completeness import Completeness
from yidao.node.config import Settings
from yidao.node.feeds import Feeds
from yidao.node.frontiers import Statements
from yidao.node.jobs import Daily, Every, Job, LastRuns
from yidao.node.link.hub import Hub
from yidao.node.link.server import RECHECK_SECONDS, LinkServer
from yidao.node.logging import get_logger
from yidao.node.receiptwatch import ReceiptWatch
from yidao.node.recovery.incidents import Incidents
from yidao.node.reminders import Reminders
from yidao.node.store import tables
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.witnesses import Witness
from yidao.node.workdays import is_workday

_WAL_SECONDS = 300.0
# A reader may stay for as long as a backup takes, and while it is waited for nobody writes.
_WAL_WAIT_MS = 100
_HEALTH_SECONDS = 900.0
_LETTERS_SECONDS = 3_600.0
_ALARM_SECONDS = 2.0
# A statement is a record that goes to the root: once a minute at most, whatever changes.
_STATEMENT_SECONDS = 60.0
_WITNESS_SECONDS = 3600.0
# China's offices start at 08:00, which is 00:00 UTC.
_REMINDER_HOUR_UTC = 0
_HOUR_MS = 3600 * 1000

log = get_logger()


def routine_jobs(store: Store, hub: Hub, links: LinkServer, settings: Settings) -> Sequence[Job]:
    """Everything that this node does by the clock, but for its affairs' own jobs."""

    async def cosign() -> None:
        interval = int(settings.cosign_interval_seconds)
        await asyncio.wrap_future(store.submit(lambda tx: tx.cosign_due(interval)))

    async def shed_letters() -> None:
        await asyncio.wrap_future(store.submit(lambda tx: tx.shed_letters()))

    async def checkpoint_wal() -> None:
        if not await asyncio.to_thread(store.checkpoint_wal, _WAL_WAIT_MS):
            log.warning("store.wal.kept_by_reader")

    async def snapshot() -> None:
        problems = store.problems()
        log.info(
            "node.health.recorded",
            position=store.last_position(),
            applied=store.applied_position,
            links=len(tuple(hub.connected())),
            problems=len(problems),
            codes=",".join(sorted({problem.code for problem in problems})),
        )

    return (
        Job(name="cosign", trigger=Every(settings.cosign_interval_seconds), run=cosign),
        Job(
            name="peer-recheck", trigger=Every(RECHECK_SECONDS), run=links.recheck, everywhere=True
        ),
        Job(name="letters", trigger=Every(_LETTERS_SECONDS), run=shed_letters),
        Job(
            name="wal-checkpoint", trigger=Every(_WAL_SECONDS), run=checkpoint_wal, everywhere=True
        ),
        Job(name="health", trigger=Every(_HEALTH_SECONDS), run=snapshot, everywhere=True),
    )


def watch_jobs(store: Store, settings: Settings) -> Sequence[Job]:
    """What looks for trouble: refusals, journals that are kept back, returns that are due."""
    alarms = Alarms(store, system_clock_ms, secrets.token_bytes)
    incidents = Incidents(store, system_clock_ms, secrets.token_bytes)
    statements = Statements(store, system_clock_ms, secrets.token_bytes)
    completeness = Completeness(store, system_clock_ms)
    witness = Witness(store, system_clock_ms, secrets.token_bytes)
    receipts = ReceiptWatch(store, system_clock_ms)
    feeds = Feeds(
        store, system_clock_ms, secrets.token_bytes, settings.feed_interval_hours * _HOUR_MS
    )
    reminders = Reminders(store, lambda: utc(system_clock_ms()).date(), is_workday)
    return (
        Job(name="alarms", trigger=Every(_ALARM_SECONDS), run=alarms.run),
        Job(name="incidents", trigger=Every(_ALARM_SECONDS), run=incidents.run),
        Job(name="statements", trigger=Every(_STATEMENT_SECONDS), run=statements.run),
        Job(name="feeds", trigger=Every(_STATEMENT_SECONDS), run=feeds.run),
        Job(name="completeness", trigger=Every(_STATEMENT_SECONDS), run=completeness.run),
        Job(name="witness", trigger=Every(_WITNESS_SECONDS), run=witness.run),
        Job(name="receipts", trigger=Every(_STATEMENT_SECONDS), run=receipts.run),
        Job(name="reminders", trigger=Daily(_REMINDER_HOUR_UTC), run=reminders.run, catch_up=True),
    )


def last_runs(store: Store) -> LastRuns:
    """Keep the times of jobs in the store's `meta` table: local state, never rebuilt."""

    def read(name: str) -> int | None:
        with store.read() as connection:
            row = connection.execute(
                select(tables.meta.c.value).where(tables.meta.c.key == _key(name))
            ).one_or_none()
        return None if row is None else int(orjson.loads(row[0]))

    async def write(name: str, now_ms: int) -> None:
        def remember(tx: Tx) -> None:
            meta, key = tables.meta, _key(name)
            value = orjson.dumps(now_ms)
            changed = tx.conn.execute(meta.update().where(meta.c.key == key).values(value=value))
            if changed.rowcount == 0:
                tx.conn.execute(meta.insert().values(key=key, value=value))

        await asyncio.wrap_future(store.submit(remember))

    return LastRuns(read, write)


def _key(name: str) -> str:
    return f"job/{name}"
