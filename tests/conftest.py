"""What all tests share: Hypothesis, how new stores are made and how commands are started."""

import os
from asyncio import events
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings

from tests.forks import forking
from tests.templates import copied_sqlite_stores

# A busy machine makes an example slow without making it wrong. Where a result decides about a
# change, equal code must give an equal result; elsewhere every run looks for new examples.
settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")


@pytest.fixture(scope="session", autouse=True)
def copied_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New SQLite stores are copies of one that the migrations made."""
    with copied_sqlite_stores(tmp_path_factory.mktemp("template")):
        yield


@pytest.fixture(scope="session", autouse=True)
def forked_commands() -> Iterator[None]:
    """Commands of trees are forks of one process, which starts with the first of them."""
    with forking():
        yield


@contextmanager
def _own_loop(item: pytest.Item) -> Iterator[None]:
    """Hide the loop that the console's browser keeps running in this thread from other tests."""
    loop = events._get_running_loop()
    if loop is None or "console" in item.path.parts:
        yield
        return
    events._set_running_loop(None)
    try:
        yield
    finally:
        events._set_running_loop(loop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """A test and what it needs may run loops of their own, whatever ran before in this process."""
    with _own_loop(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """The same for the test itself."""
    with _own_loop(item):
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """In continuous integration say which campaigns were skipped, and why: nobody asked for it."""
    if not os.environ.get("CI"):
        return
    skipped: dict[tuple[str, str], int] = defaultdict(int)
    for report in terminalreporter.getreports("skipped"):
        campaign = report.nodeid.partition("::")[0]
        # (file, line, reason)
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        skipped[campaign, reason.removeprefix("Skipped: ")] += 1
    terminalreporter.section("campaigns that were skipped")
    for (campaign, reason), count in sorted(skipped.items()):
        terminalreporter.write_line(f"{campaign}: {count} skipped: {reason}")
    if not skipped:
        terminalreporter.write_line("none")
