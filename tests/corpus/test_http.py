"""Bad inputs 109 to 117: HTTP, sent byte for byte to a gateway that runs.

The gateway has no node here: what is refused must be refused before a node
matters. What needs sessions stands in `tests/e2e/test_gateway.py`, what needs a
cookie in `tests/unit/node/web/test_guard.py`.
"""

import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
import pytest

from yidao.node.demo.tree import clean_environment, free_ports, wait_until, yidao_command

HOST = b"Host: 127.0.0.1\r\n"
#: Answers are bounded by the gateway; this only ends a test that hangs.
HANG_SECONDS = 20.0
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer on a connection, and what came after it."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes
    closed: bool

    @property
    def code(self) -> str:
        """The stable code of the refusal."""
        return str(orjson.loads(self.body)["code"])


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A gateway without a node."""
    (found,) = free_ports(1)
    folder = tmp_path_factory.mktemp("gateway")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*yidao_command(), "gateway", "-d", str(folder), "--listen", f"127.0.0.1:{found}"],
            stderr=log,
            env=clean_environment(),
        )
    try:
        wait_until("the gateway listens", lambda: _listens(found))
        yield found
    finally:
        process.terminate()
        assert process.wait(HANG_SECONDS) == 0
        # Nothing of what was sent is a defect of ours.
        assert b"web.request.failed" not in (folder / "log").read_bytes()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def send(port: int, *pieces: bytes) -> Answer:
    """Send bytes as they are, and read until the gateway closes or has answered once."""
    with socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as connection:
        reader = connection.makefile("rb")
        for piece in pieces:
            try:
                connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return Answer(0, {}, b"", head, closed=True)
            head += line
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        body = reader.read(int(headers["content-length"]))
        rest, closed = b"", headers.get("connection") == "close"
        if closed:
            # What a connection says after that would be the answer to something smuggled.
            try:
                rest = reader.read()
            except ConnectionResetError:
                rest = b""
        return Answer(int(first.split(" ")[1]), headers, body, rest, closed=closed)


def get(path: bytes, *headers: bytes, method: bytes = b"GET", host: bytes = HOST) -> bytes:
    """Write a request without a body."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return method + b" " + path + b" HTTP/1.1\r\n" + host + lines + b"\r\n"


def post(body: bytes, *headers: bytes, path: bytes = b"/api/v1/sign-in") -> bytes:
    """Write a request whose framing is given by its headers."""
    return get(path, b"Content-Type: application/json", *headers, method=b"POST") + body


