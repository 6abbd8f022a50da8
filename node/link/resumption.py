"""How a session resumes: what a peer is told of who holds what, and what it says back."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from yidao.node.link import linkproblems
from yidao.node.link.lookout import Grouped, Lookout
from yidao.node.link.peercheck import Peer as CheckedPeer
from yidao.node.recovery.findings import Neighbour
from yidao.node.recovery.warden import Warden
from yidao.node.store.forlinks import Greeting, Located
from yidao.node.store.standing import Compared, Reminder
from yidao.node.store.store import Store
from yidao.node.store.values import Outcome, Peer
from yidao.sync.effects import Locate
from yidao.sync.message import Held, Holding, LaneCursor

_NOTHING_KNOWN = Greeting(
    cursors=(), holdings=(), wanted=(), held=(), receipts=(), problems=frozenset()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a Resume says.

    Attributes:
        greeting: What the store says.
        lost: Own journals that the peer is asked to give back.
        receipts: Own checkpoints that the peer must know.
    """

    greeting: Greeting = _NOTHING_KNOWN
    lost: tuple[Holding, ...] = ()
    receipts: tuple[Held, ...] = ()


class Resumption:
    """Tells peers what is held here, and the warden what they hold. Lives on the event loop."""

    def __init__(self, store: Store, lookout: Lookout, warden: Warden) -> None:
        self._store = store
        self._lookout = lookout
        self._warden = warden
        self._telling = Grouped(lookout.in_reader, self._tell)
        self._locating = Grouped(lookout.in_reader, store.locate)

    async def told(self, peer: Peer) -> Told:
        """Return what to tell a peer of who holds what."""
        return await self._telling.ask(peer)

    def _tell(self, peers: Sequence[Peer]) -> list[Told]:
        """Find what to tell peers. Called in a reader's thread."""
        found = []
        greetings = self._store.greetings(peers)
        refused = [
            peer.node_id
            for peer, greeting in zip(peers, greetings, strict=True)
            if not greeting.problems.isdisjoint(linkproblems.SESSIONS_OWN)
        ]
        if refused:
            self._store.run(functools.partial(linkproblems.forget_sessions_own, peer_ids=refused))
        for peer, greeting in zip(peers, greetings, strict=True):
            proofs = self._warden.proofs() if greeting.forked else ()
            found.append(
                Told(
                    greeting=greeting,
                    lost=self._warden.wanted(Neighbour(node_id=peer.node_id, path=peer.path)),
                    receipts=(*proofs, *greeting.receipts),
                )
            )
        return found

    async def locate(self, peer: Peer, cursors: tuple[LaneCursor, ...]) -> Located:
        """Judge a peer's cursors in this store."""
        return await self._locating.ask((peer, cursors))

    async def heard(self, peer: CheckedPeer, told: Locate, said: Told) -> str:
        """Judge what a peer holds of this node's journals, and what it reminds us of.

        Args:
            peer: Who speaks.
            told: What it says.
            said: What it was told in this session.

        Returns:
            Why the session must end, empty to go on.
        """
        neighbour = Neighbour(node_id=peer.node_id, path=peer.path)
        compared: tuple[Compared, ...] = ()
        reminders: tuple[Reminder, ...] = ()
        # Most children hold nothing of this node's own yet, or have nothing to remind it of.
        if told.held:
            compared = await self._lookout.in_reader(self._store.compare, told.held)
        if told.receipts:
            reminders = await self._lookout.in_reader(
                self._store.reminded, peer.node_id, told.receipts
            )
        problems = said.greeting.problems
        self._warden.findings.remind(neighbour, said.receipts, told.held, problems)
        return self._warden.compare(neighbour, compared, reminders, said.lost)

    def ingested(self, peer: CheckedPeer, outcome: Outcome) -> None:
        """Look whether what was missing has come; a frame of the peer is durable."""
        self._warden.ingested(Neighbour(node_id=peer.node_id, path=peer.path), outcome.forked)
