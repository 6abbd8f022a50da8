"""The county's line: a relay in a thread of its own, driven from synchronous code."""

import asyncio
import threading
from typing import Self

from yidao.node.demo.relay import LineState, Relay


class Line:
    """A relay that runs beside the demonstration's own thread."""

    def __init__(self, upstream_port: int) -> None:
        self._relay = Relay(upstream_port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="demo-line", daemon=True
        )
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._relay.start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._relay.stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def set(self, state: LineState) -> None:
        """Change what the line does with bytes."""
        asyncio.run_coroutine_threadsafe(self._relay.set_state(state), self._loop).result(5)
