"""Renewing certificates: the parent's side, and what both sides must agree on.

Keys stay as they are enrolled; only their certificates are made anew, from the
enrolment and nothing of the request but its keys. So a request that is repeated,
or that somebody recorded, gives nobody anything but certificates of keys that
they do not have.

1. The caller's certificate passes the peer check: it is enrolled here, and was not
   revoked. One that has ended is judged as of its last second, if the operator has
   allowed that, not longer ago than allowed, and with the node's journal key as
   proof, since TLS could not prove the old key.
2. The request is signed by the keys that it is about, and these are the enrolled ones.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from google.protobuf.message import DecodeError

from yidao.api.errors import YidaoError
from yidao.api.link.v1 import link_pb2
from yidao.node.clock import utc
from yidao.node.keys import Identity
from yidao.node.link import errors
from yidao.node.link.certificates import (
    Authority,
    issue_leaf,
    issue_tier,
    key_sha256,
    to_pem,
)
from yidao.node.link.joinrequest import MAX_CSR_BYTES, csr_key
from yidao.node.link.peercheck import MAX_CHAIN_BYTES, Enrolled, Peer, check_peer, load_chain
from yidao.node.link.renewerrors import (
    RenewClosed,
    RenewKeyForeign,
    RenewMalformed,
    RenewNoAuthority,
    RenewTooLate,
    RenewUnproven,
)
from yidao.node.store.store import Store
from yidao.node.store.values import EnrolledNode
from yidao.sync import suite
from yidao.sync.ids import NodeId

PROOF_PREFIX: Final = b"yidao-renew-v1\n"
MAX_ENDED_DAYS: Final = 7
#: How long the one message of a caller may be on its way.
REQUEST_SECONDS: Final = 10.0
#: A request: two CSRs, a chain of fifteen certificates, a signature.
MAX_REQUEST_BYTES: Final = 2 * MAX_CSR_BYTES + MAX_CHAIN_BYTES + 1024


def signed_bytes(request: link_pb2.RenewRequest) -> bytes:
    """Return what the journal key signs of a request."""
    pieces = (request.tls_csr, request.ca_csr, request.ended_chain)
    return PROOF_PREFIX + b"".join(hashlib.sha256(piece).digest() for piece in pieces)


async def first_request(requests: AsyncIterator[bytes]) -> link_pb2.RenewRequest:
    """Return the one message of a call.

    Raises:
        TimeoutError: It did not come in time.
        RenewMalformed: There is none, it is too long, or it cannot be parsed.
    """
    async with asyncio.timeout(REQUEST_SECONDS):
        async for data in requests:
            if len(data) > MAX_REQUEST_BYTES:
                break
            try:
                return link_pb2.RenewRequest.FromString(data)
            except DecodeError:
                break
    raise RenewMalformed


class Renewals:
    """Gives children new certificates.

    Args:
        ended_days: How long ago a certificate may have ended; 0 = none that has.
    """

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        authority: Callable[[], Authority | None],
        root_pem: bytes,
        clock_ms: Callable[[], int],
        ended_days: int,
    ) -> None:
        self._store = store
        self._identity = identity
        self._authority = authority
        self._root_pem = root_pem
        self._clock_ms = clock_ms
        self._ended = timedelta(days=min(ended_days, MAX_ENDED_DAYS))

    def renew(self, peer: Peer, request: link_pb2.RenewRequest) -> link_pb2.RenewResponse:
        """Answer a peer that has passed the check.

        Raises:
            RenewRefusal: A key of the request is not the peer's, or not proved.
        """
        node = self._store.enrolled(peer.node_id)
        assert node is not None, "the peer check found it"
        return self._issue(node, request)  # (2)

    def renew_ended(self, request: link_pb2.RenewRequest) -> link_pb2.RenewResponse:
        """Answer a node whose certificate has ended.

        Raises:
            RenewRefusal, PeerCheckError: The first step that fails.
        """
        if not self._ended:
            raise RenewClosed
        until = load_chain(request.ended_chain)[0].not_valid_after_utc
        now = utc(self._clock_ms())
        if not until < now <= until + self._ended:
            raise RenewTooLate
        peer = check_peer(  # (1)
            request.ended_chain,
            root_pem=self._root_pem,
            network=self._identity.network,
            now=until - timedelta(seconds=1),
            enrolled=self._enrolled,
        )
        key = self._store.keys_of(peer.node_id)[-1]
        try:
            suite.verify(key.suite, key.journal_key, request.journal_proof, signed_bytes(request))
        except YidaoError:
            raise RenewUnproven from None
        return self.renew(peer, request)

    def _enrolled(self, node_id: NodeId) -> Enrolled | None:
        node = self._store.enrolled(node_id)
        if node is None or node.path.parent != self._identity.path:
            return None
        return Enrolled(path=node.path, tls_sha256=node.tls_sha256, revoked=node.revoked)

    def _issue(self, node: EnrolledNode, request: link_pb2.RenewRequest) -> link_pb2.RenewResponse:
        authority, now = self._authority(), utc(self._clock_ms())
        if authority is None:
            raise RenewNoAuthority
        tls = _proved(request.tls_csr, node.tls_sha256)
        leaf = issue_leaf(authority, tls, self._identity.network, node.node_id, node.path, now)
        tier = None
        if request.ca_csr:
            ca = _proved(request.ca_csr, node.ca_sha256)
            tier = issue_tier(authority, ca, node.node_id, node.path, now)
        return link_pb2.RenewResponse(
            tls_chain=to_pem(leaf) + authority.chain_pem,
            ca_chain=to_pem(tier) + authority.chain_pem if tier else b"",
        )


def _proved(csr: bytes, enrolled_sha256: bytes) -> EllipticCurvePublicKey:
    """Return the key of a certificate request that is signed by it, and enrolled."""
    if len(csr) > MAX_CSR_BYTES:
        raise RenewMalformed
    try:
        key = csr_key(csr)
    except errors.JoinCsrInvalid:
        raise RenewMalformed from None
    if key_sha256(key) != enrolled_sha256:
        raise RenewKeyForeign
    return key
