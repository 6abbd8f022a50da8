"""Appending what programs publish."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Final, NamedTuple

from yidao.node.affairs.desk import Desk
from yidao.node.affairs.publishing import errors
from yidao.node.store.values import PROGRAM_KINDS, Draft, Ticket
from yidao.sync.ids import REACH_ROOT, JournalId

MAX_RECORDS: Final = 2_000


class Landed(NamedTuple):
    """Where records of one request stand.

    Attributes:
        size: The journal's size with the last of them.
    """

    positions: tuple[int, ...]
    size: int


class Publishing:
    """Appends records of programs to this node's journals."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def channel(self, reach: int) -> str:
        """Return the channel of records that go so many tiers up.

        Raises:
            ReachInvalid: Nothing does.
        """
        if not 0 <= reach <= REACH_ROOT:
            raise errors.ReachInvalid(reach=reach, limit=REACH_ROOT)
        return f"up:{reach}" if reach else "local"

    def journal(self, channel: str) -> JournalId:
        """Return the journal in which this node writes now for a channel."""
        identity = self._desk.store.identity
        return JournalId(node_id=identity.node_id, channel=channel, epoch=identity.epoch)

    def authorise(self, actor: str) -> str:
        """Return the actor as records name it; raises `ActorInvalid`, `ActorElsewhere`."""
        return str(self._desk.authorise(actor))

    def submit(self, channel: str, drafts: Sequence[Draft]) -> "Future[Callable[[], Landed]]":
        """Append records, all or none; the future is done once they are durable.

        Raises:
            RecordsTooMany, KindNotPublishable: Nothing is appended.
        """
        if not 1 <= len(drafts) <= MAX_RECORDS:
            raise errors.RecordsTooMany(records=len(drafts), limit=MAX_RECORDS)
        for draft in drafts:
            if not draft.kind.startswith(PROGRAM_KINDS):
                raise errors.KindNotPublishable(kind=draft.kind[:64])

        def landing(tickets: list[Ticket]) -> Callable[[], Landed]:
            # They are complete once the group is sealed, and read when the future is done.
            return lambda: _landed(tickets)

        return self._desk.store.append_later(channel, drafts, landing)


def _landed(tickets: Iterable[Ticket]) -> Landed:
    found = tuple(tickets)
    return Landed(
        positions=tuple([ticket.position for ticket in found]),
        size=max([ticket.seq for ticket in found]) + 1,
    )
