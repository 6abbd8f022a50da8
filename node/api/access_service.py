"""The local API of users, sessions and the audit."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import grpc.aio

from yidao.api.local.v1 import access_pb2, access_pb2_grpc
from yidao.node.access.accounts import Account, Profile
from yidao.node.access.audit import Entry
from yidao.node.access.caller import Caller, current_caller
from yidao.node.access.errors import SessionEnded, SignInBusy
from yidao.node.access.roles import Permission, parse_roles
from yidao.node.access.service import Access
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
        opened = await self._hashing.run(
            lambda: self._access.sessions.open(
                request.user, request.password, unit=request.unit, source=source
            )
        )
        return access_pb2.SignInResponse(
            token=opened.token, user=_user(opened.account), idle_seconds=opened.idle_seconds
        )

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
            return access_pb2.WhoAmIResponse(permissions=sorted(Permission))
        account = await self._workers.read(lambda: self._access.users.get(caller.user))
        if account is None:
            raise SessionEnded
        user = _user(account)
        user.unit = caller.unit
        return access_pb2.WhoAmIResponse(
            user=user, actor=caller.actor, permissions=sorted(caller.permissions)
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
        return access_pb2.PutUserResponse(user=_user(account))

    @answered
    async def UnlockUser(
        self, request: access_pb2.UnlockUserRequest, context: Context
    ) -> access_pb2.UnlockUserResponse:
        """End a lock."""
        caller = current_caller()
        account = await self._workers.write(lambda: self._access.users.unlock(caller, request.name))
        return access_pb2.UnlockUserResponse(user=_user(account))

    @answered
    async def ListUsers(
        self, request: access_pb2.ListUsersRequest, context: Context
    ) -> access_pb2.ListUsersResponse:
        """List all users."""
        accounts = await self._workers.read(self._access.users.all)
        return access_pb2.ListUsersResponse(users=[_user(each) for each in accounts])

    @answered
    async def ListAudit(
        self, request: access_pb2.ListAuditRequest, context: Context
    ) -> access_pb2.ListAuditResponse:
        """List the audit, with all that was answered before this call."""
        entries = await self._workers.read(lambda: self._entries(request))
        return access_pb2.ListAuditResponse(entries=[_entry(each) for each in entries])

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


def _user(account: Account) -> access_pb2.User:
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
