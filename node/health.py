"""What a node knows of its own health: its peers, their lag, its receipts."""

from collections.abc import Callable

from cryptography import x509
from sqlalchemy import func, select

from yidao.node.api.healthport import PeerView, Standing
from yidao.node.config import Settings
from yidao.node.keys import Identity
from yidao.node.link.hub import Hub
from yidao.node.store import tables
from yidao.node.store.store import Store
from yidao.node.store.values import EnrolledNode
from yidao.sync.ids import Lane, NodeId, Path


class Health:
    """Answers `status`. Reads only."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        hub: Hub,
        settings: Settings,
        certificate: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._identity = identity
        self._hub = hub
        self._settings = settings
        self._certificate = certificate

    def standing(self) -> Standing:
        """What the node is called, how long its certificate holds, why its line is down."""
        leaf = x509.load_pem_x509_certificate(self._certificate())
        return Standing(
            office_name=self._settings.office_name,
            test_network=self._settings.test_network,
            certificate_until_ms=int(leaf.not_valid_after_utc.timestamp() * 1000),
            parent_error=self._hub.dial_error,
        )

    def peers(self) -> list[PeerView]:
        """The parent first, then every child, in the order of their paths."""
        own = self._identity.path
        known = self._store.enrolments()
        standing = {node.path for node in known}
        # Who was revoked is shown until another node stands there.
        gone = [node for node in self._store.revoked() if node.path not in standing]
        near = [n for n in (*known, *gone) if n.path == own.parent or n.path.parent == own]
        near.sort(key=lambda n: (n.path.depth, str(n.path)))
        return [self._view(n) for n in near if n.node_id != self._identity.node_id]

    def receipts(self) -> tuple[int, int]:
        """Own travelling journals whose newest checkpoint the parent has cosigned, and how many."""
        parent = self._parent_id()
        if parent is None:
            return 0, 0
        journal, line = tables.journal, tables.cosignature
        with self._store.read() as connection:
            expected = select(journal.c.id, journal.c.size).where(
                journal.c.own, journal.c.up_lane.is_not(None), journal.c.size > 0
            )
            own = connection.execute(expected).all()
            held = connection.execute(
                select(line.c.journal_id, func.max(line.c.size))
                .where(line.c.cosigner == parent)
                .group_by(line.c.journal_id)
            ).all()
        sizes = {row[0]: row[1] for row in held}
        return sum(sizes.get(pk) == size for pk, size in own), len(own)

    def _view(self, node: EnrolledNode) -> PeerView:
        node_id, path = node.node_id, node.path
        is_parent = path == self._identity.path.parent
        driver = self._hub.driver_of(node_id)
        last_seen_ms = self._hub.last_seen_ms(node_id)
        if node.revoked and not is_parent:
            state = "revoked"
        elif driver is not None:
            state = "connected" if driver.progress.flowing else "connecting"
        else:
            state = "lost" if last_seen_ms else "never"
        return PeerView(
            node_id=node_id,
            path=str(path),
            role="parent" if is_parent else "child",
            state=state,
            lag=0 if state == "revoked" else self._lag(node_id, path, upward=is_parent),
            last_seen_ms=last_seen_ms,
            next_retry_ms=self._hub.next_dial_ms if is_parent and driver is None else 0,
        )

    def _lag(self, node_id: NodeId, path: Path, *, upward: bool) -> int:
        """Records that lie after the peer's acknowledged position, lane by lane."""
        driver = self._hub.driver_of(node_id)
        segment, ack = tables.segment, tables.peer_ack
        column = segment.c.up_lane if upward else segment.c.down_lane
        waiting = 0
        with self._store.read() as connection:
            noted = dict(
                connection.execute(
                    select(ack.c.lane, ack.c.position).where(ack.c.peer_node_id == node_id)
                ).all()
            )
            for lane in Lane:
                live = driver.progress.acked.get(int(lane), 0) if driver else 0
                after = max(noted.get(int(lane), 0), live)
                rows = select(func.coalesce(func.sum(segment.c.record_count), 0)).where(
                    column == int(lane), segment.c.position > after
                )
                if not upward:
                    target = segment.c.down_target
                    rows = rows.where(
                        target.is_(None)
                        | (target == str(path))
                        | target.startswith(f"{path}/", autoescape=True)
                    )
                waiting += connection.execute(rows).scalar_one()
        return waiting

    def _parent_id(self) -> NodeId | None:
        parent = self._identity.path.parent
        if self._identity.path.depth == 0 or parent is None:
            return None
        node = self._store.enrolled_at(parent)
        return node.node_id if node else None
