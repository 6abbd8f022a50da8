"""What neighbours hold brings a node back that lost it, and exposes one that tells two stories."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import select

from yidao.api.local.v1 import recovery_pb2
from yidao.node.api.recovery_service import RecoveryServicer
from yidao.node.recovery.findings import Neighbour
from yidao.node.recovery.incidents import BELOW, IncidentDecider, Incidents
from yidao.node.recovery.reopening import reopen
from yidao.node.recovery.warden import Warden
from yidao.node.store import tables
from yidao.node.store.errors import StoreFenced, StoreFull
from yidao.sync.epoch import Cause
from yidao.sync.epocherrors import EpochUnproven
from yidao.sync.fencing import Standing, Start, Turn, Verdict
from yidao.sync.ids import JournalId, Lane
from yidao.sync.message import Frame, Held, Holding
from yidao.sync.routing import lane_of

Carry = Callable[..., Any]


def give_back(neighbour: Any, node: Any) -> tuple[list[Verdict], list[Any]]:
    """What a session does: hear what the neighbour holds, ask for what is missing, take it."""
    held, _ = neighbour.store.told(node.peer)
    compared = node.store.compare(held)
    outcomes = []
    for each in sorted(compared, key=lambda one: lane_of(one.journal.channel)):
        if each.verdict is not Verdict.BEHIND:
            continue
        items = neighbour.store.read_backfill(node.peer, each.journal, each.size, 0, 1 << 20)
        frame = Frame(lane=lane_of(each.journal.channel), items=items, backfill=True)
        outcomes.append(node.store.run(lambda tx, f=frame: tx.ingest(neighbour.peer, f)))
    return [each.verdict for each in compared], outcomes


def sizes(node: Any, of: Any) -> dict[str, tuple[int, bytes]]:
    """How far the journals of a node are held."""
    return {
        head.journal.channel: (head.size, head.root)
        for head in node.store.heads()
        if head.journal.node_id == of.identity.node_id and head.size
    }


@pytest.fixture
def lost(tree: Any, carry_all: Carry) -> tuple[Any, Any, Any]:
    """A root, a city that has reported, and the same city with an empty store."""
    root = tree.node("/")
    city = tree.node("/33", root)
    city.append("up:15", city.draft("a"), city.waiting("b"))
    city.append("up:15", city.draft("c"))
    city.append("up:15.urgent", city.draft("d"))
    carry_all(city, root)
    carry_all(root, city)
    receipts, _ = root.store.receipts(city.peer)
    city.store.run(lambda tx: [tx.add_receipt(root.peer, each) for each in receipts].clear())
    again = tree.open(tree._new_url(), city.identity, (root.enrolment,))
    return root, city, again


class TestHealing:
    def test_an_empty_store_gets_its_own_records_back(self, lost: Any, carry_all: Carry) -> None:
        """Byte for byte under its own seals, with the parts that the parent holds."""
        root, city, again = lost
        again.store.fence.close("resuming")
        verdicts, outcomes = give_back(root, again)
        assert set(verdicts) == {Verdict.BEHIND}
        assert [outcome.refusals for outcome in outcomes] == [()] * len(outcomes)
        assert sizes(again, city) == sizes(root, city)
        report = again.store.scrub()
        assert (report.faults, report.parts) == ((), 4)
        assert set(give_back(root, again)[0]) == {Verdict.EQUAL}
        # It is sent up again some day, and changes nothing there.
        outcomes = carry_all(again, root)
        assert sum(outcome.records for outcome in outcomes) == 0
        assert not [outcome for outcome in outcomes if outcome.refusals]

    def test_a_caller_who_repeats_himself_finds_the_first_one(self, lost: Any) -> None:
        """The record ids that came back are known again."""
        root, _, again = lost
        again.store.fence.close("resuming")
        give_back(root, again)
        again.store.fence.open()
        (ticket,) = again.store.run(lambda tx: tx.append("up:15", [again.draft("a")]))
        assert ticket.repeat

    def test_own_records_are_not_taken_unasked(self, lost: Any) -> None:
        """While the node signs, nobody writes into its journals, however true it is."""
        root, _, again = lost
        _, outcomes = give_back(root, again)
        assert {r.code for o in outcomes for r in o.refusals} == {"JOURNAL_OUT_OF_SCOPE"}
        assert all(outcome.refused_items for outcome in outcomes)
        assert sizes(again, again) == {}

    def test_another_history_is_kept_as_proof_and_not_mixed(self, lost: Any) -> None:
        """What came back does not follow what is here: both signed notes are told."""
        root, _, again = lost
        again.append("up:15", again.draft("other"))
        again.store.fence.close("resuming")
        verdicts, outcomes = give_back(root, again)
        assert Verdict.BEHIND in verdicts
        forks = [fork for outcome in outcomes for fork in outcome.forked]
        assert {fork.journal.channel for fork in forks} >= {"up:15"}
        for fork in forks:
            assert fork.held != fork.other
            assert fork.held
        assert sizes(again, again)["up:15"][0] == 1

    def test_another_history_is_shown_by_the_seal_in_which_it_parts(
        self, tree: Any, carry_all: Carry
    ) -> None:
        """The neighbour holds one seal of two records; here is one record, and it is another."""
        root = tree.node("/")
        city = tree.node("/33", root)
        city.append("up:15", city.draft("a"), city.draft("b"))
        carry_all(city, root)
        again = tree.open(tree._new_url(), city.identity, (root.enrolment,))
        again.append("up:15", again.draft("other"))
        again.store.fence.close("resuming")
        _, outcomes = give_back(root, again)
        forks = {fork.journal.channel: fork for outcome in outcomes for fork in outcome.forked}
        assert forks["up:15"].held != forks["up:15"].other
        assert sizes(again, again)["up:15"][0] == 1

    def test_every_attempt_to_give_back_what_does_not_fit_is_counted(self, lost: Any) -> None:
        """It costs a verification each time; the quota of a child needs it."""
        root, city, again = lost
        again.store.fence.close("resuming")
        name = JournalId(node_id=city.identity.node_id, channel="up:15", epoch="1")
        item = root.store.read_backfill(again.peer, name, 2, 0, 1 << 20)[0]
        unsigned = replace(item.seal, checkpoint=item.seal.checkpoint.replace(b"\n3\n", b"\n9\n"))
        items = (replace(item, seal=unsigned),)
        frame = Frame(lane=lane_of("up:15"), items=items, backfill=True)
        outcomes = [again.store.run(lambda tx: tx.ingest(root.peer, frame)) for _ in range(2)]
        assert [outcome.refused_items for outcome in outcomes] == [1, 1]

    def test_what_nobody_signed_counts_as_not_said(self, lost: Any) -> None:
        """A parent cannot invent a history of its child."""
        root, city, again = lost
        held, _ = root.store.told(again.peer)
        forged = [
            Held(journal=each.journal, checkpoint=each.checkpoint.replace(b"\n3\n", b"\n9\n"))
            for each in held
            if each.journal.channel == "up:15"
        ]
        assert forged
        assert again.store.compare(forged) == ()
        del city


class TestReminders:
    def test_a_receipt_proves_what_a_parent_has_lost(self, lost: Any, tree: Any) -> None:
        """The parent knows its own cosignature, and that it holds less than it cosigned."""
        root, city, _ = lost
        empty = tree.open(tree._new_url(), root.identity)
        empty.enrol(city)
        _, receipts = city.store.told(root.peer)
        shown = {each.journal.channel for each in receipts}
        assert shown == {"node", "up:15", "up:15.urgent"}
        assert root.store.reminded(city.identity.node_id, receipts) == ()
        # A journal that it does not even know is told by the `node` journal, which it knows.
        found = empty.store.reminded(city.identity.node_id, receipts)
        assert {each.forked for each in found} <= {False}

    def test_a_receipt_that_we_never_gave_proves_nothing(self, lost: Any, tree: Any) -> None:
        """Another line, or none, is no receipt of ours."""
        root, city, _ = lost
        _, receipts = city.store.told(root.peer)
        city.append("up:15", city.draft("e"))
        newest = next(h for h in city.store.heads() if h.journal.channel == "up:15")
        line = next(r.cosignature for r in receipts if r.journal == newest.journal)
        for cosignature in ("", line):
            told = Held(
                journal=newest.journal, checkpoint=newest.checkpoint, cosignature=cosignature
            )
            assert root.store.reminded(city.identity.node_id, [told]) == ()

    def test_two_notes_of_one_size_expose_their_author(self, lost: Any, tree: Any) -> None:
        """A child that shows a note of another history has proved it against itself."""
        root, city, again = lost
        again.append("up:15", again.draft("other"), again.draft("more"))
        head = next(h for h in again.store.heads() if h.journal.channel == "up:15")
        told = Held(journal=head.journal, checkpoint=head.checkpoint)
        (reminder,) = root.store.reminded(city.identity.node_id, [told])
        assert reminder.forked
        assert reminder.held.split(b"\n")[:2] == reminder.receipt.split(b"\n")[:2]


class TestForks:
    """A clone that writes on, however it cuts its seals."""

    @pytest.mark.parametrize(
        "names",
        [
            pytest.param(("x",), id="a shorter history that ends within a seal"),
            pytest.param(("x", "y"), id="ends where a seal ends"),
            pytest.param(("x", "y", "z", "v"), id="a longer history in one seal"),
        ],
    )
    def test_every_cut_of_another_history_is_exposed(
        self, lost: Any, names: tuple[str, ...]
    ) -> None:
        """Never taken for a duplicate, and never only an overlap: both notes are kept."""
        root, _, clone = lost
        before = sizes(root, clone)
        clone.append("up:15", *(clone.draft(name) for name in names))
        items, _ = clone.store.read_lane(root.peer, Lane.BULK, 0, 1_000, 1 << 20)
        frame = Frame(lane=Lane.BULK, items=items)
        outcome = root.store.run(lambda tx: tx.ingest(clone.peer, frame))
        assert [refusal.code for refusal in outcome.refusals] == ["SEAL_FORK"]
        (problem,) = [p for p in root.store.problems() if p.code == "SEAL_FORK"]
        assert problem.params["other"] == items[0].seal.checkpoint.decode()
        assert str(problem.params["held"]).startswith("yidao/")
        assert sizes(root, clone) == before

    def test_a_fork_is_told_upward_with_its_proof(self, tree: Any, carry_all: Carry) -> None:
        """The grandparent checks both signatures itself and believes nobody."""
        root = tree.node("/", deciders=[IncidentDecider()])
        city = tree.node("/33", root)
        county = tree.node("/33/3301", city)
        county.append("up:15", county.draft("a"))
        carry_all(county, city)
        carry_all(city, root)
        clone = tree.node("/33/3301")
        clone.append("up:15", clone.draft("x"))
        items, _ = clone.store.read_lane(city.peer, Lane.BULK, 0, 1_000, 1 << 20)
        frame = Frame(lane=Lane.BULK, items=items)
        city.store.run(lambda tx: tx.ingest(clone.peer, frame))
        for _ in range(2):
            asyncio.run(Incidents(city.store, tree.clock, tree.random).run())
        carry_all(city, root)
        _until(lambda: any(p.code == BELOW for p in root.store.problems()))
        (shown,) = [p for p in root.store.problems() if p.code == BELOW]
        assert (shown.params["what"], shown.params["proved"]) == ("SEAL_FORK", "yes")
        assert shown.journal.startswith(county.identity.node_id.hex())


def _until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Notes:
    """A decider that answers each record of another kind with one of its own."""

    name = "sample.notes"

    def __init__(self, node: list[Any]) -> None:
        self._node = node

    def decide(self, tx: Any, records: Any, reader: Any) -> None:
        for record in records:
            if record.header.kind == "test.thing.made":
                node = self._node[0]
                note = node.draft(f"note {record.position}", kind="test.note.made")
                tx.append("local", [note])


class TestFence:
    def test_who_opens_an_epoch_passes_the_fence_alone(self, lost: Any) -> None:
        """Jobs of the same group wait on, whether the epoch was opened or not."""
        _, city, _ = lost
        city.store.fence.close("reopening")
        for fails in (True, False):
            started, go = threading.Event(), threading.Event()

            def holds(_tx: Any, started: Any = started, go: Any = go) -> None:
                # What is queued meanwhile joins its group.
                started.set()
                go.wait(10)

            def opens(tx: Any, fails: bool = fails) -> None:
                tx.pass_fence()
                if fails:
                    raise EpochUnproven(reason="sample")
                fresh = replace(tx.identity, epoch="2")
                tx.open_epoch(fresh, Cause.RESTORED, cut=tx.own_cut())

            first = city.store.submit(holds)
            started.wait(10)
            opening = city.store.submit(opens)
            name = f"behind {fails}"
            late = city.store.submit(lambda tx, n=name: tx.append("up:15", [city.draft(n)]))
            go.set()
            first.result(10)
            assert (opening.exception(10) is not None) is fails
            with pytest.raises(StoreFenced):
                late.result(10)

    def test_behind_a_fence_nothing_is_sealed_and_everything_else_goes_on(
        self, tree: Any, carry_all: Carry
    ) -> None:
        """Appends say why; peers are taken in; deciders wait and catch up."""
        names: list[Any] = []
        root = tree.node("/", deciders=[Notes(names)])
        names.append(root)
        child = tree.node("/33", root)
        child.append("up:15", child.draft("a"))
        root.store.fence.close("fenced")
        with pytest.raises(StoreFenced) as refused:
            root.append("up:15", root.draft("b"))
        assert refused.value.params["standing"] == "fenced"
        assert refused.value.retryable
        outcomes = carry_all(child, root)
        assert sum(outcome.records for outcome in outcomes) == 2
        assert _notes(root) == 0
        root.store.unfence()
        _until(lambda: _notes(root) == 1)
        root.append("up:15", root.draft("b"))
        _until(lambda: _notes(root) == 2)


def _notes(node: Any) -> int:
    kinds = [record.header.kind for record in node.store.records(0, 1_000)]
    return kinds.count("test.note.made")


def _warden(node: Any, tree: Any, wait_seconds: float = 60.0) -> Warden:
    return Warden(node.store, clock_ms=tree.clock, random=tree.random, wait_seconds=wait_seconds)


def _meet(warden: Warden, node: Any, neighbour: Any, asked: tuple[Holding, ...] = ()) -> str:
    """What a hub does once a neighbour's Resume is here."""
    held, _ = neighbour.store.told(node.peer)
    _, receipts = neighbour.store.told(node.peer)
    peer = Neighbour(node_id=neighbour.identity.node_id, path=neighbour.identity.path)
    return warden.compare(
        peer,
        node.store.compare(held),
        node.store.reminded(peer.node_id, receipts),
        asked,
    )


