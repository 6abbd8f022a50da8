"""What everything inside one transaction of the writer shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from yidao.node.keys import Identity
from yidao.node.store import problems
from yidao.node.store.fence import Fence
from yidao.node.store.journals import Heads, Routes
from yidao.node.store.values import is_folded
from yidao.sync.ids import CHANCE_BYTES, JournalId, NodeId, Path, RecordId, new_record_id


@dataclass(slots=True, kw_only=True)
class Scope:
    """One transaction.

    Attributes:
        now_ms: Unix milliseconds, read once.
        random: Gives that many random bytes.
        last_position: The last store position that is taken.
        fence: Whether own journals may be sealed.
        opening: This job opens a new epoch, which is what ends a fence.
        placed: Of each segment stored, where it goes and its last position.
        cosigned: The origins of journals that somebody cosigned whom a link may have to tell.
        folds: Something was stored that a projection or a decision may care for.
    """

    conn: Connection
    identity: Identity
    now_ms: int
    random: Callable[[int], bytes]
    heads: Heads
    last_position: int
    fence: Fence = field(default_factory=Fence)
    opening: bool = False
    placed: list[tuple[Routes, int]] = field(default_factory=list)
    cosigned: set[Path] = field(default_factory=set)
    folds: bool = False

    def mint(self) -> RecordId:
        """Make a record id."""
        return new_record_id(self.now_ms, self.random(CHANCE_BYTES))

    def place(self, headers: Sequence[bytes], routes: Routes) -> int:
        """Take the next store positions for a segment and return the first."""
        first = self.last_position + 1
        self.last_position += len(headers)
        self.placed.append((routes, self.last_position))
        self.folds = self.folds or is_folded(headers)
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
