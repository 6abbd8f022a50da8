"""The store's contract, the same on SQLite and on PostgreSQL: appending and reading back."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from yidao.node.store import errors, parts, tables
from yidao.node.store.linkreads import Arrivals, Seen
from yidao.node.store.packing import unpack_parts
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.checkpoint import open_checkpoint
from yidao.sync.errors import HeaderFieldInvalid
from yidao.sync.merkle import Frontier, leaf_hashes
from yidao.sync.record import Grade, Release

KIB = 1024


def segments_of(node: Any, channel: str) -> list[Any]:
    """Rows of a journal's segments, in order."""
    with node.store.read() as conn:
        return list(
            conn.execute(
                select(tables.segment)
                .join(tables.journal, tables.journal.c.id == tables.segment.c.journal_id)
                .where(tables.journal.c.channel == channel)
                .order_by(tables.segment.c.first_seq)
            )
        )


def held_together(node: Any, jobs: list[Callable[[Tx], Any]]) -> list[Future[Any]]:
    """Submit jobs so that they all wait when the writer looks: one group."""
    gate, entered = threading.Event(), threading.Event()

    def hold(_tx: Tx) -> None:
        entered.set()
        gate.wait()

    node.store.submit(hold)
    entered.wait()
    futures = [node.store.submit(job) for job in jobs]
    gate.set()
    return futures


def groups(node: Any) -> int:
    """How many groups of jobs were committed; what runs over the records is not counted."""
    return node.store.commit_times.buckets()[-1][1]


