"""Calls about sessions, users and the audit, with their values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from yidao.api.local.v1 import access_pb2, access_pb2_grpc
from yidao.node.client.calls import Calls

#: Signs a text with a user's key.
Sign: TypeAlias = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account of this node.

    Attributes:
        name: Without blanks, `@` and `/`, at most 64; at the node `/33` its actor is `name@/33`.
        roles: `filler`, `reviewer`, `approver`, `viewer`, or one administrator's.
        unit: The institution that a filler fills for; empty for the office itself.
        locked_until_ms: Unix milliseconds until which sign-in is refused, or 0.
        last_sign_in_ms: Unix milliseconds, or 0.
        password_due_ms: Unix milliseconds from which the password should be changed.
        has_key: A sign-in needs its signature.
    """

    name: str
    title: str = ""
    roles: Sequence[str] = ()
    unit: str = ""
    disabled: bool = False
    locked_until_ms: int = 0
    must_change_password: bool = False
    last_sign_in_ms: int = 0
    password_due_ms: int = 0
    has_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open session; its token is a secret and stands in no `repr`.

    Attributes:
        idle_seconds: It ends after so many seconds without a call.
    """

    token: str
    user: User
    idle_seconds: int

    def __repr__(self) -> str:
        return f"Session(user={self.user.name!r}, idle_seconds={self.idle_seconds})"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoAmI:
    """Who calls.

    Attributes:
        user: Its name is empty for the account that owns the socket.
        actor: `name@/33`; empty for the account that owns the socket.
        permissions: `reporting.submit`, `reporting.review`, …
        must_register_key: Nothing else goes until a key is registered.
        token_id: Set where a program's token is shown.
    """

    user: User
    actor: str
    permissions: tuple[str, ...]
    must_register_key: bool = False
    token_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit.

    Attributes:
        position: The node's store position of its record.
        event: `access.session.opened`, `access.session.refused`, …
        actor: Who did it.
        object: What it was done to.
        source: Where from, as far as the console or gateway said.
        result: `done` or an error code.
        times: How often within a minute; refusals that are alike are counted.
        detail: What was changed: `roles=filler`; never a secret.
    """

    position: int
    at_ms: int
    event: str
    actor: str
    object: str
    source: str
    result: str
    times: int = 1
    detail: str = ""


class AccessCalls(Calls):
    """What a client asks of users and sessions."""

    @property
    def _access(self) -> access_pb2_grpc.AccessServiceStub:
        return self._stub(access_pb2_grpc.AccessServiceStub)

    def sign_in(
        self,
        user: str,
        password: str,
        *,
        unit: str = "",
        source: str = "",
        sign: Sign | None = None,
    ) -> Session:
        """Open a session; calls show it through `Client.with_token`.

        Args:
            user: The name alone.
            password: Never logged.
            unit: The institution whose desk is opened: the session sees and fills for no
                other. Refused if the user fills for another.
            source: Where the person sits, for the audit: an address.
            sign: Of a user who has a key: gives the Ed25519 signature over the node's text.
        """
        request = access_pb2.SignInRequest(user=user, password=password, unit=unit, source=source)
        if sign is not None:
            request.challenge, request.signature = self._signed(user, sign)
        answer = self._call(self._access.SignIn, request)
        return Session(
            token=answer.token, user=_user(answer.user), idle_seconds=answer.idle_seconds
        )

    def sign_out(self) -> None:
        """End this client's session."""
        self._call(self._access.SignOut, access_pb2.SignOutRequest())

    def who_am_i(self) -> WhoAmI:
        """Tell who calls and what they may do."""
        answer = self._call(self._access.WhoAmI, access_pb2.WhoAmIRequest())
        return WhoAmI(
            user=_user(answer.user),
            actor=answer.actor,
            permissions=tuple(answer.permissions),
            must_register_key=answer.must_register_key,
            token_id=answer.token_id,
        )

    def register_key(self, public_key: bytes, sign: Sign) -> None:
        """Register the key of this session's user; from then on a sign-in needs its signature.

        Args:
            public_key: 32 bytes, Ed25519.
            sign: Gives its signature over the node's text.
        """
        challenge, signature = self._signed(self.who_am_i().user.name, sign)
        request = access_pb2.RegisterKeyRequest(
            public_key=public_key, challenge=challenge, signature=signature
        )
        self._call(self._access.RegisterKey, request)

    def remove_key(self, name: str, *, actor: str) -> None:
        """Forget the key that another user has lost; takes two where the node says so."""
        self._call(self._access.RemoveKey, access_pb2.RemoveKeyRequest(actor=actor, name=name))

    def change_password(self, old: str, new: str) -> None:
        """Change the password of this session's user; their other sessions end."""
        request = access_pb2.ChangePasswordRequest(old_password=old, new_password=new)
        self._call(self._access.ChangePassword, request)

    def put_user(self, user: User, *, actor: str, password: str = "") -> User:
        """Add a user, or set title, roles, unit and whether disabled of one that exists.

        Args:
            user: As it shall be.
            actor: Who does it, `user@path`.
            password: Required for a new user, and resets that of one that exists; it
                must be changed at the next sign-in.
        """
        request = access_pb2.PutUserRequest(
            actor=actor, user=_user_message(user), password=password
        )
        return _user(self._call(self._access.PutUser, request).user)

    def unlock_user(self, name: str, *, actor: str) -> User:
        """End a user's lock before its time."""
        request = access_pb2.UnlockUserRequest(actor=actor, name=name)
        return _user(self._call(self._access.UnlockUser, request).user)

    def users(self) -> tuple[User, ...]:
        """List all users by name."""
        answer = self._call(self._access.ListUsers, access_pb2.ListUsersRequest())
        return tuple(_user(each) for each in answer.users)

    def audit(
        self, *, before: int = 0, limit: int = 100, user: str = "", event: str = ""
    ) -> tuple[AuditEntry, ...]:
        """Give what was done, newest first.

        Args:
            before: The `position` of the last entry of the page before; 0 for the first page.
            limit: At most 1,000.
            user: Only what this user did, or was done to them.
            event: Only this event, or those that it is the beginning of (`access.session`).
        """
        request = access_pb2.ListAuditRequest(before=before, limit=limit, user=user, event=event)
        answer = self._call(self._access.ListAudit, request)
        return tuple(_entry(each) for each in answer.entries)

    def _signed(self, user: str, sign: Sign) -> tuple[str, bytes]:
        """Have a fresh challenge signed."""
        found = self._call(self._access.Challenge, access_pb2.ChallengeRequest(user=user))
        return found.challenge, sign(found.text)


def _user(message: access_pb2.User) -> User:
    return User(
        name=message.name,
        title=message.title,
        roles=tuple(message.roles),
        unit=message.unit,
        disabled=message.disabled,
        locked_until_ms=message.locked_until_ms,
        must_change_password=message.must_change_password,
        last_sign_in_ms=message.last_sign_in_ms,
        password_due_ms=message.password_due_ms,
        has_key=message.has_key,
    )


def _user_message(user: User) -> access_pb2.User:
    return access_pb2.User(
        name=user.name, title=user.title, roles=user.roles, unit=user.unit, disabled=user.disabled
    )


def _entry(message: access_pb2.AuditEntry) -> AuditEntry:
    return AuditEntry(
        position=message.position,
        at_ms=message.at_ms,
        event=message.event,
        actor=message.actor,
        object=message.object,
        source=message.source,
        result=message.result,
        times=message.times,
        detail=message.detail,
    )