def _run(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scene())


async def _signs_again(warden: Warden) -> None:
    """Wait until the new epoch is open; it tells before it is."""
    opened = asyncio.Event()
    warden.on_reopened(lambda _identity: opened.set())
    async with asyncio.timeout(10):
        if warden.standing is not Standing.ACTIVE:
            await opened.wait()
    assert warden.standing is Standing.ACTIVE


def _codes(node: Any) -> set[str]:
    node.store.run(lambda tx: None)
    return {problem.code for problem in node.store.problems()}


class TestWarden:
    def test_a_parent_that_agrees_ends_the_doubt(self, lost: Any, tree: Any) -> None:
        """A boot of an intact store goes on in its epoch."""
        root, city, _ = lost
        line = city.store.store_id

        async def scene() -> None:
            warden = _warden(city, tree)
            warden.begin(Start.DOUBTFUL)
            warden.watch(Start.DOUBTFUL)
            with pytest.raises(StoreFenced):
                city.append("up:15", city.draft("early"))
            assert _meet(warden, city, root) == ""
            assert warden.standing is Standing.ACTIVE
            city.append("up:15", city.draft("late"))
            warden.stop()

        _run(scene)
        assert (city.store.identity.epoch, city.store.store_id) == ("1", line)
        assert "START_DOUBTFUL" not in _codes(city)

    def test_a_store_that_was_rolled_back_heals_and_opens_an_epoch(
        self, lost: Any, tree: Any, carry_all: Carry
    ) -> None:
        """It asks by name, takes everything back, and only then signs, under epoch 2.

        Its positions are others than before, so that nobody's cursor in them counts.
        """
        root, city, again = lost
        line = again.store.store_id

        async def scene() -> None:
            warden = _warden(again, tree)
            warden.begin(Start.DOUBTFUL)
            warden.watch(Start.DOUBTFUL)
            assert _meet(warden, again, root) == "NODE_RESUMING"
            peer = Neighbour(node_id=root.identity.node_id, path=root.identity.path)
            wanted = warden.wanted(peer)
            assert {each.journal.channel for each in wanted} == set(sizes(root, city))
            assert _meet(warden, again, root, wanted) == ""
            assert warden.standing is Standing.RESUMING
            for outcome in give_back(root, again)[1]:
                warden.ingested(peer, outcome.forked)
            await _signs_again(warden)
            warden.stop()

        _run(scene)
        assert again.store.identity.epoch == "2"
        assert again.store.store_id != line
        assert "STATE_ROLLED_BACK" in _codes(again)
        again.append("up:15", again.draft("new"))
        assert [o.refusals for o in carry_all(again, root) if o.refusals] == []
        assert _notes_of(root, again) >= {("up:15", "1", 3), ("up:15", "2", 1)}

    def test_a_fork_waits_for_a_person(self, lost: Any, tree: Any) -> None:
        """Both notes are shown, neighbours get the proof, an operator goes on in a new epoch."""
        root, _, again = lost
        for number in range(9):
            again.append("node", again.draft(f"n{number}"))

        async def scene() -> None:
            warden = _warden(again, tree)
            warden.begin(Start.DOUBTFUL)
            warden.watch(Start.DOUBTFUL)
            assert _meet(warden, again, root) == "NODE_FORKED"
            assert warden.standing is Standing.FORKED
            assert _meet(warden, again, root) != "NODE_FORKED"
            again.store.run(lambda tx: None)
            (proof,) = warden.proofs()
            (shown,) = root.store.reminded(again.identity.node_id, [proof])[:1]
            assert shown.forked
            with pytest.raises(StoreFenced):
                again.append("up:15", again.draft("never"))
            await warden.decide("admin@/33")
            await _signs_again(warden)
            warden.stop()

        _run(scene)
        assert "NODE_FORKED" in _codes(again)
        assert again.store.identity.epoch.startswith("2")

    def test_an_epoch_that_could_not_be_opened_is_told_and_tried_again(
        self, lost: Any, tree: Any
    ) -> None:
        """The operator hears why; what nobody waits for is in the log; a next decision goes on."""
        _, city, _ = lost

        async def scene() -> None:
            warden = _warden(city, tree)
            warden.begin(Start.REMEMBERED)
            full = patch("yidao.node.recovery.warden.reopen", side_effect=StoreFull)
            log = patch("yidao.node.recovery.warden.log")
            with full, log as told, pytest.raises(StoreFull):
                await warden.decide("admin@/33")
            assert [call.args for call in told.error.call_args_list] == [("node.epoch.failed",)]
            assert warden.standing is Standing.REOPENING
            assert await warden.decide("admin@/33") != "1"
            assert warden.standing is Standing.ACTIVE
            warden.stop()

        _run(scene)
        assert city.append("up:15", city.draft("late"))

    def test_an_epoch_that_could_not_be_opened_is_tried_again_by_itself(
        self, lost: Any, tree: Any
    ) -> None:
        """A disk that was full has room again, and nobody came."""
        _, city, _ = lost
        attempts = []

        async def twice_full(*given: Any) -> Any:
            attempts.append(given)
            if len(attempts) < 3:
                raise StoreFull
            return await reopen(*given)

        async def scene() -> None:
            warden = _warden(city, tree)
            warden.begin(Start.REMEMBERED)
            with (
                patch("yidao.node.recovery.warden.reopen", side_effect=twice_full),
                patch("yidao.node.recovery.warden._AGAIN_SECONDS", 0.01),
            ):
                warden._turn(Turn.DECIDED)
                assert warden.standing is Standing.REOPENING
                await _signs_again(warden)
            warden.stop()

        _run(scene)
        assert len(attempts) == 3
        assert city.append("up:15", city.draft("late"))

    def test_who_stops_tries_nothing_again(self, lost: Any, tree: Any) -> None:
        """A full disk is left as it is once the node ends."""
        _, city, _ = lost

        async def scene() -> None:
            warden = _warden(city, tree)
            warden.begin(Start.REMEMBERED)
            with (
                patch("yidao.node.recovery.warden.reopen", side_effect=StoreFull) as tried,
                patch("yidao.node.recovery.warden._AGAIN_SECONDS", 0.05),
            ):
                warden._turn(Turn.DECIDED)
                await asyncio.sleep(0.02)
                warden.stop()
                await asyncio.sleep(0.1)
            assert tried.call_count == 1

        _run(scene)

    def test_an_operator_settles_what_was_looked_at(self, lost: Any, tree: Any) -> None:
        """Once the node signs again; the proof stays, and a second key stays open."""
        _, city, _ = lost
        warden = _warden(city, tree)
        service = RecoveryServicer(city.store, warden)
        ask = recovery_pb2.SettleIncidentsRequest(operator="admin@/33")
        inner = RecoveryServicer.SettleIncidents.__wrapped__  # type: ignore[attr-defined]
        for code in ("STATE_ROLLED_BACK", "ENROLMENT_CONFLICT"):
            city.store.run(lambda tx, c=code: tx.raise_problem(c, held="note"))
        warden.standing = Standing.FENCED
        with pytest.raises(StoreFenced):
            asyncio.run(inner(service, ask, None))
        warden.standing = Standing.ACTIVE
        assert asyncio.run(inner(service, ask, None)).settled == 1
        assert _codes(city) == {"ENROLMENT_CONFLICT"}
        kept = {p.code: p.params["held"] for p in city.store.problems(open_only=False)}
        assert kept["STATE_ROLLED_BACK"] == "note"

    def test_nobody_answers_and_the_epoch_is_unwitnessed(self, lost: Any, tree: Any) -> None:
        """After the policy's wait a marked epoch; what the parent holds comes back later."""
        root, city, again = lost

        async def scene() -> None:
            warden = _warden(again, tree, wait_seconds=0.01)
            warden.begin(Start.DOUBTFUL)
            warden.watch(Start.DOUBTFUL)
            await _signs_again(warden)
            again.append("up:15", again.draft("alone"))
            # The line comes up: the old epoch is behind, and the node goes on signing.
            assert _meet(warden, again, root) == "NODE_RESUMING"
            assert warden.standing is Standing.ACTIVE
            give_back(root, again)
            warden.stop()

        _run(scene)
        assert again.store.identity.epoch.startswith("2-")
        assert len(again.store.identity.epoch) == 18
        assert "EPOCH_UNWITNESSED" in _codes(again)
        held = {c: s for c, e, s in _notes_of(again, again) if e == "1"}
        assert held == {channel: size for channel, (size, _) in sizes(root, city).items()}
        del city

    def test_who_was_replaced_signs_nothing_more(self, lost: Any, tree: Any) -> None:
        """The parent has a session with another process of this node."""
        _, city, _ = lost

        async def scene() -> None:
            warden = _warden(city, tree)
            warden.begin(Start.REMEMBERED)
            warden.replaced()
            assert warden.standing is Standing.CLONED
            with pytest.raises(StoreFenced):
                city.append("up:15", city.draft("never"))

        _run(scene)
        assert "NODE_CLONED" in _codes(city)

    def test_a_root_goes_on_by_the_word_of_its_children(self, lost: Any, tree: Any) -> None:
        """All of them must agree; one alone does not suffice before the wait is over."""
        root, city, _ = lost
        other = tree.node("/44", root)

        async def scene() -> None:
            warden = _warden(root, tree)
            warden.begin(Start.DOUBTFUL)
            warden.watch(Start.DOUBTFUL)
            _meet(warden, root, city)
            assert warden.standing is Standing.FENCED
            _meet(warden, root, other)
            assert warden.standing is Standing.ACTIVE
            warden.stop()

        _run(scene)


def _notes_of(node: Any, of: Any) -> set[tuple[str, str, int]]:
    journal = tables.journal
    with node.store.read() as conn:
        rows = conn.execute(
            select(journal.c.channel, journal.c.epoch, journal.c.size).where(
                journal.c.node_id == of.identity.node_id, journal.c.size > 0
            )
        )
        return {(row.channel, row.epoch, row.size) for row in rows}
