"""Certificates are renewed over a real link, from the enrolment alone, also after their end."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path as FilePath
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from yidao.api.link.v1 import link_pb2
from yidao.node import datadir
from yidao.node.clock import system_clock_ms, utc
from yidao.node.config import Settings
from yidao.node.demo.tree import free_ports
from yidao.node.keys import (
    CA_CHAIN,
    CA_KEY,
    COSIGN_KEY,
    JOURNAL_KEY,
    ROOT_CERTIFICATE,
    TLS_CHAIN,
    TLS_KEY,
    Identity,
    KeyFolder,
)
from yidao.node.link import certificates
from yidao.node.link.admission import (
    Admission,
    Policy,
    enrolment_draft,
    load_authority,
    prove_enrolment,
)
from yidao.node.link.dialer import Dialer
from yidao.node.link.errors import PeerRevoked
from yidao.node.link.founding import found_network, record_founding
from yidao.node.link.hub import Hub
from yidao.node.link.invitation import Invitations
from yidao.node.link.joinrequest import make_csr
from yidao.node.link.joinserver import join_server
from yidao.node.link.peercheck import Enrolled, Peer, check_peer
from yidao.node.link.renewal import Renewals, signed_bytes
from yidao.node.link.renewerrors import (
    RenewClosed,
    RenewKeyForeign,
    RenewMalformed,
    RenewRefusal,
    RenewTooLate,
    RenewUnproven,
    RenewUnreachable,
)
from yidao.node.link.server import LinkServer
from yidao.node.link.tokens import Anchor
from yidao.node.link.way import why_lost
from yidao.node.renewing import JITTER_SHARE, LiveCertificates, Renewer, is_due
from yidao.node.revocations import Revocations
from yidao.node.store.store import Store
from yidao.sync.enrolment import Enrolment, verify_chain
from yidao.sync.ids import NodeId, Path, RecordId
from yidao.sync.suite import ED25519_SHA256

DAY = timedelta(days=1)


def real_now() -> datetime:
    return utc(system_clock_ms())


class Place:
    """A root that serves, and a province whose certificates may have any age."""

    def __init__(self, folder: FilePath) -> None:
        self.ports = [f"127.0.0.1:{port}" for port in free_ports(2)]
        data = datadir.prepare(folder / "root")
        self.root = found_network(data, now=real_now() - 400 * DAY, random=secrets.token_bytes)
        self.keys = KeyFolder(data)
        self.settings = self._settings(data)
        self.store = self._open(data)
        self.store.bind(self.root)
        self.store.start()
        chain = record_founding(self.store, self.keys, self.root)
        self.live = LiveCertificates(self.keys)
        self.authority = load_authority(self.live.current)
        self.founded_leaf = x509.load_pem_x509_certificate(self.live.tls_chain_pem())
        asyncio.run(self._root_renewer().run())
        self.hub = Hub(
            store=self.store,
            identity=self.root,
            chain=chain,
            root_pem=self.live.current.root_pem,
            settings=self.settings,
            clock_ms=system_clock_ms,
            save_chain=self.keys.save_chain,
        )
        self.child_data = datadir.prepare(folder / "child")
        self.child_keys = KeyFolder.create(self.child_data)
        self.child = self._enrol()
        self.child_store = self._open(self.child_data)
        proofs = self.child_keys.load_chain()
        known = verify_chain(self.live.current.root_pem, proofs.statement, proofs.proofs)
        self.child_store.bind(self.child, known)
        self.child_store.start()

    def _root_renewer(self) -> Renewer:
        return Renewer(
            store=self.store,
            folder=self.keys,
            live=self.live,
            settings=self.settings,
            clock_ms=system_clock_ms,
        )

    def close(self) -> None:
        self.child_store.close()
        self.store.close()

    def _settings(self, data: FilePath, **more: Any) -> Settings:
        listen, join_listen = self.ports
        return Settings(data_dir=data, listen=listen, join_listen=join_listen, **more)

    def _open(self, data: FilePath) -> Store:
        url = f"sqlite:///{data}/store.db"
        return Store.open(url, clock_ms=system_clock_ms, random=secrets.token_bytes)

    def _enrol(self) -> Identity:
        keys = self.child_keys
        self.tls, self.ca = certificates.generate_key(), certificates.generate_key()
        keys.write_tls_key(TLS_KEY, self.tls)
        keys.write_tls_key(CA_KEY, self.ca)
        identity = replace(
            self.root,
            node_id=NodeId(secrets.token_bytes(16)),
            path=Path.parse("/33"),
            suite=ED25519_SHA256,
            journal=keys.write_signer(JOURNAL_KEY, secrets.token_bytes(32)),
            cosign=keys.write_signer(COSIGN_KEY, secrets.token_bytes(32)),
        )
        enrolment = Enrolment(
            node_id=identity.node_id,
            path=identity.path,
            journal_key=identity.journal.public_key,
            cosign_key=identity.cosign.public_key,
            tls_sha256=certificates.key_sha256(self.tls.public_key()),
            ca_sha256=certificates.key_sha256(self.ca.public_key()),
            operator="admin@/",
        )
        record_id = RecordId(secrets.token_bytes(16))
        draft = enrolment_draft(enrolment, record_id, system_clock_ms())
        self.store.run(lambda tx: tx.append("node", [draft]))
        keys.write(ROOT_CERTIFICATE, self.live.current.root_pem)
        proofs = (*self.hub.trust.chain.proofs, prove_enrolment(self.store, record_id))
        keys.save_chain(replace(self.hub.trust.chain, proofs=proofs))
        keys.write_identity(identity)
        return identity

    def age(self, leaf: timedelta, tier: timedelta = DAY) -> None:
        """Give the province certificates that were made so long ago."""
        child, now = self.child, real_now()
        assert self.authority is not None
        made = certificates.issue_leaf(
            self.authority,
            self.tls.public_key(),
            child.network,
            child.node_id,
            child.path,
            now - leaf,
        )
        authority = certificates.issue_tier(
            self.authority, self.ca.public_key(), child.node_id, child.path, now - tier
        )
        assert authority is not None
        self.child_keys.replace(TLS_CHAIN, certificates.to_pem(made))
        self.child_keys.replace(CA_CHAIN, certificates.to_pem(authority))

    @property
    def parent(self) -> Peer:
        """The root as the province knows it."""
        return Peer(node_id=self.root.node_id, path=self.root.path, tls_sha256=b"")

    def child_settings(self) -> Settings:
        listen, join_listen = self.ports
        return self._settings(
            self.child_data,
            parent_address=listen,
            parent_join_address=join_listen,
            backoff_min_seconds=0.05,
            backoff_max_seconds=0.1,
        )

    def child_hub(self) -> Hub:
        return Hub(
            store=self.child_store,
            identity=self.child,
            chain=self.child_keys.load_chain(),
            root_pem=self.live.current.root_pem,
            settings=self.child_settings(),
            clock_ms=system_clock_ms,
            save_chain=self.child_keys.save_chain,
        )

    def why(self) -> str:
        """What stops the province's way to its parent."""
        return why_lost(self.child_settings(), self.child_keys, Path(), system_clock_ms)

    def renewer(self) -> Renewer:
        settings = self.child_settings()
        self.shown = LiveCertificates(self.child_keys)
        return Renewer(
            store=self.child_store,
            folder=self.child_keys,
            live=self.shown,
            settings=settings,
            clock_ms=system_clock_ms,
            jitter=lambda: 0.5,
        )

    def renewals(self, ended_days: int = 0) -> Renewals:
        return Renewals(
            store=self.store,
            identity=self.root,
            authority=lambda: self.authority,
            root_pem=lambda: self.live.current.root_pem,
            clock_ms=system_clock_ms,
            ended_days=ended_days,
        )

    @asynccontextmanager
    async def serving(self, ended_days: int = 0) -> AsyncIterator[None]:
        renewals = self.renewals(ended_days)
        links = LinkServer(self.hub, self.live, self.settings, renewals)
        admission = Admission(
            store=self.store,
            identity=self.root,
            chain=lambda: self.hub.trust.chain,
            authority=self.authority,
            clock_ms=system_clock_ms,
            policy=Policy(attempts_per_minute=100),
        )
        anchor = Anchor(
            root_pem=self.live.current.root_pem, statement=self.hub.trust.chain.statement
        )
        invitations = Invitations(
            store=self.store,
            identity=self.root,
            anchor=lambda: anchor,
            link_address=self.settings.listen,
            test_network=False,
            clock_ms=system_clock_ms,
        )
        joins = join_server(admission, invitations, renewals, self.live, self.settings.join_listen)
        await links.start()
        await joins.start()
        try:
            yield
        finally:
            await joins.stop(None)
            await links.stop()

    def renew(self, *, ended_days: int = 0) -> None:
        """Let the province ask, as it does by itself."""

        async def run() -> None:
            renewer = self.renewer()
            async with self.serving(ended_days):
                await renewer.renew(real_now())

        asyncio.run(run())

    def revoke(self) -> None:
        async def nobody() -> None:
            pass

        made = Revocations(self.store, system_clock_ms, secrets.token_bytes, nobody)
        asyncio.run(made.revoke(self.child.path, reason="closed", operator="admin@/"))

    def lives(self) -> list[x509.Certificate]:
        """The province's own certificate and its authority's, as they are now."""
        current = self.child_keys.load_certificates()
        chains = (current.tls_chain_pem, current.ca_chain_pem)
        return [x509.load_pem_x509_certificate(chain) for chain in chains]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Place(tmp_path_factory.mktemp("r"))
    yield made
    made.close()


