"""What reaches all sessions of a node together: the time, and what has come into the store."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from yidao.node.link.driver import Driver
from yidao.node.link.lookout import Lookout
from yidao.node.logging import get_logger
from yidao.node.store.linkreads import Arrivals
from yidao.node.store.store import Store
from yidao.sync.ids import NodeId, Path

_TICK_SECONDS: Final = 1.0

log = get_logger()


class Ticker:
    """Lets time pass for all sessions: one timer, and one job for what they acknowledged."""

    def __init__(
        self,
        store: Store,
        lookout: Lookout,
        sessions: Mapping[str, Driver],
        clock_ms: Callable[[], int],
    ) -> None:
        """Take what it works on.

        Args:
            store: Where acknowledgements are noted.
            lookout: Is made to look again where it is behind.
            sessions: All that are open, as they come and go.
            clock_ms: Unix milliseconds.
        """
        self._store = store
        self._lookout = lookout
        self._sessions = sessions
        self._clock_ms = clock_ms

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                await self._tick()
            except Exception as error:
                log.exception("link.tick.failed", error=error)

    async def _tick(self) -> None:
        now_seconds, wall_ms = time.monotonic(), self._clock_ms()
        acked: dict[NodeId, Mapping[int, int]] = {}
        for driver in list(self._sessions.values()):
            noted = driver.new_acks()
            if noted is not None:
                acked[noted[0]] = noted[1]
            try:
                await driver.tick(now_seconds, wall_ms)
            except Exception:
                # The time of one session must not stand still for all others.
                log.exception("link.session.stuck", peer=str(driver.peer.path))
        if acked:
            # `status` shows after a restart too how far peers are.
            self._store.submit(lambda tx: tx.note_acks(acked))
        self._lookout.catch_up()


def deliver(arrivals: Arrivals, own: Path, standing_at: Mapping[Path, Driver]) -> None:
    """Tell each link what came for it, and no other.

    Args:
        arrivals: What came.
        own: Where this node stands.
        standing_at: The open sessions, by where the peer stands.
    """
    concerned = {
        child_towards(own, origin) for origin in arrivals.receipts_of if own.is_ancestor_of(origin)
    }
    for path, driver in list(standing_at.items()):
        if own.is_ancestor_of(path):
            if arrivals.down or path in concerned:
                driver.arrived(arrivals.down, receipts=path in concerned)
        elif arrivals.up or arrivals.receipts_of:
            driver.arrived(arrivals.up, receipts=bool(arrivals.receipts_of))
    for target, heads in arrivals.to.items():
        addressed = standing_at.get(child_towards(own, target))
        if addressed is not None:
            addressed.arrived(heads, receipts=False)


def child_towards(own: Path, below: Path) -> Path:
    """Return the child's path by which a node below is reached."""
    return Path(below.labels[: own.depth + 1])
