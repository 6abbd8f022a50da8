"""Admitting a child: the parent's side of joining, and the service on the join port.

One request, in these steps; the first that fails refuses it:

1. The caller has not tried too often, and the request has the right form.
2. The token exists and was not closed.
3. The token is unspent. If it was spent by this very request within ten minutes,
   the same certificates are given again, since the answer may have been lost;
   any other request is refused and a problem raised.
4. The token's time is not over.
5. The MAC was made with the token's secret. Three that were not close the token.
6. Network and path are the token's.
7. All four keys are fit and proved to be the sender's.
8. Neither node id nor path is enrolled.
9. Certificates are issued, from the token's path and nothing of the request but
   its keys; the token is spent, on condition that it still is unspent; the
   enrolment is appended to this node's `node` journal. Steps 2 to 9 are one job of
   the store's writer, and one transaction.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
from cryptography import x509
from google.protobuf.message import DecodeError

from yidao.api.errors import YidaoError
from yidao.api.link.v1 import link_pb2
from yidao.node.clock import utc
from yidao.node.keys import CA_KEY, Chain, Identity, NodeCertificates, load_tls_key
from yidao.node.link import errors, tokens
from yidao.node.link.certificates import Authority, issue_leaf, issue_tier, to_pem
from yidao.node.link.credentials import live_server_credentials
from yidao.node.link.joinrequest import Candidate, check_mac, prove_keys, read_request
from yidao.node.link.options import GUARD_OPTIONS
from yidao.node.link.renewal import Renewals, first_request
from yidao.node.link.renewerrors import RenewRefusal
from yidao.node.logging import get_logger
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart
from yidao.sync import ids
from yidao.sync.enrolment import CHANNEL, KIND, Enrolment
from yidao.sync.message import EnrolmentProof

# Callers whose tries are remembered; the least recent are forgotten first.
MAX_CALLERS: Final = 4096
MAX_REQUEST_BYTES: Final = 16 * 1024
SERVICE: Final = "yidao.api.link.v1.EnrolmentService"

# How long the one message of a caller may be on its way; the caller itself waits 20 s.
REQUEST_SECONDS: Final = 10.0

# Whoever has not joined yet gets little room: one small message, and little time for it.
SERVER_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    *GUARD_OPTIONS,
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_concurrent_streams", 4),
    ("grpc.max_connection_idle_ms", 10_000),
    ("grpc.max_connection_age_ms", 60_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
)

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What was issued: PEM chains, and the record that says so."""

    record_id: ids.RecordId
    tls_chain: bytes
    ca_chain: bytes


def load_authority(certificates: NodeCertificates) -> Authority | None:
    """Return this node's certificate authority.

    None if it has none, because its parent stands as low as authorities may.
    """
    if certificates.ca_key_pem is None:
        return None
    key = load_tls_key(certificates.ca_key_pem, CA_KEY)
    # At the root the authority is the root certificate, which peers know already.
    own = x509.load_pem_x509_certificate(certificates.ca_chain_pem or certificates.root_pem)
    return Authority(key=key, certificate=own, chain_pem=certificates.ca_chain_pem)


