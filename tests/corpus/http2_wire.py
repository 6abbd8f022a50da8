"""The other end of a node's TLS ports, which keeps to HTTP/2 only as far as a test wants it to.

Frames are those of RFC 9113, header blocks those of RFC 7541 without tables and
without Huffman codes.
"""

import socket
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    *(0, 1, 3, 4),
    *(6, 7, 8, 9),
)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE = 4
_READ_BYTES = 65_536


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def integer(value: int, prefix_bits: int, first: int = 0) -> bytes:
    """Return an integer as RFC 7541 §5.1 writes it."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    return bytes([*out, value])


def header(name: bytes, value: bytes) -> bytes:
    """Return a field that goes into no table."""
    return b"\x00" + integer(len(name), 7) + name + integer(len(value), 7) + value


def call_headers(path: bytes, *more: bytes, scheme: bytes = b"https", te: bytes = b"") -> bytes:
    """Return the header block of a gRPC call."""
    return b"".join(
        (
            header(b":method", b"POST"),
            header(b":scheme", scheme),
            header(b":path", path),
            header(b":authority", b"node"),
            header(b"te", te or b"trailers"),
            header(b"content-type", b"application/grpc"),
            *more,
        )
    )


def message(body: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """Return a gRPC message, whose prefix may say something else than what follows."""
    return struct.pack(">BI", compressed, len(body) if length is None else length) + body


def opened(path: bytes, *more: bytes, stream: int = 1, end: bool = False) -> bytes:
    """Return the frame that opens a call."""
    flags = END_HEADERS | (END_STREAM if end else 0)
    return frame(HEADERS, flags, stream, call_headers(path, *more))


@dataclass(slots=True)
class Wire:
    """One TLS connection, and what came over it.

    Attributes:
        endings: How streams and the connection ended: `rst`, `goaway`, `closed`, and
            `status 12` for a call that was answered.
        kinds: Of which kinds frames came.
        acks: Settings of the server are acknowledged.
    """

    sock: ssl.SSLSocket
    endings: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    acks: bool = True
    _rest: bytes = b""

    def send(self, data: bytes) -> bool:
        """Send, and return whether the server still took it."""
        try:
            self.sock.sendall(data)
        except OSError:
            self._ended("closed")
            return False
        return True

    def start(self, settings: bytes = b"") -> None:
        """Begin as HTTP/2 begins."""
        self.send(PREFACE + frame(SETTINGS, payload=settings))

    def read_until(self, met: Callable[[], bool], seconds: float) -> bool:
        """Read and answer until the condition holds; return whether it does."""
        end = time.monotonic() + seconds
        while not met() and "closed" not in self.endings and time.monotonic() < end:
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(_READ_BYTES)
            except TimeoutError:
                break
            except OSError:
                data = b""
            if not data:
                self._ended("closed")
                break
            self._rest += data
            self._take()
        self.sock.settimeout(5)
        return met()

    def ended(self, seconds: float = 20.0) -> bool:
        """Read until the server has ended the call or the connection; return whether it has."""
        return self.read_until(lambda: bool(self.endings), seconds)

    def close(self) -> None:
        """Hang up."""
        self.sock.close()

    def _ended(self, how: str) -> None:
        if how not in self.endings:
            self.endings.append(how)

    def _take(self) -> None:
        while len(self._rest) >= 9:
            size = int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < 9 + size:
                return
            kind, flags = self._rest[3], self._rest[4]
            payload, self._rest = self._rest[9 : 9 + size], self._rest[9 + size :]
            self.kinds.append(kind)
            self._answer(kind, flags, payload)

    def _answer(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK and self.acks:
            self.send(frame(SETTINGS, ACK))
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, payload=payload))
        elif kind == RST_STREAM:
            self._ended("rst")
        elif kind == GOAWAY:
            self._ended("goaway")
        elif kind == HEADERS and flags & END_STREAM:
            # gRPC writes its own fields out in full the first time that it uses them.
            _, found, value = payload.partition(b"grpc-status")
            if found:
                self._ended(f"status {value[1 : 1 + value[0]].decode('ascii')}")
            else:
                self._ended("headers")


@dataclass(frozen=True, slots=True)
class Port:
    """A port, and the certificate to show there, if any: files of chain and key."""

    number: int
    certificate: tuple[str, str] | None = None

    def tcp(self) -> socket.socket:
        """Connect and say nothing."""
        return socket.create_connection(("127.0.0.1", self.number), timeout=5)

    def dial(self, *, acks: bool = True) -> Wire:
        """Connect and finish the handshake."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Who the server is, is the business of other tests.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        if self.certificate is not None:
            context.load_cert_chain(*self.certificate)
        return Wire(context.wrap_socket(self.tcp()), acks=acks)
