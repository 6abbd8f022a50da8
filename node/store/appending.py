"""Appending own records: drafts become headers at once and seals at the end of the group.

Sealing late is what makes group commit pay: one signature and one row for all
that every waiting caller appended to a journal. Until then a job can be rolled
back alone, and nothing signed has ever existed.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select

from yidao.node.keys import Identity
from yidao.node.store import (
    epochs,
    errors,
    papering,
    parts,
    rawsql,
    record_ids,
    revoking,
    rootlists,
    segments,
    trust,
)
from yidao.node.store.journals import Head
from yidao.node.store.parts import PartRule, RuledPart
from yidao.node.store.scope import Scope
from yidao.node.store.sealing import check_sealable
from yidao.node.store.tables import enrolment
from yidao.node.store.values import MAX_SEGMENT_BYTES, Draft, DraftPart, Ticket
from yidao.sync.enrolment import KIND as KIND_ENROLLED
from yidao.sync.epoch import CHANNELS, Cause, EpochOpened
from yidao.sync.epoch import KIND as KIND_EPOCH
from yidao.sync.ids import JournalId, NodeId, RecordId
from yidao.sync.journal import MAX_SEAL_HEADER_BYTES, MAX_SEAL_RECORDS, seal
from yidao.sync.record import SALT_BYTES, Header, Part, Release
from yidao.sync.revocation import CHANNELS as REVOCATION_CHANNELS
from yidao.sync.revocation import KIND as KIND_REVOKED
from yidao.sync.revocation import CutLine
from yidao.sync.rootlist import CHANNEL as ROOT_LIST_CHANNEL
from yidao.sync.rootlist import KIND as KIND_ROOT_LISTED
from yidao.sync.suite import Signer

# Lengths, name and salt of a part, the length of a header: what a frame adds.
_PART_OVERHEAD_BYTES: Final = 64
_HEADER_OVERHEAD_BYTES: Final = 8
# What sealing adds to a part of a letter, rounded up.
_SEALED_OVERHEAD_BYTES: Final = 128
_INSERT_ID: Final = "INSERT INTO record_id (record_id, position, content_sha256) VALUES (?, ?, ?)"
_SELECT_ID: Final = "SELECT position, content_sha256 FROM record_id WHERE record_id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A record that waits for its seal."""

    header: bytes
    parts: tuple[tuple[Part, PartRule], ...]
    releases: tuple[tuple[int, int], ...]
    weight_bytes: int
    content_sha256: bytes
    ticket: Ticket
    enrols: NodeId | None = None


