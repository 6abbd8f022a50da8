"""Two nodes, each with its own store and keys, over real mutual TLS on the loopback interface."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path as FilePath
from unittest.mock import patch

import grpc
import grpc.aio
import pytest

from yidao.node import datadir
from yidao.node.clock import system_clock_ms, utc
from yidao.node.config import Settings
from yidao.node.demo.relay import LineState, Relay
from yidao.node.demo.tree import free_ports
from yidao.node.keys import Identity, KeyFolder, NodeCertificates
from yidao.node.link.admission import Admission, Policy, load_authority
from yidao.node.link.credentials import channel_credentials, target_name
from yidao.node.link.dialer import Dialer
from yidao.node.link.errors import LinkFrameAfterFailure, LinkQuotaExceeded, PeerRevoked
from yidao.node.link.founding import found_network, record_founding
from yidao.node.link.hub import Hub
from yidao.node.link.invitation import Invitations
from yidao.node.link.join import join
from yidao.node.link.joinserver import join_server
from yidao.node.link.linkproblems import OVER_QUOTA, REVOKED_BY_PARENT
from yidao.node.link.options import CONTROL, DATA, QUERY, SERVICE, SESSION_KEY, client_options
from yidao.node.link.peercheck import Peer
from yidao.node.link.renewal import Renewals
from yidao.node.link.server import RECHECK_SECONDS, LinkServer
from yidao.node.link.tokens import Anchor, ChildTokens
from yidao.node.recovery.reopening import reopen
from yidao.node.revocations import Revocations
from yidao.node.store.errors import StoreFull
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart, Outcome
from yidao.node.store.values import Peer as StorePeer
from yidao.sync.enrolment import verify_chain
from yidao.sync.epoch import Cause
from yidao.sync.errors import QueryRefused
from yidao.sync.fencing import Standing, Start, Turn
from yidao.sync.ids import Lane, Path
from yidao.sync.message import Frame, Item


@dataclass
class Node:
    """One running node without a local API."""

    identity: Identity
    store: Store
    hub: Hub
    certificates: NodeCertificates
    settings: Settings
    server: LinkServer | None = None

    def append(self, channel: str, count: int, start: int = 0, padding: bytes = b"") -> None:
        """Append small records, or bigger ones."""
        drafts = [
            Draft(
                record_id=secrets.token_bytes(16),
                kind="test.thing.happened",
                actor=f"tester@{self.identity.path}",
                object_id=f"thing/{number}",
                object_version=1,
                created_ms=number + 1,
                parts=(DraftPart(name="core", body=b"body %d" % number + padding),),
            )
            for number in range(start, start + count)
        ]
        self.store.run(lambda tx: tx.append(channel, drafts))

    def objects(self, channel: str) -> list[str]:
        """Objects of everything held on a channel, in position order."""
        return [
            record.header.object_id
            for record in self.store.records(0, 10_000)
            if record.journal.channel == channel
        ]


def _settings(folder: FilePath, **more: object) -> Settings:
    return Settings(
        data_dir=folder,
        listen=f"127.0.0.1:{free_ports(1)[0]}",
        join_listen=f"127.0.0.1:{free_ports(1)[0]}",
        keepalive_seconds=1,
        keepalive_timeout_seconds=1,
        backoff_min_seconds=0.05,
        backoff_max_seconds=0.2,
        **more,  # type: ignore[arg-type]
    )


def _node(folder: FilePath, identity: Identity, settings: Settings) -> Node:
    keys = KeyFolder(folder)
    certificates = keys.load_certificates()
    store = Store.open(
        f"sqlite:///{folder / 'store.db'}", clock_ms=system_clock_ms, random=secrets.token_bytes
    )
    if identity.path.depth == 0:
        store.bind(identity)
        store.start()
        chain = record_founding(store, keys, identity)
    else:
        chain = keys.load_chain()
        store.bind(identity, verify_chain(certificates.root_pem, chain.statement, chain.proofs))
        store.start()
    hub = Hub(
        store=store,
        identity=identity,
        chain=chain,
        root_pem=certificates.root_pem,
        settings=settings,
        clock_ms=system_clock_ms,
        save_chain=keys.save_chain,
    )
    return Node(identity, store, hub, certificates, settings)


async def _enrol(parent: Node, label: str, folder: FilePath) -> Identity:
    root_pem = parent.certificates.root_pem
    tokens = ChildTokens(
        store=parent.store,
        identity=parent.identity,
        anchor=lambda: Anchor(root_pem=root_pem, statement=parent.hub.trust.chain.statement),
        clock_ms=system_clock_ms,
        random=secrets.token_bytes,
    )
    bundle = await asyncio.to_thread(
        tokens.add,
        Path.parse(f"/{label}"),
        operator="admin",
        life=timedelta(hours=1),
        join_addresses=(parent.settings.join_listen,),
        link_address=parent.settings.listen,
    )
    admission = Admission(
        store=parent.store,
        identity=parent.identity,
        chain=lambda: parent.hub.trust.chain,
        authority=load_authority(parent.certificates),
        clock_ms=system_clock_ms,
        policy=Policy(attempts_per_minute=100),
    )
    invitations = Invitations(
        store=parent.store,
        identity=parent.identity,
        anchor=lambda: Anchor(root_pem=root_pem, statement=parent.hub.trust.chain.statement),
        link_address=parent.settings.listen,
        test_network=False,
        clock_ms=system_clock_ms,
    )
    renewals = Renewals(
        store=parent.store,
        identity=parent.identity,
        authority=lambda: load_authority(parent.certificates),
        root_pem=root_pem,
        clock_ms=system_clock_ms,
        ended_days=0,
    )
    address = parent.settings.join_listen
    server = join_server(admission, invitations, renewals, lambda: parent.certificates, address)
    await server.start()
    try:
        return await join(bundle, folder, now=utc(system_clock_ms()), random=secrets.token_bytes)
    finally:
        await server.stop(None)


@asynccontextmanager
async def _pair(tmp_path: FilePath) -> AsyncIterator[tuple[Node, Node, Relay]]:
    """A root and its child, linked through a relay."""
    root_folder = datadir.prepare(tmp_path / "root")
    child_folder = datadir.prepare(tmp_path / "child")
    now = utc(system_clock_ms())
    identity = found_network(root_folder, now=now, random=secrets.token_bytes)
    root = await asyncio.to_thread(_node, root_folder, identity, _settings(root_folder))
    child_identity = await _enrol(root, "33", child_folder)
    server = LinkServer(root.hub, root.certificates, root.settings)
    root.hub.start()
    await server.start()
    root.server = server
    relay = Relay(int(root.settings.listen.rpartition(":")[2]))
    settings = _settings(child_folder, parent_address=f"127.0.0.1:{await relay.start()}")
    child = await asyncio.to_thread(_node, child_folder, child_identity, settings)
    child.hub.start()
    above = verify_chain(
        child.certificates.root_pem, child.hub.trust.chain.statement, child.hub.trust.chain.proofs
    )[-2]
    peer = Peer(node_id=above.node_id, path=above.path, tls_sha256=above.tls_sha256)
    dialer = Dialer(child.hub, peer, child.certificates, settings, lambda: 0.5)
    dialing = asyncio.create_task(dialer.run())
    try:
        yield root, child, relay
    finally:
        dialing.cancel()
        await asyncio.gather(dialing, return_exceptions=True)
        await child.hub.stop()
        await root.hub.stop()
        await server.stop()
        await relay.stop()
        await asyncio.to_thread(child.store.close)
        await asyncio.to_thread(root.store.close)


async def _until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        # The condition is in files and other threads: nothing sets an event for it.
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _things(count: int) -> list[str]:
    return [f"thing/{number}" for number in range(count)]


def test_records_go_up_and_down_and_receipts_come_back(tmp_path: FilePath) -> None:
    """What each side appends arrives at the other, in order; the child gets a cosignature."""

    async def run() -> None:
        async with _pair(tmp_path) as (root, child, _):
            await asyncio.to_thread(child.append, "up:15", 300)
            await asyncio.to_thread(root.append, "down", 20)
            await _until(lambda: root.objects("up:15") == _things(300))
            await _until(lambda: child.objects("down") == _things(20))

            def cosigned() -> bool:
                position = child.store.last_position()
                last = [r for r in child.store.records(0, 1000) if r.journal.channel == "up:15"]
                assert position
                proven = child.store.prove(last[-1].position)
                return root.identity.node_id in proven.cosigners

            await _until(cosigned)

    asyncio.run(run())


def test_who_was_set_back_begins_a_line_before_it_gives_positions_again(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as it knows: sessions end, no cursor counts, and the next sessions say the new name.

    The epoch that ends this begins one more.
    """
    lines: list[bytes] = []

    async def seen(store: Store, cause: Cause, random: Callable[[int], bytes]) -> Identity:
        lines.append(store.store_id)
        assert root.store.store_id_of(store.identity.node_id) == lines[1]
        assert child.hub.holds_back
        return await reopen(store, cause, random)

    async def run() -> None:
        nonlocal root, child
        async with _pair(tmp_path) as (root, child, _):
            await asyncio.to_thread(child.append, "up:15", 3)
            await _until(lambda: root.objects("up:15") == _things(3))
            lines.append(child.store.store_id)
            (session,) = child.hub.connected()
            # What a neighbour's word means that has more of ours than is here.
            monkeypatch.setattr(child.hub.warden, "_suffices", lambda: False)
            child.hub.warden._turn(Turn.LOST)
            await _until(lambda: child.store.store_id != lines[0])
            lines.append(child.store.store_id)
            await _until(lambda: session not in child.hub.connected())
            named = child.identity.node_id
            await _until(lambda: root.store.store_id_of(named) == lines[1])
            monkeypatch.undo()
            monkeypatch.setattr("yidao.node.recovery.warden.reopen", seen)
            child.hub.warden._settle()
            await _until(lambda: child.hub.warden.standing is Standing.ACTIVE)
            assert lines[1] == lines[2] != child.store.store_id
            await _until(lambda: not child.hub.holds_back)
            await asyncio.to_thread(child.append, "up:15", 3, 3)
            await _until(lambda: root.objects("up:15") == _things(6))

    root: Node
    child: Node
    asyncio.run(run())


