"""Nodes with one guard taken out each, so that the checker can show that it bites."""

from collections.abc import Callable, Iterator

from sim.model_store import Enrolled, ModelStore, State
from sim.sim_node import SimNode, signer_of
from yidao.sync.ids import JournalId, Lane
from yidao.sync.journal import JournalState
from yidao.sync.lanes import ReadRequest
from yidao.sync.message import Frame, Hello, Item, LaneCursor, Refusal
from yidao.sync.record import Part


class AcksBeforeSync(SimNode):
    """Tells everybody as soon as it has committed, before the disk has it."""

    def committed(self, done: list[Callable[[], None]]) -> None:
        for tell in done:
            tell()
        super().committed([])


class _CursorFirstStore(ModelStore):
    """Makes the cursor durable at once and the items with the next sync."""

    def ingest(self, state: State, peer: Hello, frame: Frame) -> list[Refusal]:
        refusals = super().ingest(state, peer, frame)
        for early in (self.durable, *self._unsynced):
            early.cursors[peer.node_id, frame.lane] = state.cursors[peer.node_id, frame.lane]
        return refusals


class CursorBeforeItems(SimNode):
    """Keeps its cursor apart from the items that it covers."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _CursorFirstStore(me, signer_of(str(me.path)), chain)


class _FoldsAgainStore(ModelStore):
    """Stores what it holds already once more."""

    def _ingest_item(self, state: State, peer: Hello, lane: Lane, item: Item) -> None:
        held = state.journals.get(item.seal.journal)
        super()._ingest_item(state, peer, lane, item)
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

    def _ingest_item(self, state: State, peer: Hello, lane: Lane, item: Item) -> None:
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

    def ingest(self, state: State, peer: Hello, frame: Frame) -> list[Refusal]:
        if self.forgets and not frame.backfill:
            self.forgets = False
            moved = LaneCursor(
                lane=frame.lane,
                position=frame.last_position,
                checkpoint_sha256=frame.items[-1].checkpoint_sha256,
            )
            state.cursors[peer.node_id, frame.lane] = (peer.store_id, moved)
            return []
        return super().ingest(state, peer, frame)

    forgets = True


class LosesOneFrame(SimNode):
    """Drops one frame between the session and the store, and says that it is durable."""

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        return _GaplessStore(me, signer_of(str(me.path)), chain)