def test_both_certificates_are_renewed_over_the_link_for_the_same_keys(place: Place) -> None:
    """New dates, the enrolled keys, and the next handshake shows them."""
    place.age(25 * DAY, 200 * DAY)
    renewer = place.renewer()
    assert renewer.due(real_now())
    old_tier = place.lives()[1]
    place.renew()
    leaf, tier = place.lives()
    assert leaf.not_valid_after_utc - real_now() > 29 * DAY
    assert tier.not_valid_after_utc - real_now() > 364 * DAY
    assert (leaf.public_key(), tier.public_key()) == (
        place.tls.public_key(),
        place.ca.public_key(),
    )
    assert not place.renewer().due(real_now())
    # Who hangs from the authority hangs from its old certificate and from its new one.
    for certificate in (old_tier, tier):
        assert city_below(place, certificate) == Path.parse("/33/3301")
    place.renew()


def city_below(place: Place, tier: x509.Certificate) -> Path:
    """Certify a city by the province's authority, under one of its certificates."""
    authority = certificates.Authority(
        key=place.ca, certificate=tier, chain_pem=certificates.to_pem(tier)
    )
    key, node, path = certificates.generate_key(), NodeId(bytes(16)), Path.parse("/33/3301")
    network = place.root.network
    leaf = certificates.issue_leaf(authority, key.public_key(), network, node, path, real_now())
    known = Enrolled(path=path, tls_sha256=certificates.key_sha256(key.public_key()))
    return check_peer(
        certificates.to_pem(leaf) + authority.chain_pem,
        root_pem=place.live.current.root_pem,
        network=network,
        now=real_now(),
        enrolled=lambda _node: known,
    ).path


