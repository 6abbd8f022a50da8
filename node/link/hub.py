"""All links of one node: who is connected, who is woken, what crosses from one link to another.

The hub is the `Surroundings` of every driver. It knows at most one session a
peer: a newer one ends the older, since a child that dials again has lost its
line even where this side has not noticed yet.
"""

import asyncio
import functools
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import update

from yidao.api.errors import YidaoError
from yidao.node.config import Settings
from yidao.node.keys import Chain, Identity
from yidao.node.link.driver import Driver, Told
from yidao.node.link.errors import (
    LinkNetworkMismatch,
    LinkNodeAside,
    LinkNodeCloned,
    LinkPathMismatch,
    LinkSessionUnknown,
)
from yidao.node.link.lookout import Grouped, Lookout
from yidao.node.link.peercheck import Peer as CheckedPeer
from yidao.node.link.queries import Queries
from yidao.node.link.quota import Quota, Quotas
from yidao.node.link.room import Room
from yidao.node.link.seats import Seats
from yidao.node.link.ticking import Ticker, deliver
from yidao.node.link.tokens import Anchor
from yidao.node.logging import get_logger
from yidao.node.received import Received
from yidao.node.recovery.warden import CLONED as NODE_CLONED
from yidao.node.recovery.warden import RESUMING, Neighbour, Warden
from yidao.node.store import aside, tables, vouching
from yidao.node.store.errors import StoreError
from yidao.node.store.forlinks import Located
from yidao.node.store.leading import News
from yidao.node.store.linkreads import Arrivals
from yidao.node.store.standing import Compared, Reminder
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Outcome, Peer
from yidao.sync.effects import Locate
from yidao.sync.enrolment import KIND as KIND_ENROLLED
from yidao.sync.enrolment import verify_chain
from yidao.sync.fencing import Standing, Start
from yidao.sync.ids import NodeId, Path
from yidao.sync.lives import Heard
from yidao.sync.message import (
    LIFE_BYTES,
    EnrolmentProof,
    Hello,
    LaneCursor,
    Receipt,
    Refusal,
)
from yidao.sync.record import decode_header
from yidao.sync.session import Limits, Session