@dataclass(slots=True, kw_only=True)
class _Queue:
    """What waits for the next seal of one journal, and who signs that."""

    head: Head
    signer: Signer
    records: list[_Pending] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far the queues were when a job began."""

    lengths: dict[JournalId, int]
    count: int
    identity: Identity


class Appender:
    """Own records of one group."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._queues: dict[JournalId, _Queue] = {}
        self._by_id: dict[RecordId, _Pending] = {}
        self.count = 0

    def append(self, channel: str, drafts: Sequence[Draft]) -> list[Ticket]:
        """Queue records for the journal of a channel and return their tickets, in order.

        A record id that is known already gives the first ticket again.

        Raises:
            RecordIdReused: Known, with other content.
            RecordTooLarge, ReleaseUnknown, TargetUnknown, EnrolmentConflict: As named.
            SuiteUnavailable: Letters cannot be sealed to their recipient here.
            PeerError: The draft makes no valid header.
            StoreFenced: This node may not seal now.
        """
        scope = self._scope
        if scope.fence.reason and not scope.opening:
            raise errors.StoreFenced(standing=scope.fence.reason)
        queue = self._queue(channel)
        self._check_letter(queue.head.journal)
        known = self._known_ids([RecordId(draft.record_id) for draft in drafts])
        return [self._append_one(queue, draft, known) for draft in drafts]

    def _check_letter(self, journal: JournalId) -> None:
        target = journal.audience.to
        if target is not None:
            addressed = trust.enrolled(self._scope.conn, target)
            assert addressed is not None, "a journal is opened for an enrolled node only"
            live = epochs.live_of(self._scope.conn, addressed)
            check_sealable(live, self._scope.random)

    def mark(self) -> Mark:
        """Return where to roll back to."""
        lengths = {name: len(queue.records) for name, queue in self._queues.items()}
        return Mark(lengths=lengths, count=self.count, identity=self._scope.identity)

    def roll_back(self, mark: Mark) -> None:
        """Drop all that was queued since `mark`; heads must be forgotten by the caller."""
        for name, queue in list(self._queues.items()):
            kept = mark.lengths.get(name, 0)
            for dropped in queue.records[kept:]:
                del self._by_id[dropped.ticket.record_id]
            del queue.records[kept:]
            if name not in mark.lengths:
                del self._queues[name]
        self.count = mark.count
        self._scope.identity = mark.identity

    def open_epoch(
        self, identity: Identity, cause: Cause, *, actor: str, cut: Sequence[CutLine] | None
    ) -> EpochOpened:
        """End the epoch in which this node writes, and go on as `identity`.

        Args:
            identity: This node with its new epoch and the signers of that.
            cause: Why.
            actor: Who decided it.
            cut: Where the old journals end, if the old epoch cannot be written any more.
                None = here, behind a last record that says so.

        Raises:
            EpochMalformed, EpochUnproven, EpochConflict: It is no epoch that can follow.
        """
        scope, old = self._scope, self._scope.identity
        own = trust.enrolled(scope.conn, old.node_id)
        assert own is not None, "bind() wrote the node's own enrolment"
        below = select(enrolment.c.node_id).where(
            enrolment.c.parent_id == old.node_id, enrolment.c.node_id != old.node_id
        )
        has_children = scope.conn.execute(below.limit(1)).first() is not None
        channels = CHANNELS if has_children else CHANNELS[:1]
        opened = EpochOpened(
            node_id=old.node_id,
            epoch=identity.epoch,
            suite=identity.suite,
            journal_key=identity.journal.public_key,
            cosign_key=identity.cosign.public_key,
            cause=cause,
            previous=old.epoch,
            cut=tuple(sorted(cut)) if cut is not None else self._ends(channels),
        ).sign(old.journal, identity.journal)
        core = opened.encode()
        EpochOpened.decode(core)
        if cut is None:
            for channel in channels:
                self.append(channel, [_epoch_draft(scope, opened, core, actor)])
        epochs.learn(scope.conn, own, opened)
        scope.identity = identity
        for channel in channels:
            self.append(channel, [_epoch_draft(scope, opened, core, actor)])
        return opened

    def _ends(self, closing: Sequence[str]) -> tuple[CutLine, ...]:
        """Return where the journals of this epoch end once each of `closing` has its last record.

        Opens those first, since that declares them in the `node` journal.
        """
        scope, own = self._scope, self._scope.identity
        for channel in closing:
            self._queue(channel)
        held = epochs.held_cut(scope.conn, own.node_id, own.epoch)
        sizes = {line.channel: line.size for line in held}
        for name, queue in self._queues.items():
            if name.epoch == own.epoch:
                sizes[name.channel] = queue.head.size + len(queue.records)
        for channel in closing:
            sizes[channel] += 1
        return tuple(
            CutLine(channel=channel, epoch=own.epoch, size=size)
            for channel, size in sorted(sizes.items())
            if size
        )

    def seal_all(self) -> None:
        """Seal and store all that waits, the `node` journal first since it declares the others."""
        order = sorted(
            self._queues.values(), key=lambda queue: queue.head.journal.channel != "node"
        )
        for queue in order:
            # A rollback made the scope forget heads; they are read again here.
            head = self._scope.heads.by_pk(queue.head.pk)
            assert head is not None, "a queued journal has a head"
            for chunk in _chunks(queue.records):
                self._seal_chunk(head, queue.signer, chunk)
        self._queues.clear()
        self._by_id.clear()

    def _queue(self, channel: str) -> _Queue:
        identity = self._scope.identity
        name = JournalId(node_id=identity.node_id, channel=channel, epoch=identity.epoch)
        queue = self._queues.get(name)
        if queue is None:
            head = self._scope.heads.get(name)
            if head is None or head.public_key is None:
                head = self._open(name)
            queue = self._queues[name] = _Queue(head=head, signer=identity.journal)
        return queue

    def _open(self, name: JournalId) -> Head:
        """Declare a journal of this node, in the same commit as its first record."""
        scope = self._scope
        own = trust.enrolled(scope.conn, scope.identity.node_id)
        assert own is not None, "bind() wrote the node's own enrolment"
        target = name.audience.to
        if target is not None and trust.enrolled(scope.conn, target) is None:
            raise errors.TargetUnknown(node_id=target.hex())
        if name.channel != trust.NODE_CHANNEL:
            declaration = Draft(
                record_id=_ordered_id(scope),
                kind=trust.KIND_OPENED,
                actor=f"node@{scope.identity.path}",
                object_id=trust.opened_object(name),
                object_version=1,
                created_ms=scope.now_ms,
            )
            self.append(trust.NODE_CHANNEL, [declaration])
        return trust.declare(scope, name, own)

    def _known_ids(self, ids: list[RecordId]) -> dict[RecordId, tuple[int, bytes]]:
        known: dict[RecordId, tuple[int, bytes]] = {}
        for one in ids:
            for position, digest in rawsql.fetch(self._scope.conn, _SELECT_ID, (one,)):
                known[one] = (position, bytes(digest))
        return known

    def _append_one(
        self, queue: _Queue, draft: Draft, known: dict[RecordId, tuple[int, bytes]]
    ) -> Ticket:
        record_id = RecordId(draft.record_id)
        content = content_sha256(queue.head.journal.channel, draft)
        pending = self._by_id.get(record_id)
        stored = known.get(record_id)
        if pending is not None or stored is not None:
            first = pending.content_sha256 if pending else stored[1] if stored else content
            if first not in (content, record_ids.UNKNOWN_CONTENT):
                raise errors.RecordIdReused(record_id=record_id.hex())
            return self._repeated(pending, record_id, stored[0] if stored else 0)
        made = self._make(queue, draft, content)
        queue.records.append(made)
        self._by_id[record_id] = made
        self.count += 1
        return made.ticket

    def _repeated(self, pending: _Pending | None, record_id: RecordId, position: int) -> Ticket:
        if pending is not None:
            # The same object, so that sealing completes both callers' tickets.
            return pending.ticket
        found = segments.segment_at(self._scope.conn, position)
        head = self._scope.heads.by_pk(found.journal_pk) if found else None
        if found is None or head is None:
            raise errors.StoreInconsistent(what="record_id")
        return Ticket(
            record_id=record_id,
            journal=head.journal,
            journal_pk=head.pk,
            seq=found.first_seq + position - found.position,
            repeat=True,
            sealed_at=position,
        )

    def _make(self, queue: _Queue, draft: Draft, content: bytes) -> _Pending:
        scope, head = self._scope, queue.head
        salted = tuple(
            (
                Part(name=part.name, salt=scope.random(SALT_BYTES), body=part.body),
                PartRule(part.release is Release.WHEN_ACCEPTED, part.reach),
            )
            for part in draft.parts
        )
        header = _header(scope, draft, [part for part, _ in salted])
        data = header.encode()
        weight = len(data) + _HEADER_OVERHEAD_BYTES
        weight += sum(len(part.body) + _PART_OVERHEAD_BYTES for part, _ in salted)
        if head.journal.audience.to is not None:
            weight += len(salted) * _SEALED_OVERHEAD_BYTES
        weight += self._released_bytes(draft.releases)
        if weight > MAX_SEGMENT_BYTES:
            raise errors.RecordTooLarge(size_bytes=weight, limit_bytes=MAX_SEGMENT_BYTES)
        core = next((part.body for part, _ in salted if part.name == "core"), None)
        return _Pending(
            header=data,
            parts=salted,
            releases=draft.releases,
            weight_bytes=weight,
            content_sha256=content,
            ticket=Ticket(
                record_id=header.record_id,
                journal=head.journal,
                journal_pk=head.pk,
                seq=head.size + len(queue.records),
            ),
            enrols=self._fold_trust(head.journal.channel, header, core),
        )

    def _fold_trust(self, channel: str, header: Header, core: bytes | None) -> NodeId | None:
        """Fold a record that says whom to trust, and return whom it enrols."""
        scope = self._scope
        by, by_path = scope.identity.node_id, scope.identity.path
        papering.fold(scope, channel, header, core, by, by_path)
        if header.kind == KIND_REVOKED and channel in REVOCATION_CHANNELS:
            revoking.fold(scope, core, by, by_path)
        if header.kind == KIND_ROOT_LISTED and channel == ROOT_LIST_CHANNEL:
            rootlists.fold(scope, core, by)
        if header.kind != KIND_ENROLLED or channel != trust.NODE_CHANNEL:
            return None
        own = trust.enrolled(scope.conn, scope.identity.node_id)
        return trust.fold_enrolled(scope, own, header, core, None)

    def _released_bytes(self, releases: tuple[tuple[int, int], ...]) -> int:
        total = 0
        for journal_pk, seq in releases:
            head = self._scope.heads.by_pk(journal_pk)
            if head is None or not 0 <= seq < head.size:
                raise errors.ReleaseUnknown(journal_pk=journal_pk, seq=seq)
            held = parts.read_parts(self._scope.conn, journal_pk, [seq], waiting_only=True)
            for found in held.get(seq, {}).values():
                total += len(found.part.body) + _PART_OVERHEAD_BYTES
        return total

    def _seal_chunk(self, head: Head, signer: Signer, chunk: Sequence[_Pending]) -> None:
        scope = self._scope
        headers = [record.header for record in chunk]
        made = seal(head.state, headers, scope.identity.network, signer)
        position = scope.take_positions(len(chunk))
        segments.write_segment(
            scope.conn, head, made.seal, made.tiles, position=position, now_ms=scope.now_ms
        )
        head.state, head.checkpoint, head.is_dirty = made.state, made.seal.checkpoint, True
        parts.write_parts(
            scope.conn,
            head.pk,
            position,
            [
                RuledPart(record.ticket.seq, part, rule)
                for record in chunk
                for part, rule in record.parts
            ],
            late=False,
        )
        parts.write_released(
            scope.conn, position, [pair for record in chunk for pair in record.releases]
        )
        rows = []
        for offset, record in enumerate(chunk):
            record.ticket.sealed_at = position + offset
            rows.append((record.ticket.record_id, position + offset, record.content_sha256))
            if record.enrols is not None:
                trust.place(scope.conn, record.enrols, position + offset)
        rawsql.run_many(scope.conn, _INSERT_ID, rows)