def test_it_is_due_at_two_thirds_and_at_half_a_little_earlier_each(place: Place) -> None:
    """By its own share of a twelfth of a life."""
    place.age(1 * DAY)
    leaf, tier = place.lives()
    for certificate, share in ((leaf, 2 / 3), (tier, 1 / 2)):
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        early = share - JITTER_SHARE / 2
        edge = begins + (ends - begins) * early
        assert not is_due(certificate, edge - timedelta(minutes=1), early)
        assert is_due(certificate, edge + timedelta(minutes=1), early)
    renewer = place.renewer()
    for days, due in ((10, False), (18, False), (19.5, True), (29, True)):
        assert renewer.due(real_now() - DAY + timedelta(days=days)) is due, days
    # The leaf would hold; the authority is at half of its life.
    place.age(1 * DAY, 183 * DAY)
    assert place.renewer().due(real_now())


def test_an_ended_certificate_is_renewed_only_where_and_while_that_is_allowed(
    place: Place,
) -> None:
    """Closed unless the parent's operator opened it, and then for some days."""
    place.age(33 * DAY)
    with pytest.raises(RenewClosed):
        place.renew()
    with pytest.raises(RenewTooLate):
        place.renew(ended_days=2)
    place.renew(ended_days=7)
    assert place.lives()[0].not_valid_after_utc > real_now()
    place.age(38 * DAY)
    with pytest.raises(RenewTooLate):
        place.renew(ended_days=100)


def request_of(place: Place, **changes: bytes) -> link_pb2.RenewRequest:
    """A request of the province for its ended certificate, or a variant."""
    given = {
        "tls_csr": make_csr(place.tls),
        "ca_csr": make_csr(place.ca),
        "ended_chain": place.child_keys.load_certificates().tls_chain_pem,
    }
    request = link_pb2.RenewRequest(**(given | changes))
    if "journal_proof" not in changes:
        request.journal_proof = place.child.journal.sign(signed_bytes(request))
    return request


STRANGER = certificates.generate_key()
REFUSED: dict[str, tuple[dict[str, bytes], type[RenewRefusal]]] = {
    "another TLS key": ({"tls_csr": make_csr(STRANGER)}, RenewKeyForeign),
    "another key of the authority": ({"ca_csr": make_csr(STRANGER)}, RenewKeyForeign),
    "no certificate request": ({"tls_csr": b"x"}, RenewMalformed),
    "no proof by the journal key": ({"journal_proof": bytes(64)}, RenewUnproven),
}


