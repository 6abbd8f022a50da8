"""The local API of users, sessions and the audit."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import grpc.aio

from yidao.api.local.v1 import access_pb2, access_pb2_grpc
from yidao.catalog.masks import Outcome
from yidao.node.access.accounts import Account, Profile
from yidao.node.access.audit import Entry
from yidao.node.access.caller import Caller, current_caller
from yidao.node.access.errors import PolicyInvalid, SessionEnded, SignInBusy
from yidao.node.access.fieldpolicy import Policy
from yidao.node.access.fields import FieldRule
from yidao.node.access.pairs import Request
from yidao.node.access.roles import parse_roles
from yidao.node.access.service import Access
from yidao.node.access.sessions import Proof
from yidao.node.access.tokens import (
    CALLS_PER_MINUTE,
    Grant,
    Token,
    read_paths,
    read_permissions,
)
from yidao.node.affairs.desk import Desk
from yidao.node.api.errors import answered
from yidao.node.api.guard import SOURCE_METADATA, AccessGuard
from yidao.node.api.workers import Workers

T = TypeVar("T")

Context = grpc.aio.ServicerContext[Any, Any]

# Each takes 64 MiB for a quarter of a second.
_HASHERS: Final = 2
_MAX_WAITING: Final = 16


class AccessServicer(access_pb2_grpc.AccessServiceServicer):
    """Serves `AccessService`; `guard` stands before it and all others."""

    def __init__(self, access: Access, desk: Desk, workers: Workers, guard: AccessGuard) -> None:
        self._access = access
        self._desk = desk
        self._workers = workers
        self.guard = guard
        self._hashing = _Hashing()

    @answered
    async def SignIn(
        self, request: access_pb2.SignInRequest, context: Context
    ) -> access_pb2.SignInResponse:
        """Open a session."""
        source = request.source or _source_of(context)
        proof = Proof(challenge=request.challenge, signature=request.signature)
        opened = await self._hashing.run(
            lambda: self._access.sessions.open(
                request.user,
                request.password,
                unit=request.unit,
                source=source,
                proof=proof if request.challenge else None,
            )
        )
        [user] = await self._users(opened.account)
        return access_pb2.SignInResponse(
            token=opened.token, user=user, idle_seconds=opened.idle_seconds
        )

    @answered
    async def Challenge(
        self, request: access_pb2.ChallengeRequest, context: Context
    ) -> access_pb2.ChallengeResponse:
        """Give what a key signs."""
        challenges = self._access.sessions.challenges
        challenge = challenges.make(request.user)
        return access_pb2.ChallengeResponse(
            challenge=challenge, text=challenges.text(challenge, request.user)
        )

    @answered
    async def RegisterKey(
        self, request: access_pb2.RegisterKeyRequest, context: Context
    ) -> access_pb2.RegisterKeyResponse:
        """Register the caller's key."""
        caller = _session()
        proof = Proof(challenge=request.challenge, signature=request.signature)
        await self._workers.write(
            lambda: self._access.users.register_key(caller, request.public_key, proof)
        )
        return access_pb2.RegisterKeyResponse()

    @answered
    async def RemoveKey(
        self, request: access_pb2.RemoveKeyRequest, context: Context
    ) -> access_pb2.RemoveKeyResponse:
        """Forget another one's key."""
        caller = current_caller()
        await self._workers.write(lambda: self._access.users.remove_key(caller, request.name))
        return access_pb2.RemoveKeyResponse()

    @answered
    async def SignOut(
        self, request: access_pb2.SignOutRequest, context: Context
    ) -> access_pb2.SignOutResponse:
        """End the caller's session."""
        caller = _session()
        await self._workers.write(lambda: self._access.sessions.close(caller))
        return access_pb2.SignOutResponse()

    @answered
    async def WhoAmI(
        self, request: access_pb2.WhoAmIRequest, context: Context
    ) -> access_pb2.WhoAmIResponse:
        """Tell who calls."""
        caller = current_caller()
        if caller.is_local:
            return access_pb2.WhoAmIResponse(permissions=sorted(caller.permissions))
        account = await self._workers.read(lambda: self._access.users.get(caller.user))
        if account is None:
            raise SessionEnded
        [user] = await self._users(account)
        user.unit = caller.unit
        return access_pb2.WhoAmIResponse(
            user=user,
            actor=caller.actor,
            permissions=sorted(caller.permissions),
            must_register_key=caller.must_register_key,
            token_id=caller.token_id,
        )

    @answered
    async def ChangePassword(
        self, request: access_pb2.ChangePasswordRequest, context: Context
    ) -> access_pb2.ChangePasswordResponse:
        """Change the caller's password."""
        caller = _session()
        await self._hashing.run(
            lambda: self._access.users.change_password(
                caller, request.old_password, request.new_password
            )
        )
        return access_pb2.ChangePasswordResponse()

    @answered
    async def PutUser(
        self, request: access_pb2.PutUserRequest, context: Context
    ) -> access_pb2.PutUserResponse:
        """Add or change a user."""
        caller = current_caller()
        wanted = Profile(
            name=request.user.name,
            title=request.user.title,
            roles=parse_roles(request.user.roles),
            unit=request.user.unit,
            disabled=request.user.disabled,
        )
        account = await self._hashing.run(
            lambda: self._access.users.put(caller, wanted, request.password)
        )
        [user] = await self._users(account)
        return access_pb2.PutUserResponse(user=user)

    @answered
    async def UnlockUser(
        self, request: access_pb2.UnlockUserRequest, context: Context
    ) -> access_pb2.UnlockUserResponse:
        """End a lock."""
        caller = current_caller()
        account = await self._workers.write(lambda: self._access.users.unlock(caller, request.name))
        [user] = await self._users(account)
        return access_pb2.UnlockUserResponse(user=user)

    @answered
    async def ListUsers(
        self, request: access_pb2.ListUsersRequest, context: Context
    ) -> access_pb2.ListUsersResponse:
        """List all users."""
        accounts = await self._workers.read(self._access.users.all)
        return access_pb2.ListUsersResponse(users=await self._users(*accounts))

    @answered
    async def GiveToken(
        self, request: access_pb2.GiveTokenRequest, context: Context
    ) -> access_pb2.GiveTokenResponse:
        """Give a program a token."""
        caller, wanted = current_caller(), request.token
        grant = Grant(
            user=wanted.user or caller.user,
            title=wanted.title,
            permissions=read_permissions(list(wanted.permissions)),
            units=frozenset(wanted.units),
            forms=frozenset(wanted.forms),
            paths=read_paths(list(wanted.paths)),
            source=wanted.source,
            calls_per_minute=wanted.calls_per_minute or CALLS_PER_MINUTE,
        )
        given = await self._workers.write(
            lambda: self._access.tokens.give(caller, grant, request.days)
        )
        return access_pb2.GiveTokenResponse(secret=given.secret, token=_token(given.token))

    @answered
    async def ListTokens(
        self, request: access_pb2.ListTokensRequest, context: Context
    ) -> access_pb2.ListTokensResponse:
        """List tokens."""
        caller = current_caller()
        found = await self._workers.read(lambda: self._access.tokens.list(caller))
        return access_pb2.ListTokensResponse(tokens=[_token(each) for each in found])

    @answered
    async def RevokeToken(
        self, request: access_pb2.RevokeTokenRequest, context: Context
    ) -> access_pb2.RevokeTokenResponse:
        """End a token."""
        caller = current_caller()
        token = await self._workers.write(lambda: self._access.tokens.revoke(caller, request.id))
        return access_pb2.RevokeTokenResponse(token=_token(token))

    @answered
    async def ListRequests(
        self, request: access_pb2.ListRequestsRequest, context: Context
    ) -> access_pb2.ListRequestsResponse:
        """List what waits for another one."""
        caller = current_caller()
        found = await self._workers.read(
            lambda: self._access.pairs.list(caller, over_too=request.all)
        )
        return access_pb2.ListRequestsResponse(requests=[_request(each) for each in found])

    @answered
    async def DecideRequest(
        self, request: access_pb2.DecideRequestRequest, context: Context
    ) -> access_pb2.DecideRequestResponse:
        """Approve or refuse what another one asks for."""
        caller = current_caller()
        decided = await self._workers.write(
            lambda: self._access.pairs.decide(caller, request.id, request.decision)
        )
        return access_pb2.DecideRequestResponse(request=_request(decided))

    @answered
    async def GetPolicy(
        self, request: access_pb2.GetPolicyRequest, context: Context
    ) -> access_pb2.GetPolicyResponse:
        """Give the policy on fields."""
        policy = await self._workers.read(self._access.fields.current)
        return access_pb2.GetPolicyResponse(policy=_policy(policy))

    @answered
    async def SetPolicy(
        self, request: access_pb2.SetPolicyRequest, context: Context
    ) -> access_pb2.SetPolicyResponse:
        """Replace the policy on fields."""
        caller = current_caller()
        rules = tuple(_rule(line, each) for line, each in enumerate(request.rules, 1))
        policy = await self._workers.write(lambda: self._access.fields.set(caller, rules))
        return access_pb2.SetPolicyResponse(policy=_policy(policy))

    @answered
    async def ListAudit(
        self, request: access_pb2.ListAuditRequest, context: Context
    ) -> access_pb2.ListAuditResponse:
        """List the audit, with all that was answered before this call."""
        entries = await self._workers.read(lambda: self._entries(request))
        return access_pb2.ListAuditResponse(entries=[_entry(each) for each in entries])

    async def _users(self, *accounts: Account) -> list[access_pb2.User]:
        """Give the messages of accounts, which say who has a key."""
        with_keys = await self._workers.read(self._access.users.with_keys)
        return [_user(each, has_key=each.profile.name in with_keys) for each in accounts]

    def _entries(self, request: access_pb2.ListAuditRequest) -> tuple[Entry, ...]:
        self._desk.settle(self._desk.store.last_position())
        return self._access.entries(
            before=request.before, limit=request.limit, user=request.user, event=request.event
        )


