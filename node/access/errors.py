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
