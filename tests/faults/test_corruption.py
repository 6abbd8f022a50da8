"""R12 to R15: bits flip, files are cut, rows are moved, half of a database is restored."""

import contextlib
import itertools
import os
import random
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool, StaticPool

from tests.contract.conftest import Node, Tree
from tests.faults import invariants
from tests.faults.daemons import Pair, is_idle, rows, wait_until
from tests.faults.report import record
from yidao.api.errors import YidaoError
from yidao.node.keys import Identity
from yidao.node.store import proving
from yidao.node.store.engine import is_from_database
from yidao.node.store.packing import unpack_headers
from yidao.node.store.store import Store
from yidao.sync.merkle import EMPTY_FRONTIER, leaf_hashes

CHANNEL = "up:15"
#: Seals of the journal that is damaged, by their number of records.
SEALS = (3, 1, 12, 14)
#: A closed tile needs 256 records.
TILED_SEALS = (3, 1, 12, 280)
#: What is signed: rows of these are record bytes.
SIGNED = {
    "segment": "SELECT journal_id, first_seq, headers, checkpoint FROM segment ORDER BY position",
    "parts": "SELECT journal_id, first_seq, last_seq, blob FROM parts ORDER BY id",
    "tile": "SELECT journal_id, level, idx, hash FROM tile ORDER BY journal_id, level, idx",
}
PIECE = 16


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A store at rest, as bytes of its file."""

    path: Path
    identity: Identity
    data: bytes

    def page_bytes(self) -> int:
        """The size of a page."""
        return int(struct.unpack_from(">H", self.data, 16)[0])

    def offsets_of_records(self) -> list[int]:
        """Give where record bytes lie in the file; cells may be cut by pages."""
        with contextlib.closing(sqlite3.connect(self.path)) as conn:
            blobs = [
                bytes(cell)
                for query in SIGNED.values()
                for row in conn.execute(query)
                for cell in row
                if isinstance(cell, bytes)
            ]
        found: set[int] = set()
        for blob in blobs:
            for at in range(0, len(blob), PIECE):
                piece = blob[at : at + PIECE]
                where = self.data.find(piece) if len(piece) == PIECE else -1
                if where >= 0:
                    found.update(range(where, where + PIECE))
        return sorted(found)


def _sample(folder: Path, seals: Sequence[int]) -> Sample:
    """A node's store with a journal of several seals, closed in order."""
    tree = Tree(lambda: f"sqlite:///{folder}/store.db")
    node = tree.node("/")
    _fill(node, seals)
    tree.close()
    path = folder / "store.db"
    data = bytearray(path.read_bytes())
    # A database in memory has no log beside it, and says so in its header (bytes 18 and 19).
    data[18:20] = b"\1\1"
    return Sample(path=path, identity=node.identity, data=bytes(data))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A store of a few records."""
    return _sample(tmp_path_factory.mktemp("sample"), SEALS)


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A store of some more records, with tiles."""
    return _sample(tmp_path_factory.mktemp("tiled"), TILED_SEALS)


def _fill(node: Node, seals: Sequence[int]) -> None:
    number = 0
    for count in seals:
        drafts = [node.draft(f"{number + n}", b'{"n": "%d"}' % n) for n in range(count)]
        node.append(CHANNEL, *drafts)
        number += count


def _contents(conn: sqlite3.Connection) -> list[list[object]]:
    return [conn.execute(query).fetchall() for query in SIGNED.values()]


# One engine for all, since it remembers how statements are compiled.
_loaded_now: list[sqlite3.Connection] = []
_engine = create_engine("sqlite://", creator=lambda: _loaded_now[-1], poolclass=NullPool)


def _verdict(conn: sqlite3.Connection, identity: Identity) -> list[str]:
    """What `yidao store verify` says of a database: names of faults, or of the error.

    The connection is closed afterwards.
    """
    _loaded_now[:] = [conn]
    try:
        with _engine.connect() as opened:
            report = proving.scrub(opened, identity)
    except Exception as error:
        if isinstance(error, YidaoError) or is_from_database(error):
            return [type(error).__name__]
        raise
    return [fault.code for fault in report.faults]


def _loaded(data: bytes) -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", check_same_thread=False)
    conn.deserialize(data)
    return conn


def _flips(sample: Sample, places: Iterator[tuple[int, int]], wanted: int) -> list[tuple[int, int]]:
    """Flip bits, one at a time, until so many have hit what is signed; gives those not found."""
    with contextlib.closing(_loaded(sample.data)) as conn:
        before = _contents(conn)
        assert all(before[:2])
        assert _verdict(conn, sample.identity) == []
    hit, missed = 0, []
    # Of places in record bytes most hit; on their pages one in a few does.
    for offset, bit in itertools.islice(places, 100 * wanted):
        if hit == wanted:
            break
        data = bytearray(sample.data)
        data[offset] ^= 1 << bit
        with contextlib.closing(_loaded(bytes(data))) as conn:
            if _hits(conn, before):
                hit += 1
                if not _verdict(conn, sample.identity):
                    missed.append((offset, bit))
    assert hit == wanted
    return missed


