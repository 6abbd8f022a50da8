"""The child's side: dial the parent, hold the session, dial again.

A lost line is nothing special here. The dialer waits a jittered delay that
grows from seconds to a few minutes, and starts over from the smallest once a
session has reached the point where records flow. Everything that was missed
comes by the session's own resume.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Final

import grpc
import grpc.aio

from yidao.api.errors import YidaoError
from yidao.node.config import Settings
from yidao.node.keys import NodeCertificates
from yidao.node.link.credentials import channel_credentials, target_name
from yidao.node.link.driver import Driver
from yidao.node.link.errors import PeerRevoked
from yidao.node.link.hub import SESSION_REPLACED, Hub
from yidao.node.link.options import CONTROL, DATA, QUERY, SERVICE, SESSION_KEY, client_options
from yidao.node.link.outbox import Outbox
from yidao.node.link.peercheck import Peer
from yidao.node.logging import get_logger
from yidao.node.recovery.warden import RESUMING
from yidao.sync.backoff import Backoff

Method = grpc.aio.StreamStreamMultiCallable[bytes, bytes]

log = get_logger()

# What gRPC says of a line that is gone: INTERNAL where it went in the middle of an operation.
_LINE_GONE: Final = ("UNAVAILABLE", "INTERNAL")


class Dialer:
    """Keeps a link to the parent."""

    def __init__(
        self,
        hub: Hub,
        parent: Peer,
        certificates: NodeCertificates | Callable[[], NodeCertificates],
        settings: Settings,
        jitter: Callable[[], float],
        why_lost: Callable[[], str] | None = None,
    ) -> None:
        """Take the parts it works with.

        Args:
            hub: All links of this node.
            parent: Whom to dial.
            certificates: What this node shows, or gives what it shows at each dial.
            settings: Of this node.
            jitter: Gives a number from 0 to 1.
            why_lost: Finds the code of what stops the way to the parent, "" for nothing;
                called in a thread where gRPC says no more than UNAVAILABLE.
        """
        self._hub = hub
        self._parent = parent
        self._certificates = certificates if callable(certificates) else lambda: certificates
        self._settings = settings
        self._jitter = jitter
        self._why_lost = why_lost
        self._flowed = False
        # Where several daemons are the parent, its children begin at either.
        self._dials = int(jitter() * len(settings.parent_addresses))

    async def run(self) -> None:
        """Dial until cancelled."""
        backoff = Backoff(
            min_seconds=self._settings.backoff_min_seconds,
            max_seconds=self._settings.backoff_max_seconds,
        )
        while True:
            self._flowed = False
            try:
                self._hub.dial_error = await self._hold_session()
            except YidaoError as error:
                self._hub.dial_error = error.code
            except grpc.aio.AioRpcError as error:
                self._hub.dial_error = f"{error.code().name}: {error.details() or ''}"[:200]
            if self._hub.dial_error == SESSION_REPLACED and not await self._hub.is_taken_over():
                # One process dials once at a time: another one speaks as this node.
                self._hub.warden.replaced()
            if self._hub.dial_error.startswith(_LINE_GONE):
                self._hub.dial_error = await self._diagnosed() or self._hub.dial_error
            if self._hub.dial_error.endswith(PeerRevoked.code):
                self._hub.told_revoked(self._parent)
            if self._flowed or self._hub.dial_error == RESUMING:
                backoff = backoff.reset()
            if self._hub.dial_error != RESUMING:
                # Of several daemons that are the parent, the next one is asked.
                self._dials += 1
            delay_seconds, backoff = backoff.next(self._jitter())
            self._hub.next_dial_ms = self._hub.clock_ms() + int(delay_seconds * 1000)
            log.info(
                "link.parent.lost",
                parent=str(self._parent.path),
                cause=self._hub.dial_error,
                retry_seconds=round(delay_seconds, 2),
            )
            await asyncio.sleep(delay_seconds)

    async def _diagnosed(self) -> str:
        """Look for what gRPC does not say; a look that fails finds nothing, and dialing goes on."""
        if self._why_lost is None:
            return ""
        try:
            return await asyncio.to_thread(self._why_lost)
        except Exception as error:  # noqa: BLE001 - it only explains what has failed already
            log.warning(
                "link.diagnosis.failed",
                parent=str(self._parent.path),
                error=type(error).__name__,
            )
            return ""

    async def _hold_session(self) -> str:
        """Hold one session from dial to close and return why it ended."""
        addresses = self._settings.parent_addresses
        address = addresses[self._dials % len(addresses)]
        channel = grpc.aio.secure_channel(
            address,
            channel_credentials(self._certificates()),
            options=client_options(self._settings, target_name(self._parent.path)),
        )
        driver, key = self._hub.open(self._parent, secrets.token_hex(16))
        metadata = ((SESSION_KEY, key),)
        try:
            control = _method(channel, CONTROL)(_drain(driver.control_out), metadata=metadata)
            beside = [
                asyncio.create_task(self._hold_data(channel, driver, metadata)),
                asyncio.create_task(self._hold_queries(channel, driver, metadata)),
            ]
            try:
                await driver.run(aiter(control))
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
            if not driver.close_code and (code := await control.code()) is not grpc.StatusCode.OK:
                return f"{code.name}: {await control.details()}"[:200]
            return driver.close_code or "LINK_CLOSED"
        finally:
            self._hub.forget(driver, key)
            await channel.close(grace=0.5)

    async def _hold_data(
        self, channel: grpc.aio.Channel, driver: Driver, metadata: tuple[tuple[str, str], ...]
    ) -> None:
        await driver.located.wait()
        self._flowed = True
        self._hub.dial_error = ""
        data = _method(channel, DATA)(_drain(driver.data_out), metadata=metadata)
        try:
            await driver.read_data(aiter(data))
        except grpc.aio.AioRpcError as error:
            await driver.close(f"DATA_{error.code().name}")

    async def _hold_queries(
        self, channel: grpc.aio.Channel, driver: Driver, metadata: tuple[tuple[str, str], ...]
    ) -> None:
        """Questions live beside the records: their stream may end without the session."""
        await driver.located.wait()
        out = Outbox()
        stream = _method(channel, QUERY)(_drain(out), metadata=metadata)
        parent = self._parent
        try:
            await self._hub.queries.hold(parent.node_id, parent.path, aiter(stream), out)
        except (YidaoError, grpc.aio.AioRpcError) as error:
            log.warning("link.query.ended", parent=str(parent.path), cause=type(error).__name__)


def _method(channel: grpc.aio.Channel, name: str) -> Method:
    """A method of the link service that carries raw bytes both ways."""
    method: Method = channel.stream_stream(f"/{SERVICE}/{name}")
    return method


async def _drain(queue: Outbox) -> AsyncIterator[bytes]:
    while (message := await queue.get()) is not None:
        yield message
