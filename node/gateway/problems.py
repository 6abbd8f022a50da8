"""How an error of the node becomes an answer: one table, one form (RFC 9457)."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException

from yidao.api.errors import YidaoError
from yidao.node.client import AnswerTooLate, ClientError, NodeUnreachable
from yidao.node.gateway import errors
from yidao.node.gateway.shapes import Shape
from yidao.node.web.errors import MethodRefused, WebError
from yidao.node.web.refusal import PROBLEM_TYPE, language_of, problem_of
from yidao.node.web.refusal import status_of as web_status_of

#: The HTTP status of a refusal by the node, by its family (the name of its gRPC status).
FAMILIES: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 422,
    "OUT_OF_RANGE": 422,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "FAILED_PRECONDITION": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "CANCELLED": 503,
    "DEADLINE_EXCEEDED": 504,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "OK": 500,
}
#: The HTTP status of errors that are not the node's.
OWN: Final[Mapping[type[YidaoError], int]] = {
    YidaoError: 500,
    errors.TokenMissing: 401,
    errors.RouteUnknown: 404,
    errors.RequestInvalid: 422,
    errors.StreamsTooMany: 429,
    NodeUnreachable: 503,
    AnswerTooLate: 504,
}
_MAX_FAULTS: Final = 50


class Fault(Shape):
    """One thing that is wrong with the form of a request."""

    where: str = Field(description="Its place.", examples=["body.rows.0.payload.coal_kg"])
    reason: str = Field(examples=["Input should be a valid string"])


class Problem(Shape):
    """Problem details (RFC 9457). Programs decide by `code`, people read `title` and `hint`."""

    type: str = Field("about:blank", description="Always `about:blank`: `code` tells more.")
    title: str = Field(description="What happened, in the language of `Accept-Language`.")
    status: int = Field(ge=400, le=599)
    code: str = Field(description="Stable.", examples=["RETURN_UNKNOWN"])
    hint: str = Field(description="What to do next.")
    params: dict[str, str] = Field(description="What the text was made of.")
    retryable: bool = Field(description="Whether the same call may succeed later.")
    faults: list[Fault] = Field(default_factory=list)


#: What may happen to any call, for the description.
COMMON: Final[Mapping[int, str]] = {
    400: "The request is not well formed, or names a path in an odd way.",
    403: "The session may not do this.",
    405: "The method is not served here.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    421: "The request is for another host.",
    422: "Something in the request is wrong; `code`, `params` and `faults` say what.",
    429: "Too many tries.",
    431: "The headers are too large.",
    500: "A defect.",
    501: "The node is older than this gateway and does not know the call.",
    503: "The node cannot be reached, or is not that far yet.",
    504: "The node did not answer in time.",
}


def described(*, missing: str = "", conflict: str = "", session: bool = True) -> dict[Any, Any]:
    """Give the error answers of a call for its description.

    Args:
        missing: What 404 means, if it may happen.
        conflict: What 409 means, if it may happen.
        session: Whether the call needs one.
    """
    texts = dict(COMMON)
    texts |= {401: "There is no session, or it has ended."} if session else {}
    texts |= {404: missing} if missing else {}
    texts |= {409: conflict} if conflict else {}
    return {
        status: {
            "description": text,
            "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, text in sorted(texts.items())
    }


def status_of(error: YidaoError) -> int:
    """Give the HTTP status of any error that a call may end with."""
    if isinstance(error, ClientError):
        return FAMILIES[error.family]
    if isinstance(error, WebError):
        return web_status_of(error)
    return next(OWN[kind] for kind in type(error).__mro__ if kind in OWN)


def problem_response(
    error: YidaoError,
    request: Request,
    *,
    status: int = 0,
    faults: tuple[Fault, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Give the answer to a call that failed."""
    status = status or status_of(error)
    language = language_of(request.scope["headers"])
    told = {**problem_of(error, status, language), "faults": faults}
    added = {"content-language": language, **(headers or {})}
    if status == 401:
        added["www-authenticate"] = "Bearer"
    body = Problem(**told).model_dump_json()
    return Response(body, status, added, media_type=PROBLEM_TYPE)


def install(app: FastAPI) -> None:
    """Let every error of the application end in the one form."""

    async def typed(request: Request, error: Exception) -> Response:
        assert isinstance(error, YidaoError)
        return problem_response(error, request)

    async def malformed(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # Where and why, never what: the input is somebody's data.
        faults = tuple(
            Fault(where=".".join(str(step) for step in each["loc"])[:200], reason=each["msg"][:200])
            for each in error.errors()[:_MAX_FAULTS]
        )
        return problem_response(errors.RequestInvalid(), request, faults=faults)

    async def unrouted(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        found: Mapping[int, YidaoError] = {404: errors.RouteUnknown(), 405: MethodRefused()}
        told = found.get(error.status_code, errors.RequestInvalid())
        return problem_response(told, request, status=error.status_code, headers=error.headers)

    async def defect(request: Request, error: Exception) -> Response:
        # The guard logs it, when it comes by.
        del error
        return problem_response(YidaoError(), request)

    app.add_exception_handler(YidaoError, typed)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, unrouted)
    app.add_exception_handler(Exception, defect)
