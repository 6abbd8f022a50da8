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
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path as FilePath
from typing import TextIO, cast

import grpc.aio
from google.protobuf.internal import api_implementation

from yidao.api.local.v1.node_pb2 import StatusResponse
from yidao.node import datadir
from yidao.node.access.auditor import WINDOW_MS, Auditor
from yidao.node.access.fieldpolicy import FieldPolicy
from yidao.node.access.mode import Mode
from yidao.node.access.service import Access, AccessOptions
from yidao.node.admissions import Admissions
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.locate import locate
from yidao.node.affairs.sharing.gathering import Gathering
from yidao.node.alarms import AlarmDecider
from yidao.node.api.admission_service import AdmissionServicer
from yidao.node.api.bundle_service import BundleServicer
from yidao.node.api.follow_service import FollowServicer
from yidao.node.api.identity_service import IdentityServicer
from yidao.node.api.node_service import NodeServicer
from yidao.node.api.parts_service import PartsServicer
from yidao.node.api.query_service import QueryServicer
from yidao.node.api.recovery_service import RecoveryServicer
from yidao.node.api.server import LocalServer
from yidao.node.api.servicers import affair_servicers
from yidao.node.api.trust_service import TrustServicer
from yidao.node.certificates import CertificateWatch
from yidao.node.clock import check_clock, system_clock_ms
from yidao.node.config import Settings, load_settings
from yidao.node.courier.courier import Courier
from yidao.node.errors import NodeError
from yidao.node.expiries import Expiries, certificates_of
from yidao.node.feeds import FeedDecider
from yidao.node.frontiers import StatementDecider
from yidao.node.health import Health
from yidao.node.jobs import Job, Jobs, every
from yidao.node.keychanges import KeyChanges, settled
from yidao.node.keys import Chain, Identity, KeyFolder
from yidao.node.link.admission import Admission, Policy, load_authority
from yidao.node.link.dialer import Dialer
from yidao.node.link.founding import record_founding
from yidao.node.link.hub import Hub
from yidao.node.link.invitation import Invitations
from yidao.node.link.joinserver import join_server
from yidao.node.link.options import forget_environment_proxies
from yidao.node.link.peercheck import Peer
from yidao.node.link.renewal import Renewals
from yidao.node.link.roots import RootListDecider, Roots
from yidao.node.link.server import LinkServer
from yidao.node.link.tokens import ChildTokens
from yidao.node.link.way import why_lost
from yidao.node.logfile import LogFile
from yidao.node.logging import configure, get_logger
from yidao.node.questions import answer_questions
from yidao.node.recovery import marks
from yidao.node.recovery.incidents import IncidentDecider
from yidao.node.recovery.startup import Startup, look
from yidao.node.removals import Removals
from yidao.node.renewing import LiveCertificates, Renewer
from yidao.node.revocations import Revocations
from yidao.node.rootlists import RootLists
from yidao.node.routine import last_runs, routine_jobs, watch_jobs
from yidao.node.setup import CONFIG_NAME
from yidao.node.store.projections import Decider
from yidao.node.store.store import Store
from yidao.node.suites import check_met_suites, check_own_suites
from yidao.node.systemd import notify_ready
from yidao.node.tree import Tree
from yidao.node.witnesses import WitnessDecider
from yidao.sync.enrolment import verify_chain
from yidao.sync.ids import Path
from yidao.sync.selftest import self_test_for
from yidao.sync.suite import ED25519_SHA256

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
    self_test_for([ED25519_SHA256])