def content_sha256(channel: str, draft: Draft) -> bytes:
    """Return what tells two records of one id apart: all that the author gave but the time."""
    described = (
        channel,
        draft.kind,
        draft.actor,
        draft.object_id,
        draft.object_version,
        draft.unit,
        draft.causes,
        draft.schema,
        draft.schema_sha256,
        draft.period,
        draft.releases,
        [(p.name, p.body, int(p.grade), p.reach, int(p.release)) for p in draft.parts],
    )
    # repr of strings, bytes, integers and their tuples is unambiguous.
    return hashlib.sha256(repr(described).encode()).digest()


def _header(scope: Scope, draft: Draft, salted: Sequence[Part]) -> Header:
    digests = tuple(
        part.digest(grade=given.grade, reach=given.reach, release=given.release)
        for part, given in zip(salted, draft.parts, strict=True)
    )
    return Header(
        network=scope.identity.network,
        node_id=scope.identity.node_id,
        record_id=RecordId(draft.record_id),
        kind=draft.kind,
        actor=draft.actor,
        object_id=draft.object_id,
        object_version=draft.object_version,
        created_ms=draft.created_ms,
        unit=draft.unit,
        causes=tuple(RecordId(cause) for cause in draft.causes),
        schema=draft.schema,
        schema_sha256=draft.schema_sha256,
        period=draft.period,
        parts=digests,
    )


