"""Problems with a peer of a link, written down for a person."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import update

from yidao.node.link.errors import LinkNodeAside
from yidao.node.link.peercheck import Peer
from yidao.node.logging import get_logger
from yidao.node.recovery.findings import CLONED as NODE_CLONED
from yidao.node.store import aside, tables
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.ids import NodeId, Path
from yidao.sync.lives import Heard
from yidao.sync.message import Refusal

LINK_REFUSED: Final = "LINK_REFUSED"
REVOKED_BY_PARENT: Final = "REVOKED_BY_PARENT"
OVER_QUOTA: Final = "CHILD_OVER_QUOTA"
# What is still wrong, the peer says again in the next session.
SESSIONS_OWN: Final = (LINK_REFUSED, REVOKED_BY_PARENT)

log = get_logger()


def note_refused(store: Store, peer: Peer, refusal: Refusal) -> None:
    """Make a refusal visible: the other side found what this node sent to be wrong."""
    log.error(
        "link.journal.refused",
        peer=str(peer.path),
        journal=str(refusal.journal),
        seq=refusal.seq,
        code=refusal.code,
    )
    store.submit(
        lambda tx: tx.raise_problem(
            LINK_REFUSED,
            journal=refusal.journal,
            seq=refusal.seq,
            peer=peer.node_id,
            reason=refusal.code,
        )
    )


def note_over_quota(store: Store, child: Peer) -> None:
    """Show whose session was ended for what it sent."""
    log.warning("link.child.over_quota", peer=str(child.path))
    store.submit(lambda tx: tx.raise_problem(OVER_QUOTA, peer=child.node_id, path=str(child.path)))


def note_revoked(store: Store, own: Path, parent: Peer) -> None:
    """Show that the parent took this node's authority away: no other dial will go better."""
    store.submit(
        lambda tx: tx.raise_problem(
            REVOKED_BY_PARENT, peer=parent.node_id, path=str(own), parent=str(parent.path)
        )
    )


def note_clone(store: Store, child: Peer, heard: Heard) -> None:
    """Show that two processes speak as one child; put it aside where neither gives way."""
    log.error("link.peer.cloned", peer=str(child.path), heard=heard.value)

    def note(tx: Tx) -> None:
        path = str(child.path)
        tx.raise_problem(NODE_CLONED, peer=child.node_id, side="parent", node=path)
        if heard is Heard.FLAPPING:
            aside.put(tx.conn, child.node_id)
            tx.raise_problem(LinkNodeAside.code, peer=child.node_id, path=path)

    store.submit(note)


def forget_sessions_own(tx: Tx, peer_ids: Sequence[NodeId]) -> None:
    """Close what peers refused in earlier sessions: what is still wrong, they refuse again."""
    problem = tables.problem
    tx.conn.execute(
        update(problem)
        .where(
            problem.c.code.in_(SESSIONS_OWN),
            problem.c.peer.in_(peer_ids),
            problem.c.cleared_ms.is_(None),
        )
        .values(cleared_ms=tx.now_ms)
    )
