"""The store's contract, the same on SQLite and on PostgreSQL: bytes changed behind its back."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from yidao.node.store import errors, tables
from yidao.node.store.transaction import Tx
from yidao.node.store.values import DraftPart

Carry = Callable[..., list[Any]]
Change = Callable[[Tx, int], None]


def flip(data: bytes, at: int) -> bytes:
    """The bytes with one bit changed."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def change_blob(table: Any, column: str, at: int) -> Change:
    """Flip a bit in one column of the row that belongs to the first segment of the journal."""

    def change(tx: Tx, journal_pk: int) -> None:
        field = table.c[column]
        own = table.c.id if table is tables.journal else table.c.journal_id
        (key,) = list(table.primary_key.columns)[:1]
        order = table.c.first_seq if "first_seq" in table.c else key
        row = tx.conn.execute(
            select(key, field).where(own == journal_pk).order_by(order).limit(1)
        ).one()
        chosen = (key == row[0]) & (own == journal_pk)
        tx.conn.execute(update(table).where(chosen).values({column: flip(row[1], at)}))

    return change


def drop_segment(tx: Tx, journal_pk: int) -> None:
    """Take the first segment out."""
    chosen = (tables.segment.c.journal_id == journal_pk) & (tables.segment.c.first_seq == 0)
    tx.conn.execute(delete(tables.segment).where(chosen))


def drop_tail(tx: Tx, journal_pk: int) -> None:
    """Take the last segment out, as an insider would who hides the newest records."""
    chosen = (tables.segment.c.journal_id == journal_pk) & (tables.segment.c.first_seq == 300)
    tx.conn.execute(delete(tables.segment).where(chosen))


@pytest.fixture
def filled(tree: Any) -> tuple[Any, Any]:
    """A root with a journal of two seals, and the journal's head."""
    root = tree.node("/")
    root.append("up:15", *(root.draft(f"{n}") for n in range(300)))
    root.append("up:15", *(root.draft(f"{n}") for n in range(300, 400)))
    head = next(h for h in root.store.heads() if h.journal.channel == "up:15")
    return root, head


CHANGES = [
    pytest.param(change_blob(tables.segment, "headers", -1), 0, "HEADERS_TAMPERED", id="header"),
    pytest.param(change_blob(tables.segment, "headers", 0), 0, "HEADERS_TAMPERED", id="length"),
    pytest.param(
        change_blob(tables.segment, "checkpoint", 10), 0, "CHECKPOINT_TAMPERED", id="checkpoint"
    ),
    pytest.param(drop_segment, 0, "SEGMENT_MISSING", id="segment gone"),
    pytest.param(drop_tail, 300, "HEAD_TAMPERED", id="tail gone"),
    pytest.param(change_blob(tables.tile, "hash", 3), 0, "TILE_TAMPERED", id="tile"),
    pytest.param(
        change_blob(tables.parts, "blob", -1), 299, "PART_TAMPERED", id="part's last byte"
    ),
    pytest.param(change_blob(tables.parts, "blob", 0), 0, "PART_TAMPERED", id="parts' length"),
    pytest.param(change_blob(tables.journal, "frontier", 9), 400, "HEAD_TAMPERED", id="head"),
]


def test_a_sound_store_has_no_fault(filled: Any) -> None:
    """Every record and part of an untouched store is read and found right."""
    root, _ = filled
    report = root.store.scrub()
    assert (report.records, report.parts, report.faults) == (401, 400, ())
    assert root.store.problems() == ()


@pytest.mark.parametrize(("change", "seq", "code"), CHANGES)
def test_a_changed_byte_is_named(filled: Any, change: Change, seq: int, code: str) -> None:
    """One changed byte anywhere is found, with its journal and record, and becomes a problem."""
    root, head = filled
    root.store.run(lambda tx: change(tx, head.pk))
    faults = [(f.journal, f.seq, f.code) for f in root.store.scrub().faults]
    assert (head.journal, seq, code) in faults
    assert {journal for journal, _, _ in faults} == {head.journal}
    problem = next(p for p in root.store.problems() if p.params["what"] == code)
    assert (problem.code, problem.seq) == ("STORE_TAMPERED", seq)
    assert problem.journal.endswith("/up:15/1")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change_blob(tables.segment, "headers", -1), id="header"),
        pytest.param(change_blob(tables.segment, "checkpoint", 10), id="checkpoint"),
        pytest.param(change_blob(tables.parts, "blob", -1), id="part"),
    ],
)
def test_nothing_changed_is_given_out_as_proved(tree: Any, change: Change) -> None:
    """A proof of a record whose stored bytes were changed is refused and names the record."""
    root = tree.node("/")
    root.append("up:15", root.draft("a", parts=(DraftPart(name="core", body=b"12345"),)))
    head = next(h for h in root.store.heads() if h.journal.channel == "up:15")
    root.store.prove(2)
    root.store.run(lambda tx: change(tx, head.pk))
    with pytest.raises(errors.StoreTampered) as caught:
        root.store.prove(2)
    assert str(caught.value.params["journal"]).endswith("/up:15/1")
    assert caught.value.params["seq"] == 0


def test_the_next_tier_refuses_what_was_changed_here(tree: Any, carry_all: Carry) -> None:
    """A byte changed in the city's store is noticed by the root, which names the journal."""
    root = tree.node("/")
    city = tree.node("/33", root)
    county = tree.node("/33/3301", city)
    carry_all(city, root)
    county.append("up:15", county.draft("a"))
    carry_all(county, city)
    head = next(h for h in city.store.heads() if h.journal.channel == "up:15")
    city.store.run(lambda tx: change_blob(tables.segment, "headers", -1)(tx, head.pk))
    refusals = [r for outcome in carry_all(city, root) for r in outcome.refusals]
    assert [(r.journal, r.code) for r in refusals] == [(head.journal, "SEAL_ROOT_MISMATCH")]
    assert [p.code for p in root.store.problems()] == ["JOURNAL_REFUSED"]
    assert "HEADERS_TAMPERED" in [fault.code for fault in city.store.scrub().faults]


def test_a_segment_that_cannot_be_read_stops_its_journal_alone(tree: Any, carry_all: Carry) -> None:
    """A broken blob is left out and named; other journals go on, and the next tier sees the gap."""
    root = tree.node("/")
    city = tree.node("/33", root)
    city.append("up:15", city.draft("a"))
    city.append("up:14", city.draft("b"))
    city.append("up:15", city.draft("c"))
    head = next(h for h in city.store.heads() if h.journal.channel == "up:15")
    city.store.run(lambda tx: change_blob(tables.segment, "headers", 0)(tx, head.pk))
    refusals = [r for outcome in carry_all(city, root) for r in outcome.refusals]
    assert [(r.journal, r.code) for r in refusals] == [(head.journal, "SEAL_GAP")]
    kinds = [record.header.object_id for record in root.store.records(0, 100)]
    assert "thing/b" in kinds
    problem = next(p for p in city.store.problems() if p.code == "STORE_TAMPERED")
    assert (problem.journal.split("/", 1)[1], problem.seq) == ("up:15/1", 0)
