"""What is not a page: signing in and out, the language, files up and down.

Forms come by plain POST with a token that ties them to the browser; every other
request that changes something is refused by the guard (`yidao.node.web`).
"""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yidao.api.errors import YidaoError
from yidao.node.console.console import Console
from yidao.node.console.session import (
    LANGUAGE_COOKIE,
    SESSION_COOKIE,
    VISITOR_COOKIE,
    Session,
    new_cookie,
)
from yidao.node.console.visit import safe_next, sign_in_address
from yidao.node.console.words import Words, language_of
from yidao.node.messages import render

_MAX_FORM_FIELDS: Final = 12
_YEAR_SECONDS: Final = 365 * 24 * 3600
_MAX_NAME_CHARACTERS: Final = 120


def words_of(request: Request) -> Words:
    """Give the language that the browser chose."""
    return Words(language=language_of(request.cookies.get(LANGUAGE_COOKIE)))


def session_of(console: Console, request: Request) -> Session | None:
    """Give the session of the browser, if it has one that lives."""
    return console.sessions.find(request.cookies.get(SESSION_COOKIE, ""))


def cookie_of(request: Request) -> str:
    """Give the cookie that forms of this browser are tied to."""
    visitor = request.scope.get("state", {}).get(VISITOR_COOKIE, "")
    return request.cookies.get(SESSION_COOKIE) or request.cookies.get(VISITOR_COOKIE) or visitor


def add_routes(web: FastAPI, console: Console) -> None:
    """Add all routes to the application."""

    @web.post("/session")
    async def sign_in(request: Request) -> Response:
        return await _sign_in(console, request)

    @web.post("/session/end")
    async def sign_out(request: Request) -> Response:
        form = await _form(request)
        if not _is_ours(console, request, form):
            return _foreign(request)
        session = console.sessions.end(request.cookies.get(SESSION_COOKIE, ""))
        if session is not None:
            console.folder.drop_of(session.key)
            await asyncio.to_thread(console.client.with_token(session.token).sign_out)
        answer = RedirectResponse(sign_in_address("out"), status_code=303)
        answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    @web.post("/language")
    async def choose_language(request: Request) -> Response:
        form = await _form(request)
        answer = RedirectResponse(safe_next(form.get("next", "/")), status_code=303)
        if _is_ours(console, request, form):
            _put(answer, console, LANGUAGE_COOKIE, language_of(form.get("language")), lasting=True)
        return answer


async def _sign_in(console: Console, request: Request) -> Response:
    form = await _form(request)
    cookie = cookie_of(request)
    if not _is_ours(console, request, form):
        return _foreign(request)
    user, unit = form.get("user", "").strip(), form.get("unit", "").split(" ")[0].strip()
    source = request.client.host if request.client else ""
    then = safe_next(form.get("next", "/"))
    try:
        session = await asyncio.to_thread(
            open_session, console, user, form.get("password", ""), unit, source
        )
    except YidaoError as error:
        console.sessions.leave_note(cookie, render(error, words_of(request).language))
        return RedirectResponse(sign_in_address(then=then), status_code=303)
    # A cookie from before the sign-in is worth nothing after it.
    if (old := console.sessions.end(request.cookies.get(SESSION_COOKIE, ""))) is not None:
        console.folder.drop_of(old.key)
    answer = RedirectResponse(
        "/password" if session.must_change_password else then, status_code=303
    )
    _put(answer, console, SESSION_COOKIE, session.key)
    return answer


def open_session(console: Console, user: str, password: str, unit: str, source: str) -> Session:
    """Sign in at the node and keep what it answers.

    Raises:
        YidaoError: Refused: wrong name, password or unit, or locked; or no node answers.
    """
    opened = console.client.sign_in(user, password, unit=unit, source=source)
    who = console.client.with_token(opened.token).who_am_i()
    return console.sessions.open(opened, who, unit=unit)


def _is_ours(console: Console, request: Request, form: Mapping[str, str]) -> bool:
    return console.sessions.is_form_token(cookie_of(request), form.get("form_token", ""))


def _foreign(request: Request) -> Response:
    """Refuse a form that no page of ours made for this browser; say so in its language."""
    words = words_of(request)
    return JSONResponse({"code": "FORM_FOREIGN", "text": words("frame.form_foreign")}, 403)


async def _form(request: Request) -> dict[str, str]:
    """Read a form; the guard has limited its size, a broken one reads as empty."""
    body = await request.body()
    try:
        fields = parse_qs(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS
        )
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items() if len(values) == 1}


def _put(
    answer: Response, console: Console, name: str, value: str, *, lasting: bool = False
) -> None:
    answer.set_cookie(
        name,
        value,
        path="/",
        httponly=True,
        samesite="strict",
        secure=console.secure,
        max_age=_YEAR_SECONDS if lasting else None,
    )


class BrowserHeaders:
    """Ties the forms of a browser to a random cookie, and lets it say where a form came from.

    The policy of the referrer must not be `no-referrer`: a browser then sends a
    plain form with `Origin: null`, as a page of another site could.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self._secure = "; Secure" if secure else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        made = "" if VISITOR_COOKIE in Request(scope).cookies else new_cookie()
        scope.setdefault("state", {})[VISITOR_COOKIE] = made

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["referrer-policy"] = "same-origin"
                if made:
                    value = f"{VISITOR_COOKIE}={made}; Path=/; HttpOnly; SameSite=Strict"
                    headers.append("set-cookie", value + self._secure)
            await send(message)

        await self.app(scope, receive, sending)
