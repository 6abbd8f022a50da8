"""Each thing that can stand on the way to the parent, made, and named."""

import contextlib
import errno
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path as FilePath

import pytest

from yidao.node.clock import system_clock_ms, utc
from yidao.node.datadir import prepare
from yidao.node.demo.tree import free_ports
from yidao.node.errors import NodeError
from yidao.node.keys import TLS_CHAIN, TLS_KEY, KeyFolder
from yidao.node.link import certificates
from yidao.node.link.admission import load_authority
from yidao.node.link.credentials import target_name
from yidao.node.link.founding import found_network
from yidao.node.link.way import Way, check_way
from yidao.node.messages import LANGUAGES, message
from yidao.sync.ids import Path

NOW = utc(system_clock_ms())
SECONDS = 1.0


class Office:
    """A root whose certificates serve for both ends of a line."""

    def __init__(self, folder: FilePath) -> None:
        self.identity = found_network(prepare(folder), now=NOW, random=os.urandom)
        self.keys = KeyFolder(folder)
        self.chain = self.keys.path / TLS_CHAIN
        self.key = self.keys.path / TLS_KEY

    def leaf(self, shift: timedelta, folder: FilePath) -> FilePath:
        """A certificate of this office made at another time."""
        authority = load_authority(self.keys.load_certificates())
        assert authority is not None
        key = self.keys.load_tls_key(TLS_KEY).public_key()
        own = self.identity
        leaf = certificates.issue_leaf(
            authority, key, own.network, own.node_id, own.path, NOW + shift
        )
        file = folder / "leaf.pem"
        file.write_bytes(certificates.to_pem(leaf))
        return file

    def server(self, chain: FilePath | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain or self.chain, self.key)
        context.load_verify_locations(cadata=self.keys.load_certificates().root_pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def way(self, address: str, proxy: str | None = None) -> Way:
        return Way(
            address=address,
            server_name=target_name(Path()),
            root_pem=self.keys.load_certificates().root_pem,
            chain_file=self.chain,
            key_file=self.key,
            proxy=proxy,
        )


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on loopback that treats each connection as the test wants."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                serve(line)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def speaking(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def serve(line: socket.socket) -> None:
        with context.wrap_socket(line, server_side=True) as secure:
            secure.sendall(b"settings")

    return serve


def _http(line: socket.socket) -> None:
    line.recv(4096)
    line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _cut(line: socket.socket) -> None:
    line.recv(1)


def _mute(line: socket.socket) -> None:
    line.settimeout(5)
    while line.recv(4096):
        pass


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("parent") / "root")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("stranger") / "root")


def fault(way: Way) -> str:
    """The code of what stops the way, which both languages must be able to tell."""
    with pytest.raises(NodeError) as found:
        check_way(way, seconds=SECONDS)
    for language in LANGUAGES:
        told = message(found.value.code, found.value.params, language)
        assert "?" not in told.text + told.hint
        assert "\n" not in told.text
    return found.value.code


def test_an_open_way_is_no_finding(office: Office) -> None:
    """Through to the parent's first word."""
    with listening(speaking(office.server())) as address:
        check_way(office.way(address), seconds=SECONDS)


LINES: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "a web server answers": (_http, "PARENT_NOT_TLS"),
    "a firewall cuts the line": (_cut, "PARENT_HANGS_UP"),
    "nobody says anything": (_mute, "PARENT_SILENT"),
}


@pytest.mark.parametrize("name", LINES)
def test_what_is_no_parent_is_named(office: Office, name: str) -> None:
    """What answers instead of TLS has a cause of its own."""
    serve, code = LINES[name]
    with listening(serve) as address:
        assert fault(office.way(address)) == code


SHIFTS = {
    "ended": (timedelta(days=-400), "PARENT_CERTIFICATE_ENDED"),
    "begins later": (timedelta(days=400), "PARENT_CERTIFICATE_NOT_YET_VALID"),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_a_certificate_of_another_time_is_named(
    office: Office, name: str, tmp_path: FilePath
) -> None:
    """Ended and not yet valid are told apart, with this machine's clock."""
    shift, code = SHIFTS[name]
    server = office.server(office.leaf(shift, tmp_path))
    with listening(speaking(server)) as address:
        assert fault(office.way(address)) == code


def test_another_network_and_another_node_are_told_apart(office: Office, stranger: Office) -> None:
    """A foreign root is not trusted; a node of this network with another name is a mismatch."""
    with listening(speaking(stranger.server())) as address:
        assert fault(office.way(address)) == "PARENT_NOT_TRUSTED"
    with listening(speaking(office.server())) as address:
        way = office.way(address)
        other = Way(
            address=address,
            server_name=target_name(Path.parse("/33")),
            root_pem=way.root_pem,
            chain_file=way.chain_file,
            key_file=way.key_file,
        )
        assert fault(other) == "PARENT_NAME_MISMATCH"


def test_a_parent_that_refuses_this_node_is_named(office: Office, stranger: Office) -> None:
    """TLS 1.3 tells it only after the handshake."""
    server = office.server()
    with listening(speaking(server)) as address:
        way = office.way(address)
        foreign = Way(
            address=address,
            server_name=way.server_name,
            root_pem=way.root_pem,
            chain_file=stranger.chain,
            key_file=stranger.key,
        )
        assert fault(foreign) == "PARENT_REFUSES_US"


def test_where_nobody_is(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port, an unknown name and packets that vanish are three causes."""
    assert fault(office.way(f"127.0.0.1:{free_ports(1)[0]}")) == "PARENT_PORT_CLOSED"
    assert fault(office.way("no-such-office.invalid:7350")) == "PARENT_NAME_UNKNOWN"

    def vanish(*_: object) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", vanish)
    assert fault(office.way("192.0.2.1:7350")) == "PARENT_SILENT"

    def no_route(*_: object) -> socket.socket:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(socket, "create_connection", no_route)
    assert fault(office.way("192.0.2.1:7350")) == "PARENT_UNREACHABLE"


def _proxy(status: str) -> Callable[[socket.socket], None]:
    def serve(line: socket.socket) -> None:
        line.recv(4096)
        line.sendall(f"HTTP/1.1 {status}\r\nServer: sample\r\n\r\n".encode())

    return serve


def test_a_proxy_in_the_way_is_named_without_its_password(office: Office) -> None:
    """It does not answer, or does not connect; who reads the finding learns no password."""
    closed = f"127.0.0.1:{free_ports(1)[0]}"
    assert fault(office.way("127.0.0.1:1", f"http://{closed}")) == "PROXY_UNREACHABLE"
    with listening(_proxy("407 Proxy Authentication Required")) as address:
        way = office.way("127.0.0.1:1", f"http://li:sample-password@{address}")
        with pytest.raises(NodeError) as found:
            check_way(way, seconds=SECONDS)
    assert found.value.code == "PROXY_REFUSES"
    assert found.value.params["status"] == "407"
    assert "sample-password" not in str(found.value)


def test_the_way_through_a_proxy_ends_at_the_parent(office: Office) -> None:
    """With CONNECT and the login, then TLS as without a proxy."""
    heads: list[bytes] = []
    server = office.server()

    def serve(line: socket.socket) -> None:
        heads.append(line.recv(4096))
        line.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        speaking(server)(line)

    with listening(serve) as address:
        check_way(office.way("parent.example:7350", f"http://li:p@{address}"), seconds=SECONDS)
    assert heads[0].startswith(b"CONNECT parent.example:7350 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bGk6cA==" in heads[0]