def access_mode(settings: Settings) -> Mode:
    """Give how strictly duties are kept apart."""
    return Mode.of(
        test_network=settings.test_network,
        local_account=settings.local_account,
        four_eyes=settings.four_eyes,
        administrator_keys=settings.administrator_keys,
    )


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
        parts = await self._assemble()
        await parts.start()
        dialing = self._dial(parts.hub, parts.certificates)
        log.info(
            "node.daemon.started",
            path=str(parts.hub.identity.path),
            position=parts.store.last_position(),
        )
        try:
            with self._metrics(parts.node_service.status, parts.store):
                await asyncio.to_thread(notify_ready)
                await self._stop.wait()
        finally:
            log.info("node.daemon.stopping", path=str(parts.hub.identity.path))
            parts.jobs.stop()
            if dialing is not None:
                dialing.cancel()
                await asyncio.gather(dialing, return_exceptions=True)
            await parts.stop()
        if self._defect is not None:
            raise self._defect

    async def _assemble(self) -> "Parts":
        """Construct everything and join it together; nothing is served yet."""
        identity = self._keys.load_identity()
        store = self._open_store()
        roots = Roots(store, self._keys)
        chain = self._bind(store, identity, roots)
        certificates = LiveCertificates(self._keys)
        roots.follow(lambda _anchor: certificates.reload())
        affairs = self._affairs(store)
        # Behind a fence, unless something vouches for what is in the store.
        startup = look(self._settings.data_dir, store, environ=os.environ)
        noting = [*_noting(roots), WitnessDecider(), IncidentDecider()]
        store.start(affairs.projectors, [*affairs.deciders, *noting])
        check_met_suites(store)
        await asyncio.to_thread(self._state_mode, affairs.access)
        if identity.path.depth == 0:
            chain = await asyncio.to_thread(record_founding, store, self._keys, store.identity)
        hub = self._hub(store, store.identity, chain, roots)
        hub.warden.on_reopened(self._adopt)
        hub.warden.on_turned(startup.follow)
        hub.warden.begin(startup.start)
        renewals = self._renewals(hub, certificates)
        links = LinkServer(hub, certificates, self._settings, renewals)
        expiries = _expiries(hub, certificates)
        children = self._children(roots, hub, links)
        node_service = self._node_service(hub, children, expiries, affairs.access.fields)
        gathering = answer_questions(affairs, hub, node_service)
        admissions = Admissions(store, system_clock_ms, secrets.token_bytes)
        admitting = AdmissionServicer(affairs.desk, admissions, children)
        requests = Job(name="requests", trigger=every(600), run=admissions.close_expired)
        return Parts(
            startup=startup,
            store=store,
            affairs=affairs,
            hub=hub,
            certificates=certificates,
            links=links,
            joins=self._joins(roots, hub, certificates, renewals),
            local=self._local(affairs, hub, [node_service, admitting, QueryServicer(gathering)]),
            jobs=self._jobs(hub, links, affairs.access.auditor, certificates, expiries, [requests]),
            node_service=node_service,
            gathering=gathering,
        )

    def _affairs(self, store: Store) -> Affairs:
        return Affairs(
            store,
            store.identity,
            clock_ms=system_clock_ms,
            random=secrets.token_bytes,
            access=AccessOptions(
                idle_seconds=self._settings.session_idle_minutes * 60,
                mode=access_mode(self._settings),
            ),
        )

    def _usable(self, identity: Identity) -> Identity:
        """Return the identity that signs, once its suites were tried out."""
        if not self._settings.cosign_pq:
            identity = replace(identity, cosign_pq=None)
        check_own_suites(identity)
        return identity

    def _state_mode(self, access: Access) -> None:
        access.state_mode()
        if access.local.is_whole and not self._settings.test_network:
            log.warning("access.local.full", setting="local_account")

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reopen_log)

    def _bind(self, store: Store, identity: Identity, roots: Roots) -> Chain:
        """Tell the store whom it serves, and return the chain down to this node."""
        anchor = roots.load(identity.network)
        # The root's own chain is made from its journal, once the store runs.
        proofs = self._keys.load_chain().proofs if identity.path.depth else ()
        known = verify_chain(anchor.root_pem, anchor.statement, proofs) if proofs else ()
        store.bind(self._usable(settled(store, self._keys)), known)
        return Chain(statement=anchor.statement, proofs=proofs)

    def _hub(self, store: Store, identity: Identity, chain: Chain, roots: Roots) -> Hub:
        hub = Hub(
            store=store,
            identity=identity,
            chain=chain,
            root_pem=roots.anchor.root_pem,
            settings=self._settings,
            clock_ms=system_clock_ms,
            save_chain=self._keys.save_chain,
        )
        # A list that came in between is told here, later ones as they come.
        hub.anchor_on(roots.anchor)
        roots.follow(hub.anchor_on)
        return hub

    def _renewals(self, hub: Hub, certificates: LiveCertificates) -> Renewals:
        return Renewals(
            store=hub.store,
            identity=hub.identity,
            authority=lambda: load_authority(certificates.current),
            root_pem=lambda: hub.root_pem,
            clock_ms=system_clock_ms,
            ended_days=self._settings.renew_ended_days,
        )

    def _node_service(
        self, hub: Hub, children: "Children", expiries: Expiries, fields: FieldPolicy
    ) -> NodeServicer:
        store, identity = hub.store, hub.identity
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
            Health(store, identity, hub, self._settings, expiries),
            children,
            chain=lambda: hub.chain,
            locate=functools.partial(locate, store),
            tree=tree,
            fields=fields,
        )
        return service

    def _children(self, roots: Roots, hub: Hub, links: LinkServer) -> "Children":
        tokens = ChildTokens(
            store=hub.store,
            identity=hub.identity,
            anchor=lambda: roots.anchor,
            clock_ms=system_clock_ms,
            random=secrets.token_bytes,
        )
        revocations = Revocations(hub.store, system_clock_ms, secrets.token_bytes, links.recheck)
        return Children(tokens, revocations, self._settings)

    def _joins(
        self, roots: Roots, hub: Hub, certificates: LiveCertificates, renewals: Renewals
    ) -> grpc.aio.Server:
        settings = self._settings
        admission = Admission(
            store=hub.store,
            identity=hub.identity,
            chain=lambda: hub.chain,
            authority=lambda: load_authority(certificates.current),
            clock_ms=system_clock_ms,
            policy=Policy(
                attempts_per_minute=settings.join_attempts_per_minute,
                approve=settings.join_policy == "approve",
                request_ms=settings.join_request_hours * 3_600_000,
            ),
        )
        invitations = Invitations(
            store=hub.store,
            identity=hub.identity,
            anchor=lambda: roots.anchor,
            link_address=settings.listen_seen or settings.listen,
            test_network=settings.test_network,
            clock_ms=system_clock_ms,
        )
        return join_server(
            admission,
            invitations,
            renewals,
            lambda: certificates.current,
            settings.join_listen,
        )

    def _trust_service(self, hub: Hub) -> TrustServicer:
        lists = RootLists(
            hub.store,
            self._keys,
            chain=lambda: hub.chain,
            root_pem=lambda: hub.root_pem,
            clock_ms=system_clock_ms,
            random=secrets.token_bytes,
        )
        return TrustServicer(lists, hub.identity.path)

    def _local(self, affairs: Affairs, hub: Hub, others: Sequence[object]) -> LocalServer:
        courier = Courier(hub.store, hub, self._keys, system_clock_ms, secrets.token_bytes)
        changes = KeyChanges(hub.store, self._keys, secrets.token_bytes, hub.keys_changed)
        servicers = [
            *affair_servicers(affairs),
            IdentityServicer(changes, hub.identity.path),
            FollowServicer(hub.store, affairs.access.fields),
            BundleServicer(courier),
            self._trust_service(hub),
            PartsServicer(
                Removals(hub.store, functools.partial(locate, hub.store)), affairs.access.fields
            ),
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
        self,
        hub: Hub,
        links: LinkServer,
        auditor: Auditor,
        certificates: LiveCertificates,
        expiries: Expiries,
        more: Sequence[Job],
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
        watches = {"certificate": watch.run, "expiries": expiries.run, "renewal": renewer.run}
        watching = [Job(name=name, trigger=every(60), run=run) for name, run in watches.items()]
        routine = routine_jobs(store, hub, links, self._settings)
        return Jobs(
            [*routine, *watch_jobs(store, self._settings), counting, *watching, *more],
            last_runs(store),
            system_clock_ms,
        )

    def _open_store(self) -> Store:
        url = self._settings.database_url or f"sqlite:///{self._settings.data_dir / 'store.db'}"
        return Store.open(url, clock_ms=system_clock_ms, random=secrets.token_bytes)

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


def _expiries(hub: Hub, certificates: LiveCertificates) -> Expiries:
    return Expiries(
        hub.store, system_clock_ms, lambda: certificates_of(certificates.current, hub.root_pem)
    )


def _noting(roots: Roots) -> Sequence[Decider]:
    """Return what takes notes for this node alone."""
    lists = RootListDecider(_in_loop(roots.refresh))
    return (AlarmDecider(), StatementDecider(), FeedDecider(), lists)


def _in_loop(action: Callable[[], None]) -> Callable[[], None]:
    """Return what has an action run by this loop, whatever thread asks for it."""
    loop = asyncio.get_running_loop()

    def ask() -> None:
        loop.call_soon_threadsafe(action)

    return ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a running node consists of."""

    startup: Startup
    store: Store
    affairs: Affairs
    hub: Hub
    certificates: LiveCertificates
    links: LinkServer
    joins: grpc.aio.Server
    local: LocalServer
    jobs: Jobs
    node_service: NodeServicer
    gathering: Gathering

    async def start(self) -> None:
        """Serve: first those who know this node, last the machine itself."""
        self.hub.start(self.startup.start)
        await self.links.start()
        await self.joins.start()
        await self.local.start()
        self.jobs.start()

    async def stop(self) -> None:
        """Stop in the other order; what was answered is durable already."""
        await self.hub.stop()
        await self.local.stop()
        self.gathering.stop()
        await asyncio.to_thread(self.affairs.access.auditor.flush, everything=True)
        await self.joins.stop(grace=1.0)
        await self.links.stop()
        await asyncio.to_thread(self.store.close)
        self.startup.witness.close()


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

    def add_code(self, path: Path, *, operator: str, life: timedelta) -> tuple[str, str]:
        """Return the code of a new child at `path`, and where it must ask."""
        code = self._tokens.add_code(path, operator=operator, life=life)
        return code.format(), self._settings.join_listen_seen or self._settings.join_listen
