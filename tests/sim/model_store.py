"""A store that can lose what it has not synced.

Every commit makes a new state; `sync` makes it durable. A crash falls back to the
durable state, or to a later commit that happened to reach the disk. Sealing,
extending, commitments, routing and cursors are the real code.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from random import Random

from yidao.sync import errors, journal
from yidao.sync.ids import Audience, JournalId, Lane, NetworkId, NodeId, Path, RecordId
from yidao.sync.journal import JournalState, Seal
from yidao.sync.lanes import ReadRequest, advance
from yidao.sync.message import Frame, Hello, Holding, Item, LaneCursor, Refusal
from yidao.sync.partsrun import PartsRun, RecordParts
from yidao.sync.record import Header, Part, Release, check_part
from yidao.sync.record import decode_header as _decode_header
from yidao.sync.routing import lanes_for, part_goes
from yidao.sync.suite import Ed25519Signer

NETWORK = NetworkId(sha256(b"sample network of the simulator").digest()[:16])
OPENED = "node.journal.opened"
ENROLLED = "node.child.enrolled"
ACCEPTED = "reporting.return.accepted"
SUBMITTED = "reporting.return.submitted"

# Thirteen nodes in one process read the same headers.
decode_header = lru_cache(maxsize=16_384)(_decode_header)

RecordKey = tuple[JournalId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What a node knows of another: where it stands and its journal key."""

    node_id: NodeId
    path: Path
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A record before it has a place."""

    channel: str
    record_id: RecordId
    kind: str = SUBMITTED
    object_id: str = "sample"
    parts: tuple[tuple[Part, int, Release], ...] = ()
    releases: tuple[RecordKey, ...] = ()


@dataclass(slots=True)
class State:
    """Everything that one commit leaves behind; replaced, never changed, once made."""

    segments: list[Item] = field(default_factory=list)
    next_position: int = 1
    journals: dict[JournalId, JournalState] = field(default_factory=dict)
    headers: dict[JournalId, tuple[bytes, ...]] = field(default_factory=dict)
    parts: dict[tuple[JournalId, int, str], Part] = field(default_factory=dict)
    released: dict[int, tuple[RecordKey, ...]] = field(default_factory=dict)
    cursors: dict[tuple[NodeId, Lane], tuple[bytes, LaneCursor]] = field(default_factory=dict)
    # In the order of refusal: what was refused later may depend on what was first.
    wanted: dict[JournalId, None] = field(default_factory=dict)
    enrolled: dict[NodeId, Enrolled] = field(default_factory=dict)
    declared: set[JournalId] = field(default_factory=set)
    record_ids: dict[RecordId, RecordKey] = field(default_factory=dict)
    decided_position: int = 0
    lane_heads: dict[tuple[bool, Lane], int] = field(default_factory=dict)

    def copy(self) -> "State":
        """Return a state that can be changed without changing this one."""
        other = copy(self)
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, list | dict | set):
                setattr(other, name, copy(value))
        return other

    @property
    def head(self) -> int:
        """The last position."""
        return self.next_position - 1


class ModelStore:
    """One node's store.

    Args:
        me: Who the node is.
        signer: Its journal key.
        chain: What it knows from its enrolment: its ancestors and itself.
    """

    def __init__(self, me: Enrolled, signer: Ed25519Signer, chain: Sequence[Enrolled]) -> None:
        self.me = me
        self.store_id = sha256(b"store" + me.node_id).digest()[:16]
        self._signer = signer
        first = State(enrolled={known.node_id: known for known in (*chain, me)})
        self.durable = first
        self.latest = first
        self._unsynced: list[State] = []
        self._made_ms = 1_750_000_000_000
        # A record of which the disk changes a byte whenever it is read for a link.
        self.tampered: RecordKey | None = None

    # Commit, sync, crash.

    def commit(self, jobs: Sequence[Callable[[State], None]]) -> None:
        """Run jobs on one new state; a job that raises must have changed nothing."""
        state = self.latest.copy()
        for job in jobs:
            job(state)
        self.latest = state
        self._unsynced.append(state)

    def sync(self) -> None:
        """Make every commit durable."""
        self.durable = self.latest
        self._unsynced.clear()

    def crash(self, random: Random) -> None:
        """Lose what was not synced, or by luck only the end of it."""
        self.durable = random.choice([self.durable, *self._unsynced])
        self.latest = self.durable
        self._unsynced.clear()

    @property
    def is_unsynced(self) -> bool:
        """Whether a crash now would lose something."""
        return bool(self._unsynced)

    # Writing own records.

    def append(self, state: State, drafts: Sequence[Draft]) -> list[RecordKey]:
        """Seal drafts, one seal a channel, and return where each record stands.

        A record id that is there already gives its first place.
        """
        for channel in dict.fromkeys(draft.channel for draft in drafts):
            self._declare(state, channel)
            fresh = [
                draft
                for draft in drafts
                if draft.channel == channel and draft.record_id not in state.record_ids
            ]
            if fresh:
                self._seal(state, channel, fresh)
        return [state.record_ids[draft.record_id] for draft in drafts]

    def _declare(self, state: State, channel: str) -> None:
        journal_id = JournalId(node_id=self.me.node_id, channel=channel, epoch="1")
        if journal_id in state.journals or channel == "node":
            return
        record_id = RecordId(sha256(self.me.node_id + channel.encode()).digest()[:16])
        if record_id not in state.record_ids:
            opened = Draft(channel="node", record_id=record_id, kind=OPENED, object_id=channel)
            self._seal(state, "node", [opened])

    def _seal(self, state: State, channel: str, drafts: Sequence[Draft]) -> None:
        journal_id = JournalId(node_id=self.me.node_id, channel=channel, epoch="1")
        before = state.journals.get(journal_id, JournalState(journal=journal_id))
        sealed = journal.seal(
            before, [self._header(draft).encode() for draft in drafts], NETWORK, self._signer
        )
        for seq, draft in enumerate(drafts, start=before.size):
            state.record_ids[draft.record_id] = (journal_id, seq)
            for part, _, _ in draft.parts:
                state.parts[journal_id, seq, part.name] = part
        releases = tuple(key for draft in drafts for key in draft.releases)
        self._store(state, sealed.seal, sealed.state, releases)

    def _header(self, draft: Draft) -> Header:
        self._made_ms += 1
        return Header(
            network=NETWORK,
            node_id=self.me.node_id,
            record_id=draft.record_id,
            kind=draft.kind,
            actor=f"sample@{self.me.path}",
            object_id=draft.object_id,
            object_version=1,
            created_ms=self._made_ms,
            parts=tuple(
                part.digest(reach=reach, release=release) for part, reach, release in draft.parts
            ),
        )

    def _store(
        self, state: State, seal: Seal, grown: JournalState, releases: tuple[RecordKey, ...]
    ) -> None:
        position = state.next_position
        state.segments.append(Item(position=position, seal=seal))
        state.next_position += len(seal.headers)
        state.journals[seal.journal] = grown
        state.headers[seal.journal] = state.headers.get(seal.journal, ()) + seal.headers
        is_down = seal.journal.audience.audience is Audience.DOWN
        state.lane_heads[is_down, seal.journal.audience.lane] = state.head
        if releases:
            state.released[position] = releases
        if seal.journal.channel == "node":
            for header in seal.headers:
                self._learn(state, decode_header(header))

    def _learn(self, state: State, header: Header) -> None:
        if header.kind == OPENED:
            opened = JournalId(node_id=header.node_id, channel=header.object_id, epoch="1")
            state.declared.add(opened)
        elif header.kind == ENROLLED:
            node, path, key = header.object_id.split(" ")
            known = Enrolled(
                node_id=NodeId(bytes.fromhex(node)),
                path=Path.parse(path),
                public_key=bytes.fromhex(key),
            )
            state.enrolled[known.node_id] = known

    # Ingest.

    def ingest(self, state: State, peer: Hello, frame: Frame) -> list[Refusal]:
        """Store what a frame brings and move the lane's cursor, in one state.

        Raises:
            LaneGap: It follows what is not here; nothing has changed.
        """
        moved = advance(self._cursor(state, peer, frame.lane), frame)
        refusals = []
        for item in frame.items:
            try:
                self._ingest_item(state, peer, frame.lane, item)
            except errors.PeerError as error:
                # Said once; until it is mended the journal is just not taken.
                if item.seal.journal not in state.wanted:
                    state.wanted[item.seal.journal] = None
                    refusals.append(
                        Refusal(journal=item.seal.journal, seq=item.seal.first_seq, code=error.code)
                    )
        if moved is not None:
            state.cursors[peer.node_id, frame.lane] = (peer.store_id, moved)
        return refusals

    def _ingest_item(self, state: State, peer: Hello, lane: Lane, item: Item) -> None:
        journal_id = item.seal.journal
        origin = state.enrolled.get(journal_id.node_id)
        if origin is None:
            raise errors.EnrolmentChainBroken(step="origin", reason="unknown")
        if lanes_for(journal_id.channel, origin.path, peer.path, self.me.path) is not lane:
            raise errors.LaneMismatch(lane=lane.name, channel=journal_id.channel)
        above = origin.path.is_ancestor_of(self.me.path)
        if journal_id.channel != "node" and not above and journal_id not in state.declared:
            raise errors.SealJournalMismatch
        held = state.journals.get(journal_id, JournalState(journal=journal_id))
        extended = journal.extend(held, item.seal, NETWORK, origin.public_key)
        if extended.duplicate:
            return
        headers = state.headers.get(journal_id, ()) + item.seal.headers
        arrived = dict(self._checked_parts(state, journal_id, headers, item))
        released = {
            (other, seq)
            for other, seq, _ in arrived
            if (other, seq) not in {(journal_id, n) for n in range(held.size, len(headers))}
        }
        state.parts.update(arrived)
        state.wanted.pop(journal_id, None)
        self._store(state, item.seal, extended.state, tuple(sorted(released, key=str)))

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

    # What a session asks.

    def cursors(self, peer: Hello) -> list[LaneCursor]:
        """Return our durable cursors in the peer's store."""
        found = [self._cursor(self.durable, peer, lane) for lane in Lane]
        return [cursor for cursor in found if cursor is not None]

    def _cursor(self, state: State, peer: Hello, lane: Lane) -> LaneCursor | None:
        store_id, cursor = state.cursors.get((peer.node_id, lane), (b"", None))
        return cursor if store_id == peer.store_id else None

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
            journal_id != request.journal or stored.seal.first_seq < request.from_seq
        ):
            return False
        origin = self.durable.enrolled[journal_id.node_id].path
        goes = lanes_for(journal_id.channel, origin, self.me.path, peer.path)
        return goes is request.lane

    def _outgoing(self, stored: Item, peer: Hello) -> Item:
        seal = self._as_read(stored.seal)
        own = [(seal.journal, seq) for seq in range(seal.first_seq, seal.end_seq)]
        keys = [(key, False) for key in own]
        keys += [(key, True) for key in self.durable.released.get(stored.position, ())]
        runs: dict[JournalId, list[RecordParts]] = {}
        for (journal_id, seq), attached in sorted(keys, key=str):
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
