"""The guard refuses what its rules do not allow, before and after the application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import structlog

from yidao.node.messages import catalogue
from yidao.node.web import errors
from yidao.node.web.guard import Guard, Rules, hosts_of
from yidao.node.web.pace import Pace
from yidao.node.web.refusal import language_of

TOKEN = "t" * 43
RULES = Rules(
    hosts=hosts_of("127.0.0.1:7390"),
    csrf_cookie="yidao_csrf",
    csrf_exempt=("/upload",),
    max_body_bytes=10,
    body_limits={"/big": 100},
    body_idle_seconds=0.05,
    limited_paths={"/sign-in": 2},
    cacheable=("/static/",),
)
HOST = (b"host", b"127.0.0.1:7390")
ORIGIN = (b"origin", b"http://127.0.0.1:7390")
COOKIE = (b"cookie", b"yidao_csrf=" + TOKEN.encode())
CSRF = (b"x-csrf-token", TOKEN.encode())
POST = (HOST, ORIGIN, COOKIE, CSRF)


@dataclass(slots=True)
class Told:
    """What the guard sent, and what reached the application."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    called: int = 0
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def code(self) -> str:
        """The code of the refusal, or empty where the application answered."""
        if self.called and self.sent[0].get("status") == 200:
            return ""
        return str(orjson.loads(self.sent[1]["body"])["code"])


def scope_of(
    method: str = "GET",
    path: str = "/",
    headers: Iterable[tuple[bytes, bytes]] = (HOST,),
    kind: str = "http",
    client: str = "192.0.2.1",
) -> dict[str, Any]:
    """A request's scope as uvicorn makes it."""
    raw_path = path.encode("latin-1")
    scope = {
        "type": kind,
        "path": path,
        "raw_path": raw_path,
        "headers": list(headers),
        "client": (client, 1),
    }
    return scope if kind == "websocket" else {**scope, "method": method}


async def chunks_of(*chunks: bytes) -> AsyncIterator[dict[str, Any]]:
    for place, chunk in enumerate(chunks):
        more = place < len(chunks) - 1
        yield {"type": "http.request", "body": chunk, "more_body": more}
    await asyncio.Event().wait()


async def never() -> AsyncIterator[dict[str, Any]]:
    yield {"type": "http.request", "body": b"x", "more_body": True}
    await asyncio.Event().wait()


def run(
    scope: dict[str, Any],
    messages: AsyncIterator[dict[str, Any]] | None = None,
    *,
    guard: Callable[[Any], Guard] = lambda app: Guard(app, RULES),
    answer: Iterable[tuple[bytes, bytes]] = (),
) -> Told:
    """Send one request through a guard to an application that reads the whole body."""
    told = Told()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.called += 1
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            told.body += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": list(answer)})
        await send({"type": "http.response.body", "body": b"ok"})

    async def send(message: Any) -> None:
        told.sent.append(dict(message))

    async def serve() -> None:
        given = messages or chunks_of(b"")
        receive: Callable[[], Awaitable[Any]] = lambda: anext(given)  # noqa: E731
        await guard(app)(scope, receive, send)

    with structlog.testing.capture_logs():
        asyncio.run(serve())
    return told


