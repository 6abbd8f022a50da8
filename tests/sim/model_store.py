"""A store that can lose what it has not synced.

Every commit makes a new state; `sync` makes it durable. A crash falls back to the
durable state, or to a later commit that happened to reach the disk. Sealing,
extending, commitments, routing and cursors are the real code.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sim.model_ingest import IngestingStore
from sim.model_state import Enrolled, State, decode_header
from yidao.sync.ids import JournalId, Lane, NodeId, Path
from yidao.sync.journal import JournalState, Seal
from yidao.sync.lanes import ReadRequest
from yidao.sync.message import Held, Hello, Holding, Item, LaneCursor
from yidao.sync.partsrun import PartsRun, RecordParts
from yidao.sync.record import Part, Release
from yidao.sync.routing import lane_of, lanes_for, part_goes


class ModelStore(IngestingStore):
    """One node's store, which also answers what a session asks."""

    def cursors(self, peer: Hello) -> list[LaneCursor]:
        """Return our durable cursors in the peer's store."""
        found = [self._cursor(self.durable, peer, lane) for lane in Lane]
        return [cursor for cursor in found if cursor is not None]

    def holdings(self, peer: Hello) -> list[Holding]:
        """Return what we hold of journals of the peer's side."""
        return [
            Holding(journal=journal_id, size=held.size)
            for journal_id, held in self.durable.journals.items()
            if journal_id.node_id != self.me.node_id
        ]

    def wanted(self, peer: Hello) -> list[Holding]:
        """Return what we refused from the peer, with the size that we hold."""
        wanted = []
        for journal_id in self.durable.wanted:
            held = self.durable.journals.get(journal_id, JournalState(journal=journal_id))
            origin = self.durable.enrolled.get(journal_id.node_id)
            if origin and lanes_for(journal_id.channel, origin.path, peer.path, self.me.path):
                wanted.append(Holding(journal=journal_id, size=held.size))
        return wanted

    def held(self, peer: Hello) -> list[Held]:
        """Return the newest checkpoint that we hold of each of the peer's own journals."""
        newest = {
            stored.seal.journal: stored.seal.checkpoint
            for stored in self.durable.segments
            if stored.seal.journal.node_id == peer.node_id
        }
        return [Held(journal=journal, checkpoint=last) for journal, last in newest.items()]

    def note_receipts(self, state: State, peer: Enrolled, lane: Lane, position: int) -> None:
        """Remember which own checkpoints a peer holds by its acknowledgement."""
        own = self.me.path
        for stored in state.segments:
            journal_id = stored.seal.journal
            if stored.position > position:
                break
            if journal_id.node_id != self.me.node_id:
                continue
            if lanes_for(journal_id.channel, own, own, peer.path) is lane:
                state.receipts[peer.node_id, journal_id] = stored.seal.checkpoint

    def receipts(self, peer: NodeId) -> list[Held]:
        """Return what a peer has said to hold of this node's journals."""
        return [
            Held(journal=journal_id, checkpoint=checkpoint)
            for (holder, journal_id), checkpoint in self.durable.receipts.items()
            if holder == peer
        ]

    def located(self, cursors: Sequence[LaneCursor]) -> list[Lane]:
        """Return the lanes whose cursor names a segment of ours."""
        ends = {item.last_position: item for item in self.durable.segments}
        return [
            cursor.lane
            for cursor in cursors
            if cursor.position in ends
            and ends[cursor.position].checkpoint_sha256 == cursor.checkpoint_sha256
        ]

    def lane_heads(self, peer_path: Path) -> dict[Lane, int]:
        """Return the last position of each lane that could go to a peer."""
        is_down = self.me.path.is_ancestor_of(peer_path)
        return {lane: self.durable.lane_heads.get((is_down, lane), 0) for lane in Lane}

    def read(self, request: ReadRequest, peer: Hello) -> tuple[tuple[Item, ...], int]:
        """Answer a session's request from what is durable."""
        items: list[Item] = []
        size_bytes = 0
        segments = self.durable.segments
        first = bisect_right(segments, request.after_position, key=lambda s: s.position)
        for stored in segments[first:]:
            if not self._is_asked(stored, request, peer):
                continue
            item = self._outgoing(stored, peer)
            size_bytes += sum(map(len, item.seal.headers)) + 100 * len(item.parts)
            if items and size_bytes > request.max_bytes:
                return tuple(items), items[-1].last_position
            items.append(item)
        return tuple(items), request.up_to_position

    def _is_asked(self, stored: Item, request: ReadRequest, peer: Hello) -> bool:
        if stored.position > request.up_to_position:
            return False
        journal_id = stored.seal.journal
        if request.journal is not None and (
            journal_id != request.journal or stored.seal.end_seq <= request.from_seq
        ):
            return False
        if journal_id.node_id == peer.node_id:
            # Its own journals go back to it only where it asks for them by name.
            return request.journal is not None and lane_of(journal_id.channel) is request.lane
        origin = self.durable.enrolled[journal_id.node_id].path
        goes = lanes_for(journal_id.channel, origin, self.me.path, peer.path)
        return goes is request.lane

    def _outgoing(self, stored: Item, peer: Hello) -> Item:
        seal = self._as_read(stored.seal)
        if seal.journal.node_id == peer.node_id:
            return Item(position=stored.position, seal=seal, parts=self._all_parts(seal))
        keys = [((seal.journal, seq), False) for seq in range(seal.first_seq, seal.end_seq)]
        released = self.durable.released.get(stored.position, ())
        if released:
            keys = sorted([*keys, *[(key, True) for key in released]], key=str)
        runs: dict[JournalId, list[RecordParts]] = {}
        for (journal_id, seq), attached in keys:
            parts = tuple(self._outgoing_parts(journal_id, seq, peer, attached=attached))
            if parts:
                runs.setdefault(journal_id, []).append(RecordParts(seq=seq, parts=parts))
        return Item(
            position=stored.position,
            seal=seal,
            parts=tuple(
                PartsRun(journal=journal_id, given=tuple(sorted(records, key=lambda r: r.seq)))
                for journal_id, records in runs.items()
            ),
        )

    def _all_parts(self, seal: Seal) -> tuple[PartsRun, ...]:
        records = []
        for seq, header in enumerate(seal.headers, start=seal.first_seq):
            names = [digest.name for digest in decode_header(header).parts]
            keys = [(seal.journal, seq, name) for name in names]
            parts = tuple(self.durable.parts[key] for key in keys if key in self.durable.parts)
            if parts:
                records.append(RecordParts(seq=seq, parts=parts))
        return (PartsRun(journal=seal.journal, given=tuple(records)),) if records else ()

    def _as_read(self, seal: Seal) -> Seal:
        journal_id, seq = self.tampered or (None, 0)
        if seal.journal != journal_id or not seal.first_seq <= seq < seal.end_seq:
            return seal
        headers = list(seal.headers)
        spoilt = headers[seq - seal.first_seq]
        headers[seq - seal.first_seq] = spoilt[:-1] + bytes([spoilt[-1] ^ 1])
        return replace(seal, headers=tuple(headers))

    def _outgoing_parts(
        self, journal_id: JournalId, seq: int, peer: Hello, *, attached: bool
    ) -> Iterator[Part]:
        state = self.durable
        origin = state.enrolled[journal_id.node_id].path
        for digest in decode_header(state.headers[journal_id][seq]).parts:
            part = state.parts.get((journal_id, seq, digest.name))
            if part is not None and part_goes(
                journal_id.channel,
                origin,
                self.me.path,
                peer.path,
                reach=digest.reach,
                release_when_accepted=digest.release is Release.WHEN_ACCEPTED,
                attached_to_acceptance=attached,
            ):
                yield part
