"""The NATS client of the bench counts what is acknowledged, and nothing else."""

import socket
import threading
from collections.abc import Iterable

import pytest

from tests.bench import nats_client
from tests.bench.nats_client import NatsClient, NatsError

ACK = b'MSG _INBOX.1 1 26\r\n{"stream":"IN", "seq":%05d}\r\n'


def serve(listener: socket.socket, answers: Iterable[bytes]) -> None:
    """Be a server that greets, then says these bytes, each in a segment of its own."""
    line, _ = listener.accept()
    with line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(b"INFO {}\r\n")
        received = b""
        while b"PING\r\n" not in received:
            received += line.recv(4096)
        line.settimeout(20)
        line.sendall(b"PONG\r\nPING\r\n")
        for answer in answers:
            line.recv(1 << 20)
            line.sendall(answer)
        while line.recv(1 << 20):
            pass


@pytest.fixture
def listener() -> Iterable[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def connect(listener: socket.socket, *answers: bytes) -> NatsClient:
    """A client of a server that says these bytes, one after each write of the client."""
    threading.Thread(target=serve, args=(listener, answers), daemon=True).start()
    return NatsClient(listener.getsockname()[1])


def test_all_records_are_acknowledged(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`publish_all` returns on the last acknowledgement, also if one comes in two pieces."""
    monkeypatch.setattr(nats_client, "UNDER_WAY", 0)
    acks = b"".join(ACK % number for number in range(200))
    cut = acks.index(b'eq":00100')
    answer = b'MSG _INBOX.1 1 8\r\n{"ok":1}\r\n'
    with connect(listener, acks[:cut], acks[cut:], answer) as client:
        client.publish_all("in", [b"x"] * 200)
        assert client.request("what") == {"ok": 1}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'MSG _INBOX.1 1 16\r\n{"error":"full"}\r\n', NatsError),
        (b"-ERR 'Maximum Payload'\r\n", NatsError),
        (b"HMSG _INBOX.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", NatsError),
    ],
    ids=["the call fails", "the server refuses", "nobody listens"],
)
def test_errors_are_raised(listener: socket.socket, answer: bytes, error: type[Exception]) -> None:
    """What the server refuses ends the bench, rather than counting as done."""
    with connect(listener, answer) as client, pytest.raises(error):
        client.request("what")
