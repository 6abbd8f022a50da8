"""Ingest: what a peer sent is verified, stored and acknowledged as one, or refused by journal.

For each item:
1. The journal is declared, and comes from where its origin stands, in its lane. The
   first seal of a new epoch may bring the record that opens it.
2. It does not reach beyond the cut of a revocation, or the end of its epoch. The seal
   extends what is held (`yidao.sync.journal.extend`), or is a duplicate that says the
   same as what is held.
3. Every part that came is the one that its header commits to; a letter to this node
   opens, and one to another fits its header in length.
4. Segment, tiles, head, parts, and the declarations in it are stored.
What fails in 1 to 3 quarantines that journal alone: nothing of the item is
stored, the sender is told, the other journals go on. A quarantined journal is
whole again once as much of it is held as was refused (`yidao.sync.mending`).

What is wrong *inside* a record is no matter of ingest. The cursor of the lane
moves in the same transaction, past refused items as well: they are asked for
again by name (`wanted`), so that no journal can stop a lane.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, select

from yidao.node.store import (
    absences,
    cosigning,
    epochs,
    errors,
    forks,
    lanecursors,
    letters,
    papering,
    parts,
    record_ids,
    revoking,
    rootlists,
    segments,
    standing,
    trust,
)
from yidao.node.store.absences import Gone
from yidao.node.store.journals import Head
from yidao.node.store.packing import SeqPart
from yidao.node.store.parts import PartRule, RuledPart
from yidao.node.store.scope import Scope
from yidao.node.store.segments import Segment
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.values import EnrolledNode, Fork, Outcome, Peer
from yidao.sync import epoch, revocation, rootlist
from yidao.sync.errors import PeerError, SealFork, SealOverlap
from yidao.sync.ids import JournalId
from yidao.sync.journal import Extended, check_held, extend
from yidao.sync.lanes import advance
from yidao.sync.mending import is_mended, refused_to
from yidao.sync.message import Frame, Item, Receipt, Refusal
from yidao.sync.partsrun import PartsRun, SealedPart
from yidao.sync.record import (
    DigestReader,
    Header,
    Part,
    PartDigest,
    Release,
    check_part,
    decode_header,
)
from yidao.sync.routing import lanes_for

# Notes of journals that nothing declares are kept so that they can be asked for
# once something does. A peer must not fill the store with them.
MAX_UNDECLARED: Final = 4_096
# What waits for records that never come is bounded as well. The backlog of a journal that
# is put aside for weeks stays far below.
MAX_PARKED_BYTES: Final = 256 << 20
JOURNAL_REFUSED: Final = "JOURNAL_REFUSED"
RECORD_MALFORMED: Final = "RECORD_MALFORMED"


@dataclass(slots=True, kw_only=True)
class _Tally:
    records: int = 0
    duplicates: int = 0
    refused_items: int = 0
    refusals: dict[JournalId, Refusal] = field(default_factory=dict)
    touched: dict[int, Head] = field(default_factory=dict)
    forked: list[Fork] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """The parts of an item, each checked against its header."""

    own: list[RuledPart]
    late: dict[int, list[RuledPart]]
    early: dict[int, list[SeqPart]]
    sealed: list[tuple[int, SealedPart]]
    gone: list[Gone]
    # The runs that `own` came in, each as it came; nothing for one that cannot stay so.
    packed: list[bytes] = field(default_factory=list)


class Ingest:
    """Ingests one frame of a peer."""

    def __init__(self, scope: Scope, peer: Peer, frame: Frame) -> None:
        self._scope = scope
        self._peer = peer
        self._frame = frame
        self._tally = _Tally()

    def run(self) -> Outcome:
        """Store what is good of the frame.

        Raises:
            LaneGap: The frame follows one that is not here; nothing is stored.
        """
        scope, frame = self._scope, self._frame
        known = lanecursors.read_cursor(scope.conn, self._peer, frame.lane)
        moved = advance(known, frame)
        for item in frame.items:
            self._item(item)
        if moved is not None and moved != known:
            lanecursors.write_cursor(scope.conn, self._peer, moved)
        receipts = self._cosign()
        return Outcome(
            records=self._tally.records,
            duplicates=self._tally.duplicates,
            refusals=tuple(self._tally.refusals.values()),
            refused_items=self._tally.refused_items,
            last_position=scope.last_position,
            forked=tuple(self._tally.forked),
            receipts=receipts,
        )

    def _item(self, item: Item) -> None:
        if item.seal.journal.node_id == self._scope.identity.node_id:
            self._take_back(item)
            return
        try:
            head = self._admit(item)
        except PeerError as error:
            self._tally.refused_items += 1
            self._refuse_undeclared(item, error)
            return
        if head.quarantine_code is not None and item.seal.first_seq > head.size:
            # What follows a refused seal cannot be judged; it is asked for again.
            self._note_refused(head, item)
            return
        try:
            self._store(head, item)
        except PeerError as error:
            self._tally.refused_items += 1
            self._quarantine(head, item, error)

    def _take_back(self, item: Item) -> None:
        """Take an own record back that was lost here: verified like anybody's, kept as it was."""
        scope, journal = self._scope, item.seal.journal
        is_closed = journal.epoch != scope.identity.epoch or scope.fence.reason
        if not self._frame.backfill or not is_closed:
            # Nobody asked for it, or what waits for its seal would get another place.
            self._tally.refused_items += 1
            self._refuse(journal, item.seal.first_seq, errors.JournalOutOfScope(), is_news=True)
            return
        own = trust.enrolled(scope.conn, scope.identity.node_id)
        assert own is not None, "bind() wrote the node's own enrolment"
        head = scope.heads.get(journal)
        try:
            if epochs.key_of(scope.conn, own, journal.epoch) is None:
                # An epoch that was opened, and forgotten with the rest.
                self._open_epoch(item, own)
            head = trust.declare(scope, journal, own)
            before = head.size
            self._store(head, item)
            if head.size > before:
                record_ids.note(scope, head, item)
        except PeerError as error:
            if head is not None and forks.is_signed(scope, head, item.seal):
                self._tally.forked.append(forks.of_own(head, item.seal))
            else:
                self._tally.refused_items += 1
                self._refuse(journal, item.seal.first_seq, error, is_news=True)

    def _admit(self, item: Item) -> Head:
        """Return the head of a journal that may come by this peer in this lane."""
        scope, journal = self._scope, item.seal.journal
        origin = trust.enrolled(scope.conn, journal.node_id)
        if origin is None:
            raise errors.JournalUndeclared
        self._check_way(journal, origin)
        head = scope.heads.get(journal)
        if head is None or head.public_key is None:
            if not trust.declared_by_enrolment(scope, journal, origin):
                raise errors.JournalUndeclared
            if epochs.key_of(scope.conn, origin, journal.epoch) is None:
                self._open_epoch(item, origin)
            head = trust.declare(scope, journal, origin)
        if head.via != self._peer.node_id:
            head.via, head.is_dirty = self._peer.node_id, True
        return head

    def _open_epoch(self, item: Item, origin: EnrolledNode) -> None:
        """Fold the record that opens an epoch, where the seal at hand begins with it.

        Both keys of the epoch have signed its core, so that it counts whatever comes of
        the seal. Where there is no such record, the journal has no key.
        """
        seal = item.seal
        if seal.journal.channel not in epoch.CHANNELS or seal.first_seq or not seal.headers:
            return
        header = decode_header(seal.headers[0])
        given = (
            part
            for run in item.parts
            if run.journal == seal.journal
            for record in run.records
            if record.seq == 0
            for part in record.parts
            if part.name == "core"
        )
        core, digest = next(given, None), header.part("core")
        if header.kind != epoch.KIND or core is None or digest is None:
            return
        check_part(digest, core)
        trust.fold_epoch(self._scope, origin, core.body, seal.journal, 0)

    def _check_way(self, journal: JournalId, origin: EnrolledNode) -> None:
        own, peer = self._scope.identity.path, self._peer.path
        from_parent = own.parent == peer
        fits = origin.path.is_ancestor_of(own) if from_parent else origin.path.is_within(peer)
        if not fits:
            raise errors.JournalOutOfScope
        target = journal.audience.to
        addressed = None if target is None else trust.enrolled(self._scope.conn, target)
        lane = lanes_for(
            journal.channel, origin.path, peer, own, None if addressed is None else addressed.path
        )
        if lane != self._frame.lane:
            raise errors.LaneMismatch

    def _store(self, head: Head, item: Item) -> None:
        scope, seal = self._scope, item.seal
        assert head.public_key is not None, "admitted journals have a key"
        origin = trust.enrolled(scope.conn, head.journal.node_id)
        assert origin is not None, "admitted journals have an enrolled origin"
        revoking.check_cut(scope.conn, origin, head.journal, seal.end_seq)
        epochs.check_cut(scope.conn, head.journal, seal.end_seq)
        extended = extend(head.state, seal, scope.identity.network, head.public_key)
        if extended.duplicate:
            self._check_duplicate(head, item)
            self._tally.duplicates += len(seal.headers)
            return
        # Every check of the item comes before its first row.
        checked = self._check_parts(head, item)
        self._write(head, item, extended, checked)
        self._tally.records += len(seal.headers)
        self._tally.touched[head.pk] = head

    def _check_duplicate(self, head: Head, item: Item) -> None:
        held = cosigning.checkpoint_of(self._scope.conn, head.pk, item.seal.end_seq)
        # Seals are forwarded as they are, so ends differ only where one is of another history.
        if held != item.seal.checkpoint:
            assert head.public_key is not None, "admitted journals have a key"
            network, suite = self._scope.identity.network, head.state.suite
            root = standing.root_at(self._scope.conn, head.pk, suite, item.seal.end_seq)
            check_held(item.seal, root, network, head.public_key, suite)

    def _check_parts(self, head: Head, item: Item) -> _Checked:
        checked = _Checked(own=[], late={}, early={}, sealed=[], gone=[])
        for run in item.parts:
            if run.journal == head.journal:
                self._check_own(head, item, run, checked)
            else:
                self._check_late(run, checked)
        parked = parts.take_parked(
            self._scope.conn, head.pk, item.seal.first_seq, item.seal.end_seq
        )
        for seq, part in parked:
            ruled = self._judge_parked(head, item, seq, part)
            if ruled is not None:
                checked.late.setdefault(head.pk, []).append(ruled)
        return checked

    def _check_own(self, head: Head, item: Item, run: PartsRun, out: _Checked) -> None:
        seal = item.seal
        reader, is_plain = DigestReader(), True
        for seq, given, sealed, absent in run.records:
            if not seal.first_seq <= seq < seal.end_seq:
                raise errors.PartUnexpected(seq=seq)
            data = seal.headers[seq - seal.first_seq]
            digests = self._digests(head, seq, data, reader)
            if digests is None:
                is_plain = False
                continue
            if sealed or absent:
                is_plain = False
                header = decode_header(data)
                self._check_sealed(head.journal, header, seq, sealed, out)
                out.gone.extend(
                    Gone(seq, gone.name, gone.absence, 0)
                    for gone in absent
                    if header.part(gone.name) is not None
                )
            out.own.extend([_ruled(digests, seq, part) for part in given])
        out.packed.append(run.packed if is_plain else b"")

    def _check_sealed(
        self,
        journal: JournalId,
        header: Header,
        seq: int,
        sealed_parts: Sequence[SealedPart],
        out: _Checked,
    ) -> None:
        """Open what is for this node; what is for another passes on as it came."""
        is_mine = letters.is_for(self._scope.identity.node_id, journal)
        for sealed in sealed_parts:
            letters.check_passing(journal, header, seq, sealed)
            if is_mine:
                part = letters.open_sealed(self._scope, journal, header, seq, sealed)
                out.own.append(_ruled(header.parts, seq, part))
            else:
                out.sealed.append((seq, sealed))

    def _check_late(self, run: PartsRun, out: _Checked) -> None:
        """Check parts that an acceptance releases of another journal."""
        head = self._admit_late(run.journal)
        seqs = [record.seq for record in run.records]
        held = parts.read_parts(self._scope.conn, head.pk, seqs)
        erased = absences.erased(self._scope.conn, head.pk, seqs)
        # What is released together mostly came together.
        found: Segment | None = None
        for record in run.records:
            if record.seq >= head.size:
                out.early.setdefault(head.pk, []).extend((record.seq, p) for p in record.parts)
                continue
            if found is None or not found.first_seq <= record.seq < found.end_seq:
                found = segments.segment_with(self._scope.conn, head.pk, record.seq)
            if found is None:
                raise errors.StoreInconsistent(what="segment")
            header = self._header(head, record.seq, found.headers[record.seq - found.first_seq])
            if header is None:
                continue
            for part in record.parts:
                ruled = _ruled(header.parts, record.seq, part)
                is_held = part.name in held.get(record.seq, {})
                if not is_held and (record.seq, part.name) not in erased:
                    out.late.setdefault(head.pk, []).append(ruled)
        if head.pk in out.early and parts.parked_bytes(self._scope.conn) > MAX_PARKED_BYTES:
            raise errors.TooMuchParked(limit=MAX_PARKED_BYTES)

    def _admit_late(self, journal: JournalId) -> Head:
        origin = trust.enrolled(self._scope.conn, journal.node_id)
        head = self._scope.heads.get(journal)
        if head is None or (
            head.via != self._peer.node_id
            if origin is None
            else not origin.path.is_within(self._peer.path)
        ):
            raise errors.JournalOutOfScope
        return head

    def _judge_parked(self, head: Head, item: Item, seq: int, part: Part) -> RuledPart | None:
        """Return a part that came before its record, or None if it is not that record's."""
        data = item.seal.headers[seq - item.seal.first_seq]
        digests = self._digests(head, seq, data, DigestReader())
        try:
            return None if digests is None else _ruled(digests, seq, part)
        except PeerError as error:
            # The item at hand is not to blame for what an acceptance brought.
            self._scope.raise_problem(
                error.code, {"part": part.name}, journal=head.journal, seq=seq
            )
            return None

    def _header(self, head: Head, seq: int, data: bytes) -> Header | None:
        try:
            return decode_header(data)
        except PeerError as error:
            self._show_malformed(head, seq, error)
            return None

    def _digests(
        self, head: Head, seq: int, data: bytes, reader: DigestReader
    ) -> Sequence[PartDigest] | None:
        try:
            return reader.read(data)
        except PeerError as error:
            self._show_malformed(head, seq, error)
            return None

    def _show_malformed(self, head: Head, seq: int, error: PeerError) -> None:
        # Sealed by its origin, so it is kept as evidence; nobody can read it.
        self._scope.raise_problem(
            RECORD_MALFORMED, {"reason": error.code}, journal=head.journal, seq=seq
        )

    def _write(self, head: Head, item: Item, extended: Extended, checked: _Checked) -> None:
        scope, seal = self._scope, item.seal
        position = scope.place(seal.headers, head.routes)
        segments.write_segment(
            scope.conn, head, seal, extended.tiles, position=position, now_ms=scope.now_ms
        )
        head.state, head.checkpoint, head.is_dirty = extended.state, seal.checkpoint, True
        if head.quarantine_code is not None and is_mended(
            head.size, head.quarantined_to, in_order=not self._frame.backfill
        ):
            head.quarantine_code = head.quarantined_at_seq = head.quarantined_to = None
            scope.clear_problems(JOURNAL_REFUSED, journal=head.journal)
        # Of two runs neither holds all.
        packed = checked.packed[0] if len(checked.packed) == 1 else b""
        if not parts.keep_parts(scope.conn, head.pk, position, checked.own, packed):
            parts.write_parts(scope.conn, head.pk, position, checked.own, late=False)
        for journal_pk, late in checked.late.items():
            late.sort(key=lambda ruled: ruled.seq)
            parts.write_parts(scope.conn, journal_pk, position, late, late=True)
            absences.came_after_all(
                scope.conn, journal_pk, ((ruled.seq, ruled.part.name) for ruled in late)
            )
        letters.write_sealed(scope.conn, head.pk, position, checked.sealed)
        absences.write_absences(scope.conn, head.pk, checked.gone)
        for journal_pk, early in checked.early.items():
            parts.park_parts(scope.conn, journal_pk, early)
        if item.cosignatures:
            cosigning.add_lines(scope, head, head.size, item.cosignatures, peer=self._peer)
        if head.journal.channel in revocation.CHANNELS:
            self._fold_trust(head, item, position, checked.own)

    def _fold_trust(self, head: Head, item: Item, position: int, found: list[RuledPart]) -> None:
        cores = {ruled.seq: ruled.part.body for ruled in found if ruled.part.name == "core"}
        for offset, data in enumerate(item.seal.headers):
            seq = item.seal.first_seq + offset
            header = self._header(head, seq, data)
            if header is None:
                continue
            core = cores.get(seq)
            if head.journal.channel == trust.NODE_CHANNEL:
                trust.fold_foreign(self._scope, head, seq, header, core, position + offset)
            elif header.kind == epoch.KIND:
                trust.fold_epoch_above(self._scope, head.journal, seq, core)
            if header.kind == revocation.KIND:
                revoking.fold_foreign(self._scope, head.journal, seq, core)
            elif header.kind == rootlist.KIND and head.journal.channel == rootlist.CHANNEL:
                rootlists.fold_foreign(self._scope, head.journal, seq, core)
            papering.fold_foreign(self._scope, head.journal, seq, header, core)

    def _quarantine(self, head: Head, item: Item, error: PeerError) -> None:
        if isinstance(error, SealOverlap) and forks.is_shown_by(self._scope, head, item.seal):
            error = SealFork(size=item.seal.end_seq)
        if isinstance(error, SealFork):
            # Two checkpoints of one size prove it to anybody. What is held stays good.
            held = cosigning.checkpoint_of(self._scope.conn, head.pk, item.seal.end_seq)
            self._scope.raise_problem(
                error.code,
                {
                    "size": item.seal.end_seq,
                    "held": (held or head.checkpoint or b"").decode(),
                    "other": item.seal.checkpoint.decode(),
                },
                journal=head.journal,
                seq=item.seal.first_seq,
            )
            self._refuse(head.journal, item.seal.first_seq, error, is_news=True)
            return
        is_news = head.quarantine_code != error.code or head.quarantined_at_seq != head.size
        head.quarantine_code, head.quarantined_at_seq = error.code, head.size
        self._note_refused(head, item)
        self._refuse(head.journal, item.seal.first_seq, error, is_news=is_news)

    def _refuse_undeclared(self, item: Item, error: PeerError) -> None:
        scope, journal = self._scope, item.seal.journal
        head = scope.heads.get(journal)
        if head is not None and head.public_key is not None:
            # Who may not speak for a journal must not be able to stop it either.
            self._refuse(journal, item.seal.first_seq, error, is_news=True)
            return
        if head is None:
            noted = scope.conn.execute(
                select(func.count())
                .select_from(journal_table)
                .where(journal_table.c.public_key.is_(None))
            ).scalar_one()
            if noted >= MAX_UNDECLARED:
                error = errors.TooManyJournals(limit=MAX_UNDECLARED)
                scope.raise_problem(error.code, error.params, peer=self._peer.node_id)
                self._tally.refusals.setdefault(
                    journal, Refusal(journal=journal, seq=item.seal.first_seq, code=error.code)
                )
                return
            head = trust.note_undeclared(scope, journal, self._peer.node_id)
        is_news = head.quarantine_code != error.code
        head.quarantine_code, head.quarantined_at_seq = error.code, head.size
        self._note_refused(head, item)
        self._refuse(journal, item.seal.first_seq, error, is_news=is_news)

    def _note_refused(self, head: Head, item: Item) -> None:
        head.quarantined_to = refused_to(head.quarantined_to, item.seal.end_seq)
        head.is_dirty = True

    def _refuse(self, journal: JournalId, seq: int, error: PeerError, *, is_news: bool) -> None:
        if not is_news and journal not in self._tally.refusals:
            return
        self._scope.raise_problem(
            JOURNAL_REFUSED,
            {"reason": error.code, "via": str(self._peer.path)},
            journal=journal,
            seq=seq,
        )
        self._tally.refusals.setdefault(journal, Refusal(journal=journal, seq=seq, code=error.code))

    def _cosign(self) -> tuple[Receipt, ...]:
        """Cosign what this node answers for at once; return what to tell the peer of it."""
        own = self._scope.identity.path
        from_parent = own.parent == self._peer.path
        made = [
            cosigning.cosign_head(self._scope, head)
            for head in self._tally.touched.values()
            if not head.own and (from_parent or head.journal.node_id == self._peer.node_id)
        ]
        return tuple([receipt for receipt in made if receipt is not None])


def _ruled(digests: Sequence[PartDigest], seq: int, part: Part) -> RuledPart:
    """Return a part with its rule once it is checked against what its header commits to."""
    for digest in digests:
        if digest.name == part.name:
            check_part(digest, part)
            waits = digest.release is Release.WHEN_ACCEPTED
            return RuledPart(seq, part, PartRule(waits, digest.reach))
    raise errors.PartUnexpected(seq=seq)
