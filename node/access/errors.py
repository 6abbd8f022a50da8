"""Errors of the question who may act here."""

from yidao.api.errors import YidaoError


class AccessError(YidaoError):
    """Base of the errors of this package; never raised itself."""

    code = "ACCESS_ERROR"


class ActorInvalid(AccessError):
    """An actor is not written `user@path`."""

    code = "ACTOR_INVALID"


class ActorElsewhere(AccessError):
    """An actor's home is another node (params: home, path)."""

    code = "ACTOR_ELSEWHERE"


class ActorNotYours(AccessError):
    """A session acts under another name than its user's (params: actor)."""

    code = "ACTOR_NOT_YOURS"


class SignInRefused(AccessError):
    """Wrong name or password, or a disabled account: always the same."""

    code = "SIGN_IN_REFUSED"


class SignInBusy(AccessError):
    """Too many passwords are being checked at once."""

    code = "SIGN_IN_BUSY"
    retryable = True


class UserLocked(AccessError):
    """Too many wrong passwords; also for a name that no user has (params: minutes)."""

    code = "USER_LOCKED"


class SessionEnded(AccessError):
    """The session is over, or there never was one."""

    code = "SESSION_ENDED"


class PasswordChangeDue(AccessError):
    """The password was set by somebody else; until it is changed nothing else goes."""

    code = "PASSWORD_CHANGE_DUE"


class PermissionDenied(AccessError):
    """The caller's roles do not allow this (params: needed)."""

    code = "PERMISSION_DENIED"


class UnitForeign(AccessError):
    """A session of one institution asks for another's (params: unit)."""

    code = "UNIT_FOREIGN"


class RolesExclusive(AccessError):
    """One user may not have these roles together (params: roles)."""

    code = "ROLES_EXCLUSIVE"


class UserInvalid(AccessError):
    """A field of a user is not well formed (params: field)."""

    code = "USER_INVALID"


class UserUnknown(AccessError):
    """There is no user of that name (params: user)."""

    code = "USER_UNKNOWN"


class PasswordWeak(AccessError):
    """A password is too short, too long, too plain, or holds the user's name (params: rule)."""

    code = "PASSWORD_WEAK"


class PasswordReused(AccessError):
    """A password is one of the user's last ones (params: kept)."""

    code = "PASSWORD_REUSED"
