"""What people see of a set-back, a fork or a clone: problems with the notes that prove them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from yidao.node.logging import get_logger
from yidao.node.store.problems import NODE_FORKED
from yidao.node.store.standing import Compared, Reminder
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.checkpoint import parse_checkpoint
from yidao.sync.fencing import Verdict
from yidao.sync.ids import JournalId, NodeId, Path
from yidao.sync.message import MAX_HELD, Held

ROLLED_BACK: Final = "STATE_ROLLED_BACK"
RESTORED: Final = "STORE_RESTORED"
FORKED: Final = NODE_FORKED
CLONED: Final = "NODE_CLONED"
UNWITNESSED: Final = "EPOCH_UNWITNESSED"
PEER_ROLLED_BACK: Final = "PEER_ROLLED_BACK"
PEER_FORKED: Final = "SEAL_FORK"
DOUBTFUL: Final = "START_DOUBTFUL"

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Who speaks: our parent or a child."""

    node_id: NodeId
    path: Path


class Findings:
    """Writes down what was found, for the operator and for the tiers above."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def show(
        self, peer: Neighbour, compared: tuple[Compared, ...], reminders: tuple[Reminder, ...]
    ) -> None:
        """Show what a neighbour holds that is not here, or contradicts what is."""
        for each in compared:
            if each.verdict is Verdict.BEHIND:
                self.note(
                    ROLLED_BACK,
                    journal=each.journal,
                    here=each.size,
                    there=each.held_size,
                    neighbour=str(peer.path),
                    held=each.own.decode(),
                    other=each.held.decode(),
                )
            elif each.verdict is Verdict.DIVERGED:
                self.show_own_fork(peer, each.journal, each.own, each.held)
        for reminder in reminders:
            if reminder.forked:
                self.note(
                    PEER_FORKED,
                    journal=reminder.journal,
                    peer=peer.node_id,
                    size=reminder.size,
                    held=reminder.held.decode(),
                    other=reminder.receipt.decode(),
                )
            else:
                self.note(
                    ROLLED_BACK,
                    journal=reminder.journal,
                    here=reminder.held_size,
                    there=reminder.size,
                    neighbour=str(peer.path),
                    held=reminder.held.decode(),
                    other=reminder.receipt.decode(),
                )

    def show_own_fork(self, peer: Neighbour, journal: JournalId, held: bytes, other: bytes) -> None:
        """Show two histories of one journal of this node, both signed with its key."""
        self.note(
            FORKED,
            journal=journal,
            neighbour=str(peer.path),
            held=held.decode(),
            other=other.decode(),
        )

    def note(
        self,
        code: str,
        *,
        journal: JournalId | None = None,
        peer: NodeId | None = None,
        **params: str | int,
    ) -> None:
        """Raise a problem, soon; nobody waits for it."""

        def show(tx: Tx) -> None:
            tx.raise_problem(code, journal=journal, seq=None, peer=peer, **params)

        log.warning("node.incident.noted", code=code)
        self._store.submit(show)

    def remind(
        self,
        peer: Neighbour,
        receipts: Iterable[Held],
        held: Iterable[Held],
        noted: Collection[str],
    ) -> None:
        """Notice that a neighbour holds less than it has cosigned: it was rolled back.

        Args:
            peer: Who it is.
            receipts: What it has cosigned.
            held: What it says that it holds.
            noted: Codes of the open problems with it.
        """
        held = tuple(held)
        sizes = {each.journal: parse_checkpoint(each.checkpoint).size for each in held}
        rolled_back = False
        for each in receipts:
            size = parse_checkpoint(each.checkpoint).size
            # A full list may have left this one out.
            if not each.cosignature or len(held) >= MAX_HELD:
                continue
            if sizes.get(each.journal, 0) < size:
                rolled_back = True
                self.note(
                    PEER_ROLLED_BACK,
                    journal=each.journal,
                    peer=peer.node_id,
                    here=size,
                    there=sizes.get(each.journal, 0),
                    neighbour=str(peer.path),
                    held=f"{each.checkpoint.decode()}{each.cosignature}\n",
                )
        if not rolled_back and PEER_ROLLED_BACK in noted:
            self._store.submit(lambda tx: tx.clear_code(PEER_ROLLED_BACK, peer.node_id))
