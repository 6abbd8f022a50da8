"""Virtual time, and connections that delay, cut and replay."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

CONTROL: Final = "control"
DATA: Final = "data"
# What keeps two things in order that would happen at once: more than rounding.
INSTANT_SECONDS: Final = 1e-6


class Scheduler:
    """Runs callbacks in the order of virtual time; ties in the order they were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._count = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Run `callback` so many seconds from now."""
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self._count, callback))

    def run_until(self, end: float) -> None:
        """Run everything that is due up to `end`."""
        while self._queue and self._queue[0][0] <= end:
            self.now, _, callback = heapq.heappop(self._queue)
            callback()
        self.now = end


@dataclass(slots=True)
class End:
    """One side of a connection: what to do with what arrives, and with its end."""

    on_message: Callable[[str, bytes], None]
    on_cut: Callable[[], None]


@dataclass(slots=True)
class Connection:
    """Two ordered streams each way. Streams do not keep order among each other.

    A cut loses what is on its way. Each side learns of it later, or never. A clogged
    direction keeps what is sent until it is released, or for ever. What `next_data`
    says happens to the next message of the data stream, which no network does: it is
    lost, comes twice, or comes after the one that follows it.
    """

    scheduler: Scheduler
    random: Random
    latency_seconds: float
    ends: list[End] = field(default_factory=list)
    is_open: bool = True
    next_data: str = ""
    _arrivals: dict[tuple[int, str], float] = field(default_factory=dict)
    _clogged: dict[int, list[tuple[str, bytes]]] = field(default_factory=dict)
    _late: tuple[int, bytes] | None = None

    def send(self, side: int, stream: str, data: bytes) -> None:
        """Deliver `data` to the other side, after all before it on this stream."""
        if stream == DATA and (self.next_data or self._late):
            for each in self._meddled(side, data):
                self._send(side, stream, each)
        else:
            self._send(side, stream, data)

    def _meddled(self, side: int, data: bytes) -> list[bytes]:
        what, self.next_data = self.next_data, ""
        if self._late is not None and self._late[0] == side:
            late, self._late = self._late[1], None
            return [data, late]
        match what:
            case "lose":
                return []
            case "repeat":
                return [data, data]
            case "swap" if self._late is None:
                self._late = (side, data)
                return []
        self.next_data = what if self._late is not None else ""
        return [data]

    def _send(self, side: int, stream: str, data: bytes) -> None:
        if not self.is_open:
            return
        if side in self._clogged:
            self._clogged[side].append((stream, data))
            return
        delay = self.latency_seconds * (0.5 + self.random.random())
        now = self.scheduler.now
        before = self._arrivals.get((side, stream), 0.0)
        arrival = max(before + INSTANT_SECONDS, now + delay)
        self._arrivals[side, stream] = arrival
        self.scheduler.after(arrival - now, lambda: self._arrive(1 - side, stream, data))

    def clog(self, side: int) -> None:
        """Keep what this side sends from now on."""
        self._clogged.setdefault(side, [])

    def release(self, side: int) -> None:
        """Deliver what was kept, in order."""
        for stream, data in self._clogged.pop(side, ()):
            self._send(side, stream, data)

    def cut(self, silent: float = 0.0) -> None:
        """End the connection; with probability `silent` a side is not told."""
        if not self.is_open:
            return
        self.is_open = False
        for end in self.ends:
            if self.random.random() >= silent:
                self.scheduler.after(self.random.random() * 2, end.on_cut)

    def _arrive(self, side: int, stream: str, data: bytes) -> None:
        if self.is_open:
            self.ends[side].on_message(stream, data)