class _Hashing:
    """Threads for what hashes passwords; a queue of bounded length."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=_HASHERS, thread_name_prefix="api-hash")
        self._waiting = 0

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call after those before it.

        Raises:
            SignInBusy: Too many wait.
        """
        if self._waiting >= _MAX_WAITING:
            raise SignInBusy
        self._waiting += 1
        done = asyncio.get_running_loop().run_in_executor(self._pool, call)
        # Counted until the thread is free, also if the caller has gone.
        done.add_done_callback(self._freed)
        return await done

    def _freed(self, _: object) -> None:
        self._waiting -= 1


def _session() -> Caller:
    """Give the caller of a call that only a session can make."""
    caller = current_caller()
    if caller.is_local:
        raise SessionEnded
    return caller


def _source_of(context: Context) -> str:
    values = [value for key, value in context.invocation_metadata() or () if key == SOURCE_METADATA]
    return str(values[0]) if values else ""


def _user(account: Account, *, has_key: bool) -> access_pb2.User:
    profile = account.profile
    return access_pb2.User(
        name=profile.name,
        title=profile.title,
        roles=sorted(profile.roles),
        unit=profile.unit,
        disabled=profile.disabled,
        locked_until_ms=account.tries.locked_until_ms,
        must_change_password=account.must_change_password,
        last_sign_in_ms=account.last_sign_in_ms,
        password_due_ms=account.password_due_ms,
        has_key=has_key,
    )


