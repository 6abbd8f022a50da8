"""The checker of the fault tests: it passes what is right and names what is not."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.daemons import Daemon, Load, Pair
from yidao.node.client.errors import NodeUnreachable

pytestmark = pytest.mark.e2e


@pytest.fixture
def folders(pattern: Pair, tmp_path: Path) -> list[Path]:
    """The root's and the office's store, to be damaged."""
    copied = []
    for daemon in pattern.both:
        folder = tmp_path / daemon.folder.name
        folder.mkdir()
        (folder / "store.db").write_bytes((daemon.folder / "store.db").read_bytes())
        copied.append(folder)
    return copied


def _execute(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "store.db") as conn:
        for statement in statements:
            conn.execute(statement)


def test_two_sound_stores_have_no_fault(folders: list[Path]) -> None:
    """The tree as it was founded is clean, also as a tree in which all has arrived."""
    assert invariants.check(folders, settled=True) == []


def test_a_record_that_only_a_client_knows_is_lost(folders: list[Path]) -> None:
    """What was acknowledged and is not stored is named."""
    root, _ = folders
    found = invariants.check(folders, acked={root: [bytes(16)]})
    assert [each.partition(":")[0] for each in found] == ["LOST"]


_LAST = (
    "(SELECT max(position) FROM segment WHERE journal_id IN"
    " (SELECT id FROM journal WHERE own AND channel = 'node'))"
)
_DAMAGES: dict[str, tuple[str, set[str]]] = {
    "the last own segment is deleted": (
        f"DELETE FROM segment WHERE position = {_LAST}",
        {"HEAD", "DIFFERS", "RECEIPT"},
    ),
    "a header is cut": (
        f"UPDATE segment SET headers = substr(headers, 1, length(headers) - 1)"
        f" WHERE position = {_LAST}",
        {"UNREADABLE"},
    ),
    "a checkpoint is changed": (
        "UPDATE segment SET checkpoint = CAST(substr(checkpoint, 1, length(checkpoint) - 3)"
        f" || x'0a' AS BLOB) WHERE position = {_LAST}",
        {"CHAIN"},
    ),
    "a header of another record stands there": (
        "UPDATE segment SET headers = (SELECT headers FROM segment other"
        "  WHERE other.record_count = 1 AND other.position <> segment.position)"
        f" WHERE position = {_LAST}",
        {"CHAIN", "ROOT", "DIFFERS", "INDEX"},
    ),
    "a segment is stored once more": (
        "INSERT INTO segment SELECT position + 1000, record_count, journal_id, first_seq + 1000,"
        " headers, checkpoint, up_lane, down_lane, down_target, stored_ms FROM segment"
        f" WHERE position = {_LAST}",
        {"TWICE", "GAP", "EFFECT", "HEAD", "CHAIN", "ROOT", "INDEX"},
    ),
    "a part is changed": (
        "UPDATE parts SET blob = CAST(substr(blob, 1, length(blob) - 1) || x'00' AS BLOB)"
        " WHERE id = (SELECT max(id) FROM parts)",
        {"PART"},
    ),
    "a receipt is changed": (
        "UPDATE cosignature SET size = 10000",
        {"RECEIPT", "LOST"},
    ),
    "a record's id leads nowhere": ("DELETE FROM record_id", {"INDEX"}),
    "the store says that it is shorter": ("UPDATE store_head SET last_position = 1", {"HEAD"}),
}


@pytest.mark.parametrize("what", _DAMAGES)
def test_damage_is_named(folders: list[Path], what: str) -> None:
    """Each kind of damage to the office's store is found as what it is, with what follows."""
    statement, expected = _DAMAGES[what]
    _, office = folders
    _execute(office, statement)
    found = {each.partition(":")[0] for each in invariants.check(folders, settled=True)}
    assert found >= expected


def test_a_load_under_which_nothing_stood_is_no_test(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers: the test fails, and says by which code the calls did."""
    tried = threading.Event()

    def submit(_daemon: Daemon, _rows: Sequence[object]) -> None:
        tried.set()
        raise NodeUnreachable(socket="nowhere")

    monkeypatch.setattr(Daemon, "submit", submit)
    with pytest.raises(AssertionError, match="NODE_UNREACHABLE"), Load(pair.office):
        assert tried.wait(10)
