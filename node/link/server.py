"""The port where children's links arrive: mutual TLS, our own peer check for every stream.

Streams carry raw bytes: `yidao.sync.wire` parses them under caps that hold
before any work is done, and reports what is wrong as a typed error.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import grpc
import grpc.aio

from yidao.api.errors import YidaoError
from yidao.node.config import Settings
from yidao.node.keys import NodeCertificates
from yidao.node.link.credentials import live_server_credentials
from yidao.node.link.driver import Driver
from yidao.node.link.errors import LinkNodeAside, LinkPortTaken, LinkSessionUnknown
from yidao.node.link.hub import Hub
from yidao.node.link.options import (
    CONTROL,
    DATA,
    QUERY,
    RENEW,
    SERVICE,
    SESSION_KEY,
    server_options,
)
from yidao.node.link.outbox import Outbox
from yidao.node.link.peercheck import (
    Enrolled,
    Peer,
    ProvedChains,
    check_enrolment,
    peer_chain,
)
from yidao.node.link.renewal import Renewals, first_request
from yidao.node.link.renewerrors import RenewRefusal
from yidao.node.logging import get_logger
from yidao.node.store.linkreads import ChildStanding
from yidao.sync.ids import NodeId

# How often the peers of open streams are looked at again, since gRPC never does. A node
# that was revoked, here or above, must be out within 60 s.
RECHECK_SECONDS = 30.0
# Peers that are looked at again before anything else gets its turn.
_AT_ONCE = 200
# How long one message may wait to be read, in keepalives: 256 KiB then pass at 2 KB/s.
UNREAD_BEATS = 5

Context = grpc.aio.ServicerContext[bytes, bytes]

log = get_logger()


class LinkServer:
    """Serves `LinkService` to enrolled children."""

    def __init__(
        self,
        hub: Hub,
        certificates: NodeCertificates | Callable[[], NodeCertificates],
        settings: Settings,
        renewals: Renewals | None = None,
    ) -> None:
        """Take what to serve.

        Args:
            hub: All links of this node.
            certificates: What it shows, or gives what it shows at each handshake.
            settings: Of this node.
            renewals: Gives children new certificates; nobody asks where there are none.
        """
        self._hub = hub
        self._certificates = certificates if callable(certificates) else lambda: certificates
        self._settings = settings
        self._renewals = renewals
        self._server: grpc.aio.Server | None = None
        self._proved = ProvedChains()
        self._chains: dict[Driver, bytes] = {}
        self._questioners: dict[asyncio.Task[None], bytes] = {}

    async def start(self) -> None:
        """Listen on the configured address.

        Raises:
            LinkPortTaken: Somebody else listens there.
        """
        server = grpc.aio.server(options=server_options(self._settings))
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            CONTROL: grpc.stream_stream_rpc_method_handler(self._control),
            DATA: grpc.stream_stream_rpc_method_handler(self._data),
            QUERY: grpc.stream_stream_rpc_method_handler(self._query),
        }
        if self._renewals is not None:
            handlers[RENEW] = grpc.stream_unary_rpc_method_handler(self._renew)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        try:
            credentials = live_server_credentials(self._certificates, mutual=True)
            server.add_secure_port(self._settings.listen, credentials)
        except RuntimeError:
            raise LinkPortTaken(address=self._settings.listen) from None
        await server.start()
        self._server = server
        log.info("link.server.started", address=self._settings.listen)

    async def stop(self) -> None:
        """Stop taking calls and end what is open."""
        if self._server is not None:
            await self._server.stop(grace=1.0)

    async def recheck(self) -> None:
        """Close the streams whose peer would not pass the check now."""
        children = await asyncio.to_thread(self._hub.store.children)
        for number, (driver, chain) in enumerate(list(self._chains.items()), start=1):
            try:
                self._check(chain, children.get)
            except YidaoError as error:
                log.warning("link.peer.expelled", peer=str(driver.peer.path), code=error.code)
                await driver.close(error.code)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        # A stream of questions needs no session, so that it does not end with one.
        for holding, chain in list(self._questioners.items()):
            try:
                self._check(chain, children.get)
            except YidaoError:
                holding.cancel()

    async def _control(self, requests: AsyncIterator[bytes], context: Context) -> None:
        peer, chain = await self._admit(context)
        key = _metadata(context, SESSION_KEY)
        driver, key = self._hub.open(peer, key)
        self._chains[driver] = chain
        running = asyncio.create_task(driver.run(requests))
        try:
            await self._write_all(driver.control_out, context, peer)
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._chains.pop(driver, None)
            self._hub.forget(driver, key)

    async def _data(self, requests: AsyncIterator[bytes], context: Context) -> None:
        peer, _ = await self._admit_beside(context)
        try:
            driver = self._hub.session(_metadata(context, SESSION_KEY) or "", peer)
            if driver.opened_data:
                # Two would take each other's messages.
                raise LinkSessionUnknown
        except YidaoError as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, error.code)
        reading = asyncio.create_task(driver.read_data(requests))
        try:
            await self._write_all(driver.data_out, context, peer)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _query(self, requests: AsyncIterator[bytes], context: Context) -> None:
        peer, chain = await self._admit_beside(context)
        out = Outbox()
        holding = asyncio.create_task(
            self._hub.queries.hold(peer.node_id, peer.path, requests, out)
        )
        self._questioners[holding] = chain
        holding.add_done_callback(lambda _task: out.put_nowait(None))
        try:
            await self._write_all(out, context, peer)
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            self._questioners.pop(holding, None)

    async def _renew(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        """Give a child new certificates; one message is taken, and it must come soon."""
        peer, _ = await self._admit(context)
        assert self._renewals is not None, "registered where there are some"
        try:
            request = await first_request(requests)
            answer = await asyncio.to_thread(self._renewals.renew, peer, request)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED)
        except RenewRefusal as refusal:
            log.warning("link.renewal.refused", peer=str(peer.path), code=refusal.code)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal.code)
        log.info("link.renewal.granted", peer=str(peer.path))
        return answer.SerializeToString()

    async def _write_all(self, out: Outbox, context: Context, peer: Peer) -> None:
        """Write what is put in, to the end; leave a peer that does not read.

        A peer that lives, and lets no byte of a stream through, would hold its session and
        all that waits for it until the connection grows old.
        """
        seconds = UNREAD_BEATS * self._settings.keepalive_seconds
        while (message := await out.get()) is not None:
            try:
                async with asyncio.timeout(seconds):
                    await context.write(message)
            except TimeoutError:
                log.warning("link.stream.unread", peer=str(peer.path), seconds=seconds)
                # A status would only wait behind what is not read, and gRPC for Python resets
                # no call of its own: one message stays with it until the connection ends.
                raise asyncio.CancelledError from None

    async def _admit_beside(self, context: Context) -> tuple[Peer, bytes]:
        """Admit a stream beside a session: whoever shows the session's own chain was checked.

        It is looked at again by `recheck`: data with its session, questions by themselves.
        """
        driver = self._hub.find(_metadata(context, SESSION_KEY) or "")
        if (
            driver is not None
            and not driver.closed
            and (chain := self._chains.get(driver)) is not None
        ):
            try:
                if _chain(context) == chain:
                    return driver.peer, chain
            except YidaoError:
                # It is refused with its reason below.
                pass
        return await self._admit(context)

    async def _admit(self, context: Context) -> tuple[Peer, bytes]:
        started = time.monotonic()
        try:
            chain = _chain(context)
            peer = self._check(chain, self._hub.store.standing_of)
        except YidaoError as error:
            log.warning(
                "link.peer.refused",
                code=error.code,
                seconds=round(time.monotonic() - started, 3),
            )
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, error.code)
        return peer, chain

    def _check(self, chain: bytes, known: Callable[[NodeId], ChildStanding | None]) -> Peer:
        hub = self._hub
        proved = self._proved.prove(
            chain,
            root_pem=hub.trust.root_pem,
            network=hub.identity.network,
            now=datetime.fromtimestamp(hub.clock_ms() / 1000, UTC),
        )
        node = known(proved.node_id)
        if node is None or node.path.parent != hub.identity.path:
            # Only a direct child of this node may dial it.
            return check_enrolment(proved, None)
        peer = check_enrolment(
            proved, Enrolled(path=node.path, tls_sha256=node.tls_sha256, revoked=node.revoked)
        )
        if node.aside:
            raise LinkNodeAside(path=str(peer.path))
        return peer


def _chain(context: Context) -> bytes:
    return peer_chain({name: tuple(values) for name, values in context.auth_context().items()})


def _metadata(context: Context, name: str) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == name and isinstance(value, str):
            return value
    return None
