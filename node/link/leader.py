"""Dials the parent while this daemon leads; of several on one database one does.

Each time that it begins to lead it draws a new life, and writes it into the database
before it dials. So a parent never hears a life come back when daemons take turns,
and a daemon whose session was replaced finds out there whether it was by one of its own.
"""

import asyncio

from yidao.node.link.dialer import Dialer
from yidao.node.link.hub import Hub
from yidao.node.logging import get_logger
from yidao.node.store.errors import StoreError

_AGAIN_SECONDS = 1.0

log = get_logger()


class LeaderDialer:
    """Keeps a link to the parent for as long as this daemon leads."""

    def __init__(self, hub: Hub, dialer: Dialer) -> None:
        self._hub = hub
        self._dialer = dialer
        self._turned = asyncio.Event()

    async def run(self) -> None:
        """Dial until cancelled, with pauses while another daemon leads."""
        loop = asyncio.get_running_loop()

        def turn(_leads: bool) -> None:  # noqa: FBT001 (a callback's one argument)
            loop.call_soon_threadsafe(self._turned.set)

        self._hub.store.on_lead(turn)
        while True:
            self._turned.clear()
            if self._hub.store.leads:
                await self._lead()
            else:
                await self._turned.wait()

    async def _lead(self) -> None:
        if self._hub.store.is_shared:
            try:
                await self._hub.begin_life()
            except StoreError as error:
                log.warning("link.lead.waits", code=error.code)
                await asyncio.sleep(_AGAIN_SECONDS)
                return
        dialing = asyncio.create_task(self._dialer.run(), name="dialing")
        turning = asyncio.create_task(self._turned.wait())
        try:
            await asyncio.wait((dialing, turning), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (dialing, turning):
                task.cancel()
            results = await asyncio.gather(dialing, turning, return_exceptions=True)
        if isinstance(results[0], Exception):
            # A dialer never ends by itself.
            raise results[0]