HEADS = {
    "a plain request": (scope_of(), ""),
    "localhost by its name": (scope_of(headers=[(b"host", b"LOCALHOST:7390")]), ""),
    "another host (DNS rebinding)": (
        scope_of(headers=[(b"host", b"rebound.example:7390")]),
        "HTTP_HOST_REFUSED",
    ),
    "a host that only begins like ours": (
        scope_of(headers=[(b"host", b"127.0.0.1.example")]),
        "HTTP_HOST_REFUSED",
    ),
    "no host": (scope_of(headers=[]), "HTTP_HOST_REFUSED"),
    "two hosts": (scope_of(headers=[HOST, HOST]), "HTTP_HOST_REFUSED"),
    "TRACE": (scope_of("TRACE"), "HTTP_METHOD_REFUSED"),
    "TRACK": (scope_of("TRACK"), "HTTP_METHOD_REFUSED"),
    "CONNECT": (scope_of("CONNECT"), "HTTP_METHOD_REFUSED"),
    "a lower-case method": (scope_of("get"), "HTTP_METHOD_REFUSED"),
    "a method override": (
        scope_of("POST", headers=[*POST, (b"x-http-method-override", b"DELETE")]),
        "HTTP_METHOD_REFUSED",
    ),
    "a path upward": (scope_of(path="/a/../b"), "HTTP_PATH_REFUSED"),
    "a path upward at its end": (scope_of(path="/a/.."), "HTTP_PATH_REFUSED"),
    "an encoded path upward": (scope_of(path="/%2e%2e%2fetc"), "HTTP_PATH_REFUSED"),
    "one encoded dot": (scope_of(path="/a/%2E./b"), "HTTP_PATH_REFUSED"),
    "twice encoded": (scope_of(path="/%252e%252e/"), "HTTP_PATH_REFUSED"),
    "an encoded slash": (scope_of(path="/a%2Fb"), "HTTP_PATH_REFUSED"),
    "a backslash": (scope_of(path="/a\\b"), "HTTP_PATH_REFUSED"),
    "an encoded backslash": (scope_of(path="/a%5cb"), "HTTP_PATH_REFUSED"),
    "NUL": (scope_of(path="/a%00"), "HTTP_PATH_REFUSED"),
    "CR and LF": (scope_of(path="/a%0d%0ab"), "HTTP_PATH_REFUSED"),
    "double slashes": (scope_of(path="//etc/passwd"), "HTTP_PATH_REFUSED"),
    "a whole URL": (scope_of(path="http://127.0.0.1/a"), "HTTP_PATH_REFUSED"),
    "no UTF-8": (scope_of(path="/%ff%fe"), "HTTP_PATH_REFUSED"),
    "Chinese in the path": (scope_of(path="/%E9%A9%BF/"), ""),
    "a dot in a name": (scope_of(path="/static/a.b.css"), ""),
    "65 headers": (scope_of(headers=[HOST, *[(b"x", b"y")] * 64]), "HTTP_HEADERS_TOO_LARGE"),
    "a long header": (
        scope_of(headers=[HOST, (b"x", b"y" * 16_384)]),
        "HTTP_HEADERS_TOO_LARGE",
    ),
    "two lengths": (
        scope_of("POST", headers=[*POST, *[(b"content-length", b"1")] * 2]),
        "HTTP_HEADERS_REFUSED",
    ),
    "a length and an encoding": (
        scope_of(
            "POST",
            headers=[*POST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        ),
        "HTTP_HEADERS_REFUSED",
    ),
    "a length that is no number": (
        scope_of("POST", headers=[*POST, (b"content-length", b"-1")]),
        "HTTP_HEADERS_REFUSED",
    ),
    "a declared length over the limit": (
        scope_of("POST", headers=[*POST, (b"content-length", b"10737418240")]),
        "HTTP_BODY_TOO_LARGE",
    ),
    "a length of a thousand digits": (
        scope_of("POST", headers=[*POST, (b"content-length", b"9" * 1_000)]),
        "HTTP_BODY_TOO_LARGE",
    ),
    "a change from our own page": (scope_of("POST", headers=POST), ""),
    "a change from another site": (
        scope_of("POST", headers=[HOST, (b"origin", b"http://evil.example"), COOKIE, CSRF]),
        "HTTP_ORIGIN_REFUSED",
    ),
    "a change from another port": (
        scope_of("POST", headers=[HOST, (b"origin", b"http://127.0.0.1:1"), COOKIE, CSRF]),
        "HTTP_ORIGIN_REFUSED",
    ),
    "a change from a sandbox": (
        scope_of("POST", headers=[HOST, (b"origin", b"null"), COOKIE, CSRF]),
        "HTTP_ORIGIN_REFUSED",
    ),
    "a change from nowhere": (
        scope_of("POST", headers=[HOST, COOKIE, CSRF]),
        "HTTP_ORIGIN_REFUSED",
    ),
    "a change that the browser vouches for": (
        scope_of("POST", headers=[HOST, (b"sec-fetch-site", b"same-origin"), COOKIE, CSRF]),
        "",
    ),
    "a change without a token": (
        scope_of("POST", headers=[HOST, ORIGIN, COOKIE]),
        "HTTP_CSRF_REFUSED",
    ),
    "a change with a wrong token": (
        scope_of("POST", headers=[HOST, ORIGIN, COOKIE, (b"x-csrf-token", b"u" * 43)]),
        "HTTP_CSRF_REFUSED",
    ),
    "an empty token for an empty cookie": (
        scope_of(
            "POST", headers=[HOST, ORIGIN, (b"cookie", b"yidao_csrf="), (b"x-csrf-token", b"")]
        ),
        "HTTP_CSRF_REFUSED",
    ),
    "an upload from our own page": (scope_of("POST", "/upload/1", [HOST, ORIGIN]), ""),
    "an upload from another site": (
        scope_of("POST", "/upload/1", [HOST, (b"origin", b"http://evil.example")]),
        "HTTP_ORIGIN_REFUSED",
    ),
}


@pytest.mark.parametrize(("scope", "code"), HEADS.values(), ids=HEADS)
def test_heads(scope: dict[str, Any], code: str) -> None:
    """A head that is not allowed is refused with its code, and the application never runs."""
    told = run(scope)
    assert told.code == code
    assert told.called == (0 if code else 1)
    if code:
        assert told.headers[b"connection"] == b"close"


SOCKETS = {
    "from our own page": ([HOST, ORIGIN], True),
    "from another site": ([HOST, (b"origin", b"http://evil.example")], False),
    "from another host": ([(b"host", b"evil.example"), (b"origin", b"http://evil.example")], False),
    "from nowhere": ([HOST], False),
    "vouched for without an origin": ([HOST, (b"sec-fetch-site", b"same-origin")], False),
    "with two origins": ([HOST, ORIGIN, ORIGIN], False),
}


@pytest.mark.parametrize(("headers", "opens"), SOCKETS.values(), ids=SOCKETS)
def test_sockets(headers: list[tuple[bytes, bytes]], opens: bool) -> None:
    """A socket opens for a page of ours only; no cookie helps another."""

    async def connect() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "websocket.connect"}

    told = run(scope_of(kind="websocket", headers=[*headers, COOKIE]), connect())
    assert told.called == int(opens)
    assert told.sent[0]["type"] == ("websocket.accept" if opens else "websocket.close")


