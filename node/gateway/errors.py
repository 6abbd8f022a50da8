"""Errors of the gateway itself, before or beside the node's own."""

from yidao.api.errors import YidaoError


class GatewayError(YidaoError):
    """Base of all errors of `yidao.node.gateway`; never raised itself."""

    code = "GATEWAY_ERROR"


class TokenMissing(GatewayError):
    """The call shows no session: there is no `Authorization: Bearer` header."""

    code = "GATEWAY_TOKEN_MISSING"


class RouteUnknown(GatewayError):
    """Nothing is served at this address."""

    code = "GATEWAY_ROUTE_UNKNOWN"


class RequestInvalid(GatewayError):
    """The request is not of the form that the description asks for."""

    code = "GATEWAY_REQUEST_INVALID"


class StreamsTooMany(GatewayError):
    """More streams are open than one gateway serves (params: limit)."""

    code = "GATEWAY_STREAMS_TOO_MANY"
    retryable = True
