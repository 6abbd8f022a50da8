"""Constructs everything that a node consists of, and joins it together.

The only place where that is done. Nothing is served yet when it returns; whatever
fails, fails here.
"""

import asyncio
import functools
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import grpc.aio

from yidao.node.access.auditor import WINDOW_MS, Auditor
from yidao.node.access.fieldpolicy import FieldPolicy
from yidao.node.access.mode import Mode
from yidao.node.access.service import Access, AccessOptions
from yidao.node.admissions import Admissions
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.locate import locate
from yidao.node.affairs.publishing.commands import Publishing
from yidao.node.affairs.sharing.gathering import Gathering
from yidao.node.alarms import AlarmDecider
from yidao.node.api.admission_service import AdmissionServicer
from yidao.node.api.bundle_service import BundleServicer
from yidao.node.api.follow_service import FollowServicer
from yidao.node.api.identity_service import IdentityServicer
from yidao.node.api.node_service import NodeServicer
from yidao.node.api.parts_service import PartsServicer
from yidao.node.api.query_service import QueryServicer
from yidao.node.api.records_service import RecordsServicer
from yidao.node.api.recovery_service import RecoveryServicer
from yidao.node.api.server import LocalServer
from yidao.node.api.servicers import affair_servicers
from yidao.node.api.trust_service import TrustServicer
from yidao.node.certificates import CertificateWatch
from yidao.node.children import Children
from yidao.node.clock import system_clock_ms
from yidao.node.config import Settings
from yidao.node.courier.courier import Courier
from yidao.node.expiries import Expiries, certificates_of
from yidao.node.feeds import FeedDecider
from yidao.node.frontiers import StatementDecider
from yidao.node.health import Health
from yidao.node.jobs import Every, Job, Jobs
from yidao.node.keychanges import KeyChanges, settled
from yidao.node.keys import Chain, Identity, KeyFolder
from yidao.node.link.admission import Admission, Policy, load_authority
from yidao.node.link.founding import record_founding
from yidao.node.link.hub import Hub
from yidao.node.link.invitation import Invitations
from yidao.node.link.joinserver import join_server
from yidao.node.link.renewal import Renewals
from yidao.node.link.roots import RootListDecider, Roots
from yidao.node.link.server import LinkServer
from yidao.node.link.tokens import ChildTokens
from yidao.node.logging import get_logger
from yidao.node.questions import answer_questions
from yidao.node.recovery import marks
from yidao.node.recovery.incidents import IncidentDecider
from yidao.node.recovery.startup import Startup, look
from yidao.node.removals import Removals
from yidao.node.renewing import LiveCertificates, Renewer
from yidao.node.revocations import Revocations
from yidao.node.rootlists import RootLists
from yidao.node.routine import last_runs, routine_jobs, watch_jobs
from yidao.node.store.deaths import Deaths
from yidao.node.store.projections import Decider
from yidao.node.store.store import Store
from yidao.node.suites import check_met_suites, check_own_suites
from yidao.node.tree import Tree
from yidao.node.witnesses import WitnessDecider
from yidao.sync.enrolment import verify_chain
from yidao.sync.fencing import Standing

SOCKET_NAME = "local.sock"

log = get_logger()


def access_mode(settings: Settings) -> Mode:
    """Give how strictly duties are kept apart."""
    return Mode.of(
        test_network=settings.test_network,
        local_account=settings.local_account,
        four_eyes=settings.four_eyes,
        administrator_keys=settings.administrator_keys,
    )


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
        # Who leads later catches up with what the one before it missed.
        catch_up = _in_loop(self.jobs.catch_up)
        self.store.on_lead(lambda _leads: catch_up())
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