def test_what_is_held_back_for_an_epoch_goes_on_without_one(tmp_path: FilePath) -> None:
    """A node that is found to be a copy while it opens an epoch sends on what others wrote."""

    async def run() -> None:
        async with _pair(tmp_path) as (root, child, _):
            hub = child.hub
            for standing, held in (
                (Standing.REOPENING, True),
                (Standing.CLONED, False),
                (Standing.REOPENING, True),
                (Standing.ACTIVE, True),
            ):
                hub._follow_standing(standing)
                assert hub.holds_back is held
            await asyncio.to_thread(child.append, "up:15", 3)
            await _until(lambda: hub.lookout.position == child.store.last_position())
            # What this woke has looked, and found that it has to wait.
            await asyncio.sleep(0.3)
            assert root.objects("up:15") == []
            with (
                patch.object(hub, "keys_changed", side_effect=StoreFull),
                patch("yidao.node.link.hub.log") as told,
            ):
                await hub._tell_epoch()
            told.error.assert_called_once_with("link.chain.unproved", code="STORE_FULL")
            # Nobody else wakes the sessions that stay.
            await _until(lambda: root.objects("up:15") == _things(3))

    asyncio.run(run())


def test_who_was_restored_begins_a_line_at_its_start(tmp_path: FilePath) -> None:
    """It knows from the start that positions will be given again."""

    async def run() -> None:
        async with _pair(tmp_path) as (_, child, _relay):
            line = child.store.store_id
            await child.hub.stop()
            child.hub.warden.begin(Start.RESTORED)
            child.hub.start(Start.RESTORED)
            await _until(lambda: child.store.store_id != line)

    asyncio.run(run())


