"""The store's contract, the same on SQLite and on PostgreSQL: projections, decisions, rebuild."""

import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, insert, select, update
from sqlalchemy.exc import OperationalError

from yidao.node.store import errors, tables
from yidao.node.store.projections import BATCH_RECORDS, Runner
from yidao.node.store.records import Reader
from yidao.node.store.transaction import Tx
from yidao.node.store.values import StoredRecord

sample = MetaData()
counts = Table(
    "sample_counts",
    sample,
    Column("kind", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
)


class Counter:
    """Counts records by kind, and notes the order that it was given them in."""

    name = "sample.counter"
    tables = (counts,)

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.fails_at: str | None = None
        self.raises_once: Exception | None = None

    def fold(self, conn: Connection, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Count."""
        if self.raises_once is not None:
            error, self.raises_once = self.raises_once, None
            raise error
        for record in records:
            foreign = record.journal.node_id != reader.own.node_id
            everything = self.fails_at == "everything" and foreign
            if record.header.object_id == self.fails_at or everything:
                raise ZeroDivisionError
            self.seen.append(record.position)
            kind = record.header.kind
            row = conn.execute(select(counts).where(counts.c.kind == kind)).one_or_none()
            values = {"last_position": record.position, "number": 1 + (row.number if row else 0)}
            if row is None:
                conn.execute(insert(counts).values(kind=kind, **values))
            else:
                conn.execute(update(counts).where(counts.c.kind == kind).values(**values))


class Answerer:
    """Answers each sample record with one of its own."""

    name = "sample.answerer"

    def __init__(self) -> None:
        self.calls = 0
        self.fails = False
        self.fails_at: str | None = None

    def decide(self, tx: Tx, records: Sequence[StoredRecord], reader: Reader) -> None:
        """Answer."""
        from yidao.node.store.values import Draft

        self.calls += 1
        made = [r for r in records if r.header.kind == "test.thing.made"]
        if any(record.header.object_id == self.fails_at for record in made):
            raise ZeroDivisionError
        for record in made:
            answer = Draft(
                record_id=bytes(b ^ 255 for b in record.header.record_id),
                kind="test.thing.answered",
                actor="sample@/",
                object_id=record.header.object_id,
                object_version=1,
                created_ms=1,
            )
            tx.append("local", [answer])
        if self.fails:
            raise ZeroDivisionError


@pytest.fixture
def projected(tree: Any) -> Any:
    """A root with a table for the samples; give it projectors by reopening it."""
    root = tree.node("/")
    root.store.run(lambda tx: sample.create_all(tx.conn))
    return root


def rows_of(node: Any) -> dict[str, tuple[int, int]]:
    """The counted table."""
    with node.store.read() as conn:
        return {row.kind: (row.number, row.last_position) for row in conn.execute(select(counts))}


def wait(node: Any) -> None:
    """Wait until every projector has folded what is stored."""
    node.store.applied(node.store.last_position()).result(timeout=60)


class TestFolding:
    def test_each_record_once_in_order(self, tree: Any, projected: Any) -> None:
        """Every record is folded once, in position order, over several commits and a restart."""
        counter = Counter()
        root = tree.reopen(projected, projectors=[counter])
        root.append("up:15", root.draft("a"))
        root.append("local", root.draft("b"))
        wait(root)
        root = tree.reopen(root, projectors=[counter])
        position = root.append("up:15", root.draft("c"))[0]
        assert root.store.applied(position).result(timeout=60) >= position
        assert counter.seen == list(range(1, position + 1))
        assert rows_of(root)["test.thing.made"] == (3, position)

    def test_a_new_projector_catches_up_from_the_first_record(
        self, tree: Any, projected: Any
    ) -> None:
        """A projector that was not there before sees all, more than one batch of it."""
        total = BATCH_RECORDS + 500
        for start in range(0, total, 500):
            drafts = [projected.draft(f"{start + n}") for n in range(500)]
            projected.append("up:15", *drafts)
        counter = Counter()
        root = tree.reopen(projected, projectors=[counter])
        wait(root)
        assert rows_of(root)["test.thing.made"] == (total, total + 1)
        assert counter.seen == list(range(1, total + 2))

    def test_one_that_fails_is_stalled_alone(self, tree: Any, projected: Any) -> None:
        """A projector that raises leaves nothing, is named, and the node goes on without it."""
        counter, answerer = Counter(), Answerer()
        counter.fails_at = "thing/bad"
        root = tree.reopen(projected, projectors=[counter], deciders=[answerer])
        position = root.append("up:15", root.draft("good"), root.draft("bad"))[-1]
        with pytest.raises(errors.ProjectionStalled):
            root.store.applied(position).result(timeout=60)
        assert rows_of(root) == {}
        assert root.append("up:15", root.draft("later"))
        assert [p.code for p in root.store.problems()] == ["PROJECTION_STALLED"]
        assert root.store.problems()[0].params["name"] == "sample.counter"
        counter.fails_at = None
        root = tree.reopen(root, projectors=[counter], deciders=[answerer])
        wait(root)
        assert rows_of(root)["test.thing.made"][0] == 3

    def test_nobody_hears_of_a_stall_before_it_is_written_down(
        self, tree: Any, projected: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever asks while the problem is being committed waits for that."""
        move = Runner._move

        def slowly(*given: Any) -> None:
            time.sleep(0.3)
            move(*given)

        monkeypatch.setattr(Runner, "_move", slowly)
        counter = Counter()
        counter.fails_at = "thing/bad"
        root = tree.reopen(projected, projectors=[counter])
        position = root.append("up:15", root.draft("bad"))[-1]
        for _ in range(100):
            asked = root.store.applied(position)
            time.sleep(0.02)
            if asked.done():
                break
        with pytest.raises(errors.ProjectionStalled):
            asked.result(timeout=60)
        assert [p.code for p in root.store.problems()] == ["PROJECTION_STALLED"]

    @pytest.mark.parametrize("is_mended", [False, True])
    def test_a_stall_that_was_not_committed_is_none(
        self, tree: Any, projected: Any, monkeypatch: pytest.MonkeyPatch, is_mended: bool
    ) -> None:
        """The disk was full when the problem was to be written: all of it is tried again."""
        move, full = Runner._move, sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorcode = sqlite3.SQLITE_FULL
        raised = []

        def once_full(*given: Any) -> None:
            if len(raised) < 1:
                raised.append(full)
                if is_mended:
                    counter.fails_at = None
                raise OperationalError("INSERT", None, full)
            move(*given)

        counter = Counter()
        counter.fails_at = "thing/bad"
        root = tree.reopen(projected, projectors=[counter])
        wait(root)
        monkeypatch.setattr(Runner, "_move", once_full)
        position = root.append("up:15", root.draft("bad"))[-1]
        if is_mended:
            wait(root)
            root.append("up:15", root.draft("good"))
            wait(root)
            assert root.store.problems() == ()
            return
        with pytest.raises(errors.ProjectionStalled):
            root.store.applied(position).result(timeout=60)
        assert raised
        assert [p.code for p in root.store.problems()] == ["PROJECTION_STALLED"]

    def test_r51_a_childs_record_that_breaks_a_view_is_left_out_alone(
        self, tree: Any, projected: Any, carry_all: Any
    ) -> None:
        """Siblings and later records of the same child are folded, and the record is named.

        A rebuild gives the same tables, and once the defect is mended the whole ones.
        """
        counter, answerer = Counter(), Answerer()
        counter.fails_at = answerer.fails_at = "thing/bad"
        root = tree.reopen(projected, projectors=[counter], deciders=[answerer])
        children = [tree.node(path, root) for path in ("/33", "/34")]
        for child, names in zip(children, (["a", "bad", "b"], ["c"]), strict=True):
            child.append("up:15", *(child.draft(name) for name in names))
            carry_all(child, root)
        wait(root)
        assert rows_of(root)["test.thing.made"][0] == 3
        shown = {(p.code, p.params["name"], p.seq) for p in root.store.problems()}
        assert shown == {
            ("RECORD_BREAKS_VIEW", "sample.counter", 1),
            ("RECORD_BREAKS_DECISION", "sample.answerer", 1),
        }
        assert root.store.rebuild().equal
        assert len(root.store.problems()) == 2
        counter.fails_at = None
        root.store.rebuild()
        assert rows_of(root)["test.thing.made"][0] == 4
        assert [p.code for p in root.store.problems()] == ["RECORD_BREAKS_DECISION"]

    def test_r52_what_breaks_at_everybodys_records_is_our_own_defect(
        self, tree: Any, projected: Any, carry_all: Any
    ) -> None:
        """Nothing is left out where records of three authors fail and none is well."""
        root = tree.reopen(projected)
        for number, path in enumerate(("/33", "/34", "/35")):
            child = tree.node(path, root)
            child.append("up:15", child.draft(f"bad {number}"))
            carry_all(child, root)
        counter = Counter()
        counter.fails_at = "everything"
        root = tree.reopen(root, projectors=[counter])
        with pytest.raises(errors.ProjectionStalled):
            root.store.applied(root.store.last_position()).result(timeout=60)
        assert rows_of(root) == {}
        assert [p.code for p in root.store.problems()] == ["PROJECTION_STALLED"]

    def test_one_that_meets_a_full_disk_tries_again(self, tree: Any, projected: Any) -> None:
        """No space is no defect of a projector: it is not stalled and folds when there is space."""
        counter = Counter()
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorcode = sqlite3.SQLITE_FULL
        counter.raises_once = OperationalError("INSERT", None, full)
        root = tree.reopen(projected, projectors=[counter])
        root.append("up:15", root.draft("a"))
        root.append("up:15", root.draft("b"))
        wait(root)
        assert counter.raises_once is None
        assert rows_of(root)["test.thing.made"][0] == 2
        assert root.store.problems() == ()

    def test_applied_can_be_asked_from_a_callback(self, tree: Any, projected: Any) -> None:
        """Whoever waits for a position is called when it is folded, not before."""
        root = tree.reopen(projected, projectors=[Counter()])
        told = threading.Event()
        root.store.on_applied(lambda position: told.set() if position >= 2 else None)
        root.append("up:15", root.draft("a"))
        assert told.wait(timeout=60)
        assert root.store.applied_position >= 2


class TestDeciding:
    def test_each_record_is_answered_once(self, tree: Any, projected: Any) -> None:
        """Answers come with the cursor that moves past the question, also over a restart."""
        root = tree.reopen(projected, projectors=[Counter()], deciders=[Answerer()])
        for name in "abc":
            root.append("up:15", root.draft(name))
            wait(root)
        root = tree.reopen(root, projectors=[Counter()], deciders=[Answerer()])
        root.append("up:15", root.draft("d"))
        while "test.thing.answered" not in rows_of(root) or (
            rows_of(root)["test.thing.answered"][0] < 4
        ):
            wait(root)
        assert rows_of(root)["test.thing.answered"][0] == 4

    def test_a_decision_that_fails_leaves_nothing(self, tree: Any, projected: Any) -> None:
        """What a decider appended before it raised is not sealed; the projector goes on."""
        counter, answerer = Counter(), Answerer()
        answerer.fails = True
        root = tree.reopen(projected, projectors=[counter], deciders=[answerer])
        position = root.append("up:15", root.draft("a"))[0]
        root.store.applied(position).result(timeout=60)
        root.append("up:15", root.draft("b"))
        wait(root)
        assert "test.thing.answered" not in rows_of(root)
        # Once with the batch, once alone.
        assert answerer.calls == 2
        assert [h.journal.channel for h in root.store.heads()] == ["node", "up:15"]


class TestRebuild:
    def test_a_rebuild_gives_equal_tables_and_decides_nothing(
        self, tree: Any, projected: Any
    ) -> None:
        """Tables folded again are equal row by row, and no decider runs."""
        counter, answerer = Counter(), Answerer()
        root = tree.reopen(projected, projectors=[counter], deciders=[answerer])
        for name in "abc":
            root.append("up:15", root.draft(name))
        while rows_of(root).get("test.thing.answered", (0, 0))[0] < 3:
            wait(root)
        wait(root)
        calls, last, before = answerer.calls, root.store.last_position(), rows_of(root)
        report = root.store.rebuild()
        assert report.equal
        assert [(table.name, table.rows) for table in report.tables] == [("sample_counts", 3)]
        assert report.records == last
        assert (rows_of(root), answerer.calls, root.store.last_position()) == (before, calls, last)

    def test_a_table_that_was_changed_by_hand_is_told_and_mended(
        self, tree: Any, projected: Any
    ) -> None:
        """A row that no record made is gone after a rebuild, and the report says not equal."""
        root = tree.reopen(projected, projectors=[Counter()])
        root.append("up:15", root.draft("a"))
        wait(root)
        before = rows_of(root)
        root.store.run(lambda tx: tx.conn.execute(update(counts).values(number=99)).rowcount)
        report = root.store.rebuild()
        assert not report.equal
        assert rows_of(root) == before

    def test_records_of_programs_are_passed_over(self, tree: Any, projected: Any) -> None:
        """They are applied at once, folded by nobody, and looked at again but so far."""
        counter = Counter()
        root = tree.reopen(projected, projectors=[counter])
        root.append("up:15", root.draft("a"))
        wait(root)
        seen = list(counter.seen)

        def kept() -> int:
            with root.store.read() as conn:
                mine = tables.cursor.c.name == counter.name
                return int(conn.execute(select(tables.cursor.c.position).where(mine)).scalar_one())

        before = kept()
        with patch("yidao.node.store.projections.KEPT_RECORDS", 5):
            ends = []
            for number in range(8):
                name = f"m{number}"
                ends += root.append("up:15", root.draft(name, kind="app.meter.reading"))
                wait(root)
                assert ends[-1] - kept() <= 5
        assert before < kept()
        assert counter.seen == seen
        mixed = root.draft("m", kind="app.meter.reading"), root.draft("b")
        last = root.append("up:15", *mixed)[-1]
        wait(root)
        assert counter.seen[-1] == last
        assert rows_of(root)["test.thing.made"] == (2, last)
        root.append("up:15", root.draft("n", kind="app.meter.reading"))
        wait(root)
        # Who starts again looks at what was passed over once more, to the same end.
        root = tree.reopen(root, projectors=[counter])
        wait(root)
        assert rows_of(root)["test.thing.made"] == (2, last)

    def test_a_rebuild_mends_a_stalled_projector(self, tree: Any, projected: Any) -> None:
        """After the defect is mended, a rebuild brings a stalled projector up to date."""
        counter = Counter()
        counter.fails_at = "thing/bad"
        root = tree.reopen(projected, projectors=[counter])
        position = root.append("up:15", root.draft("bad"))[0]
        with pytest.raises(errors.ProjectionStalled):
            root.store.applied(position).result(timeout=60)
        counter.fails_at = None
        root.store.rebuild()
        assert rows_of(root)["test.thing.made"] == (1, position)
        wait(root)
        root.append("up:15", root.draft("more"))
        wait(root)
        assert rows_of(root)["test.thing.made"][0] == 2
        with root.store.read() as conn:
            assert set(conn.execute(select(tables.cursor.c.position)).scalars()) == {3}