def _token(token: Token) -> access_pb2.Token:
    grant = token.grant
    return access_pb2.Token(
        id=token.token_id,
        user=grant.user,
        title=grant.title,
        permissions=sorted(grant.permissions),
        units=sorted(grant.units),
        forms=sorted(grant.forms),
        paths=map(str, grant.paths),
        source=grant.source,
        calls_per_minute=grant.calls_per_minute,
        made_ms=token.made_ms,
        expires_ms=token.expires_ms,
        revoked_ms=token.revoked_ms,
        used_ms=token.used_ms,
        given_by=token.given_by,
    )


def _request(request: Request) -> access_pb2.PairRequest:
    return access_pb2.PairRequest(
        id=request.request_id,
        call=request.matter.call,
        shown=request.matter.shown,
        made_by=request.made_by,
        made_ms=request.made_ms,
        expires_ms=request.expires_ms,
        state=request.state.value,
        decided_by=request.decided_by,
        approvers=sorted(request.matter.approvers),
    )


def _rule(line: int, message: access_pb2.FieldRule) -> FieldRule:
    try:
        outcome = Outcome(message.outcome)
    except ValueError:
        raise PolicyInvalid(line=line, field="outcome") from None
    return FieldRule(grade=message.grade, who=message.who, purpose=message.purpose, outcome=outcome)


def _policy(policy: Policy) -> access_pb2.FieldPolicy:
    return access_pb2.FieldPolicy(
        rules=[
            access_pb2.FieldRule(
                grade=each.grade, who=each.who, purpose=each.purpose, outcome=each.outcome.value
            )
            for each in policy.rules
        ],
        set_by=policy.set_by,
        set_ms=policy.set_ms,
    )


def _entry(entry: Entry) -> access_pb2.AuditEntry:
    return access_pb2.AuditEntry(
        position=entry.position,
        at_ms=entry.at_ms,
        event=entry.event,
        actor=entry.actor,
        object=entry.object,
        source=entry.source,
        result=entry.result,
        times=entry.times,
        detail=entry.detail,
    )
