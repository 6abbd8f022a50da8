"""A NATS client that can do what the bench needs, over one blocking socket.

It publishes to JetStream with many records under way, and counts the acknowledgements.
The protocol is lines: `PUB subject reply size`, then the payload; the server sends `MSG`,
`HMSG`, `PING`, `PONG`, `+OK`, `INFO` and `-ERR`.
"""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Final, Self

ACKNOWLEDGED: Final = b'"seq":'
LONGEST_SECONDS: Final = 60
# Records in one write, and records that are not acknowledged yet; the Go client's default.
CHUNK: Final = 100
UNDER_WAY: Final = 4_000


class NatsError(Exception):
    """The server refused something."""


class NatsClient:
    """One connection to a server on loopback. Not for threads.

    Attributes:
        inbox: What is published under this subject comes to `message`.
    """

    def __init__(self, port: int) -> None:
        # A leaf and its hub share subjects, so each client has its own.
        self.inbox = f"_INBOX.{port}"
        self._line = socket.create_connection(("127.0.0.1", port), LONGEST_SECONDS)
        self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._line.makefile("rb")
        options = {"verbose": False, "headers": True, "no_responders": True}
        self._line.sendall(f"CONNECT {json.dumps(options)}\r\n".encode())
        self._line.sendall(f"SUB {self.inbox} 1\r\nPING\r\n".encode())
        while self._words()[0] != b"PONG":
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._line.close()

    def request(self, subject: str, **body: object) -> dict[str, object]:
        """Ask one of JetStream's calls.

        Raises:
            NatsError: The server answers with an error, or nobody listens to the subject.
        """
        self.publish(subject, json.dumps(body).encode() if body else b"")
        answer: dict[str, object] = json.loads(self.message() or b'{"error": "nobody listens"}')
        if "error" in answer:
            raise NatsError(subject, answer["error"])
        return answer

    def publish(self, subject: str, payload: bytes) -> None:
        """Publish a message whose answer comes as the next one."""
        head = f"PUB {subject} {self.inbox} {len(payload)}\r\n".encode()
        self._line.sendall(head + payload + b"\r\n")

    def message(self) -> bytes:
        """Wait for a message to this client and return its payload."""
        while True:
            verb, *words = self._words()
            if verb == b"-ERR":
                raise NatsError(b" ".join(words).decode())
            if verb == b"PING":
                self._line.sendall(b"PONG\r\n")
            if verb in {b"MSG", b"HMSG"}:
                payload = self._file.read(int(words[-1]) + 2)[:-2]
                return payload[int(words[-2]) :] if verb == b"HMSG" else payload

    def publish_all(self, subject: str, records: Sequence[bytes]) -> None:
        """Publish records, up to `UNDER_WAY` at a time, and wait until all are acknowledged."""
        acknowledged, tail = 0, b""
        head = f"PUB {subject} {self.inbox} ".encode()
        for first in range(0, len(records), CHUNK):
            chunk = records[first : first + CHUNK]
            self._line.sendall(
                b"".join(b"%b%d\r\n%b\r\n" % (head, len(each), each) for each in chunk)
            )
            least = len(records) if first + CHUNK >= len(records) else first + CHUNK - UNDER_WAY
            while acknowledged < least:
                data = self._line.recv(1 << 16)
                if not data:
                    raise ConnectionError("the server closed the line")
                tail += data
                if b'"error"' in tail or b"-ERR" in tail:
                    raise NatsError(tail.decode(errors="replace"))
                acknowledged += tail.count(ACKNOWLEDGED)
                # The mark may come in two reads.
                tail = tail[-len(ACKNOWLEDGED) + 1 :]

    def _words(self) -> list[bytes]:
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server closed the line")
        # What `publish_all` left of the last acknowledgement may be an end of line.
        return line.split() or [b""]


def ready(port: int) -> NatsClient:
    """Connect to a server that is starting."""
    for _ in patience(0.02):
        try:
            return NatsClient(port)
        except ConnectionError:
            continue
    raise TimeoutError("nothing listens on port", port)


def patience(step_seconds: float) -> Iterator[None]:
    """Step again and again, for a long but bounded while."""
    end = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < end:
        yield
        time.sleep(step_seconds)
