"""`yidao demo` on six real daemons, checked by an oracle that shares no code with it."""

import ast
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from yidao.node.demo.tree import DemoNode, clean_environment, yidao_command

ORACLE = Path(__file__).parents[1] / "oracle" / "oracle.py"
Oracle = Callable[[Path], dict[str, Any]]
Compare = Callable[[DemoNode, dict[str, dict[str, str]]], None]
KEYS = [
    "nodes",
    "tiers",
    "returns_submitted",
    "rows_rejected",
    "returns_accepted",
    "records_at_root",
    "lost",
    "duplicated",
    "receipts_verified",
    "directives_delivered",
    "directives_acknowledged",
    "rollup_equals_sources",
    "evidence_verified",
    "tampered_evidence_refused",
    "tampered_store_noticed",
    "catalog_entries_at_root",
    "query_rows",
    "query_saw_later_change",
    "seconds",
]
DEMO_SECONDS = 240

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folders and the last line of one whole run."""
    folder = tmp_path_factory.mktemp("d")
    done = subprocess.run(
        [*yidao_command(), "demo", "--json", "--folder", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEMO_SECONDS,
        env=clean_environment(),
    )
    logs = "\n".join(log.read_text()[-1_000:] for log in folder.glob("*.log"))
    assert done.returncode == 0, (done.stdout, done.stderr, logs)
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_the_demonstration_shows_everything(shown: tuple[Path, dict[str, Any]]) -> None:
    """One JSON line with exactly the promised figures, none of them short."""
    _, facts = shown
    assert list(facts) == KEYS
    assert (facts["nodes"], facts["tiers"], facts["rows_rejected"]) == (6, 5, 3)
    assert (facts["lost"], facts["duplicated"]) == (0, 0)
    assert facts["records_at_root"] >= 2_000
    assert facts["receipts_verified"] > 0
    assert (facts["directives_delivered"], facts["directives_acknowledged"]) == (3, 3)
    assert all(facts[key] is True for key in KEYS[11:15])
    assert facts["catalog_entries_at_root"] > 0
    assert facts["query_rows"] > 0
    assert facts["query_saw_later_change"] is True


def test_the_oracle_comes_to_the_same_figures(
    shown: tuple[Path, dict[str, Any]], ask_oracle: Oracle
) -> None:
    """Counted and summed anew from the leaves' bytes; every root and commitment recomputed."""
    folder, facts = shown
    oracle = ask_oracle(folder)
    assert oracle["faults"] == []
    assert oracle["missing"] == []
    assert oracle["duplicated"] == 0
    for figure in ("returns_submitted", "returns_accepted", "records_at_root"):
        assert oracle[figure] == facts[figure], figure
    assert oracle["returns_refused"] == facts["rows_rejected"]
    assert sum(int(row["returns"]) for row in oracle["totals"].values()) == 4_008


@pytest.mark.parametrize("tier", ["county", "city", "province", "nation"])
def test_a_tier_started_again_gives_the_oracles_totals(
    shown: tuple[Path, dict[str, Any]], ask_oracle: Oracle, assert_totals: Compare, tier: str
) -> None:
    """The store that the demonstration left answers alone what the oracle has summed."""
    folder, _ = shown
    truth = ask_oracle(folder)["totals"]
    identity = json.loads((folder / tier / "keys" / "identity.json").read_text())
    node = DemoNode(
        name=tier, path=identity["path"], folder=folder / tier, link_port=0, join_port=0
    )
    node.start()
    try:
        assert_totals(node, truth)
    finally:
        node.stop()


def test_the_oracle_notices_one_changed_byte(
    shown: tuple[Path, dict[str, Any]], ask_oracle: Oracle, tmp_path: Path
) -> None:
    """In a header the root differs, in a part the commitment: the oracle can fail."""
    folder, _ = shown
    for table, column, fault in (("segment", "headers", "root"), ("parts", "blob", "part")):
        copy = tmp_path / table
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.sock", "*.log"))
        connection = sqlite3.connect(copy / "agency_a" / "store.db")
        key, blob = connection.execute(f"SELECT rowid, {column} FROM {table} LIMIT 1").fetchone()
        changed = blob[:-1] + bytes([blob[-1] ^ 1])
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, key))
        connection.commit()
        connection.close()
        found = ask_oracle(copy)["faults"]
        assert any(each.startswith(f"agency_a {fault}") for each in found), found


def test_the_oracle_notices_what_is_missing_and_what_is_there_twice(
    shown: tuple[Path, dict[str, Any]], ask_oracle: Oracle, tmp_path: Path
) -> None:
    """A seal taken from the root's store, a part taken from it, a seal stored a second time."""
    folder, _ = shown
    of_b = (
        "(SELECT id FROM journal WHERE channel = 'up:15' AND node_id ="
        " (SELECT node_id FROM enrolment WHERE path LIKE '%sample-b'))"
    )
    changes = {
        "missing": f"DELETE FROM segment WHERE position ="
        f" (SELECT max(position) FROM segment WHERE journal_id IN {of_b})",
        "parts": f"DELETE FROM parts WHERE id ="
        f" (SELECT max(id) FROM parts WHERE journal_id IN {of_b})",
        "duplicated": f"INSERT INTO segment SELECT position + 1000000, record_count, journal_id,"
        f" first_seq + 1, headers, checkpoint, up_lane, down_lane, down_target, stored_ms"
        f" FROM segment WHERE position ="
        f" (SELECT max(position) FROM segment WHERE journal_id IN {of_b})",
    }
    for name, change in changes.items():
        copy = tmp_path / name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.sock", "*.log"))
        connection = sqlite3.connect(copy / "nation" / "store.db")
        assert connection.execute(change).rowcount == 1
        if name == "missing":
            # Its parts would have no header to lie under.
            connection.execute(f"DELETE FROM parts WHERE journal_id IN {of_b}")
        connection.commit()
        connection.close()
        found = ask_oracle(copy)
        assert found["faults" if name == "duplicated" else "missing"], name
        assert (found["duplicated"] > 0) == (name == "duplicated"), name


def test_the_oracle_imports_nothing_of_the_project() -> None:
    """Only what comes with Python: a shared defect could hide in shared code."""
    tree = ast.parse(ORACLE.read_text())
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= set(sys.stdlib_module_names)
