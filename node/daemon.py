"""The composition root: the only place where everything is constructed and joined together.

Order of the start: folder and lock, keys, self-tests, store, affairs, local
API, links. Whatever fails, fails before the first byte is served. The end runs
the other way round, and a kill at any moment loses nothing that was answered.
"""

import asyncio
import functools
import os
import random
import secrets
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path as FilePath
from typing import TextIO, cast

from google.protobuf.internal import api_implementation

from yidao.api.local.v1.node_pb2 import StatusResponse
from yidao.node import datadir
from yidao.node.access.auditor import WINDOW_MS, Auditor
from yidao.node.access.service import AccessOptions
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.locate import locate
from yidao.node.alarms import AlarmDecider
from yidao.node.api.bundle_service import BundleServicer
from yidao.node.api.follow_service import FollowServicer
from yidao.node.api.identity_service import IdentityServicer
from yidao.node.api.node_service import NodeServicer
from yidao.node.api.query_service import QueryServicer
from yidao.node.api.recovery_service import RecoveryServicer
from yidao.node.api.server import LocalServer
from yidao.node.api.servicers import affair_servicers
from yidao.node.certificates import CertificateWatch
from yidao.node.clock import check_clock, system_clock_ms
from yidao.node.config import Settings, load_settings
from yidao.node.courier.courier import Courier
from yidao.node.errors import NodeError
from yidao.node.frontiers import StatementDecider
from yidao.node.health import Health
from yidao.node.jobs import Job, Jobs, every
from yidao.node.keychanges import KeyChanges, settled
from yidao.node.keys import Chain, Identity, KeyFolder
from yidao.node.link.admission import Admission, join_server, load_authority
from yidao.node.link.dialer import Dialer
from yidao.node.link.founding import record_founding
from yidao.node.link.hub import Hub
from yidao.node.link.options import forget_environment_proxies
from yidao.node.link.peercheck import Peer
from yidao.node.link.renewal import Renewals
from yidao.node.link.server import LinkServer
from yidao.node.link.tokens import ChildTokens
from yidao.node.link.way import why_lost
from yidao.node.logfile import LogFile
from yidao.node.logging import configure, get_logger
from yidao.node.questions import answer_questions
from yidao.node.recovery import marks
from yidao.node.recovery.incidents import IncidentDecider
from yidao.node.recovery.startup import Startup, look
from yidao.node.renewing import LiveCertificates, Renewer
from yidao.node.revocations import Revocations
from yidao.node.routine import last_runs, routine_jobs, watch_jobs
from yidao.node.setup import CONFIG_NAME
from yidao.node.store.store import Store
from yidao.node.systemd import notify_ready
from yidao.node.tree import Tree
from yidao.sync import suite
from yidao.sync.enrolment import verify_chain
from yidao.sync.ids import Path

SOCKET_NAME = "local.sock"

log = get_logger()


class ProtobufSlow(NodeError):
    """Protobuf runs on a parser whose limits are not those relied on (params: found)."""

    code = "PROTOBUF_PARSER_UNFIT"


def serve(data: FilePath, overrides: Mapping[str, str | float]) -> None:
    """Run the node whose data folder this is until it is told to stop.

    Raises:
        YidaoError: The node cannot start; nothing was changed.
    """
    import uvloop

    folder = datadir.prepare(data, create=False)
    file = folder / CONFIG_NAME
    settings = load_settings(
        file if file.exists() else None, os.environ, data_dir=folder, **overrides
    )
    log_file = None
    if settings.log_file is not None:
        log_file = LogFile(
            settings.log_file, limit_mib=settings.log_file_mib, count=settings.log_file_count
        )
    configure(
        level=settings.log_level, format=settings.log_format, stream=cast("TextIO | None", log_file)
    )
    check_clock(system_clock_ms())
    self_test()
    forget_environment_proxies()
    with datadir.FolderLock.take(folder):
        uvloop.run(Daemon(settings, log_file).run())


def self_test() -> None:
    """Refuse to start on libraries that do not do what is relied on.

    Raises:
        ProtobufSlow: Protobuf runs on its pure Python parser, whose depth limits differ.
        SuiteSelfTestFailed: The signature suite fails its vectors.
    """
    if api_implementation.Type() != "upb":
        raise ProtobufSlow(found=api_implementation.Type())
    suite.self_test()