BODIES = {
    "within the limit": ("/", [b"12345", b"67890"], ""),
    "over it, in pieces": ("/", [b"12345", b"67890", b"1"], "HTTP_BODY_TOO_LARGE"),
    "over it, at once": ("/", [b"1" * 11], "HTTP_BODY_TOO_LARGE"),
    "over it, where more is allowed": ("/big/1", [b"1" * 60, b"2" * 40], ""),
    "over that too": ("/big/1", [b"1" * 60, b"2" * 41], "HTTP_BODY_TOO_LARGE"),
}


@pytest.mark.parametrize(("path", "chunks", "code"), BODIES.values(), ids=BODIES)
def test_bodies(path: str, chunks: list[bytes], code: str) -> None:
    """A body is counted as it comes, whatever length it declared."""
    told = run(scope_of("POST", path, POST), chunks_of(*chunks))
    assert told.code == code
    assert told.body == b"".join(chunks) or code


def test_a_slow_body_is_cut() -> None:
    """A body that pauses too long is answered, not waited for."""
    told = run(scope_of("POST", "/", POST), never())
    assert (told.code, told.status) == ("HTTP_BODY_TOO_SLOW", 408)


def test_sign_in_has_a_pace_for_each_source() -> None:
    """After its tries a source waits; others do not wait with it."""
    made: list[Guard] = []

    def one(app: Any) -> Guard:
        if not made:
            made.append(Guard(app, RULES))
        return made[0]

    codes = [run(scope_of("POST", "/sign-in", POST), guard=one) for _ in range(3)]
    assert [told.code for told in codes[2:]] == ["HTTP_TOO_MANY_TRIES"]
    assert int(codes[2].headers[b"retry-after"]) >= 1
    assert run(scope_of("POST", "/sign-in", POST, client="192.0.2.2"), guard=one).status == 200
    assert run(scope_of("GET", "/sign-in"), guard=one).status == 200


