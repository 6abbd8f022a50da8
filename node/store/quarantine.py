"""Refusing what a peer sent, journal by journal, until as much as was refused is held again.

A journal is quarantined alone: the sender is told, a person sees a problem, the other
journals go on. It is whole again once as much of it is held as was refused
(`yidao.sync.mending`).
"""

from typing import Final

from sqlalchemy import func, select

from yidao.node.store import cosigning, errors, forks, trust
from yidao.node.store.journals import Head
from yidao.node.store.scope import Scope
from yidao.node.store.tables import journal as journal_table
from yidao.node.store.values import Peer
from yidao.sync.errors import PeerError, SealFork, SealOverlap
from yidao.sync.ids import JournalId
from yidao.sync.mending import is_mended, refused_to
from yidao.sync.message import Item, Refusal

# Notes of journals that nothing declares are kept so that they can be asked for
# once something does. A peer must not fill the store with them.
MAX_UNDECLARED: Final = 4_096
JOURNAL_REFUSED: Final = "JOURNAL_REFUSED"


class Quarantine:
    """What is refused of one frame.

    Attributes:
        refused_items: How many items were found to be wrong.
        refusals: What the peer is told, by journal.
    """

    def __init__(self, scope: Scope, peer: Peer) -> None:
        self._scope = scope
        self._peer = peer
        self.refused_items = 0
        self.refusals: dict[JournalId, Refusal] = {}

    def refuse(self, item: Item, error: PeerError) -> None:
        """Refuse an item of a journal that goes on as it is."""
        self.refused_items += 1
        self._refuse(item.seal.journal, item.seal.first_seq, error, is_news=True)

    def set_apart(self, head: Head, item: Item, error: PeerError) -> None:
        """Refuse an item of an admitted journal, and quarantine that unless it is forked."""
        self.refused_items += 1
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
        self.note_refused(head, item)
        self._refuse(head.journal, item.seal.first_seq, error, is_news=is_news)

    def refuse_unadmitted(self, item: Item, error: PeerError) -> None:
        """Refuse an item of a journal that may not come so; note it if nothing declares it."""
        self.refused_items += 1
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
                self.refusals.setdefault(
                    journal, Refusal(journal=journal, seq=item.seal.first_seq, code=error.code)
                )
                return
            head = trust.note_undeclared(scope, journal, self._peer.node_id)
        is_news = head.quarantine_code != error.code
        head.quarantine_code, head.quarantined_at_seq = error.code, head.size
        self.note_refused(head, item)
        self._refuse(journal, item.seal.first_seq, error, is_news=is_news)

    def note_refused(self, head: Head, item: Item) -> None:
        """Note how far what was refused of a journal reaches, to be asked for again."""
        head.quarantined_to = refused_to(head.quarantined_to, item.seal.end_seq)
        head.is_dirty = True

    def mend(self, head: Head, *, in_order: bool) -> None:
        """End the quarantine of a journal that has grown, if as much is held as was refused.

        Args:
            head: As it is now.
            in_order: It grew by what the lane brought, not by what was asked for again.
        """
        if head.quarantine_code is not None and is_mended(
            head.size, head.quarantined_to, in_order=in_order
        ):
            head.quarantine_code = head.quarantined_at_seq = head.quarantined_to = None
            self._scope.clear_problems(JOURNAL_REFUSED, journal=head.journal)

    def _refuse(self, journal: JournalId, seq: int, error: PeerError, *, is_news: bool) -> None:
        if not is_news and journal not in self.refusals:
            return
        self._scope.raise_problem(
            JOURNAL_REFUSED,
            {"reason": error.code, "via": str(self._peer.path)},
            journal=journal,
            seq=seq,
        )
        self.refusals.setdefault(journal, Refusal(journal=journal, seq=seq, code=error.code))
