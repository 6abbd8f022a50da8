"""The store's contract, the same on SQLite and on PostgreSQL: what comes over a link."""

import dataclasses
import hashlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from yidao.node.store import partchecks, tables
from yidao.node.store.values import DraftPart
from yidao.sync import journal as sealing
from yidao.sync.errors import LaneGap
from yidao.sync.ids import JournalId, Lane
from yidao.sync.merkle import Frontier
from yidao.sync.message import Frame, Item
from yidao.sync.partsrun import PartsRun, RecordParts
from yidao.sync.record import Part, Release, decode_header
from yidao.sync.wire import decode_frame, encode_frame

Carry = Callable[..., list[Any]]


def items_of(source: Any, target: Any, lane: Lane, after: int = 0) -> tuple[Item, ...]:
    """Everything of a lane that goes from one node to the other."""
    return source.store.read_lane(target.peer, lane, after, source.store.last_position(), 900_000)[
        0
    ]


def deliver(source: Any, target: Any, lane: Lane, *items: Item, after: int = 0) -> Any:
    """Bring items as one frame."""
    frame = Frame(lane=lane, items=items, after_position=after)
    return target.store.run(lambda tx: tx.ingest(source.peer, frame))


def seals_of(child: Any, root: Any, names: str) -> tuple[Item, ...]:
    """Seals of one record each, which the root lacks, of a journal that it knows."""
    for name in names:
        child.append("up:15", child.draft(name))
    deliver(child, root, Lane.CONTROL, *items_of(child, root, Lane.CONTROL))
    return items_of(child, root, Lane.BULK)


def with_header(item: Item, change: Callable[[bytes], bytes]) -> Item:
    """The item with its first header changed in transit."""
    headers = (change(item.seal.headers[0]), *item.seal.headers[1:])
    return dataclasses.replace(item, seal=dataclasses.replace(item.seal, headers=headers))


def with_body(item: Item, body: bytes, *, run_index: int = 0) -> Item:
    """The item with the body of a run's first part changed in transit."""
    run = item.parts[run_index]
    record = run.records[0]
    part = record.parts[0]._replace(body=body)
    changed = record._replace(parts=(part, *record.parts[1:]))
    runs = list(item.parts)
    runs[run_index] = PartsRun(journal=run.journal, given=(changed, *run.records[1:]))
    return dataclasses.replace(item, parts=tuple(runs))


def flipped(data: bytes) -> bytes:
    """The bytes with one bit of the last one changed."""
    return data[:-1] + bytes([data[-1] ^ 1])


def things(node: Any) -> list[str]:
    """Names of the sample records that a node holds, in position order."""
    return [
        record.header.object_id.removeprefix("thing/")
        for record in node.store.records(0, 100_000)
        if record.header.kind == "test.thing.made"
    ]


def held(node: Any, name: str) -> dict[str, bytes]:
    """The parts that a node holds of a sample record, now."""
    for record in node.store.records(0, 100_000):
        if record.header.object_id == f"thing/{name}":
            found = node.store.parts_of(record.journal_pk, [record.seq])
            return {key: part.body for key, part in found.get(record.seq, {}).items()}
    raise AssertionError(name)


def size_of(node: Any, journal: JournalId) -> int:
    """How many records of a journal a node holds."""
    return next((h.size for h in node.store.heads() if h.journal == journal), 0)


@pytest.fixture
def pair(tree: Any) -> tuple[Any, Any]:
    """A root and a child below it, its enrolment written."""
    root = tree.node("/")
    return root, tree.node("/33", root)


@pytest.fixture
def line(tree: Any) -> tuple[Any, Any, Any]:
    """A root, a city and a county below each other."""
    root = tree.node("/")
    city = tree.node("/33", root)
    return root, city, tree.node("/33/3301", city)