def _epoch_draft(scope: Scope, opened: EpochOpened, core: bytes, actor: str) -> Draft:
    return Draft(
        record_id=_ordered_id(scope),
        kind=KIND_EPOCH,
        actor=actor,
        object_id=epochs.object_of(opened),
        object_version=1,
        created_ms=scope.now_ms,
        parts=(DraftPart(name="core", body=core),),
    )


def _chunks(records: Sequence[_Pending]) -> Iterator[list[_Pending]]:
    """Cut what waits into seals that fit: by number, by header bytes, by all bytes."""
    chunk: list[_Pending] = []
    header_bytes = weight_bytes = 0
    for record in records:
        header_bytes += len(record.header)
        weight_bytes += record.weight_bytes
        if chunk and (
            len(chunk) == MAX_SEAL_RECORDS
            or header_bytes > MAX_SEAL_HEADER_BYTES
            or weight_bytes > MAX_SEGMENT_BYTES
        ):
            yield chunk
            chunk, header_bytes, weight_bytes = [], len(record.header), record.weight_bytes
        chunk.append(record)
    if chunk:
        yield chunk


def _ordered_id(scope: Scope) -> bytes:
    """Return a record id whose first 48 bits are the time, so that ids sort as they are made."""
    return scope.now_ms.to_bytes(6) + scope.random(10)
