"""What links ask of a store: what goes to a peer, and where both sides stand."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import select

from yidao.node.store import (
    cosigning,
    lanecursors,
    standing,
    tables,
)
from yidao.node.store.lanes import LaneReader
from yidao.node.store.reading import StoreReads
from yidao.node.store.values import (
    Fault,
    Peer,
)
from yidao.sync.ids import JournalId, Lane, NodeId
from yidao.sync.message import Held, Holding, Item, LaneCursor, Receipt
from yidao.sync.routing import lane_of


class StoreForLinks(StoreReads):
    """The half of a store that links read."""

    _random: Callable[[int], bytes]

    @abstractmethod
    def _note_faults(self, faults: Sequence[Fault]) -> None:
        """Write faults down as problems, durably before the caller goes on."""

    def read_lane(
        self, peer: Peer, lane: Lane, after: int, up_to: int, max_bytes: int
    ) -> tuple[tuple[Item, ...], int]:
        """Return items of a lane for a peer, and how far it is scanned (see `LaneReader`)."""
        with self.read() as conn:
            reader = LaneReader(conn, self.identity, peer, self._random)
            found = reader.lane(lane, after, up_to, max_bytes)
        self._note_faults(reader.faults)
        return found

    def read_backfill(
        self, peer: Peer, journal: JournalId, from_seq: int, up_to: int, max_bytes: int
    ) -> tuple[Item, ...]:
        """Return items of one journal that a peer wants again, from a record on."""
        lane = lane_of(journal.channel)
        with self.read() as conn:
            pk = conn.execute(
                select(tables.journal.c.id).where(
                    tables.journal.c.node_id == journal.node_id,
                    tables.journal.c.channel == journal.channel,
                    tables.journal.c.epoch == journal.epoch,
                )
            ).scalar_one_or_none()
            if pk is None or lane is None:
                return ()
            reader = LaneReader(conn, self.identity, peer, self._random)
            if journal.node_id == peer.node_id:
                items = reader.returned(lane, pk, from_seq, max_bytes)
            else:
                items = reader.backfill(lane, pk, from_seq, up_to, max_bytes)
        self._note_faults(reader.faults)
        return items

    def cursors(self, peer: Peer) -> tuple[LaneCursor, ...]:
        """Return where we stand in the peer's store; empty for a store new to us."""
        with self.read() as conn:
            found = (lanecursors.read_cursor(conn, peer, lane) for lane in Lane)
            return tuple(cursor for cursor in found if cursor is not None)

    def store_id_of(self, node_id: NodeId) -> bytes | None:
        """Return the store of a peer that our cursors are of; None if nothing came from it."""
        with self.read() as conn:
            return lanecursors.read_store_id(conn, node_id)

    def cursor_is_ours(self, cursor: LaneCursor) -> bool:
        """Whether a peer's cursor fits this store."""
        with self.read() as conn:
            return cursor.position == 0 or lanecursors.is_ours(conn, cursor)

    def holdings(self, peer: Peer) -> tuple[Holding, ...]:
        """Return what is held of the journals that come by this peer."""
        with self.read() as conn:
            return lanecursors.read_holdings(conn, peer)

    def wanted(self, peer: Peer) -> tuple[Holding, ...]:
        """Return the journals that this peer should send again, and from where."""
        with self.read() as conn:
            return lanecursors.read_wanted(conn, peer)

    def told(self, peer: Peer) -> tuple[tuple[Held, ...], tuple[Held, ...]]:
        """Return what to tell a peer: what we hold of its journals, and its receipts for ours."""
        with self.read() as conn:
            return standing.held_of(conn, peer), standing.receipts_of(conn, peer.node_id)

    def compare(self, told: Sequence[Held]) -> tuple[standing.Compared, ...]:
        """Judge what a peer holds of our journals (see `standing.compare`)."""
        with self.read() as conn:
            return standing.compare(conn, self.identity, told)

    def reminded(self, peer_id: NodeId, told: Sequence[Held]) -> tuple[standing.Reminder, ...]:
        """Judge what a peer says that we have cosigned (see `standing.reminded`)."""
        with self.read() as conn:
            return standing.reminded(conn, self.identity, peer_id, told)

    def acknowledged(self, node_id: NodeId) -> Mapping[Lane, int]:
        """Return up to where a peer said that it holds our records durably."""
        with self.read() as conn:
            return lanecursors.read_acks(conn, node_id)

    def receipts(
        self, peer: Peer, after: int = 0, limit: int = 256
    ) -> tuple[tuple[Receipt, ...], int]:
        """Return receipts for a peer since a mark, and the next mark."""
        with self.read() as conn:
            return cosigning.receipts_for(
                conn, self.identity.path, self.identity.node_id, peer, after, limit
            )