class Daemon:
    """One node, from start to stop."""

    def __init__(self, settings: Settings, log_file: LogFile | None = None) -> None:
        self._settings = settings
        self._log_file = log_file
        self._keys = KeyFolder(settings.data_dir)
        self._stop = asyncio.Event()
        self._defect: BaseException | None = None

    async def run(self) -> None:
        """Start everything, wait for a signal, stop everything."""
        self._listen_to_signals()
        identity = self._keys.load_identity()
        certificates = LiveCertificates(self._keys)
        root_pem = certificates.current.root_pem
        is_root = identity.path.depth == 0
        chain = Chain(statement=b"", proofs=()) if is_root else self._keys.load_chain()
        store = self._open_store(chain, root_pem)
        identity = store.identity
        affairs = Affairs(
            store,
            identity,
            clock_ms=system_clock_ms,
            random=secrets.token_bytes,
            access=AccessOptions(idle_seconds=self._settings.session_idle_minutes * 60),
        )
        startup = self._start_store(store, affairs)
        if is_root:
            chain = await asyncio.to_thread(record_founding, store, self._keys, identity)
        hub = self._hub(store, chain, root_pem, startup)
        renewals = Renewals(
            store=store,
            identity=identity,
            authority=lambda: load_authority(certificates.current),
            root_pem=root_pem,
            clock_ms=system_clock_ms,
            ended_days=self._settings.renew_ended_days,
        )
        links = LinkServer(hub, certificates, self._settings, renewals)
        node_service = self._node_service(store, hub, links, certificates)
        gathering = answer_questions(affairs, hub, node_service)
        local = self._local(affairs, hub, [node_service, QueryServicer(gathering)])
        admission = Admission(
            store=store,
            identity=identity,
            chain=lambda: hub.chain,
            authority=lambda: load_authority(certificates.current),
            clock_ms=system_clock_ms,
            attempts_per_minute=self._settings.join_attempts_per_minute,
        )
        joins = join_server(admission, certificates, self._settings.join_listen, renewals)
        jobs = self._jobs(hub, links, affairs.access.auditor, certificates)
        hub.start(startup.start)
        await links.start()
        await joins.start()
        await local.start()
        jobs.start()
        dialing = self._dial(hub, certificates)
        log.info("node.daemon.started", path=str(identity.path), position=store.last_position())
        try:
            with self._metrics(node_service.status, store):
                await asyncio.to_thread(notify_ready)
                await self._stop.wait()
        finally:
            log.info("node.daemon.stopping", path=str(identity.path))
            jobs.stop()
            if dialing is not None:
                dialing.cancel()
                await asyncio.gather(dialing, return_exceptions=True)
            await hub.stop()
            await local.stop()
            gathering.stop()
            await asyncio.to_thread(affairs.access.auditor.flush, everything=True)
            await joins.stop(grace=1.0)
            await links.stop()
            await asyncio.to_thread(store.close)
            startup.witness.close()
        if self._defect is not None:
            raise self._defect

    def _start_store(self, store: Store, affairs: Affairs) -> Startup:
        """Start the store, behind a fence unless something vouches for what is in it."""
        startup = look(self._settings.data_dir, store, environ=os.environ)
        deciders = [*affairs.deciders, AlarmDecider(), StatementDecider(), IncidentDecider()]
        store.start(affairs.projectors, deciders)
        return startup

    def _hub(self, store: Store, chain: Chain, root_pem: bytes, startup: Startup) -> Hub:
        hub = Hub(
            store=store,
            identity=store.identity,
            chain=chain,
            root_pem=root_pem,
            settings=self._settings,
            clock_ms=system_clock_ms,
            save_chain=self._keys.save_chain,
        )
        hub.warden.on_reopened(self._adopt)
        hub.warden.on_turned(startup.follow)
        hub.warden.begin(startup.start)
        return hub

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reopen_log)

    def _node_service(
        self, store: Store, hub: Hub, links: LinkServer, certificates: LiveCertificates
    ) -> NodeServicer:
        identity = hub.identity
        tokens = ChildTokens(
            store=store,
            identity=identity,
            chain=hub.chain,
            root_pem=hub.root_pem,
            clock_ms=system_clock_ms,
            random=secrets.token_bytes,
        )
        tree = Tree(
            store=store,
            identity=identity,
            clock_ms=system_clock_ms,
            ask=hub.queries.ask,
            own=lambda: service.status(),  # noqa: PLW0108 (it is made below)
        )
        service = NodeServicer(
            store,
            identity,
            Health(
                store, identity, hub, self._settings, lambda: certificates.current.tls_chain_pem
            ),
            Children(
                tokens,
                Revocations(store, system_clock_ms, secrets.token_bytes, links.recheck),
                self._settings,
            ),
            chain=lambda: hub.chain,
            locate=functools.partial(locate, store),
            tree=tree,
        )
        return service

    def _local(self, affairs: Affairs, hub: Hub, others: Sequence[object]) -> LocalServer:
        courier = Courier(hub.store, hub, self._keys, system_clock_ms)
        changes = KeyChanges(hub.store, self._keys, secrets.token_bytes, hub.keys_changed)
        servicers = [
            *affair_servicers(affairs),
            IdentityServicer(changes, hub.identity.path),
            FollowServicer(hub.store),
            BundleServicer(courier),
            RecoveryServicer(hub.store, hub.warden),
            *others,
        ]
        return LocalServer(self._settings.data_dir / SOCKET_NAME, servicers)

    def _metrics(
        self, status: Callable[[], StatusResponse], store: Store
    ) -> AbstractContextManager[None]:
        settings = self._settings
        if settings.metrics_listen is None:
            return nullcontext()
        # Its library is a few MB, which a node without metrics need not carry.
        from yidao.node.metrics import served

        return served(settings.metrics_listen, settings.data_dir, status, store.commit_times)

    def _adopt(self, identity: Identity) -> None:
        """Keep that this node writes in a new epoch; what it was restored from is settled."""
        self._keys.switch_identity(identity, self._keys.active_keys())
        marks.drop(self._settings.data_dir, marks.RESTORED)

    def _reopen_log(self) -> None:
        if self._log_file is not None:
            self._log_file.reopen()
            log.info("node.log.reopened")

    def _jobs(
        self, hub: Hub, links: LinkServer, auditor: Auditor, certificates: LiveCertificates
    ) -> Jobs:
        store = hub.store
        watch = CertificateWatch(store, system_clock_ms, certificates.tls_chain_pem)
        renewer = Renewer(
            store=store,
            folder=self._keys,
            live=certificates,
            settings=self._settings,
            clock_ms=system_clock_ms,
        )

        async def tell_counted() -> None:
            await asyncio.to_thread(auditor.flush)

        counting = Job(name="audit", trigger=every(WINDOW_MS / 1_000), run=tell_counted)
        ending = Job(name="certificate", trigger=every(60), run=watch.run)
        renewing = Job(name="renewal", trigger=every(60), run=renewer.run)
        routine = routine_jobs(store, hub, links, self._settings)
        return Jobs(
            [*routine, *watch_jobs(store), counting, renewing, ending],
            last_runs(store),
            system_clock_ms,
        )

    def _open_store(self, chain: Chain, root_pem: bytes) -> Store:
        url = self._settings.database_url or f"sqlite:///{self._settings.data_dir / 'store.db'}"
        store = Store.open(url, clock_ms=system_clock_ms, random=secrets.token_bytes)
        known = verify_chain(root_pem, chain.statement, chain.proofs) if chain.proofs else ()
        store.bind(settled(store, self._keys), known)
        return store

    def _dial(self, hub: Hub, certificates: LiveCertificates) -> "asyncio.Task[None] | None":
        if self._settings.parent_address is None or hub.identity.path.depth == 0:
            return None
        known = verify_chain(hub.root_pem, hub.chain.statement, hub.chain.proofs)
        parent = known[-2]
        peer = Peer(node_id=parent.node_id, path=parent.path, tls_sha256=parent.tls_sha256)
        dialer = Dialer(
            hub,
            peer,
            certificates,
            self._settings,
            random.random,
            lambda: why_lost(self._settings, self._keys, parent.path, system_clock_ms),
        )
        task = asyncio.create_task(dialer.run(), name="dialer")
        task.add_done_callback(self._dialer_ended)
        return task

    def _dialer_ended(self, task: "asyncio.Task[None]") -> None:
        """A dialer never ends by itself; a node that cannot dial must not look healthy."""
        if not task.cancelled():
            log.error("link.dialer.died", error=type(task.exception()).__name__)
            self._defect = task.exception()
            self._stop.set()


class Children:
    """Makes join bundles that name this node's own addresses; revokes who joined."""

    def __init__(self, tokens: ChildTokens, revocations: Revocations, settings: Settings) -> None:
        self._tokens = tokens
        self.revoke = revocations.revoke
        self._settings = settings

    def add(self, path: Path, *, operator: str, life: timedelta) -> bytes:
        """Return the encoded bundle of a new child at `path`."""
        bundle = self._tokens.add(
            path,
            operator=operator,
            life=life,
            join_addresses=(self._settings.join_listen_seen or self._settings.join_listen,),
            link_address=self._settings.listen_seen or self._settings.listen,
            test_network=self._settings.test_network,
        )
        return bundle.encode()
