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

    A cut loses what is on its way. Each side learns of it later, or never. The next
    message on the stream `lose_next` vanishes, which no network does.
    """

    scheduler: Scheduler
    random: Random
    latency_seconds: float
    ends: list[End] = field(default_factory=list)
    is_open: bool = True
    lose_next: str = ""
    _arrivals: dict[tuple[int, str], float] = field(default_factory=dict)

    def send(self, side: int, stream: str, data: bytes) -> None:
        """Deliver `data` to the other side, after all before it on this stream."""
        if stream == self.lose_next:
            self.lose_next = ""
            return
        if not self.is_open:
            return
        delay = self.latency_seconds * (0.5 + self.random.random())
        now = self.scheduler.now
        before = self._arrivals.get((side, stream), 0.0)
        arrival = max(before + INSTANT_SECONDS, now + delay)
        self._arrivals[side, stream] = arrival
        self.scheduler.after(arrival - now, lambda: self._arrive(1 - side, stream, data))

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
