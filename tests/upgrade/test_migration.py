"""R66, R67: a migration dies at any statement; an older program meets a newer store."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import nursery, pair, pattern  # noqa: F401 (they are fixtures)
from tests.faults.daemons import ROOT, Pair
from tests.faults.report import record
from yidao.migrations import REVISIONS

#: A store of an early release, to which every kind of step was added since.
OLD = "0005"


@pytest.mark.parametrize("step", [30, pytest.param(1, marks=pytest.mark.long)])
def test_a_killed_migration_leaves_the_old_or_the_new_store(tmp_path: Path, step: int) -> None:
    """R66: never something in between; and the next start makes the new one of it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.upgrade.migrating", tmp_path, OLD, str(step)],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    old, new, *found = json.loads(done.stdout)
    assert (old["revision"], new["revision"]) == ([OLD], [REVISIONS[-1]])
    assert old["schema"] != new["schema"]
    left, mended = found[::2], found[1::2]
    assert len([each for each in left if each["killed"]]) >= 60 // step
    for each in left:
        seen = {name: each[name] for name in old}
        assert seen in (old, new), each["moment"]
    assert all(each == new for each in mended)
    record("R66 migrations killed at a statement", injected=len(left) - 1)


@pytest.mark.e2e
def test_an_older_program_leaves_a_newer_store_alone(pair: Pair) -> None:  # noqa: F811
    """R67: it says that the store is newer, ends, and has changed nothing."""
    path = pair.office.folder / "store.db"
    with contextlib.closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
        conn.execute("CREATE TABLE of_the_next_release (id INTEGER PRIMARY KEY)")
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    pair.office.begin()
    assert pair.office.wait_end() != 0
    assert "STORE_NEWER" in pair.office.said()
    assert "9999" in pair.office.said()
    assert path.read_bytes() == before
    record("R67 older program, newer store", injected=1)