_PROTOCOL_VERSION = 1
_READER_THREADS = 4
LINK_REFUSED = "LINK_REFUSED"
REVOKED_BY_PARENT = "REVOKED_BY_PARENT"
OVER_QUOTA = "CHILD_OVER_QUOTA"
SESSION_REPLACED = "SESSION_REPLACED"
# What is still wrong, the peer says again in the next session.
_SESSIONS_OWN = (LINK_REFUSED, REVOKED_BY_PARENT)
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
        self.chain = chain
        self.root_pem = root_pem
        self.clock_ms = clock_ms
        self._readers = ThreadPoolExecutor(_READER_THREADS, thread_name_prefix="link-read")
        self.lookout = Lookout(store, self._readers, self._publish)
        self._telling_all = Grouped(self.lookout.in_reader, self._tell_all)
        self._locating = Grouped(self.lookout.in_reader, store.locate)
        self._settings = settings
        self._save_chain = save_chain
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
            self._note_clone(child, Heard.TWO)
            raise LinkNodeCloned(path=str(child.path))
        heard = await self._seats.take(child, hello.life)
        if heard is not Heard.ONE:
            self._note_clone(child, heard)
        if heard is Heard.FLAPPING:
            raise LinkNodeAside(path=str(child.path))

    def _note_clone(self, child: CheckedPeer, heard: Heard) -> None:
        log.error("link.peer.cloned", peer=str(child.path), heard=heard.value)

        def note(tx: Tx) -> None:
            path = str(child.path)
            tx.raise_problem(NODE_CLONED, peer=child.node_id, side="parent", node=path)
            if heard is Heard.FLAPPING:
                aside.put(tx.conn, child.node_id)
                tx.raise_problem(LinkNodeAside.code, peer=child.node_id, path=path)

        self.store.submit(note)

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

    async def told(self, peer: Peer) -> Told:
        """Return what to tell a peer of who holds what."""
        return await self._telling_all.ask(peer)

    def _tell_all(self, peers: Sequence[Peer]) -> list[Told]:
        """Find what to tell peers. Called in a reader's thread."""
        found = []
        greetings = self.store.greetings(peers)
        refused = [
            peer.node_id
            for peer, greeting in zip(peers, greetings, strict=True)
            if not greeting.problems.isdisjoint(_SESSIONS_OWN)
        ]
        if refused:
            self.store.run(functools.partial(_forget_refusals, peer_ids=refused))
        for peer, greeting in zip(peers, greetings, strict=True):
            proofs = self.warden.proofs() if greeting.forked else ()
            found.append(
                Told(
                    greeting=greeting,
                    lost=self.warden.wanted(Neighbour(node_id=peer.node_id, path=peer.path)),
                    receipts=(*proofs, *greeting.receipts),
                )
            )
        return found

    async def locate(self, peer: Peer, cursors: tuple[LaneCursor, ...]) -> Located:
        """Judge a peer's cursors in this store."""
        return await self._locating.ask((peer, cursors))

    async def heard(self, driver: Driver, told: Locate, said: Told) -> str:
        """Judge what a peer holds of this node's journals, and what it reminds us of."""
        peer = Neighbour(node_id=driver.peer.node_id, path=driver.peer.path)
        compared: tuple[Compared, ...] = ()
        reminders: tuple[Reminder, ...] = ()
        # Most children hold nothing of this node's own yet, or have nothing to remind it of.
        if told.held:
            compared = await self.lookout.in_reader(self.store.compare, told.held)
        if told.receipts:
            reminders = await self.lookout.in_reader(
                self.store.reminded, peer.node_id, told.receipts
            )
        problems = said.greeting.problems
        self.warden.remind(peer, said.receipts, told.held, problems)
        return self.warden.compare(peer, compared, reminders, said.lost)

    def ingested(self, driver: Driver, outcome: Outcome) -> None:
        """Look whether what was missing has come."""
        peer = Neighbour(node_id=driver.peer.node_id, path=driver.peer.path)
        self.warden.ingested(peer, outcome.forked)

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
        peer = driver.peer
        log.error(
            "link.journal.refused",
            peer=str(peer.path),
            journal=str(refusal.journal),
            seq=refusal.seq,
            code=refusal.code,
        )
        self.store.submit(
            lambda tx: tx.raise_problem(
                LINK_REFUSED,
                journal=refusal.journal,
                seq=refusal.seq,
                peer=peer.node_id,
                reason=refusal.code,
            )
        )

    def quota_of(self, peer: CheckedPeer) -> Quota | None:
        """What a child may still cost; None for the parent."""
        is_parent = peer.path.is_ancestor_of(self.identity.path)
        return None if is_parent else self._quotas.of(peer.node_id)

    def over_quota(self, peer: CheckedPeer) -> None:
        """Show whose session was ended for what it sent."""
        log.warning("link.child.over_quota", peer=str(peer.path))
        self.store.submit(
            lambda tx: tx.raise_problem(OVER_QUOTA, peer=peer.node_id, path=str(peer.path))
        )

    def told_revoked(self, parent: CheckedPeer) -> None:
        """Show that the parent took this node's authority away: no other dial will go better."""
        own = str(self.identity.path)
        self.store.submit(
            lambda tx: tx.raise_problem(
                REVOKED_BY_PARENT, peer=parent.node_id, path=own, parent=str(parent.path)
            )
        )

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

    def anchor_on(self, anchor: Anchor) -> None:
        """Check whoever comes from now on under these root certificates."""
        self.root_pem = anchor.root_pem
        if anchor.statement != self.chain.statement:
            self.chain = Chain(statement=anchor.statement, proofs=self.chain.proofs)
            self._save_chain(self.chain)

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
            chain=self.chain.proofs,
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
        *before, _ = verify_chain(self.root_pem, self.chain.statement, self.chain.proofs)
        enrolments = verify_chain(self.root_pem, self.chain.statement, hello.chain)
        if enrolments[-1].path != hello.path or enrolments[-1].node_id != hello.node_id:
            raise LinkPathMismatch(said=str(enrolments[-1].path), certified=str(hello.path))

        def learn(tx: Tx) -> None:
            above = enrolments[0].node_id
            for each in enrolments:
                tx.learn(each, above)
                above = each.node_id

        await asyncio.wrap_future(self.store.submit(learn))
        fresh = replace(self.chain, proofs=(*hello.chain, *own_proofs(self.chain)))
        if fresh != self.chain:
            self._keep_chain(fresh)
        if list(enrolments) != before:
            await self._greet_children_anew()

    async def keys_changed(self) -> None:
        """Tell everybody the keys in which this node writes now, as it has changed them.

        The chain grows by the record of it, and every link is made anew: a hello is
        where a neighbour learns a chain.
        """
        node_id = self.identity.node_id
        steps = await asyncio.to_thread(self.store.prove_epochs, node_id)
        enrolled = self.chain.proofs[: len(self.chain.proofs) - len(own_proofs(self.chain)) + 1]
        self._keep_chain(replace(self.chain, proofs=(*enrolled, *steps)))
        await self._close_all(KEYS_CHANGED)

    async def _greet_children_anew(self) -> None:
        """Let the children redial, since the chain in the hello that they have is old."""
        for driver in self.connected():
            if self.identity.path.is_ancestor_of(driver.peer.path):
                await driver.close(KEYS_CHANGED)

    def _keep_chain(self, chain: Chain) -> None:
        self.chain = chain
        self._save_chain(chain)


def own_proofs(chain: Chain) -> tuple[EnrolmentProof, ...]:
    """Return what a node's chain says of the node itself: its enrolment, and what it changed."""
    kinds = [decode_header(proof.header).kind for proof in chain.proofs]
    last = max(index for index, kind in enumerate(kinds) if kind == KIND_ENROLLED)
    return chain.proofs[last:]


def _forget_refusals(tx: Tx, peer_ids: Sequence[NodeId]) -> None:
    """Close what peers refused in earlier sessions: what is still wrong, they refuse again."""
    problem = tables.problem
    tx.conn.execute(
        update(problem)
        .where(
            problem.c.code.in_(_SESSIONS_OWN),
            problem.c.peer.in_(peer_ids),
            problem.c.cleared_ms.is_(None),
        )
        .values(cleared_ms=tx.now_ms)
    )