@pytest.mark.parametrize(("changes", "error"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_the_nodes_own_is_refused(
    place: Place, changes: dict[str, bytes], error: type[RenewRefusal]
) -> None:
    """Nobody gets a certificate for a key that is not enrolled."""
    place.age(33 * DAY)
    with pytest.raises(error):
        place.renewals(7).renew_ended(request_of(place, **changes))


def test_names_asked_for_in_a_request_are_ignored(place: Place) -> None:
    """What a certificate says follows from the enrolment."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=9), critical=True)
    )
    csr = builder.sign(place.tls, hashes.SHA256()).public_bytes(Encoding.DER)
    peer = Peer(node_id=place.child.node_id, path=place.child.path, tls_sha256=b"")
    answer = place.renewals().renew(peer, link_pb2.RenewRequest(tls_csr=csr))
    made = x509.load_pem_x509_certificate(answer.tls_chain)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.subject == x509.Name([])
    assert answer.ca_chain == b""


def test_a_parent_that_does_not_answer_is_named(place: Place) -> None:
    """What is there stays in use, and it is tried again an hour later."""
    place.age(25 * DAY)
    before = place.lives()
    with pytest.raises(RenewUnreachable):
        asyncio.run(place.renewer().renew(real_now()))
    assert place.lives() == before


def test_a_failed_dial_has_a_name_and_a_renewed_certificate_ends_it(place: Place) -> None:
    """TLS itself says nothing of an ended certificate; the node that must act does."""

    async def run() -> None:
        place.age(33 * DAY)
        renewer = place.renewer()
        hub = place.child_hub()
        dialer = Dialer(
            hub, place.parent, place.shown, place.child_settings(), lambda: 0.5, place.why
        )
        async with place.serving(ended_days=7):
            hub.start()
            dialing = asyncio.create_task(dialer.run())
            try:
                await until(lambda: hub.dial_error == "CERTIFICATE_ENDED")
                await renewer.renew(real_now())
                await until(lambda: any(each.progress.flowing for each in hub.connected()))
                assert hub.dial_error == ""
            finally:
                dialing.cancel()
                await asyncio.gather(dialing, return_exceptions=True)
                await hub.stop()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        # What is looked at is set by other tasks: nothing sets an event for it.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_what_stops_the_way_to_the_parent_has_a_code(place: Place) -> None:
    """Our own certificate first, then the way."""
    ages = {
        "CERTIFICATE_ENDED": 33 * DAY,
        "CERTIFICATE_NOT_YET_VALID": -2 * DAY,
        "PARENT_PORT_CLOSED": DAY,
    }
    for code, age in ages.items():
        place.age(age)
        assert place.why() == code

    async def served() -> str:
        async with place.serving():
            return await asyncio.to_thread(place.why)

    assert asyncio.run(served()) == ""


def test_the_root_certifies_itself(place: Place) -> None:
    """Nobody stands above it. Founded 400 days ago, it shows what it made today."""
    leaf = x509.load_pem_x509_certificate(place.live.tls_chain_pem())
    assert place.founded_leaf.not_valid_after_utc < real_now() < leaf.not_valid_after_utc
    assert leaf.public_key() == place.founded_leaf.public_key()


def test_a_clock_that_was_ahead_is_made_good(place: Place) -> None:
    """What was certified in a wrong year is certified again, and nobody waits for that year."""
    now_ms = [system_clock_ms() + 400 * 86_400_000]
    root = Renewer(
        store=place.store,
        folder=place.keys,
        live=place.live,
        settings=place.settings,
        clock_ms=lambda: now_ms[0],
    )
    place.age(25 * DAY)
    child = Renewer(
        store=place.child_store,
        folder=place.child_keys,
        live=LiveCertificates(place.child_keys),
        settings=place.child_settings(),
        clock_ms=lambda: now_ms[0],
    )

    async def run_both() -> None:
        await root.run()
        await child.run()

    def begins() -> datetime:
        leaf = x509.load_pem_x509_certificate(place.live.tls_chain_pem())
        return leaf.not_valid_before_utc

    async def live_through() -> None:
        # Nobody listens, and in that year the child asks in vain.
        await run_both()
        assert begins() > real_now()
        now_ms[0] = system_clock_ms()
        async with place.serving():
            await run_both()

    asyncio.run(live_through())
    assert begins() < real_now()
    shown = x509.load_pem_x509_certificate(place.child_keys.read(TLS_CHAIN))
    assert shown.not_valid_after_utc > real_now() + 25 * DAY


def test_a_revoked_node_gets_nothing(place: Place) -> None:
    """Neither before the end of its certificate nor after it."""
    place.age(33 * DAY)
    place.revoke()
    with pytest.raises(PeerRevoked):
        place.renew(ended_days=7)