def test_a_line_that_cannot_be_begun_leaves_the_sessions(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: it is told, and the epoch begins one later."""

    async def run() -> None:
        async with _pair(tmp_path) as (root, child, _):
            await asyncio.to_thread(child.append, "up:15", 3)
            await _until(lambda: root.objects("up:15") == _things(3))
            full: Future[None] = Future()
            full.set_exception(StoreFull())
            monkeypatch.setattr(child.store, "begin_line", lambda: full)
            with (
                patch("yidao.node.link.hub.log") as told,
                patch.object(child.hub, "_close_all") as close,
            ):
                await child.hub._begin_line()
            told.error.assert_called_once_with("link.line.not_begun", code="STORE_FULL")
            close.assert_not_called()

    asyncio.run(run())


def test_the_parent_asks_the_child_live(tmp_path: FilePath) -> None:
    """Over the query stream that the child opened; the child may not ask the parent."""

    async def run() -> None:
        async with _pair(tmp_path) as (root, child, _):
            child.hub.queries.answering.kinds["status"] = lambda _asked: [b"well"]
            root.hub.queries.answering.kinds["status"] = lambda _asked: [b"not yours"]
            path = Path.parse("/33")
            async with asyncio.timeout(15):
                while path not in root.hub.queries._lines:  # noqa: ASYNC110 (set by a stream)
                    await asyncio.sleep(0.02)
            assert await root.hub.queries.ask(path, "status") == b"well"
            with pytest.raises(QueryRefused) as refused:
                await child.hub.queries.ask(Path(), "status")
            assert refused.value.params["reason"] == "QUERY_DENIED"

    asyncio.run(run())


@pytest.mark.parametrize("fault", [LineState.DROPPED, LineState.HALF_OPEN])
def test_a_broken_line_heals_by_itself_both_ways(tmp_path: FilePath, fault: LineState) -> None:
    """While the line is down both sides go on; afterwards everything is there once, in order."""

    async def run() -> None:
        async with _pair(tmp_path) as (root, child, relay):
            await asyncio.to_thread(child.append, "up:15", 50)
            await _until(lambda: root.objects("up:15") == _things(50))
            await relay.set_state(fault)
            await asyncio.to_thread(child.append, "up:15", 50, 50)
            await asyncio.to_thread(root.append, "down", 5)
            # Both sides must find out on their own that the line is dead.
            await _until(lambda: not child.hub.connected(), 20)
            assert root.objects("up:15") == _things(50)
            if fault is LineState.DROPPED:
                tried_ms = child.hub.next_dial_ms
                await _until(lambda: child.hub.next_dial_ms > tried_ms)
                # A dial that nobody answers does not make it a parent that never came.
                assert child.hub.last_seen_ms(root.hub.identity.node_id) > 0
            await relay.set_state(LineState.OPEN)
            await _until(lambda: root.objects("up:15") == _things(100))
            await _until(lambda: child.objects("down") == _things(5))

    asyncio.run(run())


def test_mending_goes_on_by_itself_after_its_session_ended(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal is refused, and the session that mends it ends midway: the next one does the rest.

    Nothing more is ever appended to it.
    """
    ingest, state = Tx.ingest, {"is bad": True, "mended": 0}

    def tried(tx: Tx, peer: StorePeer, frame: Frame) -> Outcome:
        if frame.lane is not Lane.BULK:
            return ingest(tx, peer, frame)
        if state["is bad"]:
            return ingest(tx, peer, replace(frame, items=tuple(map(_flipped, frame.items))))
        state["mended"] += frame.backfill
        if state["mended"] == 2:
            raise LinkFrameAfterFailure
        return ingest(tx, peer, frame)

    monkeypatch.setattr(Tx, "ingest", tried)

    async def run() -> None:
        async with _pair(tmp_path) as (root, child, relay):

            def wanted() -> list[int]:
                return [head.size for head in root.store.heads() if head.quarantine_code]

            # Each seal fills a frame.
            for number in range(4):
                await asyncio.to_thread(child.append, "up:15", 1, number, b"." * 200_000)
            await _until(lambda: wanted() == [0])
            last = child.store.last_position()
            await _until(lambda: _bulk_of(root, child) == last)
            assert root.objects("up:15") == []
            state["is bad"] = False
            await relay.set_state(LineState.DROPPED)
            await relay.set_state(LineState.OPEN)
            await _until(lambda: root.objects("up:15") == _things(4))
            assert state["mended"] > 2
            assert (wanted(), root.store.problems()) == ([], ())

    asyncio.run(run())


def _flipped(item: Item) -> Item:
    first, *others = item.seal.headers
    return replace(item, seal=replace(item.seal, headers=(_flip(first), *others)))


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _bulk_of(root: Node, child: Node) -> int:
    peer = StorePeer(
        node_id=child.identity.node_id, path=child.identity.path, store_id=child.store.store_id
    )
    return max((c.position for c in root.store.cursors(peer) if c.lane is Lane.BULK), default=0)


async def _revoke(root: Node) -> None:
    """Revoke the child as the daemon does."""
    assert root.server is not None
    revocations = Revocations(root.store, system_clock_ms, secrets.token_bytes, root.server.recheck)
    await revocations.revoke(Path.parse("/33"), reason="key-stolen", operator="admin@/")


def test_a_child_over_its_quota_is_kept_away_and_told_why(tmp_path: FilePath) -> None:
    """A new session does not renew the quota; the child shows the reason."""

    async def run() -> None:
        async with _pair(tmp_path) as (root, child, _):
            await _until(lambda: bool(root.hub.connected()))
            (driver,) = root.hub.connected()
            quota = root.hub.quota_of(driver.peer)
            assert quota is not None
            with pytest.raises(LinkQuotaExceeded) as over:
                quota.refused(601)
            await driver._fail(over.value)
            await _until(lambda: child.hub.dial_error == LinkQuotaExceeded.code)
            # The problem is written behind the goodbye, not before it.
            await _until(lambda: [each.code for each in root.store.problems()] == [OVER_QUOTA])
            with pytest.raises(LinkQuotaExceeded):
                await root.hub.greeted(driver, child.hub.hello())
            parent = Peer(node_id=root.identity.node_id, path=Path(), tls_sha256=bytes(32))
            assert child.hub.quota_of(parent) is None

    asyncio.run(run())


def test_a_revoked_child_is_put_out_and_knows_why(tmp_path: FilePath) -> None:
    """Its session ends, dialling again is refused by name, and its own `status` has the cause."""

    async def run() -> None:
        async with _pair(tmp_path) as (root, child, _):
            await asyncio.to_thread(child.append, "up:15", 3)
            await _until(lambda: root.objects("up:15") == _things(3))
            await _revoke(root)
            await _until(lambda: not root.hub.connected())
            await asyncio.to_thread(child.append, "up:15", 3, 3)

            def told() -> bool:
                codes = {problem.code for problem in child.store.problems()}
                return REVOKED_BY_PARENT in codes and "UNAUTHENTICATED" in child.hub.dial_error

            await _until(told)
            assert child.hub.dial_error.endswith(PeerRevoked.code)
            assert root.objects("up:15") == _things(3)

    asyncio.run(run())


def test_open_streams_of_a_revoked_node_are_closed_whatever_it_does(tmp_path: FilePath) -> None:
    """A thief with the key does not hang up by itself: all three streams are ended for it.

    The connection still stands then, and every new stream on it is refused.
    """
    assert RECHECK_SECONDS <= 60 / 2

    async def run() -> None:
        async with _pair(tmp_path) as (root, child, relay):
            assert root.server is not None
            await relay.set_state(LineState.DROPPED)
            await _until(lambda: not root.hub.connected())
            channel = grpc.aio.secure_channel(
                root.settings.listen,
                channel_credentials(child.certificates),
                options=client_options(child.settings, target_name(Path())),
            )
            metadata = ((SESSION_KEY, "thief"),)

            def stream(name: str) -> "grpc.aio.StreamStreamCall[bytes, bytes]":
                method = channel.stream_stream(f"/{SERVICE}/{name}")
                return method(_silence(), metadata=metadata)

            streams = [stream(CONTROL)]
            await _until(lambda: "thief" in root.hub._sessions)
            driver = root.hub._sessions["thief"]
            streams += [stream(DATA), stream(QUERY)]
            await _until(lambda: driver.opened_data and bool(root.server._questioners))
            await _revoke(root)
            async with asyncio.timeout(10):
                for each in streams:
                    await _to_the_end(each)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stream(QUERY).read()
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert refused.value.details() == PeerRevoked.code
            await channel.close()

    asyncio.run(run())


async def _silence() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def _to_the_end(stream: "grpc.aio.StreamStreamCall[bytes, bytes]") -> None:
    try:
        async for _ in stream:
            pass
    except grpc.aio.AioRpcError:
        return
