"""The receiving half of the model store: what a frame brings is checked and stored."""

from collections.abc import Iterator

from sim.model_state import (
    NETWORK,
    Enrolled,
    Outcome,
    State,
    add_epoch,
    decode_header,
    live_epoch,
    root_of,
)
from sim.model_writer import WritingStore
from yidao.sync import errors, journal
from yidao.sync.epoch import FIRST, KIND, EpochOpened, check, check_place
from yidao.sync.ids import JournalId, Lane
from yidao.sync.inbound import advance
from yidao.sync.journal import JournalState, Seal, check_held
from yidao.sync.mending import is_mended, refused_to
from yidao.sync.message import Frame, Hello, Item, LaneCursor, Refusal
from yidao.sync.record import Part, check_part
from yidao.sync.routing import lanes_for


class IngestingStore(WritingStore):
    """Takes what peers send."""

    def ingest(self, state: State, peer: Hello, frame: Frame) -> Outcome:
        """Store what a frame brings and move the lane's cursor, in one state.

        Raises:
            LaneGap: It follows what is not here; nothing has changed.
        """
        moved = advance(self._cursor(state, peer, frame.lane), frame)
        refusals, forked = [], []
        for item in frame.items:
            journal_id = item.seal.journal
            is_own = journal_id.node_id == self.me.node_id
            try:
                if is_own:
                    self._take_back(state, frame, item)
                else:
                    self._ingest_item(state, peer, frame, item)
            except errors.PeerError as error:
                # An own signed seal that does not fit is another history.
                if is_own and not isinstance(error, errors.LaneMismatch):
                    forked.append(journal_id)
                else:
                    refusals += self._refused(state, item, error)
        if moved is not None:
            state.cursors[peer.node_id, frame.lane] = (peer.store_id, moved)
        return Outcome(refusals=tuple(refusals), forked=tuple(forked))

    def _refused(self, state: State, item: Item, error: errors.PeerError) -> list[Refusal]:
        # Said once; until it is mended the journal is just not taken.
        journal_id, before = item.seal.journal, state.wanted.get(item.seal.journal)
        if journal_id.node_id != self.me.node_id:
            state.wanted[journal_id] = refused_to(before, item.seal.end_seq)
        if before is not None:
            return []
        return [Refusal(journal=journal_id, seq=item.seal.first_seq, code=error.code)]

    def _take_back(self, state: State, frame: Frame, item: Item) -> None:
        """Take an own record back that was lost here; it is verified like anybody's."""
        journal_id = item.seal.journal
        is_closed = self.is_fenced or journal_id != self.own(state, journal_id.channel)
        if not frame.backfill or not is_closed:
            raise errors.LaneMismatch(lane=frame.lane.name, channel=journal_id.channel)
        self._meet_epoch(state, self.me, item)
        before = state.journals.get(journal_id, JournalState(journal=journal_id)).size
        self._take(state, self.me, item, in_order=False)
        for seq, header in enumerate(item.seal.headers, start=item.seal.first_seq):
            if seq >= before:
                state.record_ids.setdefault(decode_header(header).record_id, (journal_id, seq))

    def _ingest_item(self, state: State, peer: Hello, frame: Frame, item: Item) -> None:
        journal_id = item.seal.journal
        origin = state.enrolled.get(journal_id.node_id)
        if origin is None:
            raise errors.EnrolmentChainBroken(step="origin", reason="unknown")
        if lanes_for(journal_id.channel, origin.path, peer.path, self.me.path) is not frame.lane:
            raise errors.LaneMismatch(lane=frame.lane.name, channel=journal_id.channel)
        self._meet_epoch(state, origin, item)
        above = origin.path.is_ancestor_of(self.me.path)
        if journal_id.channel != "node" and not above and journal_id not in state.declared:
            raise errors.SealJournalMismatch
        self._take(state, origin, item, in_order=not frame.backfill)

    def _meet_epoch(self, state: State, origin: Enrolled, item: Item) -> None:
        """Return once the epoch of an item is known, by the record in it if need be."""
        seal, known = item.seal, state.epochs.get(origin.node_id, ())
        if seal.journal.epoch in (FIRST, *[each.epoch for each in known]):
            return
        header = decode_header(seal.headers[0])
        digest, core = header.part("core"), _first_core(item)
        if header.kind != KIND or digest is None or core is None:
            raise errors.SealJournalMismatch
        check_part(digest, core)
        opened = EpochOpened.decode(core.body)
        live = live_epoch(state, origin)
        check(opened, live)
        check_place(opened, seal.journal, seal.first_seq, live)
        add_epoch(state, opened)

    def _take(self, state: State, origin: Enrolled, item: Item, *, in_order: bool) -> None:
        journal_id = item.seal.journal
        held = state.journals.get(journal_id, JournalState(journal=journal_id))
        extended = journal.extend(held, item.seal, NETWORK, origin.public_key)
        if extended.duplicate:
            self._check_duplicate(state, origin, item.seal)
            return
        headers = state.headers.get(journal_id, ()) + item.seal.headers
        arrived = dict(self._checked_parts(state, journal_id, headers, item))
        released = {
            (other, seq)
            for other, seq, _ in arrived
            if other != journal_id or not held.size <= seq < len(headers)
        }
        state.parts.update(arrived)
        if is_mended(extended.state.size, state.wanted.get(journal_id), in_order=in_order):
            state.wanted.pop(journal_id, None)
        self._store(state, item.seal, extended.state, tuple(sorted(released, key=str)))

    def _check_duplicate(self, state: State, origin: Enrolled, seal: Seal) -> None:
        for stored in state.segments:
            if stored.seal.journal == seal.journal and stored.seal.end_seq == seal.end_seq:
                if stored.seal.checkpoint == seal.checkpoint:
                    return
                break
        root = root_of(state.headers[seal.journal][: seal.end_seq])
        check_held(seal, root, NETWORK, origin.public_key)

    def _checked_parts(
        self, state: State, journal_id: JournalId, headers: tuple[bytes, ...], item: Item
    ) -> Iterator[tuple[tuple[JournalId, int, str], Part]]:
        for run in item.parts:
            known = headers if run.journal == journal_id else state.headers.get(run.journal, ())
            for record in run.records:
                if record.seq >= len(known):
                    raise errors.PartUnknown(part="of an unknown record")
                header = decode_header(known[record.seq])
                for part in record.parts:
                    digest = header.part(part.name)
                    if digest is None:
                        raise errors.PartUnknown(part=part.name)
                    check_part(digest, part)
                    yield (run.journal, record.seq, part.name), part

    def _cursor(self, state: State, peer: Hello, lane: Lane) -> LaneCursor | None:
        store_id, cursor = state.cursors.get((peer.node_id, lane), (b"", None))
        return cursor if store_id == peer.store_id else None


def _first_core(item: Item) -> Part | None:
    for run in item.parts:
        for record in run.records:
            if run.journal == item.seal.journal and record.seq == 0:
                return next((part for part in record.parts if part.name == "core"), None)
    return None
