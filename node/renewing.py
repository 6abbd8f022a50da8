"""Renews this node's certificates: its own at two thirds of its life, its authority's at half.

Thousands that joined on one day must not all come at once: each node comes a little
earlier than it must, by a share of its own. The root certifies itself.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import grpc
import grpc.aio
from cryptography import x509

from yidao.api.errors import YidaoError, every_error
from yidao.api.link.v1 import link_pb2, link_pb2_grpc
from yidao.node.clock import utc
from yidao.node.config import Settings
from yidao.node.keys import (
    CA_CHAIN,
    CA_KEY,
    TLS_CHAIN,
    TLS_KEY,
    KeyFolder,
    NodeCertificates,
)
from yidao.node.link import errors
from yidao.node.link.admission import load_authority
from yidao.node.link.certificates import is_issued_by, issue_leaf, key_sha256, to_pem
from yidao.node.link.credentials import (
    channel_credentials,
    join_channel_credentials,
    target_name,
)
from yidao.node.link.joinrequest import make_csr
from yidao.node.link.options import client_options, proxy_options
from yidao.node.link.peercheck import Enrolled, check_peer, load_chain
from yidao.node.link.renewal import signed_bytes
from yidao.node.link.renewerrors import (
    RenewAnswerInvalid,
    RenewRefusal,
    RenewUnreachable,
)
from yidao.node.logging import get_logger
from yidao.node.store.store import Store

LEAF_SHARE: Final = 2 / 3
TIER_SHARE: Final = 1 / 2
#: By how much of a life a node may come earlier.
JITTER_SHARE: Final = 1 / 12
RETRY: Final = timedelta(hours=1)
TIMEOUT_SECONDS: Final = 20.0

_REFUSALS: Final = {
    kind.code: kind for base in (RenewRefusal, errors.PeerCheckError) for kind in every_error(base)
}

log = get_logger()


class LiveCertificates:
    """The certificates that this node shows now."""

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder
        self.current = folder.load_certificates()

    def __call__(self) -> NodeCertificates:
        """Give them; from any thread."""
        return self.current

    def tls_chain_pem(self) -> bytes:
        """Give the node's own certificate and those above it."""
        return self.current.tls_chain_pem

    def reload(self) -> None:
        """Take over what the key folder holds now."""
        self.current = self._folder.load_certificates()


