"""What everything inside one transaction of the writer shares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from yidao.node.keys import Identity
from yidao.node.store import problems
from yidao.node.store.fence import Fence
from yidao.node.store.journals import Heads
from yidao.sync.ids import CHANCE_BYTES, JournalId, NodeId, RecordId, new_record_id


@dataclass(slots=True, kw_only=True)
class Scope:
    """One transaction.

    Attributes:
        now_ms: Unix milliseconds, read once.
        random: Gives that many random bytes.
        last_position: The last store position that is taken.
        fence: Whether own journals may be sealed.
        opening: This job opens a new epoch, which is what ends a fence.
    """

    conn: Connection
    identity: Identity
    now_ms: int
    random: Callable[[int], bytes]
    heads: Heads
    last_position: int
    fence: Fence = field(default_factory=Fence)
    opening: bool = False

    def mint(self) -> RecordId:
        """Make a record id."""
        return new_record_id(self.now_ms, self.random(CHANCE_BYTES))

    def take_positions(self, count: int) -> int:
        """Take the next `count` store positions and return the first."""
        first = self.last_position + 1
        self.last_position += count
        return first

    def raise_problem(
        self,
        code: str,
        params: Mapping[str, str | int],
        *,
        journal: JournalId | None = None,
        seq: int | None = None,
        peer: NodeId | None = None,
    ) -> None:
        """Write a problem down for a person (see `problems.raise_problem`)."""
        problems.raise_problem(
            self.conn, self.now_ms, code, params, journal=journal, seq=seq, peer=peer
        )

    def clear_problems(
        self, code: str, *, journal: JournalId | None = None, peer: NodeId | None = None
    ) -> None:
        """Call problems of that code about that journal and peer mended."""
        problems.clear_problems(self.conn, self.now_ms, code, journal=journal, peer=peer)