OUR_PAGE = b"/api/v1/packs"
REFUSED = {
    "109 a rebound host": (
        get(OUR_PAGE, host=b"Host: rebound.example\r\n"),
        421,
        "HTTP_HOST_REFUSED",
    ),
    "109 a rebound host on our port": (
        get(OUR_PAGE, host=b"Host: rebound.example:7390\r\n"),
        421,
        "HTTP_HOST_REFUSED",
    ),
    "109 no host": (get(OUR_PAGE, host=b""), 400, "HTTP_REQUEST_INVALID"),
    "109 two hosts": (get(OUR_PAGE, b"Host: evil.example"), 400, "HTTP_REQUEST_INVALID"),
    "109 no session, whatever the origin": (
        get(OUR_PAGE, b"Origin: http://evil.example"),
        401,
        "GATEWAY_TOKEN_MISSING",
    ),
    "109 another site asks whether it may": (
        get(OUR_PAGE, b"Origin: http://evil.example", method=b"OPTIONS"),
        405,
        "HTTP_METHOD_REFUSED",
    ),
    "110 TRACE": (get(OUR_PAGE, method=b"TRACE"), 405, "HTTP_METHOD_REFUSED"),
    "110 TRACK": (get(OUR_PAGE, method=b"TRACK"), 405, "HTTP_METHOD_REFUSED"),
    "110 CONNECT": (get(b"127.0.0.1:22", method=b"CONNECT"), 405, "HTTP_METHOD_REFUSED"),
    "110 DELETE": (get(OUR_PAGE, method=b"DELETE"), 405, "HTTP_METHOD_REFUSED"),
    "110 a method override": (
        get(OUR_PAGE, b"X-HTTP-Method-Override: PUT"),
        405,
        "HTTP_METHOD_REFUSED",
    ),
    "111 upward": (get(b"/api/../../etc/passwd"), 400, "HTTP_PATH_REFUSED"),
    "111 upward, encoded": (get(b"/api/%2e%2e%2fetc/passwd"), 400, "HTTP_PATH_REFUSED"),
    "111 upward, encoded twice": (get(b"/api/%252e%252e/etc"), 400, "HTTP_PATH_REFUSED"),
    "111 upward, backslash": (get(b"/api/..%5cetc"), 400, "HTTP_PATH_REFUSED"),
    "111 absolute": (get(b"//etc/passwd"), 400, "HTTP_PATH_REFUSED"),
    "111 a whole URL": (get(b"http://127.0.0.1/api/v1/packs"), 400, "HTTP_PATH_REFUSED"),
    "111 NUL": (get(b"/api/v1/packs%00.txt"), 400, "HTTP_PATH_REFUSED"),
    "112 a length and chunks": (
        post(
            b"0\r\n\r\n" + SMUGGLED,
            b"Content-Length: %d" % (5 + len(SMUGGLED)),
            b"Transfer-Encoding: chunked",
        ),
        400,
        "HTTP_HEADERS_REFUSED",
    ),
    "112 chunks and a length": (
        post(
            b"2\r\n{}\r\n0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding: chunked", b"Content-Length: 4"
        ),
        400,
        "HTTP_HEADERS_REFUSED",
    ),
    "112 two lengths": (
        post(b"{}" + SMUGGLED, b"Content-Length: 2", b"Content-Length: 60"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "112 two lengths in one": (
        post(b"{}" + SMUGGLED, b"Content-Length: 2, 60"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "112 a length with a sign": (
        post(b"{}" + SMUGGLED, b"Content-Length: +2"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "112 an encoding that is hidden": (
        post(b"0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding : chunked"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "112 an unknown encoding": (
        post(b"0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding: xchunked"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "112 chunked twice": (
        post(b"0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding: chunked, chunked"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "112 a chunk with a sign": (
        post(b"+2\r\n{}\r\n0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding: chunked"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "112 a chunk longer than any number": (
        post(b"F" * 40 + b"\r\n{}", b"Transfer-Encoding: chunked"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "112 a chunk that does not end where it says": (
        post(b"2\r\n{}}}}}}\r\n0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding: chunked"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "112 a request of another protocol": (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        421,
        "HTTP_HOST_REFUSED",
    ),
    "112 no protocol": (b"GET /\r\n\r\n", 400, "HTTP_REQUEST_INVALID"),
    "112 TLS on a plain port": (
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "113 ten gigabytes declared": (
        post(b"", b"Content-Length: 10737418240", b"Expect: 100-continue"),
        413,
        "HTTP_BODY_TOO_LARGE",
    ),
    "113 a head without end": (
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 40_000,
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "113 a hundred headers": (
        get(OUR_PAGE, *[b"X-%d: y" % number for number in range(100)]),
        431,
        "HTTP_HEADERS_TOO_LARGE",
    ),
    "115 a line break in the path": (
        get(b"/api/v1/packs%0d%0aSet-Cookie:%20a=b"),
        400,
        "HTTP_PATH_REFUSED",
    ),
    "115 a bare CR in a header": (
        get(OUR_PAGE, b"X-A: b\rSet-Cookie: c"),
        400,
        "HTTP_REQUEST_INVALID",
    ),
    "115 NUL in a header": (get(OUR_PAGE, b"X-A: b\x00c"), 400, "HTTP_REQUEST_INVALID"),
    "116 a session in a cookie": (
        get(OUR_PAGE, b"Cookie: session=0123456789; token=abc"),
        401,
        "GATEWAY_TOKEN_MISSING",
    ),
    "116 another scheme": (
        get(OUR_PAGE, b"Authorization: Basic bGk6c2VjcmV0"),
        401,
        "GATEWAY_TOKEN_MISSING",
    ),
}


@pytest.mark.parametrize(("request_bytes", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_refused(port: int, request_bytes: bytes, status: int, code: str) -> None:
    """Each is refused with its code; nothing that was hidden behind it is answered."""
    answer = send(port, request_bytes)
    assert (answer.status, answer.code, answer.rest) == (status, code, b"")
    # 114: whatever stands in an answer, no browser takes it for a page, keeps it or frames it.
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    # 109: no other site's page may read it. 115, 116: nothing is set in a browser.
    assert not {"access-control-allow-origin", "set-cookie", "server"} & set(answer.headers)


def test_what_could_hide_a_request_ends_the_connection(port: int) -> None:
    """112: after a message that two readers may frame differently, nothing more is read."""
    for name, (request_bytes, _, _) in REFUSED.items():
        if name.startswith("112"):
            assert send(port, request_bytes).closed, name


def test_equal_lengths_are_one(port: int) -> None:
    """112: two equal lengths are read as one (RFC 9110 §8.6), and the next request as the next."""
    one = get(b"/smuggled", b"Content-Length: 2", b"Content-Length: 2") + b"{}"
    answer = send(port, one + get(OUR_PAGE, b"Connection: close"))
    assert answer.code == "GATEWAY_ROUTE_UNKNOWN"


def test_an_upload_without_end_is_cut(port: int) -> None:
    """113: chunks are counted as they come; who sends is stopped after a megabyte."""
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    stop = threading.Event()
    with socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as connection:

        def pour() -> None:
            connection.sendall(post(b"", b"Transfer-Encoding: chunked"))
            while not stop.is_set():
                try:
                    connection.sendall(chunk)
                except OSError:
                    return

        pouring = threading.Thread(target=pour)
        pouring.start()
        answer = connection.recv(65_536)
        # The gateway closes, and so the sender comes to an end by itself.
        pouring.join(HANG_SECONDS)
        stop.set()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert not pouring.is_alive()


LINE_BREAKS = {
    "in a parameter": (get(b"/api/v1/returns?after=a%0d%0aSet-Cookie:%20b=c"), 401),
    "in a name": (
        post(
            body := orjson.dumps({"user": "a\r\nSet-Cookie: b=c", "password": "x"}),
            b"Content-Length: %d" % len(body),
        ),
        422,
    ),
    "in the language": (get(b"/nothing", b"Accept-Language: en%0d%0aSet-Cookie: b=c"), 404),
}


@pytest.mark.parametrize(("request_bytes", "status"), LINE_BREAKS.values(), ids=LINE_BREAKS)
def test_nothing_sent_becomes_a_header(port: int, request_bytes: bytes, status: int) -> None:
    """115: what a caller sends is in no header of the answer, nor its line breaks in the body."""
    answer = send(port, request_bytes)
    assert answer.status == status
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-language"] in {"zh", "en"}
    assert b"Set-Cookie" not in answer.body


def test_the_gateway_goes_on(port: int) -> None:
    """After all of it the gateway still answers, and says that its node does not."""
    answer = send(port, get(b"/api/v1/health"))
    assert (answer.status, answer.code) == (503, "NODE_UNREACHABLE")


def test_brute_force(port: int) -> None:
    """116: one address has ten tries a minute, right or wrong; then it waits."""
    body = orjson.dumps({"user": "li", "password": "wrong"})
    tries = [send(port, post(body, b"Content-Length: %d" % len(body))).status for _ in range(12)]
    # Earlier tests spent some.
    assert tries[-1] == 429
    assert set(tries) <= {503, 429}
    answer = send(port, post(body, b"Content-Length: %d" % len(body)))
    assert answer.code == "HTTP_TOO_MANY_TRIES"
    assert int(answer.headers["retry-after"]) > 0


def test_the_folder_is_left_alone(port: int) -> None:
    """111: no file of the data folder is served under any name."""
    for path in (b"/config.toml", b"/keys/identity.json", b"/local.sock", b"/log", b"/static/"):
        assert send(port, get(path)).code == "GATEWAY_ROUTE_UNKNOWN"
