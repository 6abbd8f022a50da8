"""All links of one node: who is connected, who is woken, what crosses from one link to another.

The hub is the `Surroundings` of every driver. It knows at most one session a
peer: a newer one ends the older, since a child that dials again has lost its
line even where this side has not noticed yet.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from yidao.api.errors import YidaoError
from yidao.node.config import Settings
from yidao.node.keys import Chain, Identity
from yidao.node.link import linkproblems
from yidao.node.link.driver import Driver
from yidao.node.link.errors import (
    LinkNetworkMismatch,
    LinkNodeAside,
    LinkNodeCloned,
    LinkPathMismatch,
    LinkSessionUnknown,
)
from yidao.node.link.lookout import Lookout
from yidao.node.link.peercheck import Peer as CheckedPeer
from yidao.node.link.queries import Queries
from yidao.node.link.quota import Quota, Quotas
from yidao.node.link.resumption import Resumption
from yidao.node.link.room import Room
from yidao.node.link.seats import Seats
from yidao.node.link.ticking import Ticker, deliver
from yidao.node.link.trustchain import TrustChain
from yidao.node.logging import get_logger
from yidao.node.received import Received
from yidao.node.recovery.warden import RESUMING, Warden
from yidao.node.store import vouching
from yidao.node.store.errors import StoreError
from yidao.node.store.leading import News
from yidao.node.store.linkreads import Arrivals
from yidao.node.store.store import Store
from yidao.node.store.values import Peer
from yidao.sync.fencing import Standing, Start
from yidao.sync.ids import NodeId, Path
from yidao.sync.lives import Heard
from yidao.sync.message import LIFE_BYTES, Hello, Receipt, Refusal
from yidao.sync.session import Limits, Session

_PROTOCOL_VERSION = 1
_READER_THREADS = 4
SESSION_REPLACED = "SESSION_REPLACED"
KEYS_CHANGED = "KEYS_CHANGED"

log = get_logger()


class Hub:
    """The links of one node. Lives on the event loop."""

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        chain: Chain,
        root_pem: bytes,
        settings: Settings,
        clock_ms: Callable[[], int],
        save_chain: Callable[[Chain], None],
    ) -> None:
        self.store = store
        self.identity = identity
        self.trust = TrustChain(store, chain, root_pem, save_chain)
        self.clock_ms = clock_ms
        self._readers = ThreadPoolExecutor(_READER_THREADS, thread_name_prefix="link-read")
        self.lookout = Lookout(store, self._readers, self._publish)
        self._settings = settings
        self.queries = Queries(
            store=store, identity=identity, clock_ms=clock_ms, random=secrets.token_bytes
        )
        self._quotas = Quotas(
            bytes_per_second=settings.child_kib_per_second * 1024,
            refusals_per_minute=settings.child_refusals_per_minute,
        )
        self.warden = Warden(
            store,
            clock_ms=clock_ms,
            random=secrets.token_bytes,
            wait_seconds=settings.fence_wait_seconds,
        )
        self.warden.on_reopened(self._adopt)
        self.warden.on_turned(self._follow_standing)
        self.resumption = Resumption(store, self.lookout, self.warden)
        self.received = Received()
        self.room = Room()
        self._life = secrets.token_bytes(LIFE_BYTES)
        self._seats = Seats(store, clock_ms, secrets.token_bytes)
        self.queries.sits_elsewhere = self._seats.is_elsewhere
        self._telling: asyncio.Task[None] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._drivers: dict[NodeId, Driver] = {}
        self._standing_at: dict[Path, Driver] = {}
        self._sessions: dict[str, Driver] = {}
        self._last_seen_ms: dict[NodeId, int] = {}
        self.next_dial_ms = 0
        self.dial_error = ""
        self.holds_back = False

    def start(self, start: Start = Start.REMEMBERED) -> None:
        """Wake the links whenever the store commits. Call on the event loop.

        Args:
            start: What vouches for the store; the warden waits on it.
        """
        loop = asyncio.get_running_loop()

        def hear(news: News) -> None:
            loop.call_soon_threadsafe(self._hear_news, news)

        def follow(shared: str) -> None:
            loop.call_soon_threadsafe(self._follow_fence, shared)

        def followed() -> None:
            loop.call_soon_threadsafe(lambda: self._adopt(self.store.identity))

        self.lookout.start()
        ticker = Ticker(self.store, self.lookout, self._sessions, self.clock_ms)
        self._ticking = loop.create_task(ticker.run())
        self.store.on_news(hear)
        self.store.on_followed(followed)
        self._follow_standing(self.warden.standing)
        self.warden.watch(start)
        self.store.fence.watch(follow)

    async def stop(self) -> None:
        """Say goodbye to every peer."""
        self.warden.stop()
        if self._ticking is not None:
            self._ticking.cancel()
        for driver in list(self._drivers.values()):
            await driver.close("NODE_STOPPING")
        self.queries.stop()
        self.lookout.stop()
        self._readers.shutdown(wait=False, cancel_futures=True)

    def open(self, peer: CheckedPeer, session_key: str | None = None) -> tuple[Driver, str]:
        """Make the driver of a new connection and register it."""
        key = session_key or secrets.token_hex(16)
        if key in self._sessions:
            # It stays with the session that has it.
            key = secrets.token_hex(16)
        session = Session(
            own=self.hello(),
            peer_node_id=peer.node_id,
            peer_path=peer.path,
            limits=self._limits(peer),
            encode=self.lookout.encode,
        )
        driver = Driver(session=session, peer=peer, around=self, clock_ms=self.clock_ms)
        self._sessions[key] = driver
        return driver, key

    async def registered(self, driver: Driver) -> None:
        """Let the newest session of a peer win."""
        older = self._drivers.get(driver.peer.node_id)
        self._drivers[driver.peer.node_id] = driver
        self._standing_at[driver.peer.path] = driver
        if older is not None and older is not driver:
            log.info("link.session.replaced", peer=str(driver.peer.path))
            await older.close(SESSION_REPLACED)

    def forget(self, driver: Driver, session_key: str) -> None:
        """Drop a session that ended."""
        self._sessions.pop(session_key, None)
        peer = driver.peer
        # A dial that nobody answered says nothing of when the peer was last there.
        if driver.progress.last_seen_ms:
            self._last_seen_ms[peer.node_id] = driver.progress.last_seen_ms
        if self._drivers.get(peer.node_id) is driver:
            del self._drivers[peer.node_id]
            self._seats.leave(peer)
        if self._standing_at.get(peer.path) is driver:
            del self._standing_at[peer.path]
        log.info("link.session.closed", peer=str(peer.path), code=driver.close_code)

    def session(self, session_key: str, peer: CheckedPeer) -> Driver:
        """Find the session that a data stream belongs to.

        Raises:
            LinkSessionUnknown: There is none of that name with that peer.
        """
        driver = self.find(session_key)
        if driver is None or driver.peer.node_id != peer.node_id:
            raise LinkSessionUnknown
        return driver

    def find(self, session_key: str) -> Driver | None:
        """Return the session of that name, whoever it is with."""
        return self._sessions.get(session_key)

    async def greeted(self, driver: Driver, hello: Hello) -> None:
        """Check the peer's hello; a parent's chain teaches the keys of all above."""
        if hello.network != self.identity.network:
            raise LinkNetworkMismatch
        if hello.path != driver.peer.path:
            raise LinkPathMismatch(said=str(hello.path), certified=str(driver.peer.path))
        quota = self.quota_of(driver.peer)
        if quota is None:
            await self.learn_chain(hello)
        else:
            quota.check()
            await self._hear_life(driver.peer, hello)
        await self.registered(driver)
        log.info("link.session.opened", peer=str(driver.peer.path))

    async def _hear_life(self, child: CheckedPeer, hello: Hello) -> None:
        """Notice that two processes speak as one child; the newest session wins.

        Raises:
            LinkNodeCloned: The older process says so, and leaves.
        """
        if hello.replaced:
            linkproblems.note_clone(self.store, child, Heard.TWO)
            raise LinkNodeCloned(path=str(child.path))
        heard = await self._seats.take(child, hello.life)
        if heard is not Heard.ONE:
            linkproblems.note_clone(self.store, child, heard)
        if heard is Heard.FLAPPING:
            raise LinkNodeAside(path=str(child.path))

    async def begin_life(self) -> None:
        """Speak to the parent under a new life, once the database knows it."""
        life = secrets.token_bytes(LIFE_BYTES)
        await asyncio.wrap_future(self.store.submit(lambda tx: tx.begin_life(life)))
        self._life = life

    async def is_taken_over(self) -> bool:
        """Whether another daemon on this database speaks to the parent since."""
        if not self.store.is_shared:
            return False
        try:
            return await asyncio.to_thread(self.store.life) != self._life
        except StoreError:
            # Who cannot ask does not accuse; a second process comes again.
            return True

    def _hear_news(self, news: News) -> None:
        """Take what another daemon on this database has told."""
        child = self._seats.has_left(news)
        driver = None if child is None else self._drivers.get(child)
        if driver is not None:
            log.info("link.session.moved", peer=str(driver.peer.path))
            self._closing = asyncio.get_running_loop().create_task(driver.close(SESSION_REPLACED))

    def _follow_fence(self, shared: str) -> None:
        """Take over whether the database vouches for itself."""
        if not shared:
            self.warden.vouched()
        elif shared == vouching.UNVOUCHED and self.warden.doubt():
            # What counts from here on is what neighbours say in new sessions.
            self._closing = asyncio.get_running_loop().create_task(self._close_all(RESUMING))

    async def _close_all(self, code: str) -> None:
        for driver in self.connected():
            await driver.close(code)

    def _follow_standing(self, standing: Standing) -> None:
        if standing is Standing.RESUMING:
            self._closing = asyncio.get_running_loop().create_task(self._begin_line())
        # Until neighbours are told the chain, in the sessions that follow.
        self.holds_back = standing is Standing.REOPENING or (
            self.holds_back and standing is Standing.ACTIVE
        )

    async def _begin_line(self) -> None:
        """Let neighbours ask from the beginning: this node was set back.

        It gives positions again that it gave before. A neighbour's cursor may fit by chance, and
        pass over what lies before it now.
        """
        try:
            await asyncio.wrap_future(self.store.begin_line())
        except YidaoError as error:
            # The epoch that ends this begins one too.
            log.error("link.line.not_begun", code=error.code)
            return
        await self._close_all(RESUMING)

    def _adopt(self, identity: Identity) -> None:
        """Go on in a new epoch."""
        self.identity = identity
        self._telling = asyncio.get_running_loop().create_task(self._tell_epoch())

    async def _tell_epoch(self) -> None:
        """Let neighbours learn the new epoch with the chain, which outlives every session."""
        try:
            await self.keys_changed()
        except YidaoError as error:
            # They learn it from the journals too; only evidence of it is not complete here.
            log.error("link.chain.unproved", code=error.code)
        self.holds_back = False
        for driver in self.connected():
            driver.wake()

    async def receipt_arrived(self, driver: Driver, receipt: Receipt) -> None:
        """Keep a cosignature; the commit wakes the link that it must go on to."""
        peer = Peer(
            node_id=driver.peer.node_id, path=driver.peer.path, store_id=self.store.store_id
        )
        # Not waited for: a receipt is a sidecar, and a bad one becomes a problem row.
        kept = self.store.submit(lambda tx: tx.add_receipt(peer, receipt))
        if receipt.journal.node_id == self.identity.node_id:
            asyncio.wrap_future(kept).add_done_callback(
                lambda done: self._note_received(receipt, done)
            )

    def _note_received(self, receipt: Receipt, kept: "asyncio.Future[bool]") -> None:
        if not kept.cancelled() and kept.exception() is None and kept.result():
            self.received.told(receipt.journal, receipt.size)

    def refused(self, driver: Driver, refusal: Refusal) -> None:
        """Make a refusal visible: the other side found what this node sent to be wrong."""
        linkproblems.note_refused(self.store, driver.peer, refusal)

    def quota_of(self, peer: CheckedPeer) -> Quota | None:
        """What a child may still cost; None for the parent."""
        is_parent = peer.path.is_ancestor_of(self.identity.path)
        return None if is_parent else self._quotas.of(peer.node_id)

    def over_quota(self, peer: CheckedPeer) -> None:
        """Show whose session was ended for what it sent."""
        linkproblems.note_over_quota(self.store, peer)

    def told_revoked(self, parent: CheckedPeer) -> None:
        """Show that the parent took this node's authority away: no other dial will go better."""
        linkproblems.note_revoked(self.store, self.identity.path, parent)

    def connected(self) -> Iterable[Driver]:
        """The sessions that are open now."""
        return tuple(self._drivers.values())

    def driver_of(self, node_id: NodeId) -> Driver | None:
        """The open session with one peer."""
        return self._drivers.get(node_id)

    def last_seen_ms(self, node_id: NodeId) -> int:
        """When the peer was last heard of, 0 if never since the start."""
        driver = self._drivers.get(node_id)
        return driver.progress.last_seen_ms if driver else self._last_seen_ms.get(node_id, 0)

    def _publish(self, arrivals: Arrivals) -> None:
        deliver(arrivals, self.identity.path, self._standing_at)

    def hello(self) -> Hello:
        """What this node says first."""
        own = self.store.identity
        return Hello(
            min_version=_PROTOCOL_VERSION,
            max_version=_PROTOCOL_VERSION,
            network=own.network,
            node_id=own.node_id,
            store_id=self.store.store_id,
            path=own.path,
            epoch=own.epoch,
            chain=self.trust.chain.proofs,
            life=self._life,
            replaced=self.warden.standing is Standing.CLONED,
        )

    def _limits(self, peer: CheckedPeer) -> Limits:
        quota = self.quota_of(peer)
        window = Limits().window_bytes
        # Three missed signs of life and the line counts as dead, even where TCP keeps quiet.
        beat = self._settings.keepalive_seconds
        return Limits(
            window_bytes=window if quota is None else quota.window(window),
            heartbeat_seconds=beat,
            silence_seconds=2 * beat + self._settings.keepalive_timeout_seconds,
        )

    async def learn_chain(self, hello: Hello) -> None:
        """Learn the keys of all nodes above from a parent's hello, once they are proved.

        Raises:
            LinkPathMismatch: The chain is not of the node that speaks.
            PeerError: The chain does not hold.
        """
        if await self.trust.learn(hello):
            await self._greet_children_anew()

    async def keys_changed(self) -> None:
        """Tell everybody the keys in which this node writes now, as it has changed them.

        The chain grows by the record of it, and every link is made anew: a hello is
        where a neighbour learns a chain.
        """
        await self.trust.prove_changes()
        await self._close_all(KEYS_CHANGED)

    async def _greet_children_anew(self) -> None:
        """Let the children redial, since the chain in the hello that they have is old."""
        for driver in self.connected():
            if self.identity.path.is_ancestor_of(driver.peer.path):
                await driver.close(KEYS_CHANGED)