class TestAppend:
    def test_declaration_first(self, tree: Any) -> None:
        """The first record of a channel brings its journal's declaration, one position before."""
        root = tree.node("/")
        assert root.append("up:15", root.draft("a"), root.draft("b")) == [2, 3]
        records = root.store.records(0, 100)
        assert [record.header.kind for record in records] == [
            "node.journal.opened",
            "test.thing.made",
            "test.thing.made",
        ]
        assert records[0].header.object_id == "journal/up:15/1"
        assert [record.seq for record in records] == [0, 0, 1]
        assert records[1].parts == {"core": b"{}"}

    def test_checkpoint_is_signed_over_all_headers(self, tree: Any) -> None:
        """The stored checkpoint is the origin's signature over the root of all header bytes."""
        root = tree.node("/")
        root.append("up:15", root.draft("a"))
        root.append("up:15", root.draft("b"), root.draft("c"))
        head = next(h for h in root.store.heads() if h.journal.channel == "up:15")
        signed = open_checkpoint(
            head.checkpoint,
            head.journal.origin(root.identity.network),
            root.identity.journal.public_key,
        )
        headers = [r.header.encode() for r in root.store.records(0, 100) if r.journal_pk == head.pk]
        assert signed.size == head.size == 3
        assert signed.root == head.root == Frontier().append_many(leaf_hashes(headers)).root()

    @pytest.mark.parametrize("moment", ["same call", "same group", "later", "after restart"])
    def test_repeat_gives_the_first_position(self, tree: Any, moment: str) -> None:
        """The same record again, at whatever moment, is stored once and answered with its place."""
        root = tree.node("/")
        draft = root.draft("a")
        again = root.draft("a", created_ms=draft.created_ms + 5_000)
        if moment == "same call":
            positions = root.append("up:15", draft, again)
        elif moment == "same group":
            futures = held_together(
                root, [lambda tx, d=d: tx.append("up:15", [d])[0] for d in (draft, again)]
            )
            positions = [future.result().position for future in futures]
        else:
            positions = root.append("up:15", draft)
            if moment == "after restart":
                root = tree.reopen(root)
            tickets = root.store.run(lambda tx: tx.append("up:15", [again]))
            assert tickets[0].repeat
            assert tickets[0].seq == 0
            positions.append(tickets[0].position)
        assert positions == [2, 2]
        assert root.store.last_position() == 2
        assert root.store.lookup(draft.record_id) == 2

    def test_same_id_with_other_content_is_refused(self, tree: Any) -> None:
        """A record id that stands for other content is an error and stores nothing."""
        root = tree.node("/")
        root.append("up:15", root.draft("a"))
        changed = root.draft("a", body=b'{"changed": 1}')
        with pytest.raises(errors.RecordIdReused):
            root.append("up:15", root.draft("b"), changed)
        with pytest.raises(errors.RecordIdReused):
            root.append("local", root.draft("a"))
        assert root.store.last_position() == 2
        assert root.store.lookup(root.draft("b").record_id) is None

    def test_a_failing_job_is_undone_alone(self, tree: Any) -> None:
        """Of three jobs in one group the second raises: the others are stored, it left no trace."""
        root = tree.node("/")

        def fails(tx: Tx) -> None:
            tx.append("up:3", [root.draft("lost")])
            tx.append("up:15", [root.draft("lost too")])
            tx.conn.execute(insert(tables.cursor).values(name="lost", position=1))
            raise HeaderFieldInvalid(field="sample")

        before = groups(root)
        futures = held_together(
            root,
            [
                lambda tx: tx.append("up:15", [root.draft("a")])[0],
                fails,
                lambda tx: tx.append("up:15", [root.draft("b")])[0],
            ],
        )
        assert futures[0].result().position == 2
        assert isinstance(futures[1].exception(), HeaderFieldInvalid)
        assert (futures[2].result().seq, futures[2].result().position) == (1, 3)
        assert groups(root) == before + 1
        assert [h.journal.channel for h in root.store.heads()] == ["node", "up:15"]
        with root.store.read() as conn:
            names = conn.execute(select(tables.cursor.c.name)).scalars().all()
        assert "lost" not in names

    def test_what_a_failing_job_lost_can_be_written_in_its_group(self, tree: Any) -> None:
        """Neither the ids nor the journal of a job that was undone are taken for the next one."""
        root = tree.node("/")

        def fails(tx: Tx) -> None:
            tx.append("up:3", [root.draft("lost")])
            raise HeaderFieldInvalid(field="sample")

        again = held_together(root, [fails, lambda tx: tx.append("up:3", [root.draft("lost")])[0]])
        ticket = again[1].result()
        assert (ticket.position, ticket.repeat) == (2, False)
        assert [h.journal.channel for h in root.store.heads()] == ["node", "up:3"]
        assert [record.seq for record in root.store.records(0, 9)] == [0, 0]
        assert root.store.scrub().faults == ()

    def test_group_commit(self, tree: Any) -> None:
        """Two hundred callers at once share one commit and one seal."""
        root = tree.node("/")
        root.append("up:15", root.draft("first"))
        before = groups(root)
        jobs = [lambda tx, n=n: tx.append("up:15", [root.draft(f"{n}")])[0] for n in range(200)]
        positions = [future.result().position for future in held_together(root, jobs)]
        assert positions == list(range(3, 203))
        assert groups(root) - before == 1
        assert [row.record_count for row in segments_of(root, "up:15")] == [1, 200]

    def test_the_answer_comes_after_the_commit(self, tree: Any) -> None:
        """When a caller is answered, another connection already reads the record."""
        root = tree.node("/")
        seen: list[int | None] = []
        done = threading.Event()

        def look(_future: Future[Any]) -> None:
            seen.append(root.store.lookup(root.draft("a").record_id))
            done.set()

        future = root.store.submit(lambda tx: tx.append("up:15", [root.draft("a")])[0])
        future.add_done_callback(look)
        assert done.wait(timeout=30)
        assert seen == [future.result().position]

    def test_position_is_not_known_inside_the_job(self, tree: Any) -> None:
        """A ticket has its position once its group is sealed, not before."""
        root = tree.node("/")

        def job(tx: Tx) -> int:
            return tx.append("up:15", [root.draft("a")])[0].position

        with pytest.raises(errors.TicketUnsealed):
            root.store.run(job)

    @pytest.mark.parametrize(
        ("count", "body_bytes", "cuts"),
        [
            pytest.param(2_001, 0, [2_000, 1], id="over 2,000 records"),
            pytest.param(8, 200 * KIB, [4, 4], id="over 900 KiB with parts"),
        ],
    )
    def test_a_group_is_cut_into_seals_that_fit(
        self, tree: Any, count: int, body_bytes: int, cuts: list[int]
    ) -> None:
        """What fits no single seal becomes several, each with its own checkpoint."""
        root = tree.node("/")
        root.append("up:15", *(root.draft(f"{n}", b"x" * body_bytes) for n in range(count)))
        rows = segments_of(root, "up:15")
        assert [row.record_count for row in rows] == cuts
        assert len({row.checkpoint for row in rows}) == len(cuts)
        assert root.store.scrub().faults == ()

    def test_headers_over_the_limit_are_cut(self, tree: Any) -> None:
        """Header bytes over 512 KiB are cut as well."""
        root = tree.node("/")
        causes = tuple(bytes([n % 256]) * 16 for n in range(250))
        root.append("up:15", *(root.draft(f"{n}", causes=causes) for n in range(150)))
        rows = segments_of(root, "up:15")
        assert len(rows) == 2
        assert sum(row.record_count for row in rows) == 150

    def test_a_record_that_fits_no_seal(self, tree: Any) -> None:
        """Parts of more than 900 KiB in one record are refused before anything is stored."""
        root = tree.node("/")
        files = tuple(DraftPart(name=f"file:{n}", body=b"x" * 250 * KIB) for n in range(4))
        with pytest.raises(errors.RecordTooLarge) as caught:
            root.append("up:15", root.draft("a", parts=files))
        assert caught.value.params["limit_bytes"] == 900 * KIB
        assert root.store.last_position() == 0

    def test_a_bad_draft_is_a_typed_error(self, tree: Any) -> None:
        """A draft that makes no valid header raises what the header check says."""
        root = tree.node("/")
        with pytest.raises(HeaderFieldInvalid):
            root.append("up:15", root.draft("a", kind="NOT A KIND"))

    def test_an_unknown_recipient(self, tree: Any) -> None:
        """A journal to a node that nobody enrolled is not opened."""
        root = tree.node("/")
        with pytest.raises(errors.TargetUnknown):
            root.append("to:" + "ab" * 16, root.draft("a"))
        assert root.store.last_position() == 0

    def test_a_second_enrolment_of_a_path_is_refused(self, tree: Any) -> None:
        """This node does not enrol another node where one stands."""
        root = tree.node("/")
        city = tree.node("/33", root)
        taken = root.draft(
            "again",
            city.enrolment.encode().replace(city.identity.node_id.hex().encode(), b"0" * 31 + b"1"),
            kind="node.child.enrolled",
        )
        position = root.store.last_position()
        with pytest.raises(errors.EnrolmentConflict):
            root.append("node", taken)
        assert root.store.last_position() == position
        assert [str(node.path) for node in root.store.enrolments()] == ["/", "/33"]

    def test_an_enrolment_is_known_inside_its_job_and_placed_by_its_seal(self, tree: Any) -> None:
        """What tx.append enrols can be read in the same job; its position follows at the seal."""
        root = tree.node("/")
        city = tree.node("/33")
        seen = []

        def job(tx: Tx) -> Any:
            draft = root.draft("e", city.enrolment.encode(), kind="node.child.enrolled")
            ticket = tx.append("node", [draft])[0]
            rows = tx.conn.execute(select(tables.enrolment.c.path, tables.enrolment.c.position))
            seen.extend(tuple(row) for row in rows)
            return ticket

        position = root.store.run(job).position
        assert ("/33", None) in seen
        enrolled = root.store.enrolled(city.identity.node_id)
        assert enrolled is not None
        assert (enrolled.position, enrolled.parent_id) == (position, root.identity.node_id)

    def test_reopening_finds_everything(self, tree: Any) -> None:
        """A store that is closed and opened goes on where it was."""
        root = tree.node("/")
        root.append("up:15", root.draft("a"))
        before = (root.store.heads(), root.store.store_id, root.store.records(0, 9))
        root = tree.reopen(root)
        assert (root.store.heads(), root.store.store_id, root.store.records(0, 9)) == before
        assert root.append("up:15", root.draft("b")) == [3]
        assert root.store.scrub().faults == ()

    def test_a_closed_store_says_so(self, tree: Any) -> None:
        """After close a job is refused; what was queued before is finished."""
        root = tree.node("/")
        future = root.store.submit(lambda tx: tx.append("up:15", [root.draft("a")])[0])
        root.store.close()
        assert future.result().position == 2
        with pytest.raises(errors.StoreClosed):
            root.store.submit(lambda _tx: None)

    def test_callbacks_follow_commits(self, tree: Any) -> None:
        """Each commit calls back once it can be read, and says what it brought where it can."""
        root = tree.node("/")
        seen: list[tuple[int, Arrivals | None]] = []
        told = threading.Event()

        def note(arrivals: Arrivals | None) -> None:
            seen.append((root.store.last_position(), arrivals))
            told.set()

        root.store.on_commit(note)
        root.append("up:15", root.draft("a"))
        assert told.wait(timeout=30)
        ((position, arrivals),) = seen
        assert position == 2
        if root.store.is_shared:
            assert arrivals is None, "another daemon may have written in between"
        else:
            assert arrivals == root.store.arrivals(Seen(position=0))


