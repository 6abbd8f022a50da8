"""The writing half of the model store: commits, what a crash leaves of them, own seals."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from random import Random

from sim.model_state import (
    COSIGN_KEY,
    ENROLLED,
    NETWORK,
    OPENED,
    Draft,
    Enrolled,
    RecordKey,
    State,
    add_epoch,
    decode_header,
    live_epoch,
)
from yidao.sync import journal
from yidao.sync.epoch import KIND, Cause, EpochOpened, check, next_epoch
from yidao.sync.epocherrors import EpochConflict
from yidao.sync.ids import Audience, JournalId, NodeId, Path, RecordId
from yidao.sync.journal import JournalState, Seal
from yidao.sync.message import Item
from yidao.sync.record import Header, Part, Release
from yidao.sync.revocation import CutLine
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer


class WritingStore:
    """The disk of one node, and its own journals.

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
        epoch = live_epoch(state, self.me).epoch
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
                    check(opened, live_epoch(state, origin))
                except EpochConflict:
                    continue
                add_epoch(state, opened)
        return known != (len(state.epochs), sum(map(len, state.epochs.values())))

    def open_epoch(self, state: State, cause: Cause, store_id: bytes, mark: bytes = b"") -> None:
        """Begin to write in a new epoch; the old one is not written to again.

        Positions may have been given twice, so that nobody's cursor counts any more.
        """
        state.store_id = store_id
        live = live_epoch(state, self.me)
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
        add_epoch(state, opened)
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