def _hits(conn: sqlite3.Connection, before: list[list[object]]) -> bool:
    """Whether what is signed is read otherwise than it was written, or not at all."""
    try:
        return _contents(conn) != before
    except sqlite3.Error:
        return True


@pytest.mark.parametrize(
    ("name", "flips", "seed"),
    [
        ("sample", 500, 0),
        ("tiled", 10, 0),
        *(pytest.param("sample", 1_000, seed, marks=pytest.mark.long) for seed in range(1, 21)),
        *(pytest.param("tiled", 500, seed, marks=pytest.mark.long) for seed in range(1, 9)),
    ],
)
def test_every_flipped_bit_of_a_record_is_found(
    request: pytest.FixtureRequest, name: str, flips: int, seed: int
) -> None:
    """R12: where a flip changes what was signed, verifying the store says so, every time."""
    sample: Sample = request.getfixturevalue(name)
    offsets = sample.offsets_of_records()
    chance = random.Random(seed)
    places = ((chance.choice(offsets), chance.randrange(8)) for _ in itertools.count())
    missed = _flips(sample, places, flips)
    record("R12 bit flips in record bytes", flips=flips, missed=len(missed))
    assert missed == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_flips_anywhere_on_the_pages_of_records(sample: Sample, seed: int) -> None:
    """R12: also of what lies around records: lengths, keys, pointers of the database."""
    size = sample.page_bytes()
    pages = sorted({offset // size for offset in sample.offsets_of_records()})
    chance = random.Random(seed)
    places = (
        (chance.choice(pages) * size + chance.randrange(size), chance.randrange(8))
        for _ in itertools.count()
    )
    flips = 500
    missed = _flips(sample, places, flips)
    record("R12 bit flips on the pages of records", flips=flips, missed=len(missed))
    assert missed == []


_PK = f"(SELECT id FROM journal WHERE channel = '{CHANNEL}')"
_TAMPERINGS: dict[str, tuple[list[str], list[tuple[str, int]]]] = {
    "two rows change places": (
        [
            f"UPDATE segment SET first_seq = -1 WHERE journal_id = {_PK} AND first_seq = 0",
            f"UPDATE segment SET first_seq = 0 WHERE journal_id = {_PK} AND first_seq = 3",
            f"UPDATE segment SET first_seq = 3 WHERE journal_id = {_PK} AND first_seq = -1",
        ],
        [("HEADERS_TAMPERED", 0)],
    ),
    "the middle is deleted": (
        [f"DELETE FROM segment WHERE journal_id = {_PK} AND first_seq = 4"],
        [("SEGMENT_MISSING", 4)],
    ),
    "the tail is deleted": (
        [f"DELETE FROM segment WHERE journal_id = {_PK} AND first_seq = 16"],
        [("HEAD_TAMPERED", 16)],
    ),
}


@pytest.mark.parametrize("what", _TAMPERINGS)
def test_moved_and_missing_rows_are_named(sample: Sample, what: str) -> None:
    """R14: verifying names the record where the history stops to be what was signed."""
    statements, expected = _TAMPERINGS[what]
    with contextlib.closing(_loaded(sample.data)) as conn:
        for statement in statements:
            conn.execute(statement)
        conn.commit()
        assert _named(conn, sample.identity, only={"HEADERS", "SEGMENT", "HEAD"}) == expected
    record("R14 rows swapped, deleted, edited", injected=1)


def test_an_edited_payload_is_named(sample: Sample) -> None:
    """R14: one figure of one record is changed: its number is named, and no other."""
    with contextlib.closing(_loaded(sample.data)) as conn:
        key, blob = conn.execute(
            f"SELECT id, blob FROM parts WHERE journal_id = {_PK} AND last_seq >= 28"
        ).fetchone()
        edited = blob.replace(b'{"n": "12"}', b'{"n": "72"}')
        assert edited != blob
        conn.execute("UPDATE parts SET blob = ? WHERE id = ?", (edited, key))
        conn.commit()
        assert _named(conn, sample.identity) == [("PART_TAMPERED", 16 + 12)]
    record("R14 rows swapped, deleted, edited", injected=1)


def _named(
    conn: sqlite3.Connection, identity: Identity, only: set[str] | None = None
) -> list[tuple[str, int]]:
    """Codes and numbers of the faults that verifying finds, of those kinds."""
    engine = create_engine("sqlite://", creator=lambda: conn, poolclass=StaticPool)
    with engine.connect() as opened:
        faults = proving.scrub(opened, identity).faults
    return [
        (fault.code, fault.seq)
        for fault in faults
        if only is None or fault.code.partition("_")[0] in only
    ]


@pytest.mark.parametrize("step", [128, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["store.db", "store.db-wal"])
def test_a_cut_file_is_found_or_ends_at_a_commit(tmp_path: Path, name: str, step: int) -> None:
    """R13: cut at every 512 bytes: an error, a fault, or a history that ends at a commit.

    A history that ends early is one of which this machine, or a neighbour, knows more: the
    position is below what was reached, so that the node starts behind its fence.
    """
    tree = Tree(lambda: f"sqlite:///{tmp_path}/store.db")
    node = tree.node("/")
    _fill(node, SEALS)
    reached = node.store.last_position()
    ends = _ends(tmp_path / "store.db")
    live = tmp_path / "live"
    live.mkdir()
    for each in ("store.db", "store.db-wal"):
        shutil.copyfile(tmp_path / each, live / each)
    tree.close()
    size = (live / name).stat().st_size
    cuts = range(0, size, 512 * step)
    silent = []
    for cut in cuts:
        folder = tmp_path / "cut"
        shutil.copytree(live, folder)
        os.truncate(folder / name, cut)
        last, said = _opened(folder, node.identity)
        if not said and last != reached and last not in ends:
            silent.append((cut, last))
        shutil.rmtree(folder)
    record(f"R13 {name} cut", injected=len(cuts), missed=len(silent))
    assert silent == []


def _ends(path: Path) -> set[int]:
    """The positions at which segments end."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
        query = "SELECT position + record_count - 1 FROM segment"
        return {0, *(last for (last,) in conn.execute(query))}


def _opened(folder: Path, identity: Identity) -> tuple[int, list[str]]:
    """Open and verify a store; gives its last position, and what is wrong with it."""
    store = None
    try:
        store = Store.open(f"sqlite:///{folder}/store.db", clock_ms=lambda: 0, random=bytes)
        store.bind(identity)
        store.start()
        faults = [fault.code for fault in store.scrub().faults]
        return store.last_position(), faults
    except YidaoError as error:
        return 0, [error.code]
    finally:
        if store is not None:
            store.close()


def _delete_wal(folder: Path) -> None:
    """R15: the classic backup: the database without the log beside it."""
    (folder / "store.db-wal").unlink()
    (folder / "store.db-shm").unlink(missing_ok=True)


def _delete_tail(folder: Path) -> None:
    """R14: an insider takes the newest seals away, and sets back all that would tell."""
    with contextlib.closing(sqlite3.connect(folder / "store.db")) as conn, conn:
        (last,) = conn.execute(
            "SELECT max(position) FROM segment WHERE journal_id IN"
            " (SELECT id FROM journal WHERE own AND channel LIKE 'up:%')"
        ).fetchone()
        gone = dict(
            conn.execute(
                "SELECT journal_id, min(first_seq) FROM segment WHERE position >= ?"
                " GROUP BY journal_id",
                (last,),
            )
        )
        conn.execute("DELETE FROM segment WHERE position >= ?", (last,))
        conn.execute("DELETE FROM record_id WHERE position >= ?", (last,))
        conn.execute("UPDATE store_head SET last_position = ?", (last - 1,))
        for key, size in gone.items():
            _set_back(conn, key, size)


def _set_back(conn: sqlite3.Connection, key: int, size: int) -> None:
    """Let a journal look as it did at a size."""
    kept = conn.execute(
        "SELECT headers, checkpoint FROM segment WHERE journal_id = ? ORDER BY first_seq", (key,)
    ).fetchall()
    headers = [raw for blob, _ in kept for raw in unpack_headers(blob)]
    frontier = EMPTY_FRONTIER.append_many(leaf_hashes(headers)).to_bytes()
    conn.execute(
        "UPDATE journal SET size = ?, frontier = ?, checkpoint = ? WHERE id = ?",
        (size, frontier, kept[-1][1] if kept else None, key),
    )
    conn.execute("DELETE FROM parts WHERE journal_id = ? AND first_seq >= ?", (key, size))
    conn.execute("DELETE FROM cosignature WHERE journal_id = ? AND size > ?", (key, size))


@pytest.mark.e2e
@pytest.mark.parametrize("harm", [_delete_wal, _delete_tail])
def test_what_is_gone_comes_back_from_the_parent(pair: Pair, harm: Callable[[Path], None]) -> None:
    """R14, R15: the start is doubted, the parent's receipts tell, and nothing acked stays lost."""
    pair.start()
    for _ in range(4):
        pair.office.submit(rows(3))
    wait_until("all is at the root", lambda: is_idle(pair.office))
    pair.office.kill()
    before = len(pair.office.said())
    harm(pair.office.folder)
    held = invariants.read(pair.office.folder)
    known = {record_id for _, record_id in held.record_ids()}
    assert not set(pair.office.acked) <= known
    assert pair.healed() == []
    told = pair.office.said()[before:]
    assert "node.start.fenced" in told
    assert "behind" in told
    acked = pair.newly_acked()
    record("R14, R15 rolled back behind receipts", injected=1, acked=acked)
