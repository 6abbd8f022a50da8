"""Erasure: the bytes go wherever the part went; the header and its proof stay."""

import hashlib
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from yidao.node.access.errors import ActorElsewhere
from yidao.node.removals import PRESENT, REDACTED, WITHHELD, Removals
from yidao.node.store import tables
from yidao.node.store.errors import RecordIdReused
from yidao.node.store.parterrors import PartAbsent, PartRedacted
from yidao.node.store.redacting import REDACTION_REFUSED, Eraser
from yidao.node.store.values import DraftPart
from yidao.sync.ids import Lane
from yidao.sync.message import Frame
from yidao.sync.record import Grade, Release, commitment
from yidao.sync.removal import KIND_REDACTED, Redaction
from yidao.sync.removalerrors import PartNotErasable, RemovalMalformed

NUMBER = "样例证件号 330106199001010010".encode()
WHY = {"reason": "样例：本人申请删除", "basis": "个人信息保护法 第47条", "operator": "li@/33/3301"}


@pytest.fixture
def road(tree: Any) -> tuple[Any, Any, Any]:
    """A root, a province and a city."""
    root = tree.node("/")
    province = tree.node("/33", root)
    return root, province, tree.node("/33/3301", province)


def with_pii(node: Any, name: str = "a", **pii: Any) -> Any:
    """A record with personal fields beside its figures."""
    parts = (
        DraftPart(name="core", body=b'{"n": 1}'),
        # More than a page, so that pages are freed as well as cells.
        DraftPart(name="pii", body=NUMBER * 500, grade=Grade.L3, **pii),
    )
    return node.draft(name, parts=parts)


def record_id(name: str = "a") -> bytes:
    """The id of a record by its name."""
    return hashlib.sha256(name.encode()).digest()[:16]


def removals(node: Any) -> Removals:
    """The removals of a node, which finds records of others by a walk."""

    def locate(wanted: bytes) -> int | None:
        found = (r for r in node.store.records(0, 10_000) if r.header.record_id == wanted)
        return next((record.position for record in found), None)

    return Removals(node.store, locate)


def state(node: Any, name: str = "a", part: str = "pii") -> str:
    """What a node says of a part."""
    states = removals(node).states(record_id(name))
    return next(each.state for each in states if each.digest.name == part)


def by(node: Any) -> dict[str, str]:
    """Why, by somebody of a node."""
    return WHY | {"operator": f"li@{node.identity.path}"}


def settle(*nodes: Any) -> None:
    """Wait until nodes have folded and erased."""
    for node in nodes:
        node.store.applied(node.store.last_position()).result(10)


def everything(node: Any) -> bytes:
    """Every byte of every row; on SQLite every byte of the files too."""
    with node.store.read() as conn:
        rows = [
            value if isinstance(value, bytes) else str(value).encode()
            for table in tables.metadata.sorted_tables
            for row in conn.execute(select(table))
            for value in row
        ]
    url = make_url(node.url)
    if url.get_backend_name() == "sqlite":
        node.store.checkpoint_wal()
        file = FilePath(str(url.database))
        rows += [each.read_bytes() for each in file.parent.glob(f"{file.name}*")]
    return b"\n".join(rows)


def test_a_part_is_erased_wherever_it_went(
    road: tuple[Any, Any, Any], carry_all: Callable[..., Any]
) -> None:
    """Author, parent and root lose salt and body; header and proof stay, and say why."""
    root, province, city = road
    position = city.append("up:15", with_pii(city))[0]
    carry_all(city, province)
    carry_all(province, root)
    salt = city.store.prove(position).parts[1].salt
    commitments = [digest.commitment for digest in city.store.record_at(position).header.parts]
    assert [NUMBER in everything(node) and salt in everything(node) for node in road] == [True] * 3
    done = removals(city).redact(record_id(), "pii", **WHY)
    assert done.everywhere
    carry_all(city, province)
    carry_all(province, root)
    settle(*road)
    for node in road:
        held = everything(node)
        assert NUMBER not in held
        assert salt not in held
        # Nothing is left with which the few possible values could be tried.
        assert hashlib.sha256(NUMBER).digest() not in held
        assert commitments[1] in held
        assert (state(node), state(node, part="core")) == (REDACTED, PRESENT)
        why = removals(node).states(record_id())[1]
        assert (why.reason, why.basis, why.operator) == tuple(WHY.values())
        assert node.store.scrub().faults == ()
        with pytest.raises(PartRedacted):
            removals(node).part(record_id(), "pii")
        assert [part.name for part in node.store.prove(at(node)).parts] == ["core"]