class TestProblems:
    def test_a_problem_is_counted_cleared_and_opened_again(self, tree: Any) -> None:
        """One row a problem: counted while it lasts, gone when mended, back if it returns."""
        root = tree.node("/")
        for _ in range(3):
            root.store.run(lambda tx: tx.raise_problem("SAMPLE_PROBLEM", peer=b"p" * 16, size=7))
        (problem,) = root.store.problems()
        assert (problem.code, problem.times, problem.params) == ("SAMPLE_PROBLEM", 3, {"size": 7})
        root.store.run(lambda tx: tx.clear_problems("SAMPLE_PROBLEM", peer=b"p" * 16))
        assert root.store.problems() == ()
        assert len(root.store.problems(open_only=False)) == 1
        root.store.run(lambda tx: tx.raise_problem("SAMPLE_PROBLEM", peer=b"p" * 16, size=8))
        assert [problem.times for problem in root.store.problems()] == [4]


class TestProof:
    def test_any_record_of_many_seals_can_be_proved(self, tree: Any) -> None:
        """Proofs out of several seals and closed tiles verify with the public key alone."""
        from yidao.sync.proof import parse_proof, verify_proof

        root = tree.node("/")
        for batch in range(4):
            root.append("up:15", *(root.draft(f"{batch}.{n}") for n in range(300)))
        journal = root.store.records(2, 1)[0].journal
        origin = journal.origin(root.identity.network)
        for seq in (0, 255, 256, 511, 700, 1_199):
            proven = root.store.prove(2 + seq)
            signed = verify_proof(
                parse_proof(proven.proof),
                proven.header,
                origin,
                root.identity.journal.public_key,
            )
            assert (proven.seq, signed.size) == (seq, 1_200)
            assert [part.body for part in proven.parts] == [b"{}"]

    def test_no_proof_of_nothing(self, tree: Any) -> None:
        """A position that is not there is a typed error."""
        root = tree.node("/")
        with pytest.raises(errors.PositionUnknown):
            root.store.prove(1)


