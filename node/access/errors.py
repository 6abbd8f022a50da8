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


class PartHidden(AccessError):
    """A part may not be shown as it is to who asks, for what they ask (params: part)."""

    code = "PART_HIDDEN"


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


class SignKeyDue(AccessError):
    """An administrator has no key yet; until one is registered nothing else goes."""

    code = "SIGN_KEY_DUE"


class SignKeyInvalid(AccessError):
    """No Ed25519 public key, or a signature that it did not make over the challenge."""

    code = "SIGN_KEY_INVALID"


class SignKeyRegistered(AccessError):
    """The user has a key already; two others must take it away first."""

    code = "SIGN_KEY_REGISTERED"


class TokenInvalid(AccessError):
    """A field of a token is not well formed (params: field)."""

    code = "TOKEN_INVALID"


class TokenTooWide(AccessError):
    """A token would allow more than its user may, or than any program may (params: what)."""

    code = "TOKEN_TOO_WIDE"


class TokenUnknown(AccessError):
    """There is no token of that id, or it is somebody else's (params: id)."""

    code = "TOKEN_UNKNOWN"


class TokenExpired(AccessError):
    """A program's token is past its time (params: id)."""

    code = "TOKEN_EXPIRED"


class TokenRevoked(AccessError):
    """A program's token was ended (params: id)."""

    code = "TOKEN_REVOKED"


class TokenSource(AccessError):
    """A program's token is shown from another place than it was given for (params: id)."""

    code = "TOKEN_SOURCE"


class TokenRate(AccessError):
    """A program makes more calls than its token allows in a minute (params: id, limit)."""

    code = "TOKEN_RATE"
    retryable = True


class FormForeign(AccessError):
    """A program's token is for other forms, or not for this call (params: form)."""

    code = "FORM_FOREIGN"


class PathForeign(AccessError):
    """A program's token is for other places, or not for this call (params: path)."""

    code = "PATH_FOREIGN"


class ApprovalNeeded(AccessError):
    """The call takes two; it was written down and waits for another (params: request)."""

    code = "APPROVAL_NEEDED"


class RequestUnknown(AccessError):
    """There is no such request, or it is decided or over (params: request)."""

    code = "REQUEST_UNKNOWN"


class RequestsTooMany(AccessError):
    """Too many requests of one caller wait for another (params: limit)."""

    code = "REQUESTS_TOO_MANY"


class ApproverSame(AccessError):
    """Whoever asks, or whom it is about, does not approve (params: user)."""

    code = "APPROVER_SAME"


class DecisionUnknown(AccessError):
    """A request is approved or refused, and nothing else."""

    code = "REQUEST_DECISION_UNKNOWN"


class PolicyInvalid(AccessError):
    """A line of the policy on fields is not well formed (params: line, field)."""

    code = "POLICY_INVALID"


class PurposeInvalid(AccessError):
    """The purpose of a call is no text of at most 200 characters."""

    code = "PURPOSE_INVALID"


class RequestTooLarge(AccessError):
    """What is asked for cannot be shown whole to who would approve it (params: limit)."""

    code = "REQUEST_TOO_LARGE"
