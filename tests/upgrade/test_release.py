"""The stores and the wire of earlier releases: this program opens them and goes on.

Each `release-…` folder beside this file was made by that release, see `make_release`.
"""

import gzip
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Tree, carry
from tests.upgrade.make_release import PLACES, RECORDS
from yidao.migrations import REVISIONS
from yidao.sync.ids import Lane
from yidao.sync.record import decode_header
from yidao.sync.wire import decode_control, decode_frame, encode_control, encode_frame

RELEASES = sorted(Path(__file__).parent.glob("release-*"))


@pytest.fixture(params=RELEASES, ids=lambda folder: folder.name)
def release(request: pytest.FixtureRequest) -> Path:
    """The folder of one release."""
    found: Path = request.param
    return found


@pytest.fixture
def wire(release: Path) -> dict[str, Any]:
    """What was said by the nodes of that release."""
    return dict(json.loads((release / "wire.json").read_text("utf-8")))


@pytest.fixture
def opened(release: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The three nodes of that release, opened by this program."""
    tree = Tree(lambda: "")
    nodes = {}
    for name, path in PLACES.items():
        file = tmp_path / f"{name}.db"
        file.write_bytes(gzip.decompress((release / f"{name}.db.gz").read_bytes()))
        nodes[name] = tree.open(f"sqlite:///{file}", tree.identity(path))
    yield nodes
    tree.close()


def _headers(node: Any, channel: str) -> list[bytes]:
    records = node.store.records(after=0, limit=10_000)
    return [record.raw for record in records if record.journal.channel == channel]


def test_there_is_a_release() -> None:
    """Nothing here would test anything without one."""
    assert RELEASES


def test_a_store_of_the_release_verifies(opened: dict[str, Any], tmp_path: Path) -> None:
    """Migrated to this revision, every record and every part is what was signed."""
    for name, node in opened.items():
        report = node.store.scrub()
        assert report.faults == ()
        assert report.records >= RECORDS
        with sqlite3.connect(f"file:{tmp_path / name}.db?mode=ro", uri=True) as conn:
            assert conn.execute("SELECT version_num FROM alembic_version").fetchall() == [
                (REVISIONS[-1],)
            ]


def test_a_tree_of_the_release_goes_on(opened: dict[str, Any]) -> None:
    """New records follow the old ones, through the middle tier, to the top."""
    nation, province, city = opened["nation"], opened["province"], opened["city"]
    before = _headers(nation, "up:15")
    city.append("up:15", *(city.draft(f"new {n}") for n in range(5)))
    carry(city, province)
    carry(province, nation)
    after = _headers(nation, "up:15")
    assert after[: len(before)] == before
    assert len(after) == len(before) + 5
    assert after == _headers(city, "up:15")
    assert all(node.store.scrub().faults == () for node in opened.values())


def test_frames_of_the_release_are_read_and_written_alike(wire: dict[str, Any]) -> None:
    """Every frame and every control message, to the last byte."""
    assert wire["frames"]
    for text in wire["frames"]:
        assert encode_frame(decode_frame(bytes.fromhex(text))).hex() == text
    for name, text in wire["control"].items():
        assert encode_control(decode_control(bytes.fromhex(text))).hex() == text, name


def test_frames_of_the_release_are_forwarded_as_they_came(
    opened: dict[str, Any], wire: dict[str, Any]
) -> None:
    """What the middle tier sends up from its old store is what it sent then, seal by seal."""
    nation, province = opened["nation"], opened["province"]
    items, _ = province.store.read_lane(
        nation.peer, Lane.BULK, 0, province.store.last_position(), 1 << 20
    )
    sent = {
        (item.seal.journal, item.seal.first_seq): item.seal
        for text in wire["frames"]
        for item in decode_frame(bytes.fromhex(text)).items
    }
    assert items
    for item in items:
        assert sent[item.seal.journal, item.seal.first_seq] == item.seal


def test_a_header_of_the_release_means_the_same(opened: dict[str, Any]) -> None:
    """Kinds, objects and actors of old records are read as they were written."""
    seen = [decode_header(raw) for raw in _headers(opened["nation"], "up:15")]
    assert {header.kind for header in seen} == {"test.thing.made"}
    assert {header.actor for header in seen} == {"sample@/33/3301"}
    assert "thing/0" in {header.object_id for header in seen}
