"""What links ask of a store: what goes to a peer, and where both sides stand."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from yidao.node.store import (
    cosigning,
    lanecursors,
    linkreads,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What to say to a peer at the start of a session.

    Attributes:
        cursors: Where we stand in its store.
        holdings: What is held of the journals that come by it; only without cursors.
        wanted: What it should send again, and from where.
        held: The newest checkpoints that are held of its own journals.
        receipts: Our newest checkpoints that it has cosigned.
        problems: Codes of the open problems with it.
        forked: A journal of this node is forked, which every neighbour must learn.
    """

    cursors: tuple[LaneCursor, ...]
    holdings: tuple[Holding, ...]
    wanted: tuple[Holding, ...]
    held: tuple[Held, ...]
    receipts: tuple[Held, ...]
    problems: frozenset[str]
    forked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where a peer stands in this store.

    Attributes:
        right: Its cursors that fit.
        heads: For each lane the last position that could go to it, 0 if there is none
            after its cursor.
        position: How far the store was looked at.
        receipts: There may be cosignatures for it.
    """

    right: tuple[LaneCursor, ...]
    heads: Mapping[Lane, int]
    position: int
    receipts: bool


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
            return linkreads.cursors_in(conn, peer.node_id, peer.store_id)

    def store_id_of(self, node_id: NodeId) -> bytes | None:
        """Return the store of a peer that our cursors are of; None if nothing came from it."""
        with self.read() as conn:
            return lanecursors.read_store_id(conn, node_id)

    def cursor_is_ours(self, cursor: LaneCursor) -> bool:
        """Whether a peer's cursor fits this store."""
        with self.read() as conn:
            return linkreads.is_ours(conn, cursor)

    def standing_of(self, node_id: NodeId) -> linkreads.ChildStanding | None:
        """Return how a node stands that may dial this one, or None if it is not enrolled."""
        with self.read() as conn:
            return linkreads.standing_of(conn, node_id)

    def children(self) -> dict[NodeId, linkreads.ChildStanding]:
        """Return how every child of this node stands."""
        with self.read() as conn:
            return linkreads.children_of(conn, self.identity.node_id)

    def greetings(self, peers: Sequence[Peer]) -> list[Greeting]:
        """Return what to say to peers at the start of a session, in their order."""
        with self.read() as conn:
            known = linkreads.Known.of(conn, [peer.node_id for peer in peers])
            return [self._greeting(conn, peer, known) for peer in peers]

    def _greeting(self, conn: Connection, peer: Peer, known: linkreads.Known) -> Greeting:
        node_id = peer.node_id
        cursors = known.cursors_in(node_id, peer.store_id)
        return Greeting(
            cursors=cursors,
            holdings=lanecursors.read_holdings(conn, peer)
            if not cursors and node_id in known.carriers
            else (),
            wanted=lanecursors.read_wanted(conn, peer) if node_id in known.refused else (),
            held=standing.held_of(conn, peer) if node_id in known.writers else (),
            receipts=standing.receipts_of(conn, node_id) if node_id in known.cosigners else (),
            problems=known.problems.get(node_id, frozenset()),
            forked=known.forked,
        )

    def locate(self, asked: Sequence[tuple[Peer, tuple[LaneCursor, ...]]]) -> list[Located]:
        """Judge peers' cursors in this store, and look what lies after them for each."""
        with self.read() as conn:
            look = linkreads.Locating(conn)
            return [self._located(look, peer, cursors) for peer, cursors in asked]

    def _located(
        self, look: linkreads.Locating, peer: Peer, cursors: tuple[LaneCursor, ...]
    ) -> Located:
        right = tuple(cursor for cursor in cursors if look.is_ours(cursor))
        after = {cursor.lane: cursor.position for cursor in right}
        upward = self.identity.path.parent == peer.path
        heads = {
            lane: look.head_up(lane, after.get(lane, 0))
            if upward
            else look.head_down(lane, after.get(lane, 0), peer.path)
            for lane in Lane
        }
        receipts = upward or any(each.is_within(peer.path) for each in look.cosigned)
        return Located(right=right, heads=heads, position=look.position, receipts=receipts)

    def seen(self) -> linkreads.Seen:
        """Return how far the store is now."""
        with self.read() as conn:
            return linkreads.seen_now(conn)

    def arrivals(self, before: linkreads.Seen) -> linkreads.Arrivals:
        """Return where to goes what came into the store since a look."""
        with self.read() as conn:
            return linkreads.arrivals_since(conn, before)

    def is_for_all(self, lane: Lane, after: int, up_to: int) -> bool:
        """Whether what a lane brings between two positions is the same for every child."""
        with self.read() as conn:
            return linkreads.is_for_all(conn, lane, after, up_to)

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
