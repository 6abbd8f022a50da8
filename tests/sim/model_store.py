"""A store that can lose what it has not synced.

Every commit makes a new state; `sync` makes it durable. A crash falls back to the
durable state, or to a later commit that happened to reach the disk. Sealing,
extending, commitments, routing and cursors are the real code.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from random import Random
from typing import Any

from yidao.sync import errors, journal
from yidao.sync.epoch import (
    FIRST,
    KIND,
    Cause,
    EpochKey,
    EpochOpened,
    check,
    check_place,
    next_epoch,
)
from yidao.sync.epocherrors import EpochConflict
from yidao.sync.ids import Audience, JournalId, Lane, NetworkId, NodeId, Path, RecordId
from yidao.sync.journal import JournalState, Seal, check_held
from yidao.sync.lanes import ReadRequest, advance
from yidao.sync.mending import is_mended, refused_to
from yidao.sync.merkle import EMPTY_FRONTIER, leaf_hashes
from yidao.sync.message import Frame, Held, Hello, Holding, Item, LaneCursor, Refusal
from yidao.sync.partsrun import PartsRun, RecordParts
from yidao.sync.record import Header, Part, Release, check_part
from yidao.sync.record import decode_header as _decode_header
from yidao.sync.revocation import CutLine
from yidao.sync.routing import lane_of, lanes_for, part_goes
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

NETWORK = NetworkId(sha256(b"sample network of the simulator").digest()[:16])
OPENED = "node.journal.opened"
ENROLLED = "node.child.enrolled"
ACCEPTED = "reporting.return.accepted"
SUBMITTED = "reporting.return.submitted"

# Thirteen nodes in one process read the same headers.
decode_header = lru_cache(maxsize=16_384)(_decode_header)

RecordKey = tuple[JournalId, int]
# No node of the simulator cosigns, but an epoch names a key for it.
COSIGN_KEY = Ed25519Signer(sha256(b"sample cosigning key").digest()).public_key


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an ingest refused, and which own journals came back with another history."""

    refusals: tuple[Refusal, ...] = ()
    forked: tuple[JournalId, ...] = ()


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
    # How far what was refused reaches; in the order of refusal, since what was refused
    # later may depend on what was first.
    wanted: dict[JournalId, int] = field(default_factory=dict)
    enrolled: dict[NodeId, Enrolled] = field(default_factory=dict)
    declared: set[JournalId] = field(default_factory=set)
    record_ids: dict[RecordId, RecordKey] = field(default_factory=dict)
    # What each node has opened after its first epoch, in order.
    epochs: dict[NodeId, tuple[EpochOpened, ...]] = field(default_factory=dict)
    # Which of its own checkpoints a neighbour has said to hold: the product's receipts.
    receipts: dict[tuple[NodeId, JournalId], bytes] = field(default_factory=dict)
    # Names this line of positions; another line begins where a store was set back.
    store_id: bytes = b""
    decided_position: int = 0
    lane_heads: dict[tuple[bool, Lane], int] = field(default_factory=dict)

    def copy(self) -> "State":
        """Return a state that can be changed without changing this one."""
        return State(**{name: _copied(getattr(self, name)) for name in self.__slots__})

    @property
    def head(self) -> int:
        """The last position."""
        return self.next_position - 1


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict | set) else value