class TestWayUp:
    def test_records_climb_with_their_parts(self, line: Any, carry_all: Carry) -> None:
        """What the county writes reaches the root byte for byte, under the county's own seal."""
        root, city, county = line
        county.append("up:15", county.draft("a"), county.draft("b", b'{"n": 2}'))
        for source, target in ((city, root), (county, city), (city, root)):
            assert all(not outcome.refusals for outcome in carry_all(source, target))
        assert things(root) == ["a", "b"]
        assert held(root, "b") == {"core": b'{"n": 2}'}
        for head in county.store.heads():
            mine = next(h for h in root.store.heads() if h.journal == head.journal)
            assert (mine.root, mine.checkpoint) == (head.root, head.checkpoint)
        assert root.store.problems() == ()

    @pytest.mark.parametrize(
        ("channel", "city_has", "root_has"),
        [
            pytest.param("local", False, False, id="a local journal stays"),
            pytest.param("up:1", True, False, id="reach 1 ends at the parent"),
            pytest.param("up:2", True, True, id="reach 2 goes one further"),
            pytest.param("up:15.urgent", True, True, id="urgent goes to the root"),
        ],
    )
    def test_reach(
        self, line: Any, carry_all: Carry, channel: str, *, city_has: bool, root_has: bool
    ) -> None:
        """A journal travels as many tiers up as its channel says."""
        root, city, county = line
        county.append(channel, county.draft("a"))
        for source, target in ((city, root), (county, city), (city, root)):
            carry_all(source, target)
        assert ("a" in things(city), "a" in things(root)) == (city_has, root_has)

    def test_part_reach(self, line: Any, carry_all: Carry) -> None:
        """A part stops where its own reach ends; its header goes on."""
        root, city, county = line
        parts = (
            DraftPart(name="core", body=b"far"),
            DraftPart(name="pii", body=b"near", reach=1),
            DraftPart(name="ext:/33/3301", body=b"own", reach=0),
        )
        county.append("up:15", county.draft("a", parts=parts))
        for source, target in ((city, root), (county, city), (city, root)):
            carry_all(source, target)
        assert held(county, "a") == {"core": b"far", "pii": b"near", "ext:/33/3301": b"own"}
        assert held(city, "a") == {"core": b"far", "pii": b"near"}
        assert held(root, "a") == {"core": b"far"}

    def test_frames_are_filled_and_never_empty(self, pair: Any) -> None:
        """Reading stops at the byte limit, but one segment comes even if it is bigger."""
        root, child = pair
        for number in range(4):
            child.append("up:15", child.draft(f"{number}", b"x" * 60_000))
        items, scanned = child.store.read_lane(root.peer, Lane.BULK, 0, 5, 130_000)
        assert len(items) == 2
        assert scanned == items[-1].last_position
        items, scanned = child.store.read_lane(root.peer, Lane.BULK, scanned, 5, 1)
        assert len(items) == 1
        items, scanned = child.store.read_lane(root.peer, Lane.BULK, scanned, 4, 130_000)
        assert (items, scanned) == ((), 4)


class TestWayDown:
    def test_down_journals_reach_grandchildren(self, line: Any, carry_all: Carry) -> None:
        """What the root writes for all goes down tier by tier, and nothing of the city's up."""
        root, city, county = line
        root.append("down.control", root.draft("pack"))
        root.append("down", root.draft("order"))
        carry_all(root, city)
        carry_all(city, county)
        assert things(county) == ["pack", "order"]
        assert held(county, "pack") == {"core": b"{}"}

    def test_an_addressed_journal_goes_to_its_recipient_alone(
        self, tree: Any, carry_all: Carry
    ) -> None:
        """A journal for one grandchild passes its parent and no sibling."""
        root = tree.node("/")
        east, west = tree.node("/e", root), tree.node("/w", root)
        leaf = tree.node("/e/1", east)
        carry_all(east, root)
        root.append(f"to:{leaf.identity.node_id.hex()}", root.draft("letter"))
        for source, target in ((root, east), (root, west), (east, leaf)):
            carry_all(source, target)
        assert (things(east), things(west), things(leaf)) == (["letter"], [], ["letter"])
        assert held(leaf, "letter") == {"core": b"{}"}


