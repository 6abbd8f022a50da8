"""Calls that keep duties apart: tokens of programs, what takes two, the policy on fields."""

from collections.abc import Sequence
from dataclasses import dataclass

from yidao.api.local.v1 import access_pb2, access_pb2_grpc
from yidao.node.client.calls import Calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a program may do, in the name of a user; the secret is not in it.

    Attributes:
        user: In whose name; the program never may more than they may at that moment.
        permissions: `reporting.submit`, …
        units: Institutions; empty for all that the user sees.
        forms: `pack/form`; empty for all.
        paths: Places that live questions may be about, each with what is below; empty for all.
        source: An address or a network from which alone it may be shown; empty for any.
        made_ms, expires_ms: Unix milliseconds.
        revoked_ms, used_ms: Unix milliseconds, or 0; `used_ms` at most a minute late.
    """

    user: str
    permissions: Sequence[str]
    title: str = ""
    units: Sequence[str] = ()
    forms: Sequence[str] = ()
    paths: Sequence[str] = ()
    source: str = ""
    calls_per_minute: int = 600
    id: str = ""
    given_by: str = ""
    made_ms: int = 0
    expires_ms: int = 0
    revoked_ms: int = 0
    used_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenToken:
    """A fresh token; its secret is told this once, and stands in no `repr`."""

    secret: str
    token: Token

    def __repr__(self) -> str:
        return f"GivenToken({self.token!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRequest:
    """A call that waits for another administrator.

    Attributes:
        call: `NodeService/RevokeChild`.
        shown: The request as JSON, without secrets.
        state: `waiting`, `approved`, `refused`, `spent`, `expired`.
        approvers: Roles of which who decides has one.
    """

    id: str
    call: str
    shown: str
    made_by: str
    made_ms: int
    expires_ms: int
    state: str
    decided_by: str
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """One line of the policy on fields; the first that fits decides.

    Attributes:
        grade: 3 or 4.
        who: `role:reviewer`, `token`, `above`, `path:/33`, `*`.
        outcome: `show`, `mask`, `refuse`.
        purpose: What the purpose must contain; empty for any.
    """

    grade: int
    who: str
    outcome: str
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPolicy:
    """The policy on fields; `set_by` is empty while the built-in one holds."""

    rules: tuple[FieldRule, ...]
    set_by: str
    set_ms: int


class DutyCalls(Calls):
    """What a client asks of tokens, of what takes two, and of the policy on fields."""

    @property
    def _duties(self) -> access_pb2_grpc.AccessServiceStub:
        return self._stub(access_pb2_grpc.AccessServiceStub)

    def give_token(self, token: Token, *, actor: str, days: int) -> GivenToken:
        """Give a program a token; takes two where the node says so.

        Args:
            token: As it shall be; id and times are the node's.
            actor: Who gives it, `user@path`.
            days: How long it lives, 1 to 365.
        """
        request = access_pb2.GiveTokenRequest(actor=actor, token=_token_message(token), days=days)
        answer = self._call(self._duties.GiveToken, request)
        return GivenToken(secret=answer.secret, token=_token(answer.token))

    def tokens(self) -> tuple[Token, ...]:
        """List one's own tokens, newest first; all of them for who gives roles."""
        answer = self._call(self._duties.ListTokens, access_pb2.ListTokensRequest())
        return tuple(_token(each) for each in answer.tokens)

    def revoke_token(self, token_id: str, *, actor: str) -> Token:
        """End a token."""
        request = access_pb2.RevokeTokenRequest(actor=actor, id=token_id)
        return _token(self._call(self._duties.RevokeToken, request).token)

    def requests(self, *, over_too: bool = False) -> tuple[PairRequest, ...]:
        """List what waits for another administrator, newest first.

        Args:
            over_too: Also what is refused, spent or expired.
        """
        answer = self._call(self._duties.ListRequests, access_pb2.ListRequestsRequest(all=over_too))
        return tuple(_request(each) for each in answer.requests)

    def decide_request(self, request_id: str, decision: str, *, actor: str) -> PairRequest:
        """Approve or refuse what another one asks for.

        Args:
            request_id: Of `requests`.
            decision: `approve` or `refuse`.
            actor: Who decides, `user@path`.
        """
        request = access_pb2.DecideRequestRequest(actor=actor, id=request_id, decision=decision)
        return _request(self._call(self._duties.DecideRequest, request).request)

    def field_policy(self) -> FieldPolicy:
        """Give the policy on fields that is in force."""
        return _policy(self._call(self._duties.GetPolicy, access_pb2.GetPolicyRequest()).policy)

    def set_field_policy(self, rules: Sequence[FieldRule], *, actor: str) -> FieldPolicy:
        """Replace the policy on fields; takes two where the node says so."""
        lines = [
            access_pb2.FieldRule(
                grade=each.grade, who=each.who, purpose=each.purpose, outcome=each.outcome
            )
            for each in rules
        ]
        request = access_pb2.SetPolicyRequest(actor=actor, rules=lines)
        return _policy(self._call(self._duties.SetPolicy, request).policy)


def _token(message: access_pb2.Token) -> Token:
    return Token(
        user=message.user,
        permissions=tuple(message.permissions),
        title=message.title,
        units=tuple(message.units),
        forms=tuple(message.forms),
        paths=tuple(message.paths),
        source=message.source,
        calls_per_minute=message.calls_per_minute,
        id=message.id,
        given_by=message.given_by,
        made_ms=message.made_ms,
        expires_ms=message.expires_ms,
        revoked_ms=message.revoked_ms,
        used_ms=message.used_ms,
    )


def _token_message(token: Token) -> access_pb2.Token:
    return access_pb2.Token(
        user=token.user,
        title=token.title,
        permissions=token.permissions,
        units=token.units,
        forms=token.forms,
        paths=token.paths,
        source=token.source,
        calls_per_minute=token.calls_per_minute,
    )


def _request(message: access_pb2.PairRequest) -> PairRequest:
    return PairRequest(
        id=message.id,
        call=message.call,
        shown=message.shown,
        made_by=message.made_by,
        made_ms=message.made_ms,
        expires_ms=message.expires_ms,
        state=message.state,
        decided_by=message.decided_by,
        approvers=tuple(message.approvers),
    )


def _policy(message: access_pb2.FieldPolicy) -> FieldPolicy:
    return FieldPolicy(
        rules=tuple(
            FieldRule(grade=each.grade, who=each.who, outcome=each.outcome, purpose=each.purpose)
            for each in message.rules
        ),
        set_by=message.set_by,
        set_ms=message.set_ms,
    )