class ModelStore:
    """One node's store.

    Args:
        me: Who the node is.
        signer: Its journal key.
        chain: What it knows from its enrolment: its ancestors and itself.
    """

    def __init__(self, me: Enrolled, signer: Ed25519Signer, chain: Sequence[Enrolled]) -> None:
        self.me = me
        self._signer = signer
        first = State(
            enrolled={known.node_id: known for known in (*chain, me)},
            store_id=sha256(b"store" + me.node_id).digest()[:16],
        )
        self.durable = first
        self.latest = first
        self._unsynced: list[State] = []
        self.wall_ms = 1_750_000_000_000
        # Whether nothing may be sealed now.
        self.is_fenced = False
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

    def roll_back(self, older: State) -> None:
        """Put an older state in the place of the disk's."""
        self.durable = self.latest = older
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

    def own(self, state: State, channel: str) -> JournalId:
        """Return the journal of that channel in which this node writes now."""
        epoch = _live(state, self.me).epoch
        return JournalId(node_id=self.me.node_id, channel=channel, epoch=epoch)

    def chain(self) -> list[EpochOpened]:
        """Return the epochs that this node and those above it have opened."""
        state = self.durable
        above = [n for n in state.enrolled.values() if self.me.path.is_within(n.path)]
        return [opened for node in above for opened in state.epochs.get(node.node_id, ())]

    def learn_chain(self, state: State, chain: Sequence[EpochOpened]) -> bool:
        """Take the epochs that a parent's Hello names; return whether any was new."""
        known = len(state.epochs), sum(map(len, state.epochs.values()))
        for opened in chain:
            origin = state.enrolled[opened.node_id]
            if opened not in state.epochs.get(opened.node_id, ()):
                try:
                    check(opened, _live(state, origin))
                except EpochConflict:
                    continue
                _add_epoch(state, opened)
        return known != (len(state.epochs), sum(map(len, state.epochs.values())))

    def open_epoch(self, state: State, cause: Cause, store_id: bytes, mark: bytes = b"") -> None:
        """Begin to write in a new epoch; the old one is not written to again.

        Positions may have been given twice, so that nobody's cursor counts any more.
        """
        state.store_id = store_id
        live = _live(state, self.me)
        cut = sorted(
            CutLine(channel=held.channel, epoch=held.epoch, size=state.journals[held].size)
            for held in state.journals
            if held.node_id == self.me.node_id and held.epoch == live.epoch
        )
        opened = EpochOpened(
            node_id=self.me.node_id,
            epoch=next_epoch(live.epoch, mark),
            suite=ED25519_SHA256,
            journal_key=self.me.public_key,
            cosign_key=COSIGN_KEY,
            cause=cause,
            previous=live.epoch,
            cut=tuple(cut),
        ).sign(self._signer, self._signer)
        _add_epoch(state, opened)
        for channel in ("node", "down.control"):
            salt = sha256(f"{channel} {opened.epoch}".encode() + self.me.node_id).digest()
            core = Part(name="core", salt=salt, body=opened.encode())
            draft = Draft(
                channel=channel,
                record_id=RecordId(sha256(salt).digest()[:16]),
                kind=KIND,
                object_id=f"epoch/{opened.epoch}",
                parts=((core, 15, Release.AT_ONCE),),
            )
            self._seal(state, channel, [draft])

    def _declare(self, state: State, channel: str) -> None:
        journal_id = self.own(state, channel)
        if journal_id in state.journals or channel == "node":
            return
        name = f"{channel} {journal_id.epoch}".encode()
        record_id = RecordId(sha256(self.me.node_id + name).digest()[:16])
        if record_id not in state.record_ids:
            opened = Draft(channel="node", record_id=record_id, kind=OPENED, object_id=channel)
            self._seal(state, "node", [opened])

    def _seal(self, state: State, channel: str, drafts: Sequence[Draft]) -> None:
        journal_id = self.own(state, channel)
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
        self.wall_ms += 1
        return Header(
            network=NETWORK,
            node_id=self.me.node_id,
            record_id=draft.record_id,
            kind=draft.kind,
            actor=f"sample@{self.me.path}",
            object_id=draft.object_id,
            object_version=1,
            created_ms=self.wall_ms,
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
                self._learn(state, seal.journal, decode_header(header))

    def _learn(self, state: State, journal_id: JournalId, header: Header) -> None:
        if header.kind == OPENED:
            state.declared.add(replace(journal_id, channel=header.object_id))
        elif header.kind == ENROLLED:
            node, path, key = header.object_id.split(" ")
            known = Enrolled(
                node_id=NodeId(bytes.fromhex(node)),
                path=Path.parse(path),
                public_key=bytes.fromhex(key),
            )
            state.enrolled[known.node_id] = known

    # Ingest.

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
        live = _live(state, origin)
        check(opened, live)
        check_place(opened, seal.journal, seal.first_seq, live)
        _add_epoch(state, opened)

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
            journal_id != request.journal or stored.seal.first_seq < request.from_seq
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


@lru_cache(maxsize=16_384)
def root_of(headers: tuple[bytes, ...]) -> bytes:
    """Return the root of a journal's first records."""
    return EMPTY_FRONTIER.append_many(leaf_hashes(headers)).root()


def _live(state: State, node: Enrolled) -> EpochKey:
    """Return the epoch in which a node writes now, as is known here."""
    opened = state.epochs.get(node.node_id)
    return opened[-1].key if opened else _first(node)


def _add_epoch(state: State, opened: EpochOpened) -> None:
    known = state.epochs.get(opened.node_id, ())
    state.epochs[opened.node_id] = (*known, opened)


@lru_cache(maxsize=64)
def _first(node: Enrolled) -> EpochKey:
    return EpochKey(
        epoch=FIRST, suite=ED25519_SHA256, journal_key=node.public_key, cosign_key=COSIGN_KEY
    )


def _first_core(item: Item) -> Part | None:
    for run in item.parts:
        for record in run.records:
            if run.journal == item.seal.journal and record.seq == 0:
                return next((part for part in record.parts if part.name == "core"), None)
    return None