class Assembly:
    """Makes the parts of one node."""

    def __init__(self, settings: Settings, keys: KeyFolder) -> None:
        self._settings = settings
        self._keys = keys

    async def make(self) -> Parts:
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
        store.note_deaths_by(Deaths.remembered(self._settings.data_dir))
        store.start(affairs.projectors, [*affairs.deciders, *noting])
        check_met_suites(store)
        if not store.fence.reason:
            await asyncio.to_thread(self._state_mode, affairs.access)
        if identity.path.depth == 0:
            chain = await asyncio.to_thread(record_founding, store, self._keys, store.identity)
        hub = self._hub(store, store.identity, chain, roots)
        hub.warden.on_reopened(self._adopt)
        hub.warden.on_turned(startup.follow)
        hub.warden.on_turned(functools.partial(self._state_mode_later, affairs.access))
        hub.warden.begin(startup.start)
        renewals = self._renewals(hub, certificates)
        links = LinkServer(hub, certificates, self._settings, renewals)
        expiries = _expiries(hub, certificates)
        children = self._children(roots, hub, links)
        node_service = self._node_service(hub, children, expiries, affairs.access.fields)
        gathering = answer_questions(affairs, hub, node_service)
        admissions = Admissions(store, system_clock_ms, secrets.token_bytes)
        admitting = AdmissionServicer(affairs.desk, admissions, children)
        requests = Job(name="requests", trigger=Every(600), run=admissions.close_expired)
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

    def _state_mode_later(self, access: Access, standing: Standing) -> None:
        """State the mode of a node that could not seal when it started."""
        if standing is Standing.ACTIVE:
            loop = asyncio.get_running_loop()
            # The fence opens once everybody has heard of the turn.
            loop.call_soon(loop.run_in_executor, None, self._state_mode, access)

    def _state_mode(self, access: Access) -> None:
        access.state_mode()
        if access.local.is_whole and not self._settings.test_network:
            log.warning("access.local.full", setting="local_account")

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
        hub.trust.anchor_on(roots.anchor)
        roots.follow(hub.trust.anchor_on)
        return hub

    def _renewals(self, hub: Hub, certificates: LiveCertificates) -> Renewals:
        return Renewals(
            store=hub.store,
            identity=hub.identity,
            authority=lambda: load_authority(certificates.current),
            root_pem=lambda: hub.trust.root_pem,
            clock_ms=system_clock_ms,
            ended_days=self._settings.renew_ended_days,
        )

    def _node_service(
        self, hub: Hub, children: Children, expiries: Expiries, fields: FieldPolicy
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
            chain=lambda: hub.trust.chain,
            locate=functools.partial(locate, store),
            tree=tree,
            fields=fields,
        )
        return service

    def _children(self, roots: Roots, hub: Hub, links: LinkServer) -> Children:
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
            chain=lambda: hub.trust.chain,
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
            chain=lambda: hub.trust.chain,
            root_pem=lambda: hub.trust.root_pem,
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
            RecordsServicer(Publishing(affairs.desk), hub.received, system_clock_ms),
            BundleServicer(courier),
            self._trust_service(hub),
            PartsServicer(
                Removals(hub.store, functools.partial(locate, hub.store)), affairs.access.fields
            ),
            RecoveryServicer(hub.store, hub.warden),
            *others,
        ]
        return LocalServer(self._settings.data_dir / SOCKET_NAME, servicers)

    def _adopt(self, identity: Identity) -> None:
        """Keep that this node writes in a new epoch; what it was restored from is settled."""
        self._keys.switch_identity(identity, self._keys.active_keys())
        marks.drop(self._settings.data_dir, marks.RESTORED)

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

        counting = Job(
            name="audit", trigger=Every(WINDOW_MS / 1_000), run=tell_counted, everywhere=True
        )
        watches = {"certificate": watch.run, "expiries": expiries.run, "renewal": renewer.run}
        watching = [
            Job(name=name, trigger=Every(60), run=run, everywhere=True)
            for name, run in watches.items()
        ]
        routine = routine_jobs(store, hub, links, self._settings)
        return Jobs(
            [*routine, *watch_jobs(store, self._settings), counting, *watching, *more],
            last_runs(store),
            system_clock_ms,
            lambda: store.leads,
        )

    def _open_store(self) -> Store:
        url = self._settings.database_url or f"sqlite:///{self._settings.data_dir / 'store.db'}"
        return Store.open(url, clock_ms=system_clock_ms, random=secrets.token_bytes)


def _expiries(hub: Hub, certificates: LiveCertificates) -> Expiries:
    return Expiries(
        hub.store,
        system_clock_ms,
        lambda: certificates_of(certificates.current, hub.trust.root_pem),
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
