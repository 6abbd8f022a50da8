"""Threads for calls: one for those that write, others for those that read."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_READERS = 4


class Workers:
    """Runs what blocks outside the event loop.

    Writers wait for the disk and for each other; in a pool shared with reads,
    a few imports would leave no thread to tell how the node is.
    """

    def __init__(self) -> None:
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="api-write")
        self._readers = ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="api-read")

    async def write(self, call: Callable[[], T]) -> T:
        """Run a call that writes, after those before it."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    async def read(self, call: Callable[[], T]) -> T:
        """Run a call that only reads."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)


async def noted(written: "Future[None] | None") -> None:
    """Wait until the audit of an answer is durable, if there is something to audit."""
    if written is not None:
        await asyncio.wrap_future(written)
