"""What is due when, and the reminder that stays until everybody has reported."""

import asyncio
import secrets
from datetime import UTC, date, datetime

import pytest

from yidao.node import workdays
from yidao.node.affairs.reporting.due import due_returns
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.jobs import Daily, Job, Jobs
from yidao.node.reminders import DUE_SOON, OVERDUE, Reminders
from yidao.node.routine import last_runs
from yidao.node.store.store import Store

ROOT, COUNTY, AGENCY = "/", "/33/06", "/33/06/a"
DAY_MS = 86_400_000


def weekday(day: date) -> bool:
    """Monday to Friday."""
    return day.weekday() < 5


def due_on(node, today: date) -> dict[str, tuple[str, date]]:
    with node.desk.read() as conn:
        return {
            each.form: (each.period, each.due)
            for each in due_returns(packs_in_force(conn), today, weekday)
        }


@pytest.mark.parametrize(
    ("today", "period", "due"),
    [
        (date(2026, 4, 1), "2026-Q1", date(2026, 4, 15)),
        # 15 October 2022 is a Saturday: the time limit ends on the Monday.
        (date(2022, 11, 1), "2022-Q3", date(2022, 10, 17)),
        # Before any standard is in force nothing is due.
        (date(2021, 5, 1), None, None),
    ],
)
def test_the_last_period_that_ended_is_due_on_a_workday(agency, today, period, due):
    """Quarterly forms only: what stays at its node is nobody's to remind of."""
    expected = {} if period is None else dict.fromkeys(("profile", "consumption"), (period, due))
    assert due_on(agency, today) == expected


def shown(node) -> dict[str, str]:
    return {
        problem.code: str(problem.params["returns"])
        for problem in node.store.problems()
        if problem.code in (OVERDUE, DUE_SOON)
    }


def remind(node, today: date) -> dict[str, str]:
    asyncio.run(Reminders(node.store, lambda: today, weekday).run())
    return shown(node)


def test_a_reminder_counts_who_is_missing_until_nobody_is(registered, rows):
    """At the agency and at its parent; not at the root, whose children they are not."""
    tree = registered(2)
    late = date(2025, 7, 20)
    for path in (AGENCY, COUNTY):
        assert remind(tree[path], late) == {
            OVERDUE: "consumption 2025-Q2 (2025-07-15): 2; profile 2025-Q2 (2025-07-15): 2"
        }
    assert remind(tree[ROOT], late) == {}
    tree[AGENCY].submit(rows.profile(0), rows.profile(1), rows.consumption(0))
    tree.exchange()
    for path in (AGENCY, COUNTY):
        assert remind(tree[path], late) == {OVERDUE: "consumption 2025-Q2 (2025-07-15): 1"}
    tree[AGENCY].submit(rows.consumption(1))
    tree.exchange()
    for path in (AGENCY, COUNTY):
        assert remind(tree[path], late) == {}


def test_a_reminder_comes_before_the_day_and_changes_after_it(registered):
    """Five days before it says soon, on the day still soon, the day after overdue."""
    node = registered(1)[AGENCY]
    assert remind(node, date(2025, 7, 9)) == {}
    assert list(remind(node, date(2025, 7, 10))) == [DUE_SOON]
    assert list(remind(node, date(2025, 7, 15))) == [DUE_SOON]
    assert list(remind(node, date(2025, 7, 16))) == [OVERDUE]


def test_a_reminder_missed_while_the_node_was_down_is_caught_up(registered):
    """The last run is in the store: three days later, opened anew, the job runs at once."""
    node = registered(1)[AGENCY]
    late = date(2025, 7, 20)

    async def run_jobs(store: Store, now_ms: int, seconds: float) -> None:
        reminders = Reminders(store, lambda: late, weekday)
        job = Job(name="reminders", trigger=Daily(0), run=reminders.run, catch_up=True)
        jobs = Jobs([job], last_runs(store), lambda: now_ms)
        jobs.start()
        await asyncio.sleep(seconds)
        jobs.stop()

    start_ms = int(datetime(2025, 7, 17, 12, tzinfo=UTC).timestamp() * 1000)
    asyncio.run(last_runs(node.store).write("reminders", start_ms))
    asyncio.run(run_jobs(node.store, start_ms + 60_000, 0.2))
    assert shown(node) == {}
    node.store.close()

    url = f"sqlite:///{node.tree.folder}/33-06-a.db"
    opened = Store.open(url, clock_ms=node.tree.clock, random=secrets.token_bytes)
    opened.bind(node.identity)
    opened.start(node.affairs.projectors, node.affairs.deciders)
    try:
        asyncio.run(run_jobs(opened, start_ms + 3 * DAY_MS, 1.0))
        assert [problem.code for problem in opened.problems()] == [OVERDUE]
        assert last_runs(opened).read("reminders") == start_ms + 3 * DAY_MS
    finally:
        opened.close()


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 10, 1), False),  # National Day
        (date(2026, 10, 10), True),  # a Saturday that is moved to a workday
        (date(2026, 11, 21), False),  # an ordinary Saturday
        (date(2099, 10, 1), True),  # no data: a Thursday counts as a workday
        (date(2099, 10, 3), False),
    ],
)
def test_workdays_follow_the_published_calendar(day, works):
    """Holidays and moved workdays where they are known, weekdays where they are not."""
    assert workdays.is_workday(day) is works
