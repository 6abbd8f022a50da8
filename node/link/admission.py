"""Admitting a child: the parent's side of joining.

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
9. Where people decide who comes in, an operator approved exactly this request. Where
   another node stood at the path before, the tier above did (`yidao.sync.approval`).
   Until then the request is kept, and the same one may come again to ask.
10. Certificates are issued, from the token's path and nothing of the request but
   its keys; the token is spent, on condition that it still is unspent; the
   enrolment is appended to this node's `node` journal. Steps 2 to 10 are one
   job of the store's writer, and one transaction.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from yidao.api.link.v1 import link_pb2
from yidao.node.clock import utc
from yidao.node.errors import KeyFileMalformed
from yidao.node.keys import CA_KEY, Chain, Identity, NodeCertificates, load_tls_key
from yidao.node.link import errors, tokens
from yidao.node.link.certificates import Authority, issue_leaf, issue_tier, to_pem
from yidao.node.link.joinrequest import Candidate, ProvedKeys, check_mac, prove_keys, read_request
from yidao.node.logging import get_logger
from yidao.node.store import approving, waiting
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.node.store.values import Draft, DraftPart
from yidao.sync import ids
from yidao.sync.approval import Claim
from yidao.sync.enrolment import CHANNEL, KIND, Enrolment
from yidao.sync.evidencefiles import bare_proof
from yidao.sync.message import EnrolmentProof

# Callers whose tries are remembered; the least recent are forgotten first.
MAX_CALLERS: Final = 4096
#: The problem at a parent whose operator must decide on a request.
JOIN_WAITS: Final = "JOIN_WAITS"

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who comes in.

    Attributes:
        attempts_per_minute: Tries that one caller may make a minute.
        approve: An operator decides on each request; else a valid token suffices.
        request_ms: How long a request waits for a decision.
    """

    attempts_per_minute: int = 5
    approve: bool = False
    request_ms: int = 72 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Permission:
    """What lets a candidate in beside its token; see `Enrolment.basis`."""

    basis: str = ""
    approver: str = ""


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
    # At the root the authority is a root certificate, which peers know already.
    known = x509.load_pem_x509_certificates(certificates.ca_chain_pem or certificates.root_pem)
    own = next((each for each in known if each.public_key() == key.public_key()), None)
    if own is None:
        raise KeyFileMalformed(name=CA_KEY)
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
        policy: Policy,
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
            policy: Who comes in.
            monotonic: Seconds, for counting tries.
        """
        self._policy = policy
        self._store = store
        self._identity = identity
        self._chain = chain
        self._authority = authority if callable(authority) else lambda: authority
        self._clock_ms = clock_ms
        self._attempts = Attempts(policy.attempts_per_minute, monotonic)

    def count_try(self, caller: str) -> None:
        """Count a try of a caller; raise `JoinRateLimited` if it is one too many."""
        self._attempts.count(caller)

    async def admit(self, request: link_pb2.JoinRequest, caller: str) -> link_pb2.JoinResponse:
        """Enrol the sender of a request, or give the answer of its first time again.

        Args:
            request: As it came.
            caller: Whose tries are counted together: the network address.

        Raises:
            JoinRefusal: The first step that fails.
        """
        self.count_try(caller)  # (1)
        candidate = read_request(request)
        now_ms = self._clock_ms()
        # A refusal is a result here: raised inside the job it would undo the count
        # of wrong MACs with the rest of the job.
        outcome = await asyncio.wrap_future(
            self._store.submit(lambda tx: self._decide(tx, candidate, now_ms))
        )
        if isinstance(outcome, errors.JoinWaiting):
            # It knew the secret, and does as it should by asking again.
            self._attempts.forgive(caller)
            raise outcome
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
        permission = self._permission(tx, candidate, _claim(candidate, proved), now_ms)  # (9)
        network, node_id = self._identity.network, candidate.node_id  # (10)
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
            operator=permission.approver or f"{token.operator}@{self._identity.path}",
            cosign_pq=candidate.cosign_pq,
            basis=permission.basis,
        )
        # Spent before anything is appended: a refusal does not undo the job.
        if not tokens.spend(tx.conn, candidate, now_ms, tls_chain=tls_chain, ca_chain=ca_chain):
            raise errors.JoinTokenUsed
        tx.append(CHANNEL, [enrolment_draft(enrolment, record_id, now_ms)])
        waiting.settle(tx.conn, token.token_id, waiting.State.JOINED)
        tx.clear_problems(JOIN_WAITS, peer=node_id)
        return Granted(record_id=record_id, tls_chain=tls_chain, ca_chain=ca_chain)

    def _permission(self, tx: Tx, candidate: Candidate, claim: Claim, now_ms: int) -> _Permission:
        """Return what lets a candidate in; keep its request until there is something.

        Raises:
            JoinWaiting, JoinRejected, JoinRequestExpired, JoinTokenUsed: Not yet, or never.
        """
        another_stood = approving.had_another(tx.conn, claim.node_id, claim.path)
        if not (self._policy.approve or another_stood):
            return _Permission()
        kept = waiting.by_token(tx.conn, candidate.token_id)
        if kept is None:
            tx.raise_problem(
                JOIN_WAITS, peer=claim.node_id, path=str(claim.path), request=claim.claim_id
            )
        request = waiting.bind(
            tx.conn,
            candidate.token_id,
            candidate.sha256,
            claim,
            now_ms=now_ms,
            expires_ms=now_ms + self._policy.request_ms,
        )
        if request.request_sha256 != candidate.sha256:
            tx.raise_problem("JOIN_TOKEN_REUSED", path=str(claim.path), token=candidate.token_id)
            raise errors.JoinTokenUsed
        decided = approving.decisions_on(tx.conn, claim) if another_stood else ()
        refused = next((each for each in decided[:1] if not each.approved), None)
        if request.state is waiting.State.REJECTED or refused is not None:
            tx.clear_problems(JOIN_WAITS, peer=claim.node_id)
            raise errors.JoinRejected(reason=refused.reason if refused else request.reason)
        if not request.is_open(now_ms):
            tx.clear_problems(JOIN_WAITS, peer=claim.node_id)
            raise errors.JoinRequestExpired
        is_held_up = self._policy.approve and request.state is waiting.State.WAITING
        if is_held_up or (another_stood and not decided):
            raise errors.JoinWaiting(request=claim.claim_id, fingerprint=claim.fingerprint)
        return _Permission(
            basis=decided[0].record_id.hex() if decided else "", approver=request.operator
        )

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

    def forgive(self, caller: str) -> None:
        """Take back the last try of a caller."""
        times = self._times.get(caller)
        if times:
            times.pop()


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
    # The cosignatures of 15 tiers would not fit a chain, and prove nothing in it.
    return bare_proof(EnrolmentProof(header=proven.header, core=core, proof=proven.proof))


def _claim(candidate: Candidate, proved: ProvedKeys) -> Claim:
    """Return what a candidate wants to be."""
    return Claim(
        node_id=candidate.node_id,
        path=candidate.path,
        journal_key=candidate.journal_key,
        cosign_key=candidate.cosign_key,
        tls_sha256=proved.tls_sha256,
    )


def _record_id(token_id: str, used_ms: int) -> ids.RecordId:
    """Return the id of the record that spends a token: time, then the token's digest.

    Derived, so that a repeated request finds the record without another column.
    """
    digest = hashlib.sha256(b"yidao-join-record\n" + token_id.encode()).digest()
    return ids.RecordId(used_ms.to_bytes(6, "big") + digest[:10])


def _to_proto(proof: EnrolmentProof) -> link_pb2.EnrolmentProof:
    core = link_pb2.Part(name=proof.core.name, salt=proof.core.salt, body=proof.core.body)
    return link_pb2.EnrolmentProof(header=proof.header, core=core, proof=proof.proof)
