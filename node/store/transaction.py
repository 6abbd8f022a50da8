"""What a job may do inside the writer's transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, update

from yidao.node.keys import Identity
from yidao.node.store import (
    cosigning,
    epochs,
    letters,
    linkreads,
    problems,
    rawsql,
    tables,
    trust,
    vouching,
)
from yidao.node.store.appending import Appender
from yidao.node.store.drafting import Prepared
from yidao.node.store.engine import STORE_ID_BYTES
from yidao.node.store.ingesting import Ingest
from yidao.node.store.leading import Leading, News
from yidao.node.store.scope import Scope
from yidao.node.store.values import Draft, Outcome, Peer, Ticket
from yidao.sync.enrolment import Enrolment
from yidao.sync.epoch import Cause, EpochOpened
from yidao.sync.ids import JournalId, Lane, NodeId
from yidao.sync.message import Frame, Receipt
from yidao.sync.revocation import CutLine


class Tx:
    """A job's view of its group's transaction; of no use once the job has returned.

    Attributes:
        after_commit: Called in the writer's thread once the group is durable.
    """

    def __init__(self, scope: Scope, appender: Appender, leading: Leading) -> None:
        self._scope = scope
        self._appender = appender
        self._leading = leading
        self.after_commit: list[Callable[[], None]] = []

    @property
    def conn(self) -> Connection:
        """The writer's connection, in the group's transaction."""
        return self._scope.conn

    @property
    def now_ms(self) -> int:
        """The clock, read once a group."""
        return self._scope.now_ms

    @property
    def identity(self) -> Identity:
        """Who this node is."""
        return self._scope.identity

    def mint(self) -> bytes:
        """Make a record id."""
        return self._scope.mint()

    def append(self, channel: str, drafts: Sequence[Draft]) -> list[Ticket]:
        """Append records to this node's journal of a channel (see `Appender.append`)."""
        return self._appender.append(channel, drafts)

    def append_prepared(self, channel: str, prepared: Sequence[Prepared]) -> list[Ticket]:
        """Append records that were made before (see `drafting.prepare`)."""
        return self._appender.append_prepared(channel, prepared)

    def open_epoch(
        self,
        identity: Identity,
        cause: Cause,
        *,
        actor: str = "",
        cut: Sequence[CutLine] | None = None,
    ) -> EpochOpened:
        """End the epoch in which this node writes, and go on as `identity`.

        From here on every job of this store writes in the new epoch, in journals that are
        declared anew. If this one fails, nothing has happened.

        Args:
            identity: This node with its new epoch and the signers of that; the old
                journal signer is still the store's, and signs too.
            cause: Why.
            actor: Who decided it; "" = the node itself.
            cut: Where the old journals end, if the old epoch cannot be written any more.
                None = where they are now, behind a last record that says so.

        Raises:
            EpochMalformed, EpochUnproven, EpochConflict: It is no epoch that can follow.
        """
        actor = actor or f"node@{identity.path}"
        opened = self._appender.open_epoch(identity, cause, actor=actor, cut=cut)
        vouching.name_epoch(self._scope.conn, identity.epoch)
        return opened

    def vouch(self, doubt: str = "", *, settled: bool = False) -> None:
        """Tell every daemon on this database whether this run of its server is to be believed.

        Args:
            doubt: Why it is not; "" = it is.
            settled: What an earlier doubt was about is mended; without it that stands.
        """
        scope = self._scope
        run = scope.conn.info.get(vouching.RUN)
        before = vouching.read(scope.conn)
        stands = before is not None and before.is_taken_back and not settled
        if run is None or (stands and not doubt):
            return
        vouching.give(scope.conn, vouching.Word(doubt or run, scope.identity.epoch))
        self.tell(vouching.KEY, doubt)
        self.after_commit.append(lambda: scope.fence.follow(vouching.UNVOUCHED if doubt else ""))

    def begin_life(self, life: bytes) -> None:
        """Write down which process speaks for this store from here on."""
        meta = tables.meta
        self._scope.conn.execute(meta.update().where(meta.c.key == tables.LIFE).values(value=life))

    def tell(self, kind: str, text: str) -> None:
        """Tell the other daemons on this database, once this is committed (see `News`)."""
        if telling := self._leading.telling(News(kind, text)):
            rawsql.run(self._scope.conn, telling)

    def pass_fence(self) -> None:
        """Let this transaction append behind the fence: it opens the epoch that ends it.

        It follows the newest epoch that is known here, which may have come back from a
        neighbour and be newer than the one in which this process began.
        """
        scope = self._scope
        own = trust.enrolled(scope.conn, scope.identity.node_id)
        assert own is not None, "bind() wrote the node's own enrolment"
        scope.opening = True
        scope.identity = replace(scope.identity, epoch=epochs.live_of(scope.conn, own).epoch)

    def begin_line(self) -> None:
        """Give this store's line of positions another name, so that no cursor in it counts.

        For a store that was set back, together with the epoch that follows: it may have
        given positions that neighbours and clients know to other records.
        """
        scope = self._scope
        renamed = update(tables.meta).where(tables.meta.c.key == "store_id")
        scope.conn.execute(renamed.values(value=scope.random(STORE_ID_BYTES)))

    def own_cut(self) -> tuple[CutLine, ...]:
        """Return where this node's journals of the epoch in which it writes end here."""
        own = self._scope.identity
        return epochs.held_cut(self._scope.conn, own.node_id, own.epoch)

    def ingest(self, peer: Peer, frame: Frame) -> Outcome:
        """Verify and store what a peer sent (see `ingesting`)."""
        return Ingest(self._scope, peer, frame).run()

    def add_receipt(self, peer: Peer, receipt: Receipt) -> bool:
        """Store the cosignatures of a receipt; a bad one is a problem and is dropped.

        Returns:
            Whether the peer's own is one of them.
        """
        return cosigning.add_receipt(self._scope, peer, receipt)

    def cosign(self, journal_pk: int) -> None:
        """Cosign a foreign journal's newest checkpoint."""
        head = self._scope.heads.by_pk(journal_pk)
        if head is not None and not head.own:
            cosigning.cosign_head(self._scope, head)
            cosigning.note_cosigned(self._scope, head)

    def cosign_due(self, interval_seconds: int) -> int:
        """Cosign deeper journals that the tier below has cosigned; return how many."""
        return cosigning.cosign_due(self._scope, interval_seconds)

    def shed_letters(self) -> int:
        """Drop letters to others that have arrived long ago (see `letters.shed`)."""
        return letters.shed(self._scope)

    def peer_acked(self, peer: Peer, lane: Lane, position: int) -> None:
        """Note up to where a peer holds our records durably."""
        self.note_acks({peer.node_id: {lane: position}})

    def note_acks(self, acked: Mapping[NodeId, Mapping[int, int]]) -> None:
        """Note the same for many peers at once, by peer and lane."""
        linkreads.note_acks(self._scope.conn, acked)

    def learn(self, enrolment: Enrolment, parent_id: NodeId) -> None:
        """Write an enrolment down that a verified chain proved.

        Raises:
            EnrolmentConflict, EpochConflict: It contradicts what is known.
        """
        trust.learn(self._scope.conn, enrolment, parent_id)
        for opened in enrolment.changes:
            epochs.stop_journals(self._scope, opened)
        trust.declare_noted(self._scope, enrolment.node_id)

    def raise_problem(
        self,
        code: str,
        *,
        journal: JournalId | None = None,
        seq: int | None = None,
        peer: NodeId | None = None,
        **params: str | int,
    ) -> None:
        """Write a problem down for a person, or count it once more."""
        self._scope.raise_problem(code, params, journal=journal, seq=seq, peer=peer)

    def settle(self, codes: Sequence[str]) -> int:
        """Call every open problem of those codes settled, and return how many there were."""
        return problems.settle(self._scope.conn, self._scope.now_ms, codes)

    def clear_code(self, code: str, peer: NodeId) -> None:
        """Call every open problem of that code with that peer mended, of whatever journal."""
        problems.clear_code(self._scope.conn, self._scope.now_ms, code, peer)

    def clear_problems(
        self, code: str, *, journal: JournalId | None = None, peer: NodeId | None = None
    ) -> None:
        """Call every open problem of that code about that journal and peer mended."""
        self._scope.clear_problems(code, journal=journal, peer=peer)
