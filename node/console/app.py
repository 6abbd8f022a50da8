"""Puts the console together and serves it.

    serve(Path("province"), Listen(host="127.0.0.1", port=7380))

Pages are NiceGUI's, drawn from the node's own machine: scripts, styles and fonts
come out of the wheel, and no request leaves it (a test watches).
"""

import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from nicegui import Client as NiceGuiClient
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.staticfiles import StaticFiles

from yidao.api.errors import YidaoError
from yidao.node.client import Client
from yidao.node.config import load_settings
from yidao.node.console.console import Console
from yidao.node.console.drafts import Drafts
from yidao.node.console.files import add_file_routes
from yidao.node.console.folder import Folder
from yidao.node.console.pages import (
    due,
    fill,
    imports,
    missing,
    one_return,
    password,
    receipt,
    returns,
    review,
    roll_up,
    search,
    sign_in,
    sign_off,
    tree,
    withdraw,
)
from yidao.node.console.pages.receipt import CIVIL_TIME
from yidao.node.console.routes import BrowserHeaders, add_routes, cookie_of, session_of, words_of
from yidao.node.console.session import Sessions
from yidao.node.console.visit import SignInAgain, Visit, sign_in_address
from yidao.node.console.widgets.frame import bare_frame, frame
from yidao.node.console.widgets.html import Tag, link
from yidao.node.intake.rows import MAX_SOURCE_BYTES
from yidao.node.logging import configure, get_logger
from yidao.node.web.guard import Guard, Rules, hosts_of
from yidao.node.web.serve import Listen
from yidao.node.web.serve import serve as serve_http

#: A page asks the node a few times; a slow one is better than none.
_PAGE_SECONDS: Final = 60.0
_RECONNECT_SECONDS: Final = 30.0
_SIGN_INS_A_MINUTE: Final = 20
#: Vue compiles NiceGUI's templates in the browser, hence `unsafe-eval`; all else is our own.
_CSP: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
Draw = Callable[[Visit], Awaitable[None]]

PAGES: Final[tuple[tuple[str, str, Draw], ...]] = (
    ("/due", "due.title", due.draw),
    ("/fill", "fill.title", fill.draw),
    ("/import", "imports.title", imports.draw),
    ("/returns", "returns.title", returns.draw),
    ("/return", "one_return.title", one_return.draw),
    ("/withdraw", "withdraw.title", withdraw.draw),
    ("/receipt", "receipt.title", receipt.draw),
    ("/verify", "receipt.verify_title", receipt.draw_verify),
    ("/missing", "missing.title", missing.draw),
    ("/review", "review.title", review.draw),
    ("/sign-off", "sign_off.title", sign_off.draw),
    ("/roll-up", "roll_up.title", roll_up.draw),
    ("/catalog", "search.title", search.draw),
    ("/entry", "search.entry_title", search.draw_entry),
    ("/tree", "tree.title", tree.draw),
    ("/password", "password.title", password.draw),
)


def make_console(data: Path, *, secure: bool) -> Console:
    """Open the node in a data folder.

    Raises:
        NodeUnreachable: No daemon answers there.
    """
    client = Client.open(data / "local.sock")
    status = client.status()
    return Console(
        client=client,
        path=status.path,
        office=status.office_name,
        test_network=status.test_network,
        secure=secure,
        sessions=Sessions(),
        drafts=Drafts(data / "console" / "drafts"),
        folder=Folder(data / "console" / "files"),
        today=lambda: datetime.now(CIVIL_TIME).date(),
    )


def make_app(console: Console, rules: Rules) -> FastAPI:
    """Give the application with its pages, behind its guard."""
    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_routes(web, console)
    add_file_routes(web, console)
    static = files("yidao.node.console") / "static"
    web.mount("/static", StaticFiles(directory=str(static)))
    _add_pages(console)
    ui.add_head_html('<link rel="stylesheet" href="/static/console.css">', shared=True)
    ui.add_head_html('<script src="/static/console.js"></script>', shared=True)
    nicegui_app.on_exception(_tell_defect)
    # It prints what an exception says, which may be data.
    logging.getLogger("nicegui").handlers = [logging.NullHandler()]
    nicegui_app.config.socket_io_js_transports = ["websocket"]
    ui.run_with(
        web,
        title="驿道 Yidao",
        favicon=str(static / "icon.svg"),
        reconnect_timeout=_RECONNECT_SECONDS,
        binding_refresh_interval=None,
        tailwind=False,
        show_welcome_message=False,
    )
    web.add_middleware(BrowserHeaders, secure=console.secure)
    web.add_middleware(Guard, rules=rules)
    return web


