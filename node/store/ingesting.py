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

from yidao.node.store import (
    absences,
    cosigning,
    epochs,
    errors,
    forks,
    lanecursors,
    letters,
    parts,
    record_ids,
    revoking,
    segments,
    standing,
    trust,
    trustrecords,
)
from yidao.node.store.admitting import Admission
from yidao.node.store.journals import Head
from yidao.node.store.partchecks import Checked, PartChecks
from yidao.node.store.quarantine import Quarantine
from yidao.node.store.scope import Scope
from yidao.node.store.values import Fork, Outcome, Peer
from yidao.sync import revocation
from yidao.sync.errors import PeerError
from yidao.sync.inbound import advance
from yidao.sync.journal import Extended, check_held, extend
from yidao.sync.message import Frame, Item, Receipt


class Ingest:
    """Ingests one frame of a peer."""

    def __init__(self, scope: Scope, peer: Peer, frame: Frame) -> None:
        self._scope = scope
        self._peer = peer
        self._frame = frame
        self._admission = Admission(scope, peer, frame.lane)
        self._part_checks = PartChecks(scope, self._admission)
        self._quarantine = Quarantine(scope, peer)
        self._records = self._duplicates = 0
        self._touched: dict[int, Head] = {}
        self._forked: list[Fork] = []

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
            records=self._records,
            duplicates=self._duplicates,
            refusals=tuple(self._quarantine.refusals.values()),
            refused_items=self._quarantine.refused_items,
            last_position=scope.last_position,
            forked=tuple(self._forked),
            receipts=receipts,
        )

    def _item(self, item: Item) -> None:
        if item.seal.journal.node_id == self._scope.identity.node_id:
            self._take_back(item)
            return
        try:
            head = self._admission.admit(item)
        except PeerError as error:
            self._quarantine.refuse_unadmitted(item, error)
            return
        if head.quarantine_code is not None and item.seal.first_seq > head.size:
            # What follows a refused seal cannot be judged; it is asked for again.
            self._quarantine.note_refused(head, item)
            return
        try:
            self._store(head, item)
        except PeerError as error:
            self._quarantine.set_apart(head, item, error)

    def _take_back(self, item: Item) -> None:
        """Take an own record back that was lost here: verified like anybody's, kept as it was."""
        scope, journal = self._scope, item.seal.journal
        is_closed = journal.epoch != scope.identity.epoch or scope.fence.reason
        if not self._frame.backfill or not is_closed:
            # Nobody asked for it, or what waits for its seal would get another place.
            self._quarantine.refuse(item, errors.JournalOutOfScope())
            return
        own = trust.enrolled(scope.conn, scope.identity.node_id)
        assert own is not None, "bind() wrote the node's own enrolment"
        head = scope.heads.get(journal)
        try:
            if epochs.key_of(scope.conn, own, journal.epoch) is None:
                # An epoch that was opened, and forgotten with the rest.
                self._admission.open_epoch(item, own)
            head = trust.declare(scope, journal, own)
            before = head.size
            self._store(head, item)
            if head.size > before:
                record_ids.note(scope, head, item)
        except PeerError as error:
            if head is not None and forks.is_signed(scope, head, item.seal):
                self._forked.append(forks.of_own(head, item.seal))
            else:
                self._quarantine.refuse(item, error)

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
            self._duplicates += len(seal.headers)
            return
        # Every check of the item comes before its first row.
        checked = self._part_checks.check(head, item)
        self._write(head, item, extended, checked)
        self._records += len(seal.headers)
        self._touched[head.pk] = head

    def _check_duplicate(self, head: Head, item: Item) -> None:
        held = cosigning.checkpoint_of(self._scope.conn, head.pk, item.seal.end_seq)
        # Seals are forwarded as they are, so ends differ only where one is of another history.
        if held != item.seal.checkpoint:
            assert head.public_key is not None, "admitted journals have a key"
            network, suite = self._scope.identity.network, head.state.suite
            root = standing.root_at(self._scope.conn, head.pk, suite, item.seal.end_seq)
            check_held(item.seal, root, network, head.public_key, suite)

    def _write(self, head: Head, item: Item, extended: Extended, checked: Checked) -> None:
        scope, seal = self._scope, item.seal
        position = scope.place(seal.headers, head.routes)
        segments.write_segment(
            scope.conn, head, seal, extended.tiles, position=position, now_ms=scope.now_ms
        )
        head.state, head.checkpoint, head.is_dirty = extended.state, seal.checkpoint, True
        self._quarantine.mend(head, in_order=not self._frame.backfill)
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
            trustrecords.fold_foreign(scope, head, seal, position, checked.own)

    def _cosign(self) -> tuple[Receipt, ...]:
        """Cosign what this node answers for at once; return what to tell the peer of it."""
        own = self._scope.identity.path
        from_parent = own.parent == self._peer.path
        made = [
            cosigning.cosign_head(self._scope, head)
            for head in self._touched.values()
            if not head.own and (from_parent or head.journal.node_id == self._peer.node_id)
        ]
        return tuple([receipt for receipt in made if receipt is not None])