class TestResume:
    def test_the_cursor_moves_with_what_is_stored(self, pair: Any, carry_all: Carry) -> None:
        """After a frame the cursor names the last record sent; its store knows it as its own."""
        root, child = pair
        child.append("up:15", child.draft("a"), child.draft("b"))
        carry_all(child, root)
        cursors = {cursor.lane: cursor for cursor in root.store.cursors(child.peer)}
        assert cursors[Lane.BULK].position == child.store.last_position()
        assert all(child.store.cursor_is_ours(cursor) for cursor in cursors.values())
        bulk = cursors[Lane.BULK]
        inside = dataclasses.replace(bulk, position=bulk.position - 1)
        other = dataclasses.replace(bulk, checkpoint_sha256=bytes(32))
        beyond = dataclasses.replace(bulk, position=bulk.position + 1)
        assert not any(child.store.cursor_is_ours(cursor) for cursor in (inside, other, beyond))

    def test_another_store_of_the_peer_has_no_cursor(self, pair: Any, carry_all: Carry) -> None:
        """A cursor is of one store; for the peer's new store there are holdings instead."""
        root, child = pair
        child.append("up:15", child.draft("a"))
        carry_all(child, root)
        other = dataclasses.replace(child.peer, store_id=b"another store...")
        assert root.store.cursors(other) == ()
        sizes = {held.journal.channel: held.size for held in root.store.holdings(other)}
        assert sizes == {"node": 1, "up:15": 1}

    def test_a_resend_changes_nothing(self, pair: Any) -> None:
        """The same frames again, from the start, store nothing and are no error."""
        root, child = pair
        child.append("up:15", child.draft("a"), child.draft("b"))
        lanes = (Lane.CONTROL, Lane.BULK)
        for lane in lanes:
            deliver(child, root, lane, *items_of(child, root, lane))
        before = (root.store.last_position(), root.store.heads())
        for lane in lanes:
            again = deliver(child, root, lane, *items_of(child, root, lane))
            assert (again.records, again.refusals) == (0, ())
        assert (root.store.last_position(), root.store.heads()) == before
        with root.store.read() as conn:
            # The enrolment that the root wrote, and the two parts in one run.
            assert len(conn.execute(select(tables.parts)).all()) == 2

    def test_a_gap_in_a_lane_stores_nothing(self, pair: Any) -> None:
        """A frame that follows one which never came is refused whole."""
        root, child = pair
        child.append("up:15", child.draft("a"))
        deliver(child, root, Lane.CONTROL, *items_of(child, root, Lane.CONTROL))
        before = root.store.last_position()
        items = items_of(child, root, Lane.BULK)
        with pytest.raises(LaneGap):
            deliver(child, root, Lane.BULK, *items, after=1)
        assert root.store.last_position() == before

    def test_a_job_that_fails_after_ingest_takes_no_position(self, pair: Any) -> None:
        """What was ingested in a job that then raised is gone, and its positions are free again."""
        root, child = pair
        child.append("up:15", child.draft("a"))
        control = items_of(child, root, Lane.CONTROL)
        frame = Frame(lane=Lane.CONTROL, items=control)
        gate = threading.Event()

        def fails(tx: Any) -> None:
            tx.ingest(child.peer, frame)
            raise ZeroDivisionError

        before = root.store.last_position()
        root.store.submit(lambda _tx: gate.wait())
        lost = root.store.submit(fails)
        kept = root.store.submit(lambda tx: tx.ingest(child.peer, frame))
        gate.set()
        assert isinstance(lost.exception(), ZeroDivisionError)
        assert kept.result().records == 1
        assert root.store.last_position() == before + 1
        assert root.store.scrub().faults == ()


