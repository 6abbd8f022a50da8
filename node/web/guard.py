"""The guard: the checks before an application, and the headers after it. Pure ASGI.

It must be the outermost layer, so that it sees sockets too:

    app.add_middleware(Guard, rules=rules)      # NiceGUI, FastAPI
    serve(Guard(app, rules=rules), listen)      # or around the whole

What comes in, in this order:

1. the head, by `checks.check_head`: headers, host, method, path, origin, token;
2. the pace of sign-in;
3. a declared length over the limit;
4. the body, counted and timed while the application reads it.

What goes out: no control characters in a header, and the security headers.
"""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

from yidao.node.web import errors
from yidao.node.web.bodies import Body
from yidao.node.web.checks import check_head, cookie_of
from yidao.node.web.pace import Pace
from yidao.node.web.refusal import Refusal, refusal_of
from yidao.node.web.rules import NO_PAGES, Rules, hosts_of

__all__ = ["NO_PAGES", "Guard", "Rules", "hosts_of"]

log = structlog.get_logger()

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[Any, _Receive, _Send], Awaitable[None]]

_UNSAFE_IN_HEADERS: Final = (b"\r", b"\n", b"\x00")
_POLICY_VIOLATION: Final = 1008
_YEAR_SECONDS: Final = 31_536_000


class Guard:
    """Lets through what the rules allow.

    Args:
        app: What is guarded.
        rules: What it allows.
    """

    def __init__(self, app: _App, rules: Rules) -> None:
        self._app = app
        self._rules = rules
        self._paces = {path: Pace(count) for path, count in rules.limited_paths.items()}
        self._headers = _security_headers(rules)

    async def __call__(self, scope: Any, receive: _Receive, send: _Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Any, receive: _Receive, send: _Send) -> None:
        try:
            check_head(scope, self._rules)
        except errors.WebError as error:
            _tell(error, scope)
            await receive()
            # Before it is accepted, a socket that is closed is answered with 403.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.code})
            return
        await self._app(scope, receive, send)

    async def _http(self, scope: Any, receive: _Receive, send: _Send) -> None:
        try:
            check_head(scope, self._rules)
            self._check_pace(scope)
            limit_bytes = self._checked_length(scope)
        except errors.WebError as error:
            await self._refuse(error, scope, send)
            return
        body = Body(
            receive,
            limit_bytes=limit_bytes,
            idle_seconds=self._rules.body_idle_seconds,
            seconds=self._rules.body_seconds,
        )
        answer = _Answer(send, body, self._added(scope))
        try:
            await self._app(scope, body.receive, answer.send)
        except Exception:
            # What an application says after its body was cut is about the cut.
            if body.error is None:
                log.exception("web.request.failed")
                raise
        cut = body.error or answer.error
        if cut is not None and not answer.started:
            await self._refuse(cut, scope, send)

    def _check_pace(self, scope: Any) -> None:
        pace = self._paces.get(scope["path"])
        if pace is not None and scope["method"] == "POST":
            client = scope.get("client")
            seconds = pace.wait_seconds(client[0] if client else "")
            if seconds:
                raise errors.TooManyTries(seconds=seconds)

    def _checked_length(self, scope: Any) -> int:
        limit_bytes = self._rules.body_limit(scope["path"])
        for name, value in scope["headers"]:
            if name == b"content-length":
                if not value.isdigit():
                    raise errors.HeadersRefused
                # 20 digits are more than any length, and a longer number is slow to read.
                if len(value) > 20 or int(value) > limit_bytes:
                    raise errors.BodyTooLarge(limit_bytes=limit_bytes)
        return limit_bytes

    def _added(self, scope: Any) -> tuple[tuple[bytes, bytes], ...]:
        """Give the headers that an answer to this request gets."""
        rules = self._rules
        added = self._headers
        if not (rules.cacheable and scope["path"].startswith(rules.cacheable)):
            added = (*added, (b"cache-control", b"no-store"))
        if rules.csrf_cookie and not cookie_of(scope, rules.csrf_cookie):
            secure = "; Secure" if rules.tls else ""
            value = f"{rules.csrf_cookie}={secrets.token_urlsafe(32)}; Path=/; SameSite=Strict"
            added = (*added, (b"set-cookie", (value + secure).encode()))
        return added

    async def _refuse(self, error: errors.WebError, scope: Any, send: _Send) -> None:
        _tell(error, scope)
        answer: Refusal = refusal_of(error, scope["headers"], self._rules.methods)
        headers = [*answer.headers, *self._headers, (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


class _Answer:
    """Stands between application and server; adds headers and lets no unsafe one out."""

    def __init__(self, send: _Send, body: Body, added: tuple[tuple[bytes, bytes], ...]) -> None:
        self._send = send
        self._body = body
        self._added = added
        self.started = False
        self.error: errors.AnswerUnsafe | None = None

    async def send(self, message: _Message) -> None:
        if message["type"] == "http.response.start":
            if self._body.error is not None:
                return
            given = list(message.get("headers", []))
            if any(sign in text for pair in given for text in pair for sign in _UNSAFE_IN_HEADERS):
                self.error = errors.AnswerUnsafe()
                return
            names = {name.lower() for name, _ in given}
            added = [(name, value) for name, value in self._added if _adds(name, names)]
            self.started = True
            message = {**message, "headers": [*given, *added]}
        if self.started:
            await self._send(message)


def _adds(name: bytes, given: set[bytes]) -> bool:
    # An application may choose how its answer is kept, and set cookies of its own.
    return name == b"set-cookie" or name not in given


def _security_headers(rules: Rules) -> tuple[tuple[bytes, bytes], ...]:
    headers = {
        "content-security-policy": rules.csp,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    if rules.tls:
        headers["strict-transport-security"] = f"max-age={_YEAR_SECONDS}"
    return tuple((name.encode(), value.encode()) for name, value in headers.items())


def _tell(error: errors.WebError, scope: Any) -> None:
    client = scope.get("client")
    log.warning("web.request.refused", code=error.code, source=client[0] if client else "")