def test_a_batch_that_is_repeated_record_by_record_still_clears_the_log(
    road: tuple[Any, Any, Any],
) -> None:
    """What comes behind the order in the batch lets nobody forget that something was erased."""
    city = road[2]
    city.append("up:15", with_pii(city))
    settle(city)
    mine = city.store.record_at(at(city))
    core = Redaction(
        journal=mine.journal, seq=mine.seq, record_id=mine.header.record_id, part="pii", **by(city)
    ).encode()
    order = city.draft("order", kind=KIND_REDACTED, parts=(DraftPart(name="core", body=core),))
    decide, sizes = Eraser.decide, []

    def stumbles(eraser: Eraser, tx: Any, records: Any, reader: Any) -> None:
        sizes.append(len(records))
        decide(eraser, tx, records, reader)
        if len(records) > 1:
            raise RuntimeError("sample")

    with (
        patch.object(Eraser, "decide", stumbles),
        patch("yidao.node.store.writer.truncate_wal") as truncated,
    ):
        city.append("up:15", order, city.draft("behind it"))
        settle(city)
        city.store.run(lambda _tx: None)
    assert sizes == [2, 1, 1]
    assert state(city) == REDACTED
    assert truncated.call_count == 1


def at(node: Any, name: str = "a") -> int:
    """Where a record lies."""
    return next(
        r.position for r in node.store.records(0, 10_000) if r.header.record_id == record_id(name)
    )


def test_without_the_salt_a_commitment_tells_nothing() -> None:
    """Whoever tries every possible value finds none that fits, without the salt."""
    salt = hashlib.sha256(b"salt").digest()
    kept = commitment(salt, NUMBER)
    plain = hashlib.sha256(NUMBER).digest()
    assert kept not in [plain, commitment(b"", NUMBER), commitment(bytes(32), NUMBER)]
    assert kept == commitment(salt, NUMBER)


def test_what_is_repeated_after_an_erasure_is_refused_and_brings_nothing_back(
    road: tuple[Any, Any, Any], carry_all: Callable[..., Any]
) -> None:
    """Nobody learns by trying what was erased: the same content is refused like any other."""
    _, _, city = road
    city.append("up:15", with_pii(city))
    removals(city).redact(record_id(), "pii", **WHY)
    with pytest.raises(RecordIdReused):
        city.append("up:15", with_pii(city))
    assert state(city) == REDACTED


def test_a_part_that_comes_after_its_erasure_is_not_taken(
    road: tuple[Any, Any, Any], carry_all: Callable[..., Any]
) -> None:
    """An acceptance on its way brings the part to a node that was told to erase it."""
    root, province, city = road
    city.append("up:15", with_pii(city, release=Release.WHEN_ACCEPTED))
    carry_all(city, province)
    pk = next(head.pk for head in province.store.heads() if head.journal.channel == "up:15")
    province.append("up:15", province.draft("declares the journal"))
    carry_all(province, root)
    assert state(root) == WITHHELD
    # The erasure reaches the root, as by another way, before the acceptance does.
    removals(city).redact(record_id(), "pii", **WHY)
    accept = province.draft("ok", releases=((pk, 0),))
    province.append("up:15", accept)
    head = province.store.last_position()
    items, _ = province.store.read_lane(root.peer, Lane.BULK, 0, head, 1 << 18)
    known = {cursor.lane: cursor.position for cursor in root.store.cursors(province.peer)}
    late = [item for item in items if item.position > known[Lane.BULK]]
    carried = [part.body for i in late for r in i.parts for s in r.records for part in s.parts]
    assert NUMBER * 500 in carried
    carry_all(city, province)
    settle(province)
    now, _ = province.store.read_lane(root.peer, Lane.BULK, head, head + 100, 1 << 18)
    early = [item for item in now if item.seal.journal.node_id == city.identity.node_id]
    first = Frame(lane=Lane.BULK, items=tuple(early), after_position=known[Lane.BULK])
    root.store.run(lambda tx: tx.ingest(province.peer, first))
    settle(root)
    second = Frame(lane=Lane.BULK, items=tuple(late), after_position=1, backfill=True)
    outcome = root.store.run(lambda tx: tx.ingest(province.peer, second))
    assert (outcome.records, outcome.refusals) == (1, ())
    assert NUMBER not in everything(root)
    assert state(root) == REDACTED


