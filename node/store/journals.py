"""Journal heads inside one transaction: how far each is held, and where it goes from here."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from yidao.node.store.prepared import Prepared
from yidao.node.store.tables import journal as table
from yidao.sync.ids import Audience, JournalId, Lane, NodeId, Path
from yidao.sync.journal import JournalState
from yidao.sync.merkle import EMPTY_FRONTIER, Frontier
from yidao.sync.routing import lanes_for
from yidao.sync.suite import ED25519_SHA256


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """In which lanes a journal leaves this node.

    Attributes:
        down_target: The journal goes only to children on the way to this path.
    """

    up_lane: Lane | None = None
    down_lane: Lane | None = None
    down_target: str | None = None


NOWHERE = Routes()

_BY_NAME: Final = Prepared(
    select(table)
    .where(
        table.c.node_id == bindparam("of"),
        table.c.channel == bindparam("named"),
        table.c.epoch == bindparam("within"),
    )
    .with_for_update()
)
_READ: Final = Prepared(select(table).where(table.c.id == bindparam("pk")))
_BY_KEY: Final = Prepared(select(table).where(table.c.id == bindparam("pk")).with_for_update())
_CHANGE: Final = Prepared(
    update(table).where(table.c.id == bindparam("pk")),
    [
        *("suite", "public_key", "size", "frontier", "checkpoint"),
        *("up_lane", "down_lane", "down_target", "via"),
        *("quarantined_at_seq", "quarantine_code", "quarantined_to"),
    ],
)


@dataclass(slots=True, kw_only=True)
class Head:
    """One journal as this transaction knows it; `Heads.flush` writes it back.

    Attributes:
        public_key: None while nothing declares the journal.
        via: The peer that it came by; None for own journals.
        quarantined_to: How far what was refused reaches; asked for until that is held.
    """

    pk: int
    journal: JournalId
    state: JournalState
    suite: int | None
    public_key: bytes | None
    own: bool
    routes: Routes
    checkpoint: bytes | None = None
    via: NodeId | None = None
    quarantined_at_seq: int | None = None
    quarantine_code: str | None = None
    quarantined_to: int | None = None
    is_dirty: bool = False

    @property
    def size(self) -> int:
        """Number of records held."""
        return self.state.size

    def declare(self, suite: int, public_key: bytes) -> None:
        """Give the journal, of which nothing is held, its key and its suite."""
        assert self.size == 0, "nothing is held of a journal without a key"
        self.suite, self.public_key = suite, public_key
        self.state = JournalState(journal=self.journal, frontier=Frontier(suite=suite))


def routes_of(
    channel: str, origin_path: Path, own_path: Path, target_path: Path | None = None
) -> Routes:
    """Return where a journal of that channel and origin goes from `own_path`.

    Args:
        channel: A valid channel.
        origin_path: Where its writer stands.
        own_path: Where this node stands.
        target_path: For a `to` channel, where the addressed node stands.
    """
    parent = own_path.parent
    up_lane = (
        lanes_for(channel, origin_path, own_path, parent, target_path)
        if parent is not None
        else None
    )
    down_target = None
    # Every child answers alike, but for `to`: there the next one on the way counts.
    child = own_path.child("0")
    if target_path is not None and own_path.is_ancestor_of(target_path):
        down_target = str(target_path)
        child = Path(target_path.labels[: own_path.depth + 1])
    down_lane = lanes_for(channel, origin_path, own_path, child, target_path)
    return Routes(up_lane=up_lane, down_lane=down_lane, down_target=down_target)


class Heads:
    """Reads heads once a transaction, under a row lock where the database has them."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._by_name: dict[JournalId, Head] = {}
        self._by_pk: dict[int, Head] = {}

    def get(self, journal: JournalId) -> Head | None:
        """Return the head of a journal, or None if it was never heard of."""
        found = self._by_name.get(journal)
        if found is not None:
            return found
        row = _BY_NAME.first(
            self._conn, of=journal.node_id, named=journal.channel, within=journal.epoch
        )
        return None if row is None else self._keep(head_of(row))

    def by_pk(self, pk: int) -> Head | None:
        """Return the head with that key."""
        found = self._by_pk.get(pk)
        if found is not None:
            return found
        row = _BY_KEY.first(self._conn, pk=pk)
        return None if row is None else self._keep(head_of(row))

    def create(
        self,
        journal: JournalId,
        *,
        suite: int | None,
        public_key: bytes | None,
        routes: Routes,
        own: bool = False,
        via: NodeId | None = None,
    ) -> Head:
        """Insert the head of a journal of which nothing is held."""
        result = self._conn.execute(
            insert(table).values(
                node_id=journal.node_id,
                channel=journal.channel,
                epoch=journal.epoch,
                suite=suite,
                public_key=public_key,
                size=0,
                frontier=EMPTY_FRONTIER.to_bytes(),
                own=own,
                up_lane=routes.up_lane,
                down_lane=routes.down_lane,
                down_target=routes.down_target,
                via=via,
            )
        )
        key = result.inserted_primary_key
        assert key is not None
        return self._keep(
            Head(
                pk=key[0],
                journal=journal,
                state=JournalState(
                    journal=journal, frontier=Frontier(suite=suite or ED25519_SHA256)
                ),
                suite=suite,
                public_key=public_key,
                own=own,
                routes=routes,
                via=via,
            )
        )

    def flush(self) -> None:
        """Write back every head that was changed."""
        for head in self._by_pk.values():
            if not head.is_dirty:
                continue
            _CHANGE.run(
                self._conn,
                pk=head.pk,
                suite=head.suite,
                public_key=head.public_key,
                size=head.size,
                frontier=head.state.frontier.to_bytes(),
                checkpoint=head.checkpoint,
                up_lane=head.routes.up_lane,
                down_lane=head.routes.down_lane,
                down_target=head.routes.down_target,
                via=head.via,
                quarantined_at_seq=head.quarantined_at_seq,
                quarantine_code=head.quarantine_code,
                quarantined_to=head.quarantined_to,
            )
            head.is_dirty = False

    def forget(self) -> None:
        """Drop everything that is known; the next question reads the database."""
        self._by_name.clear()
        self._by_pk.clear()

    def _keep(self, head: Head) -> Head:
        self._by_name[head.journal] = head
        self._by_pk[head.pk] = head
        return head


def journal_of(row: Row[Any]) -> JournalId:
    """Return the name of a journal row."""
    return JournalId(node_id=NodeId(row.node_id), channel=row.channel, epoch=row.epoch)


def read_head(conn: Connection, pk: int) -> Head:
    """Return a journal's head as it is stored, by its key."""
    return head_of(_READ.first(conn, pk=pk))


def head_of(row: Row[Any]) -> Head:
    """Return a journal row as a head."""
    name = journal_of(row)
    return Head(
        pk=row.id,
        journal=name,
        state=JournalState(
            journal=name,
            frontier=Frontier.from_bytes(row.frontier, row.suite or ED25519_SHA256),
        ),
        suite=row.suite,
        public_key=row.public_key,
        own=row.own,
        routes=Routes(
            up_lane=None if row.up_lane is None else Lane(row.up_lane),
            down_lane=None if row.down_lane is None else Lane(row.down_lane),
            down_target=row.down_target,
        ),
        checkpoint=row.checkpoint,
        via=None if row.via is None else NodeId(row.via),
        quarantined_at_seq=row.quarantined_at_seq,
        quarantine_code=row.quarantine_code,
        quarantined_to=row.quarantined_to,
    )


def is_addressed(journal: JournalId) -> bool:
    """Whether the journal is for one named node."""
    return journal.audience.audience is Audience.TO
