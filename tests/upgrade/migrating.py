"""Kills migrations: makes a store of an old revision, and upgrades copies of it in forks.

    python -m tests.upgrade.migrating FOLDER REVISION STEP

Each fork dies before one statement of the upgrade, every STEP-th in turn, and once before
the commit. Prints a JSON list of what each left behind; the last one was not killed.
"""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from yidao.migrations import REVISIONS
from yidao.node.store import engine


def make(path: Path, revision: str) -> None:
    """Make a store as the program of that revision made it."""
    engine.REVISIONS = REVISIONS[: REVISIONS.index(revision) + 1]  # type: ignore[misc]
    try:
        engine.open_engines(f"sqlite:///{path}", os.urandom).close()
    finally:
        engine.REVISIONS = REVISIONS  # type: ignore[misc]


def upgrade(path: Path, moment: int) -> None:
    """Open a store, and die before that statement of it."""
    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", counted)
    event.listen(Engine, "commit", counted)
    engine.open_engines(f"sqlite:///{path}", os.urandom).close()


def look(path: Path) -> dict[str, Any]:
    """Give revision, tables and soundness of a store as it lies there."""
    with closing(sqlite3.connect(path)) as conn:
        tables = conn.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
        return {
            "revision": [row[0] for row in conn.execute("SELECT version_num FROM alembic_version")],
            "schema": hashlib.sha256(repr(tables).encode()).hexdigest(),
            "sound": conn.execute("PRAGMA integrity_check").fetchone()[0],
        }


def results(folder: Path, revision: str, step: int) -> Iterator[dict[str, Any]]:
    """Kill upgrades one by one; the first two results are the old and the new store."""
    old, new = folder / "old.db", folder / "new.db"
    make(old, revision)
    make(new, REVISIONS[-1])
    yield look(old)
    yield look(new)
    moment = 1
    killed = True
    while killed:
        copy = folder / "copy.db"
        for leftover in folder.glob("copy.db*"):
            leftover.unlink()
        shutil.copyfile(old, copy)
        pid = os.fork()
        if not pid:
            upgrade(copy, moment)
            os._exit(0)
        killed = os.waitpid(pid, 0)[1] == signal.SIGKILL
        yield {"moment": moment, "killed": killed, **look(copy)}
        # Whatever was left behind can be upgraded.
        engine.open_engines(f"sqlite:///{copy}", os.urandom).close()
        yield look(copy)
        moment += step


if __name__ == "__main__":
    print(json.dumps(list(results(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))))
