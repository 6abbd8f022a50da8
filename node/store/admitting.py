"""Which journals a peer may bring: declared ones, from where their origin stands, in their lane."""

from yidao.node.store import epochs, errors, trust
from yidao.node.store.journals import Head
from yidao.node.store.scope import Scope
from yidao.node.store.values import EnrolledNode, Peer
from yidao.sync import epoch
from yidao.sync.ids import JournalId, Lane
from yidao.sync.message import Item
from yidao.sync.record import check_part, decode_header
from yidao.sync.routing import lanes_for


class Admission:
    """Admits what a peer sends in one lane, journal by journal."""

    def __init__(self, scope: Scope, peer: Peer, lane: Lane) -> None:
        self._scope = scope
        self._peer = peer
        self._lane = lane

    def admit(self, item: Item) -> Head:
        """Return the head of a journal that may come by this peer in this lane.

        Raises:
            JournalUndeclared, JournalOutOfScope, LaneMismatch: It may not.
            PeerError: The record that opens its epoch is wrong.
        """
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
                self.open_epoch(item, origin)
            head = trust.declare(scope, journal, origin)
        if head.via != self._peer.node_id:
            head.via, head.is_dirty = self._peer.node_id, True
        return head

    def open_epoch(self, item: Item, origin: EnrolledNode) -> None:
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
        if lane != self._lane:
            raise errors.LaneMismatch

    def admit_late(self, journal: JournalId) -> Head:
        """Return the head of a journal of which this peer may bring parts that were held back.

        Raises:
            JournalOutOfScope: It is not this peer's, or nothing of it is here.
        """
        origin = trust.enrolled(self._scope.conn, journal.node_id)
        head = self._scope.heads.get(journal)
        if head is None or (
            head.via != self._peer.node_id
            if origin is None
            else not origin.path.is_within(self._peer.path)
        ):
            raise errors.JournalOutOfScope
        return head
