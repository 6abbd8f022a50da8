"""Calls about who comes in below: join codes, requests that wait, approvals."""

from collections.abc import Sequence
from dataclasses import dataclass

from yidao.api.local.v1 import admission_pb2 as pb
from yidao.api.local.v1 import admission_pb2_grpc as pb_grpc
from yidao.node.client.calls import Calls


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCode:
    """A join token to read out.

    Attributes:
        code: Holds a secret.
        join_address: Where the child must ask, `host:port`.
    """

    code: str
    join_address: str

    def __repr__(self) -> str:
        return f"ChildCode(join_address={self.join_address})"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """Something that waits for a decision.

    Attributes:
        request: 16 hex digits, the same at the child, at its parent and one tier above.
        kind: `join`, or `reenrolment`: asked by a node below.
        fingerprint: What two people compare by phone.
        state: `waiting`, `approved`; `above` where the tier above must approve.
        asked: Whether the tier above was asked.
        expires_ms: 0 where it does not end.
    """

    request: str
    kind: str
    path: str
    node_id: bytes
    fingerprint: str
    state: str
    asked: bool
    asked_ms: int
    expires_ms: int
    reason: str
    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReenrolmentAsked:
    """What was asked of the tier above; `decider` is where it stands."""

    request: str
    fingerprint: str
    decider: str


class AdmissionCalls(Calls):
    """What a client asks about who comes in."""

    @property
    def _admission(self) -> pb_grpc.AdmissionServiceStub:
        return self._stub(pb_grpc.AdmissionServiceStub)

    def add_child_code(self, label: str, *, ttl_seconds: int, operator: str) -> ChildCode:
        """Make a single-use join code for a child; it holds a secret."""
        request = pb.AddChildCodeRequest(label=label, ttl_seconds=ttl_seconds, operator=operator)
        answer = self._call(self._admission.AddChildCode, request)
        return ChildCode(code=answer.code, join_address=answer.join_address)

    def open_requests(self) -> tuple[OpenRequest, ...]:
        """Give what waits for a decision here or one tier above, the oldest first."""
        answer = self._call(self._admission.ListOpenRequests, pb.ListOpenRequestsRequest())
        return tuple(
            OpenRequest(
                request=each.request,
                kind=each.kind,
                path=each.path,
                node_id=each.node_id,
                fingerprint=each.fingerprint,
                state=each.state,
                asked=each.asked,
                asked_ms=each.asked_ms,
                expires_ms=each.expires_ms,
                reason=each.reason,
                operator=each.operator,
            )
            for each in answer.requests
        )

    def decide_join(self, request: str, *, approved: bool, operator: str, reason: str = "") -> str:
        """Approve or reject what waits; gives the path that it is about.

        Args:
            request: 16 hex digits, of `open_requests`.
            approved: Yes or no.
            operator: `user@path`, of this node.
            reason: Required for a no, at most 200 characters; the other side reads it.
        """
        message = pb.DecideJoinRequest(
            request=request, approved=approved, operator=operator, reason=reason
        )
        return self._call(self._admission.DecideJoin, message).path

    def ask_reenrolment(self, label: str, *, reason: str, operator: str) -> ReenrolmentAsked:
        """Ask the tier above to let the node that waits at a path take another one's place.

        Args:
            label: Below this node, `33`.
            reason: What became of the former node, at most 200 characters.
            operator: `user@path`, of this node.
        """
        message = pb.AskReenrolmentRequest(label=label, reason=reason, operator=operator)
        answer = self._call(self._admission.AskReenrolment, message)
        return ReenrolmentAsked(
            request=answer.request, fingerprint=answer.fingerprint, decider=answer.decider
        )

    def hand_over_units(
        self, *, actor: str, to: str, units: Sequence[str] = (), reason: str = ""
    ) -> tuple[str, ...]:
        """Hand institutions over to another node, for good; gives which.

        Args:
            actor: `user@path`, of this node.
            to: Path of the node that takes them, by registering them.
            units: 统一社会信用代码, at most 2,000; empty for all that this node hosts.
            reason: At most 200 characters.
        """
        request = pb.HandOverUnitsRequest(actor=actor, to=to, units=units, reason=reason)
        return tuple(self._call(self._admission.HandOverUnits, request).units)
