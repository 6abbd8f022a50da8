"""What every affair's commands work with: the store, who the node is, time and chance."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone

from sqlalchemy import Connection

from yidao.node.access.actors import Actor, authorise, system_actor
from yidao.node.affairs.errors import ViewsBehind
from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.sync.ids import CHANCE_BYTES, Path, new_record_id

_SETTLE_SECONDS = 30.0
# Days and deadlines are those of the offices, wherever the machine's clock is set.
_CIVIL_TIME = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a record came to lie.

    Attributes:
        repeat: The same had been appended before; this is its first place.
    """

    position: int
    record_id: bytes
    repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The tools of a command.

    Attributes:
        clock_ms: Unix milliseconds.
        random: Gives that many random bytes.
        lock: Held by a command that decides on what the views show, until its
            own records are folded: two of them never decide on the same state.
            Take it by `deciding`.
        caught_up: Set once the views have shown all that stood at the start.
    """

    store: Store
    identity: Identity
    clock_ms: Callable[[], int]
    random: Callable[[int], bytes]
    lock: threading.Lock = field(default_factory=threading.Lock)
    caught_up: threading.Event = field(default_factory=threading.Event)

    @property
    def path(self) -> Path:
        """Where this node stands."""
        return self.identity.path

    @property
    def system(self) -> Actor:
        """The actor for what the node itself writes."""
        return system_actor(self.path)

    def authorise(self, actor: str) -> Actor:
        """Give the actor if it may act here; raises `ActorInvalid`, `ActorElsewhere`."""
        return authorise(actor, self.path)

    def today(self) -> date:
        """The civil day of China."""
        return datetime.fromtimestamp(self.clock_ms() / 1000, tz=UTC).astimezone(_CIVIL_TIME).date()

    def mint(self) -> bytes:
        """Make a record id: 16 bytes, ordered by time."""
        return new_record_id(self.clock_ms(), self.random(CHANCE_BYTES))

    def read(self) -> AbstractContextManager[Connection]:
        """Open a snapshot of the views."""
        return self.store.read()

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Hold the lock, over views that show every record of this node.

        A process may find records that are not folded yet: it was ended between
        the commit and the fold, or a new version folds all of them again.

        Raises:
            ViewsBehind: That takes longer; try again later.
        """
        with self.lock:
            if not self.caught_up.is_set():
                self.settle(self.store.last_position())
                self.caught_up.set()
            yield

    def settle(self, position: int) -> None:
        """Wait until the views show everything up to a position.

        Raises:
            ViewsBehind: They have not caught up within 30 seconds.
        """
        try:
            self.store.applied(position).result(timeout=_SETTLE_SECONDS)
        except FutureTimeout:
            raise ViewsBehind(applied=self.store.applied_position, position=position) from None