def is_due(certificate: x509.Certificate, now: datetime, share: float) -> bool:
    """Whether that share of a certificate's life is over."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begins + (ends - begins) * share


class Renewer:
    """Renews what this node shows.

    Args:
        jitter: Gives a number from 0 to 1, which share of the earliness is this node's.
    """

    def __init__(
        self,
        *,
        store: Store,
        folder: KeyFolder,
        live: LiveCertificates,
        settings: Settings,
        clock_ms: Callable[[], int],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._folder = folder
        self._live = live
        self._settings = settings
        self._clock_ms = clock_ms
        self._early = JITTER_SHARE * jitter()
        self._not_before: datetime | None = None
        self._tries = 0

    async def run(self) -> None:
        """Renew what is due; a failure is named in the log, and tried again in an hour."""
        now = utc(self._clock_ms())
        # A time that is further off than any wait was noted by a clock that was ahead.
        waits = self._not_before is not None and now < self._not_before <= now + RETRY
        if waits or not self.due(now):
            return
        self._not_before = now + RETRY
        try:
            await self.renew(now)
        except YidaoError as error:
            log.warning("link.renewal.failed", error=error)
            return
        self._not_before = None
        until = x509.load_pem_x509_certificate(self._live.current.tls_chain_pem)
        log.info("link.renewal.done", until=until.not_valid_after_utc.isoformat())

    def due(self, now: datetime) -> bool:
        """Whether something of this node is to be renewed."""
        current = self._live.current
        leaf = x509.load_pem_x509_certificate(current.tls_chain_pem)
        if is_due(leaf, now, LEAF_SHARE - self._early):
            return True
        if self._store.identity.path.depth == 0 and now < leaf.not_valid_before_utc:
            # Made here by a clock that was ahead: until then nobody below would come in.
            return True
        if not current.ca_chain_pem:
            return False
        tier = x509.load_pem_x509_certificate(current.ca_chain_pem)
        return is_due(tier, now, TIER_SHARE - self._early)

    async def renew(self, now: datetime) -> None:
        """Get new certificates for the keys that are there, and show them from now on.

        Raises:
            RenewRefusal, PeerCheckError: The parent refused; the class says why.
            RenewUnreachable: It did not answer.
            RenewAnswerInvalid: It answered something else.
        """
        if self._store.identity.path.depth == 0:
            tls_chain, ca_chain = self._certify_root(now), b""
        else:
            answer = await self._ask(now)
            self._check(answer, now)
            tls_chain, ca_chain = answer.tls_chain, answer.ca_chain
        # One file a step: whichever of them is there, it is good by itself.
        await asyncio.to_thread(self._folder.replace, TLS_CHAIN, tls_chain)
        if ca_chain:
            await asyncio.to_thread(self._folder.replace, CA_CHAIN, ca_chain)
        self._live.reload()

    def _certify_root(self, now: datetime) -> bytes:
        authority, identity = load_authority(self._live.current), self._store.identity
        assert authority is not None, "the root has its authority"
        key = self._folder.load_tls_key(TLS_KEY).public_key()
        leaf = issue_leaf(authority, key, identity.network, identity.node_id, identity.path, now)
        return to_pem(leaf)

    def _request(self, now: datetime) -> tuple[link_pb2.RenewRequest, bool]:
        """Return the request, and whether the certificate has ended."""
        current = self._live.current
        request = link_pb2.RenewRequest(
            tls_csr=make_csr(self._folder.load_tls_key(TLS_KEY)),
            ca_csr=make_csr(self._folder.load_tls_key(CA_KEY)) if current.ca_chain_pem else b"",
        )
        leaf = x509.load_pem_x509_certificate(current.tls_chain_pem)
        has_ended = now >= leaf.not_valid_after_utc
        if has_ended:
            request.ended_chain = current.tls_chain_pem
            request.journal_proof = self._store.identity.journal.sign(signed_bytes(request))
        return request, has_ended

    async def _ask(self, now: datetime) -> link_pb2.RenewResponse:
        request, has_ended = self._request(now)
        settings = self._settings
        joining = settings.parent_join_address
        addresses = settings.parent_addresses
        if has_ended:
            addresses = () if joining is None else (joining,)
        if not addresses:
            raise RenewUnreachable(address="", reason="NO_ADDRESS")
        # The next try asks the next of several.
        address = addresses[self._tries % len(addresses)]
        self._tries += 1
        parent = self._store.identity.path.parent
        assert parent is not None, "the root asks nobody"
        name = target_name(parent)
        try:
            if has_ended:
                return await _at_join_port(address, request, self._live.current, name, settings)
            return await _at_link_port(address, request, self._live.current, name, settings)
        except grpc.aio.AioRpcError as error:
            details = error.details() or ""
            if details in _REFUSALS:
                raise _REFUSALS[details] from None
            raise RenewUnreachable(address=address, reason=error.code().name) from None

    def _check(self, answer: link_pb2.RenewResponse, now: datetime) -> None:
        """Require that the answer is of this node and its keys, and good for a peer now."""
        identity, current = self._store.identity, self._live.current
        tls = key_sha256(self._folder.load_tls_key(TLS_KEY).public_key())
        own = Enrolled(path=identity.path, tls_sha256=tls)
        try:
            check_peer(
                answer.tls_chain,
                root_pem=current.root_pem,
                network=identity.network,
                now=now,
                enrolled=lambda node: own if node == identity.node_id else None,
            )
            if answer.ca_chain:
                _check_tier(answer, current.root_pem, self._folder)
        except errors.PeerCheckError as error:
            raise RenewAnswerInvalid(reason=error.code) from None
        if bool(answer.ca_chain) != bool(current.ca_chain_pem):
            raise RenewAnswerInvalid(reason="authority")


def _check_tier(answer: link_pb2.RenewResponse, root_pem: bytes, folder: KeyFolder) -> None:
    tier, *above = load_chain(answer.ca_chain)
    issuers = above[:1] or x509.load_pem_x509_certificates(root_pem)
    if not any(is_issued_by(tier, issuer) for issuer in issuers):
        raise RenewAnswerInvalid(reason="authority")
    key = folder.load_tls_key(CA_KEY).public_key()
    if above != load_chain(answer.tls_chain)[1:] or tier.public_key() != key:
        raise RenewAnswerInvalid(reason="authority")


async def _at_link_port(
    address: str,
    request: link_pb2.RenewRequest,
    certificates: NodeCertificates,
    name: str,
    settings: Settings,
) -> link_pb2.RenewResponse:
    credentials = channel_credentials(certificates)
    options = client_options(settings, name)
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        stub = link_pb2_grpc.LinkServiceStub(channel)
        return await stub.Renew(request, timeout=TIMEOUT_SECONDS)


async def _at_join_port(
    address: str,
    request: link_pb2.RenewRequest,
    certificates: NodeCertificates,
    name: str,
    settings: Settings,
) -> link_pb2.RenewResponse:
    credentials = join_channel_credentials(certificates.root_pem)
    options = (
        ("grpc.ssl_target_name_override", name),
        *proxy_options(settings.proxy),
        ("grpc.enable_retries", 0),
    )
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        stub = link_pb2_grpc.EnrolmentServiceStub(channel)
        return await stub.Renew(request, timeout=TIMEOUT_SECONDS)
