"""R52: a record that ends the process, in a view that has no other fault, is left out alone."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.daemons import ONE_ACCOUNT, ROOT, Pair, rows, wait_until
from tests.faults.report import record
from yidao.node.demo.tree import clean_environment
from yidao.node.store.deaths import MOST_DEATHS

pytestmark = pytest.mark.e2e


def test_a_record_that_ends_the_process_is_left_out(pair: Pair, tmp_path: Path) -> None:
    """After some deaths the daemon stays, shows the record, and counts everything else.

    What comes later is not stopped, nothing that was acknowledged is lost, and a daemon
    without the defect takes the record in when it rebuilds.
    """
    pair.start()
    pair.office.submit(rows(3))
    wait_until("the root has them", lambda: units_at(pair) == 3)
    pair.root.stop()
    # They arrive as one batch, in the middle of which it is.
    pair.office.submit(rows(5))
    poison = pair.office.acked[5]
    deaths = tmp_path / "deaths"
    supervised = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.faults.fatal", poison.hex(), str(deaths)),
            *("run", "--data", str(pair.root.folder)),
        ],
        cwd=ROOT,
        env={**clean_environment(), **ONE_ACCOUNT, "XDG_RUNTIME_DIR": str(pair.root.memory)},
        stdout=pair.root.log.open("ab"),
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until("all others are counted", lambda: units_at(pair) == 7)
        pair.office.submit(rows(2))
        wait_until("what comes later is counted", lambda: units_at(pair) == 9)
        with pair.root.client() as client:
            problems = [p for p in client.status().problems if p.code == "RECORD_BREAKS_VIEW"]
        assert [p.params["error"] for p in problems] == ["EndedProcess"]
        died = len(deaths.read_text().splitlines())
        # Once within its batch, unless that was cut elsewhere, then alone.
        assert MOST_DEATHS <= died <= MOST_DEATHS + 1
    finally:
        supervised.send_signal(signal.SIGTERM)
        supervised.wait(60)
    assert pair.healed() == []
    pair.root.start()
    with pair.root.client() as client:
        client.rebuild()
    assert units_at(pair) == 10
    record("R52 process deaths over one record", injected=died, acked=len(pair.office.acked))


def units_at(pair: Pair) -> int:
    """How many units the root's view has."""
    store = sqlite3.connect(f"file:{pair.root.folder / 'store.db'}?mode=ro", uri=True)
    with contextlib.closing(store):
        (count,) = store.execute("SELECT count(*) FROM unit").fetchone()
    return int(count)