def rules_of(hosts: frozenset[str], *, tls: bool) -> Rules:
    """Give what the console's guard allows."""
    return Rules(
        hosts=hosts,
        csp=_CSP,
        max_body_bytes=64 * 1024,
        body_limits={"/files/upload": MAX_SOURCE_BYTES},
        csrf_cookie="yidao_csrf",
        # Plain forms carry a token of their own.
        csrf_exempt=("/session", "/language"),
        limited_paths={"/session": _SIGN_INS_A_MINUTE},
        cacheable=("/static/", "/_nicegui/"),
        tls=tls,
    )


def serve(data: Path, listen: Listen, *, names: Sequence[str] = ()) -> None:
    """Serve the console until it is told to end.

    Args:
        data: The node's data folder.
        listen: Where; with a certificate people come by TLS.
        names: Further host names that a browser may ask for, of a proxy before it.

    Raises:
        NodeUnreachable: No daemon answers in the folder.
        ListenRefused: The address cannot be listened on.
        TlsFileRefused: Certificate or key cannot be used.
    """
    file = data.absolute() / "config.toml"
    settings = load_settings(file if file.exists() else None, os.environ, data_dir=data.absolute())
    configure(level=settings.log_level, format=settings.log_format)
    console = make_console(data, secure=listen.certificate is not None)
    rules = rules_of(hosts_of(f"{listen.host}:{listen.port}", *names), tls=console.secure)
    with console.client:
        serve_http(make_app(console, rules), listen, sockets=True)
    shutil.rmtree(data / "console" / "files", ignore_errors=True)


def _add_pages(console: Console) -> None:
    @ui.page("/sign-in", response_timeout=_PAGE_SECONDS)
    def _sign_in(request: Request) -> None:
        sign_in.draw(console, cookie_of(request), words_of(request), dict(request.query_params))

    for path, title, draw in PAGES:
        ui.page(path, response_timeout=_PAGE_SECONDS)(_shown(console, title, draw))
    nicegui_app.add_exception_handler(404, _nowhere(console))
    ui.page("/", response_timeout=_PAGE_SECONDS)(_home(console))


def _tell_defect(_error: Exception) -> None:
    get_logger().exception("console.page.failed")


def _nowhere(console: Console) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answer for addresses that lead nowhere: a page like all others, or nothing for programs."""

    async def nowhere(request: Request, _error: Exception) -> Response:
        words = words_of(request)
        if request.method != "GET" or request.url.path.startswith(("/_nicegui", "/static/")):
            return PlainTextResponse(words("frame.missing_page"), 404)
        with NiceGuiClient(ui.page(""), request=request) as client:
            path = "/"
            with bare_frame(console, cookie_of(request), words, path, words("frame.missing_page")):
                Tag("p", words("frame.missing_page_text"))
                link(words("frame.first"), "/", classes="button")
        return client.build_response(request, 404)

    return nowhere


def _home(console: Console) -> Callable[[Request], Response]:
    def home(request: Request) -> Response:
        session = session_of(console, request)
        if session is None:
            return RedirectResponse("/sign-in", status_code=303)
        fills = "reporting.submit" in session.permissions
        return RedirectResponse("/due" if fills else "/missing", status_code=303)

    return home


def _shown(
    console: Console, title: str, draw: Draw
) -> Callable[[Request], Awaitable[Response | None]]:
    """Draw a page inside its frame, for whoever has signed in."""

    async def shown(request: Request) -> Response | None:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        session = session_of(console, request)
        if session is None:
            why = "idle" if request.cookies.get("yidao_session") else ""
            return RedirectResponse(sign_in_address(why, path), status_code=303)
        if session.must_change_password and request.url.path != "/password":
            return RedirectResponse("/password", status_code=303)
        visit = Visit(
            console=console,
            session=session,
            words=words_of(request),
            path=path,
            query=dict(request.query_params),
        )
        try:
            with frame(visit, visit.words(title)):
                if isinstance(note := console.sessions.take_note(session.key), str):
                    visit.tell("done", note)
                await draw(visit)
        except SignInAgain:
            return RedirectResponse(sign_in_address("idle", path), status_code=303)
        except YidaoError as error:
            visit.tell_error(error)
        return None

    return shown
