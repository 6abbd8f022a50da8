"""A server as it is started: clocks on heads and bodies, a cap on connections, TLS, its ports."""

import asyncio
import datetime as dt
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from yidao.node.web import protocol
from yidao.node.web.errors import ListenRefused, TlsFileRefused
from yidao.node.web.guard import Guard, Rules, hosts_of
from yidao.node.web.serve import Listen, config_of, serve, tls_context

#: Only ends a test that hangs.
HANG_SECONDS = 20.0
HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body and say so."""
    assert scope["type"] == "http"
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def running(rules: Rules, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve in a thread; gives the port."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            ready.set()
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await guard(scope, receive, send)

    guard, ready = Guard(echo, rules), threading.Event()
    server = uvicorn.Server(config_of(app, context))
    bound = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])))
    thread.start()
    try:
        assert ready.wait(HANG_SECONDS)
        yield bound.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(HANG_SECONDS)


def until_closed(port: int, *pieces: bytes) -> bytes:
    """Send, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as connection:
        for piece in pieces:
            connection.sendall(piece)
        found = b""
        while chunk := connection.recv(4_096):
            found += chunk
        return found


QUICK = Rules(hosts=hosts_of("127.0.0.1:1"), body_idle_seconds=0.1, body_seconds=0.3)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server whose clocks are short."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    with running(QUICK) as found:
        yield found


SLOW: dict[str, tuple[tuple[bytes, ...], bytes]] = {
    "nothing at all": ((), b""),
    "half a head": ((HEAD,), b""),
    "a body that pauses": (
        (b"POST" + HEAD.removeprefix(b"GET") + b"Content-Length: 5\r\n\r\nab",),
        b"HTTP/1.1 408",
    ),
    "a chunk that pauses": (
        (b"POST" + HEAD.removeprefix(b"GET") + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",),
        b"HTTP/1.1 408",
    ),
}


@pytest.mark.parametrize(("pieces", "begins"), SLOW.values(), ids=SLOW)
def test_who_is_slow_is_cut(port: int, pieces: tuple[bytes, ...], begins: bytes) -> None:
    """113: whoever holds a connection without going on loses it."""
    assert until_closed(port, *pieces).startswith(begins)


def test_half_a_head_after_an_answer_is_cut(port: int) -> None:
    """113: the clock of a head runs again for each request of a connection."""
    with socket.create_connection(("127.0.0.1", port), HANG_SECONDS / 2) as connection:
        connection.sendall(HEAD + b"\r\n")
        found = connection.recv(4_096)
        while b"ok" not in found:
            found += connection.recv(4_096)
        connection.sendall(HEAD)
        assert _ends(connection)


def test_a_body_that_drips_is_cut(port: int) -> None:
    """113: a body may not take for ever, however regularly its bytes come."""
    with socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as connection:
        head = b"POST" + HEAD.removeprefix(b"GET") + b"Content-Length: 100000\r\n\r\n"
        connection.sendall(head)
        connection.settimeout(0.02)
        found = b""
        for _ in range(1_000):
            try:
                connection.sendall(b"x")
                found += connection.recv(4_096)
            except TimeoutError:
                continue
            except OSError:
                break
            if found:
                break
    assert found.startswith(b"HTTP/1.1 408")


def test_connections_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest connection over the cap is closed at once; the others go on."""
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 10 * HANG_SECONDS)
    with running(QUICK) as port:
        kept = [socket.create_connection(("127.0.0.1", port), HANG_SECONDS) for _ in range(2)]
        try:
            for connection in kept:
                connection.sendall(HEAD + b"\r\n")
                assert connection.recv(4_096).startswith(b"HTTP/1.1 200")
            extra = [socket.create_connection(("127.0.0.1", port), HANG_SECONDS) for _ in range(3)]
            try:
                ends = [_ends(connection) for connection in extra[1:]]
            finally:
                for connection in extra:
                    connection.close()
            assert ends == [True, True]
        finally:
            for connection in kept:
                connection.close()


def _ends(connection: socket.socket) -> bool:
    """Whether the connection ends, whatever of an answer was still on its way."""
    try:
        while connection.recv(4_096):
            pass
    except ConnectionResetError:
        pass
    return True


def test_answers_say_nothing_of_the_server() -> None:
    """No program, no version; every answer with the security headers."""
    with running(QUICK) as port:
        answer = until_closed(port, HEAD + b"Connection: close\r\n\r\n").lower()
    assert b"\r\nserver:" not in answer
    assert b"x-content-type-options: nosniff" in answer


def test_forwarding_headers_are_nobodys_word() -> None:
    """A caller cannot claim another address, and so not another's pace of sign-in."""
    rules = Rules(hosts=hosts_of("127.0.0.1:1"), limited_paths={"/": 1})
    with running(rules) as port:
        first, second = (
            until_closed(
                port,
                b"POST" + HEAD.removeprefix(b"GET"),
                b"X-Forwarded-For: 192.0.2.%d\r\n" % number,
                b"Content-Length: 0\r\nConnection: close\r\n\r\n",
            )
            for number in (1, 2)
        )
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 429")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A sample certificate and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sample")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, private


def test_tls(pair: tuple[Path, Path]) -> None:
    """With a certificate people come by TLS, 1.2 or newer, and are told to stay with it."""
    chain, key = pair
    context = tls_context(Listen(host="127.0.0.1", port=0, certificate=chain, key=key))
    trusting = ssl.create_default_context(cafile=str(chain))
    trusting.check_hostname = False
    rules = Rules(hosts=hosts_of("127.0.0.1:1"), tls=True)
    with (
        running(rules, context) as port,
        socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as plain,
        trusting.wrap_socket(plain) as connection,
    ):
        connection.sendall(HEAD + b"Connection: close\r\n\r\n")
        found = b""
        while chunk := connection.recv(4_096):
            found += chunk
        assert connection.version() in {"TLSv1.2", "TLSv1.3"}
    assert b"strict-transport-security" in found


WRONG: dict[str, Callable[[Path, Path], tuple[Path | None, Path | None]]] = {
    "no key": lambda chain, key: (chain, None),
    "no certificate": lambda chain, key: (None, key),
    "a missing file": lambda chain, key: (chain.with_name("none"), key),
    "no PEM": lambda chain, key: (Path(os.__file__), key),
    "two keys": lambda chain, key: (key, key),
}


@pytest.mark.parametrize("choose", WRONG.values(), ids=WRONG)
def test_wrong_tls_files(
    pair: tuple[Path, Path], choose: Callable[[Path, Path], tuple[Path | None, Path | None]]
) -> None:
    """A certificate that cannot be used is told before anything listens."""
    chain, key = choose(*pair)
    with pytest.raises(TlsFileRefused):
        serve(echo, Listen(host="127.0.0.1", port=0, certificate=chain, key=key))


def test_a_port_in_use() -> None:
    """An address that another program has is a typed error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenRefused) as caught:
            serve(echo, Listen(host="127.0.0.1", port=port))
    assert caught.value.params["address"] == f"127.0.0.1:{port}"