@pytest.mark.parametrize("writer", ["its parent", "the parent by the record's own words"])
def test_nobody_erases_for_others_but_the_author(
    road: tuple[Any, Any, Any], carry_all: Callable[..., Any], writer: str
) -> None:
    """A province erases at home; what it writes to others about a city's record is a problem."""
    root, province, city = road
    city.append("up:15", with_pii(city))
    carry_all(city, province)
    carry_all(province, root)
    if writer == "its parent":
        done = removals(province).redact(record_id(), "pii", **by(province))
        assert not done.everywhere
    else:
        mine = province.store.record_at(at(province))
        core = Redaction(
            journal=mine.journal, seq=mine.seq, record_id=mine.header.record_id, part="pii", **WHY
        ).encode()
        part = DraftPart(name="core", body=core)
        province.append("up:15", province.draft("x", kind=KIND_REDACTED, parts=(part,)))
    carry_all(province, root)
    settle(*road)
    at_home = REDACTED if writer == "its parent" else PRESENT
    assert [state(node) for node in road] == [PRESENT, at_home, PRESENT]
    problems = {problem.code for problem in root.store.problems()}
    assert (REDACTION_REFUSED in problems) == (writer != "its parent")


def test_who_comes_later_is_told_that_the_part_is_gone(
    road: tuple[Any, Any, Any], tree: Any, carry_all: Callable[..., Any]
) -> None:
    """A lane does not stall for a part that is not there, and the header says what there was."""
    root, province, city = road
    city.append("up:15", with_pii(city), with_pii(city, "b"))
    removals(city).redact(record_id(), "pii", **WHY)
    carry_all(city, province)
    removals(province).redact(record_id("b"), "pii", **by(province))
    carry_all(province, root)
    settle(*road)
    assert [state(root), state(root, "b")] == [REDACTED, REDACTED]
    why = removals(root).states(record_id("b"))[1]
    # The province's own act stays at home: the root has only its word.
    assert (why.position, why.reason) == (0, "")
    assert NUMBER not in everything(root)
    assert root.store.scrub().faults == ()


WRONG = {
    "a core that others have counted": ("core", {}, PartNotErasable),
    "no such part": ("file:1", {}, PartAbsent),
    "without a reason": ("pii", {"reason": " "}, RemovalMalformed),
    "without a basis": ("pii", {"basis": ""}, RemovalMalformed),
    "by somebody elsewhere": ("pii", {"operator": "li@/33"}, ActorElsewhere),
    "a reason without end": ("pii", {"reason": "长" * 513}, RemovalMalformed),
}


@pytest.mark.parametrize(("part", "fields", "error"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_erased_is_refused_by_type(
    tree: Any, part: str, fields: dict[str, str], error: type[Exception]
) -> None:
    """Nothing is written then; a dry run writes nothing either."""
    root = tree.node("/")
    root.append("node", with_pii(root, "trust"))
    root.append("up:15", with_pii(root))
    before = root.store.last_position()
    with pytest.raises(error):
        removals(root).redact(record_id(), part, **(by(root) | fields))
    with pytest.raises(PartAbsent):
        removals(root).redact(bytes(16), "pii", **by(root))
    removals(root).redact(record_id(), "pii", **by(root), dry_run=True)
    assert root.store.last_position() == before
    assert state(root) == PRESENT