class TestRefusal:
    CHANGES = (
        pytest.param(lambda item: with_header(item, flipped), "SEAL_ROOT_MISMATCH", id="header"),
        pytest.param(
            lambda item: with_body(item, b"{}!"), "PART_COMMITMENT_MISMATCH", id="part longer"
        ),
        pytest.param(lambda item: with_body(item, b"[]"), "PART_COMMITMENT_MISMATCH", id="part"),
        pytest.param(
            lambda item: dataclasses.replace(
                item,
                seal=dataclasses.replace(
                    item.seal,
                    checkpoint=item.seal.checkpoint.replace(b"\n1\n", b"\n2\n", 1),
                ),
            ),
            "NOTE_SIGNATURE_INVALID",
            id="checkpoint",
        ),
    )

    @pytest.mark.parametrize(("change", "code"), CHANGES)
    def test_a_changed_byte_stops_its_journal_alone(
        self, pair: Any, change: Callable[[Item], Item], code: str
    ) -> None:
        """One changed byte: nothing of that journal is stored, it is named, the other goes on."""
        root, child = pair
        child.append("up:15", child.draft("bad"))
        child.append("up:3", child.draft("good"))
        child.append("up:15", child.draft("after"))
        deliver(child, root, Lane.CONTROL, *items_of(child, root, Lane.CONTROL))
        items = items_of(child, root, Lane.BULK)
        outcome = deliver(child, root, Lane.BULK, change(items[0]), *items[1:])
        assert things(root) == ["good"]
        journal = items[0].seal.journal
        assert [(r.journal, r.seq, r.code) for r in outcome.refusals] == [(journal, 0, code)]
        (problem,) = root.store.problems()
        assert (problem.code, problem.seq) == ("JOURNAL_REFUSED", 0)
        assert problem.journal == f"{journal.node_id.hex()}/up:15/1"
        assert (problem.params["reason"], problem.params["via"]) == (code, "/33")
        (cursor,) = [c for c in root.store.cursors(child.peer) if c.lane is Lane.BULK]
        assert cursor.position == child.store.last_position()

    def test_the_journal_is_whole_again_once_it_is_sent_well(self, pair: Any) -> None:
        """A refused journal is wanted from where it is held; sent well it heals by itself."""
        root, child = pair
        first, second = seals_of(child, root, "ab")
        deliver(child, root, Lane.BULK, first, with_header(second, flipped))
        (wanted,) = root.store.wanted(child.peer)
        assert (wanted.journal, wanted.size) == (second.seal.journal, 1)
        head = child.store.last_position()
        items = child.store.read_backfill(root.peer, wanted.journal, wanted.size, head, 900_000)
        frame = Frame(lane=Lane.BULK, items=items, backfill=True)
        outcome = root.store.run(lambda tx: tx.ingest(child.peer, frame))
        assert (outcome.records, outcome.refusals) == (1, ())
        assert things(root) == ["a", "b"]
        assert (root.store.wanted(child.peer), root.store.problems()) == ((), ())

    def test_mending_that_was_cut_short_is_asked_for_again(self, tree: Any, pair: Any) -> None:
        """What the first seal that fits does not reach stays wanted, after a restart as well."""
        root, child = pair
        first, second, third, fourth = seals_of(child, root, "abcd")
        deliver(child, root, Lane.BULK, first, with_header(second, flipped), third, fourth)
        for size, again in ((1, second), (2, third), (3, fourth)):
            (wanted,) = root.store.wanted(child.peer)
            assert (wanted.journal, wanted.size) == (second.seal.journal, size)
            (problem,) = root.store.problems()
            assert problem.code == "JOURNAL_REFUSED"
            frame = Frame(lane=Lane.BULK, items=(again,), backfill=True)
            assert root.store.run(lambda tx, f=frame: tx.ingest(child.peer, f)).refusals == ()
            root = tree.reopen(root)
        assert things(root) == ["a", "b", "c", "d"]
        assert (root.store.wanted(child.peer), root.store.problems()) == ((), ())

    def test_a_size_that_was_only_claimed_is_not_wanted_for_ever(self, pair: Any) -> None:
        """A seal that comes in its lane's order shows that nothing before it is missing."""
        root, child = pair
        first, second = seals_of(child, root, "ab")
        seal = dataclasses.replace(second.seal, first_seq=1 << 40)
        deliver(child, root, Lane.BULK, first, dataclasses.replace(second, seal=seal))
        frame = Frame(lane=Lane.BULK, items=(second,), backfill=True)
        root.store.run(lambda tx: tx.ingest(child.peer, frame))
        assert [each.size for each in root.store.wanted(child.peer)] == [2]
        child.append("up:15", child.draft("c"))
        deliver(child, root, Lane.BULK, *items_of(child, root, Lane.BULK)[2:])
        assert things(root) == ["a", "b", "c"]
        assert (root.store.wanted(child.peer), root.store.problems()) == ((), ())

    def test_a_refusal_is_told_once(self, pair: Any) -> None:
        """While a journal is refused for one reason, later frames do not tell it again."""
        root, child = pair
        first, second = seals_of(child, root, "ab")
        bad = with_header(first, flipped)
        told = [deliver(child, root, Lane.BULK, bad).refusals for _ in range(2)]
        told.append(deliver(child, root, Lane.BULK, second).refusals)
        assert [len(refusals) for refusals in told] == [1, 0, 0]

    def test_every_attempt_is_counted_though_it_is_told_once(self, pair: Any) -> None:
        """What costs a verification each time counts each time; the quota of the child needs it."""
        root, child = pair
        child.append("up:15", child.draft("a"))
        deliver(child, root, Lane.CONTROL, *items_of(child, root, Lane.CONTROL))
        bad = with_header(items_of(child, root, Lane.BULK)[0], flipped)
        outcomes = [deliver(child, root, Lane.BULK, bad) for _ in range(3)]
        assert [outcome.refused_items for outcome in outcomes] == [1, 1, 1]
        assert [len(outcome.refusals) for outcome in outcomes] == [1, 0, 0]
        stranger = dataclasses.replace(
            bad.seal, journal=dataclasses.replace(bad.seal.journal, channel="up:14")
        )
        item = dataclasses.replace(bad, seal=stranger)
        assert deliver(child, root, Lane.BULK, item).refused_items == 1

    def test_an_undeclared_journal_waits_for_its_declaration(self, pair: Any) -> None:
        """Records before their journal's declaration are refused, and wanted once it came."""
        root, child = pair
        child.append("up:15", child.draft("a"))
        items = items_of(child, root, Lane.BULK)
        outcome = deliver(child, root, Lane.BULK, *items)
        assert [refusal.code for refusal in outcome.refusals] == ["JOURNAL_UNDECLARED"]
        assert root.store.wanted(child.peer) == ()
        deliver(child, root, Lane.CONTROL, *items_of(child, root, Lane.CONTROL))
        assert [(w.journal.channel, w.size) for w in root.store.wanted(child.peer)] == [
            ("up:15", 0)
        ]
        frame = Frame(lane=Lane.BULK, items=items, backfill=True)
        root.store.run(lambda tx: tx.ingest(child.peer, frame))
        assert things(root) == ["a"]
        assert root.store.wanted(child.peer) == ()

    def test_a_node_that_nobody_enrolled(self, tree: Any) -> None:
        """Journals of an unknown node are refused until an enrolment of it is here."""
        root = tree.node("/")
        child = tree.node("/33")
        child.append("up:15", child.draft("a"))
        control = items_of(child, root, Lane.CONTROL)
        outcome = deliver(child, root, Lane.CONTROL, *control)
        assert [refusal.code for refusal in outcome.refusals] == ["JOURNAL_UNDECLARED"]
        root.enrol(child)
        assert [w.journal.channel for w in root.store.wanted(child.peer)] == ["node"]
        frame = Frame(lane=Lane.CONTROL, items=control, backfill=True)
        assert root.store.run(lambda tx: tx.ingest(child.peer, frame)).refusals == ()

    def test_a_child_cannot_speak_for_its_sibling(self, tree: Any, carry_all: Carry) -> None:
        """Another's journal from a child is refused, and that journal itself goes on unharmed."""
        root = tree.node("/")
        east, west = tree.node("/e", root), tree.node("/w", root)
        east.append("up:15", east.draft("a"))
        carry_all(east, root)
        east.append("up:15", east.draft("b"))
        bulk = items_of(east, root, Lane.BULK, after=2)
        outcome = deliver(west, root, Lane.BULK, *bulk)
        assert [refusal.code for refusal in outcome.refusals] == ["JOURNAL_OUT_OF_SCOPE"]
        assert all(head.quarantine_code is None for head in root.store.heads())
        carry_all(east, root)
        assert things(root) == ["a", "b"]

    def test_own_journals_do_not_come_back(self, pair: Any, carry_all: Carry) -> None:
        """Nobody else sends this node its own journals."""
        root, child = pair
        root.append("down", root.draft("a"))
        items = items_of(root, child, Lane.URGENT)
        outcome = deliver(child, root, Lane.URGENT, *items)
        assert [refusal.code for refusal in outcome.refusals] == ["JOURNAL_OUT_OF_SCOPE"]

    def test_the_wrong_lane(self, pair: Any) -> None:
        """A bulk journal cannot push itself before others by another lane."""
        root, child = pair
        child.append("up:15", child.draft("a"))
        deliver(child, root, Lane.CONTROL, *items_of(child, root, Lane.CONTROL))
        outcome = deliver(child, root, Lane.URGENT, *items_of(child, root, Lane.BULK))
        assert [refusal.code for refusal in outcome.refusals] == ["LANE_MISMATCH"]
        assert things(root) == []

    def test_two_histories_of_one_journal(self, tree: Any, carry_all: Carry) -> None:
        """A node restored from an old copy that wrote on is found out, with the proof kept."""
        root = tree.node("/")
        child = tree.node("/33", root)
        child.append("up:15", child.draft("a"))
        carry_all(child, root)
        twin = tree.node("/33")
        twin.append("up:15", twin.draft("another"))
        items = items_of(twin, root, Lane.BULK)
        outcome = deliver(twin, root, Lane.BULK, *items)
        assert [refusal.code for refusal in outcome.refusals] == ["SEAL_FORK"]
        assert things(root) == ["a"]
        problem = next(p for p in root.store.problems() if p.code == "SEAL_FORK")
        assert problem.params["other"] == items[0].seal.checkpoint.decode()

    def test_a_part_that_no_header_names(self, pair: Any) -> None:
        """A part beside those that the header commits to is refused with its item."""
        root, child = pair
        child.append("up:15", child.draft("a"))
        deliver(child, root, Lane.CONTROL, *items_of(child, root, Lane.CONTROL))
        (item,) = items_of(child, root, Lane.BULK)
        extra = Part(name="pii", salt=bytes(32), body=b"x")
        run = PartsRun(journal=item.seal.journal, given=(RecordParts(seq=0, parts=(extra,)),))
        outcome = deliver(child, root, Lane.BULK, dataclasses.replace(item, parts=(run,)))
        assert [refusal.code for refusal in outcome.refusals] == ["PART_UNEXPECTED"]


