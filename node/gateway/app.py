"""The application: routes, errors, description, guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.utils import get_openapi

from yidao.node.gateway import page, problems
from yidao.node.gateway.routes import (
    catalog,
    directives,
    figures,
    follow,
    node,
    query,
    returns,
    sessions,
    standards,
)
from yidao.node.gateway.session import Door
from yidao.node.gateway.streams import Places
from yidao.node.web.guard import Guard, Rules

PREFIX: Final = "/api/v1"
#: Of one address a minute, before the node looks at a password at all.
SIGN_INS_PER_MINUTE: Final = 10
_SUBMIT_BYTES: Final = 16 * 1024 * 1024
_PAGE_CSP: Final = (
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
_ROUTERS: Final[tuple[APIRouter, ...]] = (
    sessions.router,
    returns.router,
    figures.router,
    standards.router,
    directives.router,
    catalog.router,
    node.router,
    follow.router,
    query.router,
)
#: Shapes that no answer is as a whole.
_STREAMED: Final = (problems.Problem, follow.Happened, query.AnsweredRow, query.AnswerEnd)
_ABOUT: Final = """\
The calls of one node's local API, for programs that speak HTTP and JSON.

Sign in at `/api/v1/sign-in` and send the token as `Authorization: Bearer`; a program sends its own
(`yidao token new`). The node decides what it may see and do. Fields of grade 3 and 4 are shown for
a purpose alone: `X-Yidao-Purpose`, percent-encoded. Figures are decimal strings, bytes are
hexadecimal, times are Unix milliseconds. Lists are paged by key: give `next` of a page as `after`.
Errors are problem details (RFC 9457): decide by `code`; texts come in Chinese or English by
`Accept-Language`.
"""


def rules_of(hosts: frozenset[str], *, tls: bool = False) -> Rules:
    """Give the rules of the gateway's guard. Nobody is known by a cookie here."""
    return Rules(
        hosts=hosts,
        csp=_PAGE_CSP,
        methods=frozenset({"GET", "POST", "PUT"}),
        body_limits={f"{PREFIX}/returns": _SUBMIT_BYTES},
        limited_paths={f"{PREFIX}/sign-in": SIGN_INS_PER_MINUTE},
        tls=tls,
    )


def application(socket: Path) -> FastAPI:
    """Make the application without its guard.

    Args:
        socket: The node's, need not be there yet.
    """
    door, places = Door(socket), Places()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        places.close()
        door.close()

    # The pages that FastAPI makes itself load their scripts from other hosts.
    app = FastAPI(
        title="驿道 Yidao",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.door = door
    app.state.places = places
    for router in _ROUTERS:
        app.include_router(router, prefix=PREFIX)
    problems.install(app)
    _describe(app)
    return app


def guarded(socket: Path, rules: Rules) -> Guard:
    """Make the application with its guard outermost."""
    return Guard(application(socket), rules)


def openapi(app: FastAPI) -> dict[str, Any]:
    """Give the OpenAPI 3.1 description."""
    described = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    for shape in _STREAMED:
        made = shape.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(made.pop("$defs", {}))
        schemas[shape.__name__] = made
    # Our errors have another form than FastAPI's own.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return described


def _describe(app: FastAPI) -> None:
    description = openapi(app)

    @app.get("/openapi.json", include_in_schema=False)
    async def json() -> dict[str, Any]:
        return description

    @app.get("/", include_in_schema=False)
    async def html() -> Response:
        return Response(page.page_of(description), media_type="text/html; charset=utf-8")

    @app.get("/page.css", include_in_schema=False)
    async def css() -> Response:
        return Response(page.STYLE, media_type="text/css")
