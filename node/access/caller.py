"""Who acts: a session's user, or the account that owns the socket. Pure but for the context."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from yidao.node.access.calls import CallRule, Needs, UnitRule
from yidao.node.access.errors import (
    ActorNotYours,
    PasswordChangeDue,
    PermissionDenied,
    UnitForeign,
)
from yidao.node.access.roles import Permission

#: The name under which the machine's own account stands in the audit.
LOCAL_USER: Final = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a call.

    Attributes:
        user: Empty for the account that owns the socket.
        actor: `user@path`; empty for the account that owns the socket.
        unit: The only institution that the session may fill for and see; empty = all.
        source: Where from, as console or gateway say; `local` without them.
        session: SHA-256 of the session's token.
    """

    user: str = ""
    actor: str = ""
    permissions: frozenset[Permission] = frozenset()
    unit: str = ""
    source: str = LOCAL_USER
    session: bytes = b""
    must_change_password: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it is the account that owns the socket."""
        return not self.session

    def may(self, permission: Permission) -> bool:
        """Whether the caller has a permission; the account that owns the socket has all."""
        return self.is_local or permission in self.permissions


LOCAL: Final = Caller()
_CURRENT: Final[ContextVar[Caller]] = ContextVar("caller", default=LOCAL)


def current_caller() -> Caller:
    """Give who makes the call that is being served."""
    return _CURRENT.get()


def set_caller(caller: Caller) -> None:
    """Say who makes the call that this task serves from here on."""
    _CURRENT.set(caller)


def check_call(caller: Caller, rule: CallRule | None, *, name: str) -> None:
    """Say whether a caller may make a call at all.

    1. The account that owns the socket may make every call.
    2. A call that needs nothing, or any session, goes.
    3. Until the password is changed nothing else goes.
    4. A call without a rule is refused, and one whose permission is missing.
    5. A session of one institution makes no call that concerns others.

    Raises:
        PasswordChangeDue, PermissionDenied: As said.
    """
    if caller.is_local:  # 1
        return
    if rule is not None and isinstance(rule.needs, Needs):  # 2
        return
    if caller.must_change_password:  # 3
        raise PasswordChangeDue
    if rule is None or not rule.allows(caller.permissions):  # 4
        raise PermissionDenied(needed=rule.named if rule else name[:100])
    if caller.unit and rule.unit is UnitRule.CLOSED:  # 5
        raise PermissionDenied(needed="unit")


def acting_as(caller: Caller, asserted: str) -> str:
    """Give the actor of a request: a session acts as itself alone.

    Raises:
        ActorNotYours: The request names another one.
    """
    if caller.is_local or asserted == caller.actor:
        return asserted
    if asserted:
        raise ActorNotYours(actor=asserted[:128])
    return caller.actor


def check_unit(caller: Caller, unit: str) -> None:
    """Say whether the caller may touch what an institution reports.

    Raises:
        UnitForeign: It is another's than the session's.
    """
    if caller.unit and unit != caller.unit:
        raise UnitForeign(unit=unit[:64])
