"""Nodes with one guard taken out each, so that the checker can show that it bites."""

from collections.abc import Callable, Iterator
from random import Random

from sim.model_state import Enrolled, Outcome, State
from sim.model_store import ModelStore
from sim.sim_node import SimNode
from sim.sim_writer import signer_of
from yidao.sync.epoch import Cause
from yidao.sync.fencing import Start
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.journal import JournalState, Seal
from yidao.sync.lanes import ReadRequest
from yidao.sync.message import Frame, Held, Hello, Item, LaneCursor
from yidao.sync.record import Part


class AcksBeforeSync(SimNode):
    """Tells everybody as soon as it has committed, before the disk has it."""

    def committed(self, done: list[Callable[[], None]]) -> None:
        for tell in done:
            tell()
        super().committed([])


class _CursorFirstStore(ModelStore):
    """Makes the cursor durable at once and the items with the next sync."""

    def ingest(self, state: State, peer: Hello, frame: Frame) -> Outcome:
        outcome = super().ingest(state, peer, frame)
        for early in (self.durable, *self._unsynced):
            early.cursors[peer.node_id, frame.lane] = state.cursors[peer.node_id, frame.lane]
        return outcome


class CursorBeforeItems(SimNode):
    """Keeps its cursor apart from the items that it covers."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _CursorFirstStore(me, signer_of(str(me.path)), chain)


class _FoldsAgainStore(ModelStore):
    """Stores what it holds already once more."""

    def _ingest_item(self, state: State, peer: Hello, frame: Frame, item: Item) -> None:
        held = state.journals.get(item.seal.journal)
        super()._ingest_item(state, peer, frame, item)
        if held is not None and item.seal.end_seq <= held.size:
            state.segments.append(Item(position=state.next_position, seal=item.seal))
            state.next_position += len(item.seal.headers)


class FoldsDuplicates(SimNode):
    """Lets a resend have an effect."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _FoldsAgainStore(me, signer_of(str(me.path)), chain)


class _SkippingStore(ModelStore):
    """Leaves every seventh item out when it reads for a link."""

    def read(self, request: ReadRequest, peer: Hello) -> tuple[tuple[Item, ...], int]:
        items, scanned_to = super().read(request, peer)
        return tuple([item for item in items if item.position % 7]), scanned_to


class SkipsItems(SimNode):
    """Sends a lane with holes in it."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _SkippingStore(me, signer_of(str(me.path)), chain)


class _EagerStore(ModelStore):
    """Sends parts with their header, whatever they wait for."""

    def _outgoing_parts(
        self, journal_id: JournalId, seq: int, peer: Hello, *, attached: bool
    ) -> Iterator[Part]:
        yield from [
            part for (j, s, _), part in self.durable.parts.items() if (j, s) == (journal_id, seq)
        ]


class ReleasesEarly(SimNode):
    """Lets figures out before they are accepted, and beyond their reach."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _EagerStore(me, signer_of(str(me.path)), chain)


class _CredulousStore(ModelStore):
    """Takes a seal for what it says and never recomputes the root."""

    def _ingest_item(self, state: State, peer: Hello, frame: Frame, item: Item) -> None:
        held = state.journals.get(item.seal.journal, JournalState(journal=item.seal.journal))
        if item.seal.first_seq == held.size:
            grown = held.frontier.append_many([b"?" * 32] * len(item.seal.headers))
            self._store(state, item.seal, JournalState(journal=held.journal, frontier=grown), ())


class BelievesRoots(SimNode):
    """Keeps frontiers that do not follow from what it holds."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _CredulousStore(me, signer_of(str(me.path)), chain)


class _GaplessStore(ModelStore):
    """Moves its cursor to wherever a frame ends, without asking what it follows."""

    def ingest(self, state: State, peer: Hello, frame: Frame) -> Outcome:
        if self.forgets and not frame.backfill:
            self.forgets = False
            moved = LaneCursor(
                lane=frame.lane,
                position=frame.last_position,
                checkpoint_sha256=frame.items[-1].checkpoint_sha256,
            )
            state.cursors[peer.node_id, frame.lane] = (peer.store_id, moved)
            return Outcome()
        return super().ingest(state, peer, frame)

    forgets = True


class LosesOneFrame(SimNode):
    """Drops one frame between the session and the store, and says that it is durable."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _GaplessStore(me, signer_of(str(me.path)), chain)


class _SameNameStore(ModelStore):
    """Opens the epoch after a set-back and keeps the name of its line of positions."""

    def open_epoch(self, state: State, cause: Cause, store_id: bytes, mark: bytes = b"") -> None:
        super().open_epoch(state, cause, state.store_id, mark)


class GivesPositionsTwice(SimNode):
    """Lets cursors count that were given before its disk was set back."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _SameNameStore(me, signer_of(str(me.path)), chain)

    def begin_line(self) -> None:
        pass


class _TornStore(ModelStore):
    """Comes up with half of the commit that was being written when the power went."""

    def crash(self, random: Random) -> None:
        unsynced = list(self._unsynced)
        super().crash(random)
        if unsynced and self.durable not in unsynced:
            torn = unsynced[0].copy()
            torn.parts = dict(self.durable.parts)
            self.durable = self.latest = torn


class KeepsTornCommits(SimNode):
    """Believes whatever it finds on its disk."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _TornStore(me, signer_of(str(me.path)), chain)


class _AgreeableStore(ModelStore):
    """Says nothing of what it holds, and takes any seal that it has room for as known."""

    def held(self, peer: Hello) -> list[Held]:
        return []

    def receipts(self, peer: NodeId) -> list[Held]:
        return []

    def _check_duplicate(self, state: State, origin: Enrolled, seal: Seal) -> None:
        pass


class ComparesNothing(SimNode):
    """Lets every start go on as if nothing was lost, and sees no second history."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _AgreeableStore(me, signer_of(str(me.path)), chain)

    def restart(self, start: Start = Start.REMEMBERED) -> None:
        super().restart(Start.REMEMBERED)


class TimesByTheWallClock(SimNode):
    """Counts the silence of its peers by a clock that people set."""

    def steady_seconds(self) -> float:
        return self._wall_ms() / 1000
