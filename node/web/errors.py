"""Errors of a request that is refused before the application sees it."""

from yidao.api.errors import YidaoError


class WebError(YidaoError):
    """Base of all errors of `yidao.node.web`: the request is malformed."""

    code = "HTTP_REQUEST_INVALID"


class HostRefused(WebError):
    """The request names a host that this server is not (DNS rebinding)."""

    code = "HTTP_HOST_REFUSED"


class OriginRefused(WebError):
    """A page of another site made the request, or nothing says which page did."""

    code = "HTTP_ORIGIN_REFUSED"


class CsrfRefused(WebError):
    """The request does not show the token that only a page of ours can read."""

    code = "HTTP_CSRF_REFUSED"


class MethodRefused(WebError):
    """The method is not served here, or is overridden by a header."""

    code = "HTTP_METHOD_REFUSED"


class PathRefused(WebError):
    """The path is not in its plain form: dots, encoded slashes, another host's URL."""

    code = "HTTP_PATH_REFUSED"


class HeadersTooLarge(WebError):
    """There are too many headers, or too long ones (params: count, size_bytes: the limits)."""

    code = "HTTP_HEADERS_TOO_LARGE"


class HeadersRefused(WebError):
    """Headers contradict each other: two lengths, a length and an encoding."""

    code = "HTTP_HEADERS_REFUSED"


class BodyTooLarge(WebError):
    """The body is over the limit of this address (params: limit_bytes)."""

    code = "HTTP_BODY_TOO_LARGE"


class BodyTooSlow(WebError):
    """The body did not come in time (params: seconds)."""

    code = "HTTP_BODY_TOO_SLOW"
    retryable = True


class TooManyTries(WebError):
    """One source asked too often (params: seconds until it may ask again)."""

    code = "HTTP_TOO_MANY_TRIES"
    retryable = True


class AnswerUnsafe(WebError):
    """The application wrote control characters into a header; a defect of ours."""

    code = "HTTP_ANSWER_UNSAFE"


class ListenRefused(WebError):
    """The address cannot be listened on (params: address, reason)."""

    code = "HTTP_LISTEN_REFUSED"


class TlsFileRefused(WebError):
    """Certificate or key cannot be used (params: path, reason)."""

    code = "HTTP_TLS_FILE_REFUSED"