def test_drafts_are_told_apart_by_all_that_the_author_gave(tree: Any) -> None:
    """An id that comes again is the same record only if all but the time is the same.

    Whether the first one is stored or still waits for its seal.
    """
    root = tree.node("/")
    base = root.draft("a", causes=(b"d" * 16,), parts=(core(b"{}"), core(b"p", name="pii")))
    changes: list[dict[str, Any]] = [
        {"kind": "test.thing.changed"},
        {"actor": "other@/"},
        {"object_id": "thing/b"},
        {"object_version": 2},
        {"unit": "11330000000000000A"},
        {"causes": (b"c" * 16,)},
        {"schema": "s"},
        {"schema_sha256": b"s" * 32},
        {"period": "2025-Q1"},
        {"parts": (core(b"{} "), core(b"p", name="pii"))},
        {"parts": (core(b"{}"),)},
        {"parts": (core(b"{}"), core(b"p", name="pii"), core(b"", name="file:1"))},
        {"parts": (core(b"{}"), core(b"p", name="file:1"))},
        {"parts": (core(b"{}", reach=1), core(b"p", name="pii"))},
        {"parts": (core(b"{}", grade=Grade.L3), core(b"p", name="pii"))},
        {"parts": (core(b"{}", release=Release.WHEN_ACCEPTED), core(b"p", name="pii"))},
    ]
    later = replace(base, created_ms=base.created_ms + 1)

    def both(tx: Any, channel: str, draft: Draft) -> Any:
        tx.append("up:15", [base])
        return tx.append(channel, [draft])

    for stored in (False, True):
        for change in changes:
            with pytest.raises(errors.RecordIdReused):
                root.store.run(lambda tx, one=change: both(tx, "up:15", replace(base, **one)))
        with pytest.raises(errors.RecordIdReused):
            root.store.run(lambda tx: both(tx, "up:14", base))
        (ticket,) = root.store.run(lambda tx: both(tx, "up:15", later))
        assert ticket.repeat is stored
    assert root.store.run(lambda tx: tx.append("up:15", [base]))[0].position == ticket.position


def core(body: bytes, name: str = "core", **rule: Any) -> DraftPart:
    """A part of a draft."""
    return DraftPart(name=name, body=body, **rule)


def test_parts_far_apart_are_read_without_what_lies_between(
    tree: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for together may be months apart."""
    monkeypatch.setattr(parts, "MAX_SPAN", 4)
    node = tree.node("/")
    for commit in range(5):
        node.append("local", *(node.draft(f"{commit}.{each}") for each in range(4)))
    head = next(each for each in node.store.heads() if each.journal.channel == "local")
    unpacked = []

    def unpack(first_seq: int, blob: bytes, only: Any) -> list[Any]:
        unpacked.append(first_seq)
        return unpack_parts(first_seq, blob, only)

    monkeypatch.setattr(parts, "unpack_parts", unpack)
    found = node.store.parts_of(head.pk, [1, 17])
    assert {seq: set(named) for seq, named in found.items()} == {1: {"core"}, 17: {"core"}}
    assert unpacked == [0, 16]