class Admission:
    """Decides who may join below this node."""

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        chain: Callable[[], Chain],
        authority: Authority | Callable[[], Authority | None] | None,
        clock_ms: Callable[[], int],
        attempts_per_minute: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the parts it works with.

        Args:
            store: Bound to `identity` and started.
            identity: This node.
            chain: Gives this node's own chain as it is now.
            authority: This node's certificate authority, or gives it as it is then;
                without one everybody is refused.
            clock_ms: Unix milliseconds.
            attempts_per_minute: Tries that one caller may make a minute.
            monotonic: Seconds, for counting tries.
        """
        self._store = store
        self._identity = identity
        self._chain = chain
        self._authority = authority if callable(authority) else lambda: authority
        self._clock_ms = clock_ms
        self._attempts = Attempts(attempts_per_minute, monotonic)

    def count_try(self, caller: str) -> None:
        """Count a try of a caller of this port; raise `JoinRateLimited` if it is one too many."""
        self._attempts.count(caller)

    async def admit(self, request: link_pb2.JoinRequest, caller: str) -> link_pb2.JoinResponse:
        """Enrol the sender of a request, or give the answer of its first time again.

        Args:
            request: As it came.
            caller: Whose tries are counted together: the network address.

        Raises:
            JoinRefusal: The first step that fails.
        """
        self._attempts.count(caller)  # (1)
        candidate = read_request(request)
        now_ms = self._clock_ms()
        # A refusal is a result here: raised inside the job it would undo the count
        # of wrong MACs with the rest of the job.
        outcome = await asyncio.wrap_future(
            self._store.submit(lambda tx: self._decide(tx, candidate, now_ms))
        )
        if isinstance(outcome, errors.JoinRefusal):
            log.warning("link.join.refused", child=str(candidate.path), error=outcome)
            raise outcome
        log.info("link.join.admitted", child=str(candidate.path), node=candidate.node_id.hex())
        proof = await asyncio.to_thread(self._prove, outcome.record_id)
        return link_pb2.JoinResponse(
            tls_chain=outcome.tls_chain,
            ca_chain=outcome.ca_chain,
            chain=[_to_proto(each) for each in (*self._chain().proofs, proof)],
        )

    def _decide(self, tx: Tx, candidate: Candidate, now_ms: int) -> Granted | errors.JoinRefusal:
        token = tokens.find_token(tx.conn, candidate.token_id)  # (2)
        if token is None:
            return errors.JoinTokenUnknown()
        if token.killed_ms is not None:
            return errors.JoinTokenKilled()
        if token.used_ms is not None:  # (3)
            return self._repeat(tx, candidate, token, now_ms)
        if now_ms >= token.expires_ms:  # (4)
            return errors.JoinTokenExpired()
        assert token.secret is not None, "an open token has its secret"
        try:
            check_mac(candidate, token.secret)  # (5)
        except errors.JoinMacWrong as wrong:
            if tokens.count_bad_mac(tx.conn, token, now_ms):
                tx.raise_problem("JOIN_TOKEN_GUESSED", path=str(token.path), token=token.token_id)
            return wrong
        if candidate.network != self._identity.network:  # (6)
            return errors.JoinNetworkMismatch()
        if candidate.path != token.path:
            return errors.JoinPathMismatch()
        try:
            return self._grant(tx, candidate, token, now_ms)
        except errors.JoinRefusal as refusal:
            return refusal

    def _repeat(
        self, tx: Tx, candidate: Candidate, token: tokens.Token, now_ms: int
    ) -> Granted | errors.JoinRefusal:
        assert token.used_ms is not None
        is_same = candidate.sha256 == token.request_sha256
        if is_same and 0 <= now_ms - token.used_ms < tokens.REPEAT_WINDOW_MS:
            return Granted(
                record_id=_record_id(token.token_id, token.used_ms),
                tls_chain=token.tls_chain,
                ca_chain=token.ca_chain,
            )
        tx.raise_problem("JOIN_TOKEN_REUSED", path=str(token.path), token=token.token_id)
        return errors.JoinTokenUsed()

    def _grant(self, tx: Tx, candidate: Candidate, token: tokens.Token, now_ms: int) -> Granted:
        authority, now, path = self._authority(), utc(now_ms), token.path
        if authority is None:
            raise errors.NoAuthority
        proved = prove_keys(candidate)  # (7)
        if tokens.is_taken(tx.conn, candidate.node_id, path):  # (8)
            raise errors.JoinNodeTaken
        network, node_id = self._identity.network, candidate.node_id  # (9)
        leaf = issue_leaf(authority, proved.tls, network, node_id, path, now)
        tier = issue_tier(authority, proved.ca, node_id, path, now) if proved.ca else None
        tls_chain = to_pem(leaf) + authority.chain_pem
        ca_chain = to_pem(tier) + authority.chain_pem if tier else b""
        record_id = _record_id(token.token_id, now_ms)
        enrolment = Enrolment(
            node_id=node_id,
            path=path,
            journal_key=candidate.journal_key,
            cosign_key=candidate.cosign_key,
            suite=candidate.suite,
            tls_sha256=proved.tls_sha256,
            ca_sha256=proved.ca_sha256 if tier else b"",
            token_id=token.token_id,
            operator=f"{token.operator}@{self._identity.path}",
        )
        # Spent before anything is appended: a refusal does not undo the job.
        if not tokens.spend(tx.conn, candidate, now_ms, tls_chain=tls_chain, ca_chain=ca_chain):
            raise errors.JoinTokenUsed
        tx.append(CHANNEL, [enrolment_draft(enrolment, record_id, now_ms)])
        return Granted(record_id=record_id, tls_chain=tls_chain, ca_chain=ca_chain)

    def _prove(self, record_id: ids.RecordId) -> EnrolmentProof:
        return prove_enrolment(self._store, record_id)


class Attempts:
    """Counts the tries of each caller over the last minute."""

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, caller: str) -> None:
        """Count one try; raise `JoinRateLimited` if it is one too many."""
        now = self._monotonic()
        times = self._times.setdefault(caller, deque())
        self._times.move_to_end(caller)
        while len(self._times) > MAX_CALLERS:
            self._times.popitem(last=False)
        while times and now - times[0] >= 60:
            times.popleft()
        if len(times) >= self._limit:
            raise errors.JoinRateLimited
        times.append(now)


class EnrolmentServicer:
    """`EnrolmentService`: a refusal travels as its code in the status details.

    Served as a stream of requests, of which the first is taken: gRPC waits without
    end for the message of a unary call, and has no deadline for callers who set none.
    """

    def __init__(self, admission: Admission, renewals: Renewals | None = None) -> None:
        self._admission = admission
        self._renewals = renewals

    async def renew(
        self,
        requests: AsyncIterator[bytes],
        context: grpc.aio.ServicerContext[bytes, link_pb2.RenewResponse],
    ) -> link_pb2.RenewResponse:
        """Give a node whose certificate has ended a new one, where that is allowed."""
        assert self._renewals is not None, "registered where there are some"
        try:
            self._admission.count_try(context.peer().rpartition(":")[0])
            request = await first_request(requests)
            return await asyncio.to_thread(self._renewals.renew_ended, request)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED)
        except errors.JoinRateLimited as refusal:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, refusal.code)
        except (RenewRefusal, errors.PeerCheckError) as refusal:
            log.warning("link.renewal.refused", code=refusal.code)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal.code)

    async def join(
        self,
        requests: AsyncIterator[bytes],
        context: grpc.aio.ServicerContext[bytes, link_pb2.JoinResponse],
    ) -> link_pb2.JoinResponse:
        """Spend a token and be enrolled."""
        caller = context.peer().rpartition(":")[0]
        try:
            return await self._admission.admit(await _first(requests), caller)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED)
        except errors.JoinRateLimited as refusal:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, refusal.code)
        except errors.JoinRefusal as refusal:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal.code)
        except YidaoError as error:
            # Our own trouble: the other side learns no more than that.
            log.exception("link.join.failed", error=error)
            await context.abort(grpc.StatusCode.INTERNAL, "INTERNAL")


async def _first(requests: AsyncIterator[bytes]) -> link_pb2.JoinRequest:
    """Return the message of a call.

    Raises:
        TimeoutError: It did not come in time.
        JoinRequestMalformed: There is none, or it cannot be parsed.
    """
    async with asyncio.timeout(REQUEST_SECONDS):
        async for data in requests:
            try:
                return link_pb2.JoinRequest.FromString(data)
            except DecodeError:
                break
    raise errors.JoinRequestMalformed


def join_server(
    admission: Admission,
    certificates: NodeCertificates | Callable[[], NodeCertificates],
    address: str,
    renewals: Renewals | None = None,
) -> grpc.aio.Server:
    """Return a server for the join port, bound and not started.

    Args:
        admission: Decides who may join.
        certificates: What it shows, or gives what it shows at each handshake.
        address: Where to listen.
        renewals: Gives those whose certificate has ended a new one.

    Raises:
        LinkPortTaken: The address is in use or may not be used.
    """
    server = grpc.aio.server(options=SERVER_OPTIONS, maximum_concurrent_rpcs=64)
    servicer = EnrolmentServicer(admission, renewals)
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Join": grpc.stream_unary_rpc_method_handler(
            servicer.join,
            response_serializer=link_pb2.JoinResponse.SerializeToString,
        )
    }
    if renewals is not None:
        handlers["Renew"] = grpc.stream_unary_rpc_method_handler(
            servicer.renew,
            response_serializer=link_pb2.RenewResponse.SerializeToString,
        )
    source = certificates if callable(certificates) else lambda: certificates
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    try:
        server.add_secure_port(address, live_server_credentials(source, mutual=False))
    except RuntimeError:
        raise errors.LinkPortTaken(address=address) from None
    return server


def enrolment_draft(enrolment: Enrolment, record_id: ids.RecordId, now_ms: int) -> Draft:
    """Return the record that enrols a node."""
    return Draft(
        record_id=record_id,
        kind=KIND,
        actor=enrolment.operator,
        object_id=enrolment.node_id.hex(),
        object_version=1,
        created_ms=now_ms,
        parts=(DraftPart(name="core", body=enrolment.encode()),),
    )


def prove_enrolment(store: Store, record_id: ids.RecordId) -> EnrolmentProof:
    """Return an enrolment of this node's journal with its proof."""
    position = store.lookup(record_id)
    assert position is not None, "the record is durable before its id is given out"
    proven = store.prove(position)
    core = next(part for part in proven.parts if part.name == "core")
    return EnrolmentProof(header=proven.header, core=core, proof=proven.proof)


def _record_id(token_id: str, used_ms: int) -> ids.RecordId:
    """Return the id of the record that spends a token: time, then the token's digest.

    Derived, so that a repeated request finds the record without another column.
    """
    digest = hashlib.sha256(b"yidao-join-record\n" + token_id.encode()).digest()
    return ids.RecordId(used_ms.to_bytes(6, "big") + digest[:10])


def _to_proto(proof: EnrolmentProof) -> link_pb2.EnrolmentProof:
    core = link_pb2.Part(name=proof.core.name, salt=proof.core.salt, body=proof.core.body)
    return link_pb2.EnrolmentProof(header=proof.header, core=core, proof=proof.proof)