class TestParts:
    """What came with a seal lies as it came, or is packed anew; it reads the same."""

    def wired(self, item: Item) -> Item:
        """The item as it comes out of a frame."""
        frame = Frame(lane=Lane.BULK, items=(item,))
        return decode_frame(encode_frame(frame)).items[0]

    @pytest.mark.parametrize("runs", [1, 2, 3])
    def test_a_seals_parts_may_come_in_several_runs(
        self, pair: Any, carry_all: Carry, runs: int
    ) -> None:
        """Every part is kept, passes the scrub, and can be proved and sent on."""
        root, child = pair
        (after,) = child.append("up:15", child.draft("declares it"))
        carry_all(child, root)
        child.append("up:15", *[child.draft(f"{n}") for n in range(5)])
        (item,) = items_of(child, root, Lane.BULK, after)
        records = item.parts[0].records
        cut = [records[n * 5 // runs : (n + 1) * 5 // runs] for n in range(runs)]
        parts = tuple(PartsRun(journal=item.seal.journal, given=some) for some in cut)
        split = self.wired(dataclasses.replace(item, parts=parts))
        assert deliver(child, root, Lane.BULK, split, after=after).records == 5
        assert all(held(root, f"{n}") == held(child, f"{n}") != {} for n in range(5))
        assert root.store.scrub().faults == ()

    def test_parts_of_two_rules_are_kept_apart(self, pair: Any, carry_all: Carry) -> None:
        """One run brings what goes on and what waits; each is stored under its own rule."""
        root, child = pair
        (after,) = child.append("up:15", child.draft("declares it"))
        carry_all(child, root)
        waits = DraftPart(name="pii", body=b"p", release=Release.WHEN_ACCEPTED)
        child.append("up:15", child.draft("a", parts=(DraftPart(name="core", body=b"{}"), waits)))
        (item,) = items_of(child, root, Lane.BULK, after)
        deliver(child, root, Lane.BULK, self.wired(item), after=after)
        with root.store.read() as conn:
            newest = select(tables.parts.c.waits).order_by(tables.parts.c.id.desc()).limit(2)
            assert sorted(map(bool, conn.execute(newest).scalars())) == [False, True]
        assert held(root, "a") == {"core": b"{}", "pii": b"p"}
        assert root.store.scrub().faults == ()


class TestVerdicts:
    def sealed(self, child: Any, headers: tuple[bytes, ...], first: Item) -> Item:
        """An item of the child's journal that its key sealed, whatever is in it."""
        state = sealing.JournalState(
            journal=first.seal.journal,
            frontier=Frontier().append_many(
                [hashlib.sha256(b"\x00" + h).digest() for h in first.seal.headers]
            ),
        )
        made = sealing.seal(state, headers, child.identity.network, child.identity.journal)
        return Item(position=first.last_position + 1, seal=made.seal)

    def test_an_unreadable_record_does_not_stop_its_journal(
        self, pair: Any, carry_all: Carry
    ) -> None:
        """Bytes that are no header, well sealed, are kept as evidence and left out of the views."""
        root, child = pair
        child.append("up:15", child.draft("a"))
        carry_all(child, root)
        (first,) = items_of(child, root, Lane.BULK)
        bad = self.sealed(child, (b"no header at all",), first)
        outcome = deliver(child, root, Lane.BULK, bad)
        assert (outcome.records, outcome.refusals) == (1, ())
        assert size_of(root, bad.seal.journal) == 2
        assert things(root) == ["a"]
        assert root.store.scrub().faults == ()

    @pytest.mark.parametrize(
        ("core", "code"),
        [
            pytest.param(b"{}", "ENROLMENT_MALFORMED", id="no enrolment"),
            pytest.param(None, "ENROLMENT_MALFORMED", id="no core"),
        ],
    )
    def test_a_wrong_enrolment_is_a_verdict(
        self, pair: Any, carry_all: Carry, core: bytes | None, code: str
    ) -> None:
        """A wrong record in a node journal enrols nobody, is a problem, and the journal goes on."""
        root, child = pair
        child.append("up:15", child.draft("a"))
        carry_all(child, root)
        (first,) = items_of(child, root, Lane.CONTROL)
        header = decode_header(first.seal.headers[0])._replace(
            kind="node.child.enrolled", record_id=b"e" * 16
        )
        parts: tuple[PartsRun, ...] = ()
        if core is not None:
            part = Part(name="core", salt=bytes(32), body=core)
            header = header._replace(parts=(part.digest(),))
            records = (RecordParts(seq=1, parts=(part,)),)
            parts = (PartsRun(journal=first.seal.journal, given=records),)
        item = self.sealed(child, (header.encode(),), first)
        outcome = deliver(child, root, Lane.CONTROL, dataclasses.replace(item, parts=parts))
        assert (outcome.records, outcome.refusals) == (1, ())
        assert [problem.code for problem in root.store.problems()] == [code]
        assert len(root.store.enrolments()) == 2

    def test_a_parent_enrols_only_right_below_itself(self, line: Any, carry_all: Carry) -> None:
        """An enrolment of a path that is not the writer's child is not believed."""
        root, city, county = line
        alien = dataclasses.replace(county.enrolment, path=type(county.identity.path).parse("/44"))
        carry_all(city, root)
        (first,) = items_of(city, root, Lane.CONTROL)
        part = Part(name="core", salt=bytes(32), body=alien.encode())
        header = decode_header(first.seal.headers[0])._replace(
            record_id=b"e" * 16, parts=(part.digest(),)
        )
        item = self.sealed(city, (header.encode(),), first)
        records = (RecordParts(seq=1, parts=(part,)),)
        run = PartsRun(journal=first.seal.journal, given=records)
        deliver(city, root, Lane.CONTROL, dataclasses.replace(item, parts=(run,)))
        assert [p.code for p in root.store.problems()] == ["ENROLMENT_CHAIN_BROKEN"]
        assert {str(node.path) for node in root.store.enrolments()} == {"/", "/33", "/33/3301"}


class TestRelease:
    @pytest.fixture
    def four(self, tree: Any) -> tuple[Any, Any, Any, Any]:
        """Root, city, county and an agency that the county accepts returns of."""
        root = tree.node("/")
        city = tree.node("/33", root)
        county = tree.node("/33/3301", city)
        return root, city, county, tree.node("/33/3301/a", county)

    def carry_up(self, four: Any, carry_all: Carry) -> None:
        root, city, county, agency = four
        for source, target in ((city, root), (county, city), (city, root)):
            carry_all(source, target)
        for source, target in ((agency, county), (county, city), (city, root)):
            carry_all(source, target)

    def accept(self, county: Any, *names: str) -> list[int]:
        """The county's acceptance of the agency's records."""
        by_name = {r.header.object_id: r for r in county.store.records(0, 100_000)}
        drafts = []
        for name in names:
            record = by_name[f"thing/{name}"]
            drafts.append(
                county.draft(
                    f"accept {name}",
                    kind="test.thing.accepted",
                    releases=((record.journal_pk, record.seq),),
                )
            )
        return county.append("up:15", *drafts)

    def test_figures_go_on_only_with_the_acceptance(self, four: Any, carry_all: Carry) -> None:
        """The parent holds the part at once, everybody above the header; accepted, all hold it."""
        root, city, county, agency = four
        near = DraftPart(name="file:1", body=b"paper", reach=1)
        waiting = agency.waiting("a", b'{"n": 1}')
        agency.append("up:15", agency.draft("a", parts=(*waiting.parts, near)))
        agency.append("up:15", agency.waiting("b"))
        self.carry_up(four, carry_all)
        assert held(county, "a") == {"core": b'{"n": 1}', "file:1": b"paper"}
        assert (things(city), held(city, "a")) == (["a", "b"], {})
        self.accept(county, "a")
        self.carry_up(four, carry_all)
        for tier in (city, root):
            assert held(tier, "a") == {"core": b'{"n": 1}'}
            assert held(tier, "b") == {}
            assert tier.store.scrub().faults == ()
        assert root.store.problems() == ()

    def test_parts_came_with_the_acceptance(self, four: Any, carry_all: Carry) -> None:
        """Above the parent a part is there from the acceptance's position on, not before."""
        root, _, county, agency = four
        agency.append("up:15", agency.waiting("a"))
        self.carry_up(four, carry_all)
        self.accept(county, "a")
        self.carry_up(four, carry_all)
        records = {r.header.kind: r for r in root.store.records(0, 1_000)}
        made, accepted = records["test.thing.made"], records["test.thing.accepted"]
        assert made.parts == {}
        before = root.store.parts_of(made.journal_pk, [made.seq], accepted.position - 1)
        after = root.store.parts_of(made.journal_pk, [made.seq], accepted.position)
        assert before == {}
        assert after[made.seq]["core"].body == b'{"n": 1}'

    def test_many_are_released_at_once_and_split_to_fit(self, four: Any, carry_all: Carry) -> None:
        """What an acceptance releases counts as its weight, so no segment outgrows a frame."""
        root, _, county, agency = four
        body = b'"' + b"x" * 200_000 + b'"'
        names = [f"{number}" for number in range(9)]
        agency.append("up:15", *(agency.waiting(name, body) for name in names))
        self.carry_up(four, carry_all)
        self.accept(county, *names)
        self.carry_up(four, carry_all)
        assert all(held(root, name) == {"core": body} for name in names)

    def test_a_changed_released_part_stops_the_acceptance(
        self, four: Any, carry_all: Carry
    ) -> None:
        """A part that was changed on its second hop is refused with the acceptance it came with."""
        _, city, county, agency = four
        agency.append("up:15", agency.waiting("a"))
        self.carry_up(four, carry_all)
        self.accept(county, "a")
        after = max(c.position for c in city.store.cursors(county.peer) if c.lane is Lane.BULK)
        deliver(county, city, Lane.CONTROL, *items_of(county, city, Lane.CONTROL))
        (item,) = items_of(county, city, Lane.BULK, after=after)
        outcome = deliver(county, city, Lane.BULK, with_body(item, b"{}", run_index=1), after=after)
        assert [r.code for r in outcome.refusals] == ["PART_COMMITMENT_MISMATCH"]
        assert held(city, "a") == {}
        head = county.store.last_position()
        (wanted,) = city.store.wanted(county.peer)
        items = county.store.read_backfill(city.peer, wanted.journal, wanted.size, head, 10**6)
        frame = Frame(lane=Lane.BULK, items=items, backfill=True)
        city.store.run(lambda tx: tx.ingest(county.peer, frame))
        assert held(city, "a") == {"core": b'{"n": 1}'}

    def test_parts_that_come_before_their_record_wait_for_it(
        self, four: Any, carry_all: Carry
    ) -> None:
        """A refused record's released part is kept, checked when the record comes, and goes on."""
        root, city, county, agency = four
        agency.append("up:15", agency.draft("first"))
        self.carry_up(four, carry_all)
        agency.append("up:15", agency.waiting("a"))
        carry_all(agency, county)
        self.accept(county, "a")
        deliver(county, city, Lane.CONTROL, *items_of(county, city, Lane.CONTROL))
        bulk = items_of(county, city, Lane.BULK)
        bad = with_header(bulk[1], flipped)
        outcome = deliver(county, city, Lane.BULK, bulk[0], bad, *bulk[2:])
        assert [refusal.journal for refusal in outcome.refusals] == [bad.seal.journal]
        carry_all(city, root)
        (wanted,) = city.store.wanted(county.peer)
        head = county.store.last_position()
        items = county.store.read_backfill(city.peer, wanted.journal, wanted.size, head, 10**6)
        frame = Frame(lane=Lane.BULK, items=items, backfill=True)
        city.store.run(lambda tx: tx.ingest(county.peer, frame))
        assert held(city, "a") == {"core": b'{"n": 1}'}
        carry_all(city, root)
        assert held(root, "a") == {"core": b'{"n": 1}'}
        assert root.store.scrub().faults == ()
        with city.store.read() as conn:
            assert conn.execute(select(tables.parked_parts)).all() == []

    def test_what_waits_for_its_record_is_bounded(
        self, four: Any, carry_all: Carry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Parts of records that never come are kept up to a limit; beyond it they are refused."""
        _, city, county, agency = four
        self.carry_up(four, carry_all)
        agency.append("up:15", agency.waiting("a"), agency.waiting("b"))
        carry_all(agency, county)
        self.accept(county, "a")
        self.accept(county, "b")
        deliver(county, city, Lane.CONTROL, *items_of(county, city, Lane.CONTROL))
        record, first, second = items_of(county, city, Lane.BULK)
        monkeypatch.setattr(partchecks, "MAX_PARKED_BYTES", 0)
        bad = with_header(record, flipped)
        outcome = deliver(county, city, Lane.BULK, bad, first, second)
        codes = {refusal.journal: refusal.code for refusal in outcome.refusals}
        assert codes[second.seal.journal] == "TOO_MUCH_PARKED"
        with city.store.read() as conn:
            assert len(conn.execute(select(tables.parked_parts)).all()) == 1

    def test_nothing_unknown_is_released(self, four: Any) -> None:
        """An acceptance of a record that is not here is an error."""
        from yidao.node.store import errors

        _, _, county, _ = four
        with pytest.raises(errors.ReleaseUnknown):
            county.append("up:15", county.draft("accept", releases=((1, 99),)))


def test_release_is_named_in_the_header(tree: Any) -> None:
    """A waiting part says so in the signed header."""
    root = tree.node("/")
    root.append("up:15", root.waiting("a"))
    (record,) = [r for r in root.store.records(0, 9) if r.header.parts]
    assert record.header.parts[0].release is Release.WHEN_ACCEPTED
