"""Appending own records: drafts become headers at once and seals at the end of the group.

Sealing late is what makes group commit pay: one signature and one row for all
that every waiting caller appended to a journal. Until then a job can be rolled
back alone, and nothing signed has ever existed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import select

from yidao.node.keys import Identity
from yidao.node.store import epochs, errors, parts, record_ids, trust, trustrecords
from yidao.node.store.drafting import PART_OVERHEAD_BYTES, Prepared, prepare
from yidao.node.store.journals import Head
from yidao.node.store.scope import Scope
from yidao.node.store.sealing import check_sealable
from yidao.node.store.sealqueue import Pending, SealQueue
from yidao.node.store.tables import enrolment
from yidao.node.store.values import MAX_SEGMENT_BYTES, Draft, DraftPart, Ticket
from yidao.sync.epoch import CHANNELS, Cause, EpochOpened
from yidao.sync.epoch import KIND as KIND_EPOCH
from yidao.sync.ids import JournalId, RecordId
from yidao.sync.mold import Mold
from yidao.sync.revocation import CutLine

# What sealing adds to a part of a letter, rounded up.
_SEALED_OVERHEAD_BYTES: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far the queues were when a job began."""

    lengths: dict[JournalId, int]
    count: int
    identity: Identity


class Appender:
    """Own records of one group.

    Args:
        scope: The transaction.
        mold: Of this node's headers.
    """

    def __init__(self, scope: Scope, mold: Mold) -> None:
        self._scope = scope
        self._queues: dict[JournalId, SealQueue] = {}
        self._by_id: dict[bytes, Pending] = {}
        self._mold = mold
        # Of the records that those at hand release: bytes by journal and record.
        self._waiting: Mapping[int, Mapping[int, int]] = {}
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
        return self.append_prepared(channel, prepare(self._mold, scope.random, drafts))

    def append_prepared(self, channel: str, prepared: Sequence[Prepared]) -> list[Ticket]:
        """Queue records that `prepare` has made; see `append`."""
        scope = self._scope
        if scope.fence.reason and not scope.opening:
            raise errors.StoreFenced(standing=scope.fence.reason)
        queue = self._queue(channel)
        self._check_letter(queue.head.journal)
        known = record_ids.known(scope.conn, [each.draft.record_id for each in prepared])
        self._waiting = self._waiting_bytes(prepared)
        return [self._append_one(queue, each, known) for each in prepared]

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

    def read_heads(self) -> None:
        """Read whatever head `seal_all` needs that a rollback made the scope forget."""
        for queue in self._queues.values():
            self._scope.heads.by_pk(queue.head.pk)

    def seal_all(self) -> None:
        """Seal and store all that waits, the `node` journal first since it declares the others."""
        order = sorted(
            self._queues.values(), key=lambda queue: queue.head.journal.channel != "node"
        )
        for queue in order:
            queue.seal(self._scope)
        self._queues.clear()
        self._by_id.clear()

    def _queue(self, channel: str) -> SealQueue:
        identity = self._scope.identity
        name = JournalId(node_id=identity.node_id, channel=channel, epoch=identity.epoch)
        queue = self._queues.get(name)
        if queue is None:
            head = self._scope.heads.get(name)
            if head is None or head.public_key is None:
                head = self._open(name)
            queue = self._queues[name] = SealQueue(head=head, signer=identity.journal)
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
                record_id=scope.mint(),
                kind=trust.KIND_OPENED,
                actor=f"node@{scope.identity.path}",
                object_id=trust.opened_object(name),
                object_version=1,
                created_ms=scope.now_ms,
            )
            self.append(trust.NODE_CHANNEL, [declaration])
        return trust.declare(scope, name, own)

    def _append_one(
        self, queue: SealQueue, prepared: Prepared, known: Mapping[bytes, int]
    ) -> Ticket:
        draft = prepared.draft
        pending = self._by_id.get(draft.record_id)
        if pending is not None:
            is_same = replace(draft, created_ms=pending.draft.created_ms) == pending.draft
            if not is_same or pending.ticket.journal != queue.head.journal:
                raise errors.RecordIdReused(record_id=draft.record_id.hex())
            # The same object, so that sealing completes both callers' tickets.
            return pending.ticket
        if draft.record_id in known:
            return record_ids.first_ticket(
                self._scope, self._mold, queue.head.journal, draft, known[draft.record_id]
            )
        made = self._make(queue, prepared)
        queue.records.append(made)
        self._by_id[draft.record_id] = made
        self.count += 1
        return made.ticket

    def _make(self, queue: SealQueue, prepared: Prepared) -> Pending:
        head = queue.head
        draft, header, salted, weight = prepared
        if queue.is_letter:
            weight += len(salted) * _SEALED_OVERHEAD_BYTES
        if draft.releases:
            weight += self._released_bytes(draft.releases)
        if weight > MAX_SEGMENT_BYTES:
            raise errors.RecordTooLarge(size_bytes=weight, limit_bytes=MAX_SEGMENT_BYTES)
        ticket = Ticket(
            record_id=RecordId(draft.record_id),
            journal=head.journal,
            journal_pk=head.pk,
            seq=queue.size + len(queue.records),
        )
        return Pending(
            draft,
            header,
            salted,
            weight,
            ticket,
            trustrecords.fold_own(self._scope, head.journal.channel, header, draft),
        )

    def _released_bytes(self, releases: tuple[tuple[int, int], ...]) -> int:
        total = 0
        for journal_pk, seq in releases:
            head = self._scope.heads.by_pk(journal_pk)
            if head is None or not 0 <= seq < head.size:
                raise errors.ReleaseUnknown(journal_pk=journal_pk, seq=seq)
            total += self._waiting.get(journal_pk, {}).get(seq, 0)
        return total

    def _waiting_bytes(self, prepared: Sequence[Prepared]) -> dict[int, dict[int, int]]:
        """Weigh what records release, all at once: records that wait share their rows."""
        seqs: dict[int, list[int]] = defaultdict(list)
        for each in prepared:
            for journal_pk, seq in each.draft.releases:
                seqs[journal_pk].append(seq)
        return {
            journal_pk: {
                seq: sum(len(part.part.body) + PART_OVERHEAD_BYTES for part in named.values())
                for seq, named in parts.read_parts(
                    self._scope.conn, journal_pk, wanted, waiting_only=True
                ).items()
            }
            for journal_pk, wanted in seqs.items()
        }


def _epoch_draft(scope: Scope, opened: EpochOpened, core: bytes, actor: str) -> Draft:
    return Draft(
        record_id=scope.mint(),
        kind=KIND_EPOCH,
        actor=actor,
        object_id=epochs.object_of(opened),
        object_version=1,
        created_ms=scope.now_ms,
        parts=(DraftPart(name="core", body=core),),
    )