def test_a_pace_begins_anew_after_a_minute_and_holds_bounded_memory() -> None:
    """The window of a source ends; sources are forgotten, oldest first."""
    now = [0.0]
    pace = Pace(1, lambda: now[0])
    assert [pace.wait_seconds("a"), pace.wait_seconds("a")] == [0, 60]
    now[0] = 60.0
    assert pace.wait_seconds("a") == 0
    for number in range(10_000):
        pace.wait_seconds(str(number))
    assert pace.wait_seconds("a") == 0


UNSAFE = {"in a value": (b"x", b"a\r\nset-cookie: b"), "in a name": (b"x\n", b"a")}


@pytest.mark.parametrize("header", UNSAFE.values(), ids=UNSAFE)
def test_an_answer_cannot_be_split(header: tuple[bytes, bytes]) -> None:
    """A header with a line break never leaves, and the caller gets a typed error."""
    told = run(scope_of(), answer=[header])
    assert (told.code, told.status) == ("HTTP_ANSWER_UNSAFE", 500)
    assert len(told.sent) == 2


def test_security_headers() -> None:
    """Every answer carries them; what is private is not kept; an application may say more."""
    headers = run(scope_of()).headers
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert headers[b"cache-control"] == b"no-store"
    assert b"strict-transport-security" not in headers
    assert b"cache-control" not in run(scope_of(path="/static/a.css")).headers
    kept = run(scope_of(), answer=[(b"cache-control", b"max-age=60")]).headers
    assert kept[b"cache-control"] == b"max-age=60"
    refused = run(scope_of("TRACE")).headers
    assert (refused[b"x-content-type-options"], refused[b"allow"]) == (
        b"nosniff",
        b"GET, HEAD, POST",
    )


def test_the_token_is_given_once() -> None:
    """Who has no token gets one that no other site's request carries; who has one keeps it."""
    cookie = run(scope_of()).headers[b"set-cookie"].decode()
    assert cookie.startswith("yidao_csrf=")
    assert "SameSite=Strict" in cookie
    assert b"set-cookie" not in run(scope_of(headers=[HOST, COOKIE])).headers


def test_people_get_a_page() -> None:
    """A browser is answered with a page in its language that names the code."""
    headers = [(b"host", b"x"), (b"accept", b"text/html"), (b"accept-language", b"en-GB,zh;q=0.5")]
    told = run(scope_of(headers=headers))
    page = told.sent[1]["body"].decode()
    assert catalogue("en")["HTTP_HOST_REFUSED"].text in page
    assert "HTTP_HOST_REFUSED" in page
    assert told.headers[b"content-type"].startswith(b"text/html")


LANGUAGES = {
    "none": (b"", "zh"),
    "English first": (b"en,zh;q=0.9", "en"),
    "Chinese heavier": (b"en;q=0.2,zh-CN;q=0.8", "zh"),
    "neither": (b"fr", "zh"),
    "nonsense": (b";;q=x,,en;q=1", "en"),
}


@pytest.mark.parametrize(("header", "language"), LANGUAGES.values(), ids=LANGUAGES)
def test_languages(header: bytes, language: str) -> None:
    """The heaviest language of ours is taken, Chinese without one."""
    assert language_of([(b"accept-language", header)]) == language


def test_a_failure_of_the_application_stays_one() -> None:
    """The guard hides no defect."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async def sink(message: Any) -> None:
        del message

    with pytest.raises(ZeroDivisionError):
        asyncio.run(Guard(broken, RULES)(scope_of(), lambda: anext(chunks_of(b"")), sink))
    assert errors.WebError.code == "HTTP_REQUEST_INVALID"
