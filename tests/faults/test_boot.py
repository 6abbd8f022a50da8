"""Both machines boot: nothing remembers the stores, and each node waits for the other's word."""

import shutil

import pytest

from tests.faults import invariants
from tests.faults.daemons import Daemon, Pair, rows, wait_until
from yidao.sync.record import decode_header

pytestmark = pytest.mark.e2e


def _modes_stated(daemon: Daemon) -> int:
    headers = invariants.read(daemon.folder).view.headers
    kinds = [decode_header(raw).kind for each in headers.values() for raw in each]
    return kinds.count("access.mode.stated")


def test_both_start_after_a_power_cut_with_a_changed_setting(pair: Pair) -> None:
    """They start behind their fences, agree, go on, and state the new mode then."""
    pair.start()
    pair.office.submit(rows(3))
    pair.kill()
    before = {each.path: _modes_stated(each) for each in pair.both}
    shutil.rmtree(pair.folder / "memory")
    for each in pair.both:
        each.begin({"YIDAO_FOUR_EYES": "true"})
    pair.start()
    for each in pair.both:
        assert "node.start.fenced" in each.said()
        wait_until("the mode is stated", lambda d=each: _modes_stated(d) == before[d.path] + 1)
    assert pair.healed() == []
