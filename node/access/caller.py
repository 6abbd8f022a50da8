"""Who acts: a session's user, a program with a token, or the account that owns the socket.

Pure but for the context.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from yidao.node.access.calls import CallRule, Needs, Scoped, UnitRule
from yidao.node.access.errors import (
    ActorNotYours,
    FormForeign,
    PasswordChangeDue,
    PathForeign,
    PermissionDenied,
    SignKeyDue,
    UnitForeign,
)
from yidao.node.access.roles import Permission, Role
from yidao.sync.ids import Path

#: The name under which the machine's own account stands in the audit.
LOCAL_USER: Final = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a call.

    Attributes:
        user: Empty for the account that owns the socket.
        actor: `user@path`; empty for the account that owns the socket.
        roles: Of a session; a program has none.
        units: The only institutions that it may fill for and see; empty = all.
        forms: The only forms, `pack/form`, of a program; empty = all.
        paths: The only places that a program may ask about; empty = all.
        source: Where from, as console or gateway say; `local` without them.
        session: SHA-256 of the token that is shown.
        token_id: Of a program's token; empty for a person's session.
        purpose: What for fields of grade 3 and 4 are read.
    """

    user: str = ""
    actor: str = ""
    roles: frozenset[Role] = frozenset()
    permissions: frozenset[Permission] = frozenset()
    units: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()
    paths: tuple[Path, ...] = ()
    source: str = LOCAL_USER
    session: bytes = b""
    token_id: str = ""
    purpose: str = ""
    must_change_password: bool = False
    must_register_key: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it is the account that owns the socket."""
        return not self.session

    @property
    def is_whole(self) -> bool:
        """Whether it is the account that owns the socket where that may do everything."""
        return self.is_local and Permission.ACCESS_ROLES in self.permissions

    @property
    def unit(self) -> str:
        """The one institution that it is held to; empty if there is none, or more than one."""
        return next(iter(self.units)) if len(self.units) == 1 else ""

    def may(self, permission: Permission) -> bool:
        """Whether the caller has a permission."""
        return permission in self.permissions


#: The account that owns the socket where it may do everything.
LOCAL: Final = Caller(permissions=frozenset(Permission))
_CURRENT: Final[ContextVar[Caller]] = ContextVar("caller", default=LOCAL)


def current_caller() -> Caller:
    """Give who makes the call that is being served."""
    return _CURRENT.get()


def set_caller(caller: Caller) -> None:
    """Say who makes the call that this task serves from here on."""
    _CURRENT.set(caller)


def check_call(caller: Caller, rule: CallRule | None, *, name: str) -> None:
    """Say whether a caller may make a call at all.

    1. The account that owns the socket may make every call where it may do everything.
    2. A call that needs nothing, or any session, goes; of a program only what asks who it is.
    3. Until the password is changed, then a key registered, nothing else goes.
    4. A call without a rule is refused, and one whose permission is missing.
    5. Whoever is held to institutions makes no call that concerns others; so it is
       with a program that is held to forms, and to paths.

    Raises:
        PasswordChangeDue, SignKeyDue, PermissionDenied: As said.
    """
    if caller.is_whole:  # 1
        return
    if rule is not None and isinstance(rule.needs, Needs):  # 2
        if caller.token_id and not rule.for_programs:
            raise PermissionDenied(needed=rule.named)
        return
    if caller.must_change_password:  # 3
        raise PasswordChangeDue
    if caller.must_register_key:
        raise SignKeyDue
    if rule is None or not rule.allows(caller.permissions):  # 4
        raise PermissionDenied(needed=rule.named if rule else name[:100])
    if caller.units and rule.unit is UnitRule.CLOSED:  # 5
        raise PermissionDenied(needed="unit")
    if caller.forms and rule.form is Scoped.CLOSED:
        raise FormForeign(form=name[:64])
    if caller.paths and rule.path is Scoped.CLOSED:
        raise PathForeign(path=name[:64])


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
        UnitForeign: It is none of those that the caller is held to.
    """
    if caller.units and unit not in caller.units:
        raise UnitForeign(unit=unit[:64])


def check_form(caller: Caller, pack: str, form: str) -> None:
    """Say whether the caller may touch what is reported on a form.

    Raises:
        FormForeign: A program's token names other forms.
    """
    if caller.forms and f"{pack}/{form}" not in caller.forms:
        raise FormForeign(form=f"{pack}/{form}"[:64])


def check_path(caller: Caller, path: Path) -> None:
    """Say whether the caller may ask about a node.

    Raises:
        PathForeign: A program's token names other places.
    """
    if caller.paths and not any(path == own or own.is_ancestor_of(path) for own in caller.paths):
        raise PathForeign(path=str(path))
