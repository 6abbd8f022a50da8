"""Bad inputs 1 to 18: TLS, HTTP/2 and gRPC, sent byte for byte to the two ports of a daemon.

The root and one child are daemons that run; the sender is another enrolled child
at the link port, and nobody at the join port. Each row must end in a refusal, and
after each row the honest child answers a question that crosses its link, the join
port answers, and the daemon has grown by no more than a bound.
"""

import gzip
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from corpus.http2_wire import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Port,
    Wire,
    call_headers,
    frame,
    header,
    message,
    opened,
)

from yidao.node.demo.tree import DemoNode, free_ports, run_yidao, wait_until
from yidao.node.keys import KeyFolder
from yidao.sync.message import Heartbeat, Hello
from yidao.sync.wire import encode_control

pytestmark = pytest.mark.e2e

LINK = b"/yidao.api.link.v1.LinkService/"
METHODS = {"link": LINK + b"Control", "join": b"/yidao.api.link.v1.EnrolmentService/Join"}
#: What no log may repeat.
MARK = b"sample-payload-of-a-stranger"
#: How much a row may leave behind in the daemon, and all of them together.
GROWTH_BYTES, ALL_GROWTH_BYTES = 24 << 20, 64 << 20
#: A refusal that needs no clock only has to come; this ends a test that hangs.
HANG_SECONDS = 20.0
# Signs of life every 2 s: a silent peer is left after 6 s, one that reads nothing after 10 s.
HASTY = """keepalive_seconds = 2
keepalive_timeout_seconds = 2
backoff_min_seconds = 0.2
backoff_max_seconds = 1
join_attempts_per_minute = 10000
"""


class House:
    """A root and a child that run, and a second child of which only the keys are used."""

    def __init__(self, folder: Path) -> None:
        self.root = self._node(folder, "")
        self.child = self._node(folder, "33")
        self.stranger = self._node(folder, "34")
        self._start(self.root)
        self._start(self.child)
        self._join(self.stranger)
        certificates = KeyFolder(self.stranger.folder).load_certificates()
        files = (str(folder / "chain.pem"), str(folder / "key.pem"))
        Path(files[0]).write_bytes(certificates.tls_chain_pem)
        Path(files[1]).write_bytes(certificates.tls_key_pem)
        self.ports = {
            "link": Port(self.root.link_port, files),
            "join": Port(self.root.join_port),
        }

    def rss_bytes(self) -> int:
        """How much memory the root's daemon has now."""
        return int(self._proc("statm").read_text().split()[1]) * 4096

    def files_open(self) -> int:
        """How many descriptors the root's daemon has."""
        return len(list(self._proc("fd").iterdir()))

    def check_honest(self) -> None:
        """The child answers over its link, and the join port answers a caller."""
        with self.root.client() as client:
            states = {node.path: node.state for node in client.list_tree(live=True)}
        assert states["/33"] == "connected"
        wire = self.ports["join"].dial()
        wire.start()
        wire.send(opened(METHODS["join"]) + frame(DATA, END_STREAM, 1, message(b"")))
        assert wire.ended(HANG_SECONDS)
        assert wire.endings[0] == "status 7"
        wire.close()

    def state(self, path: str) -> str:
        """Whether a child is connected, as the root sees it."""
        with self.root.client() as client:
            return {peer.path: peer.state for peer in client.status().peers}.get(path, "")

    def journals(self) -> set[str]:
        """Whose records the root holds."""
        with self.root.client() as client:
            origins = {frontier.origin for frontier in client.status().journals}
        # The root begins it by the clock, after some minutes; nobody sends it one.
        return {origin for origin in origins if "/down.control/" not in origin}

    def stop(self) -> None:
        """Stop both daemons."""
        self.child.stop()
        self.root.stop()

    def linked(self) -> bool:
        """Whether the child is connected."""
        with self.root.client() as client:
            return any(peer.state == "connected" for peer in client.status().peers)

    def _proc(self, name: str) -> Path:
        assert self.root.process is not None
        return Path(f"/proc/{self.root.process.pid}/{name}")

    def _node(self, folder: Path, label: str) -> DemoNode:
        link_port, join_port = free_ports(2)
        return DemoNode(
            name=label,
            path=f"/{label}",
            folder=folder / f"n{label}",
            link_port=link_port,
            join_port=join_port,
        )

    def _start(self, node: DemoNode) -> None:
        self._join(node)
        config = node.folder / "config.toml"
        config.write_text(config.read_text() + HASTY)
        node.start()

    def _join(self, node: DemoNode) -> None:
        ports = (
            *("--listen", f"127.0.0.1:{node.link_port}"),
            *("--join-listen", f"127.0.0.1:{node.join_port}"),
        )
        if node is self.root:
            run_yidao("init", "--data", str(node.folder), *ports)
            return
        bundle = node.folder.with_suffix(".bundle")
        with self.root.client() as client:
            made = client.add_child(node.name, ttl_seconds=600, operator="li@/")
        bundle.touch(0o600)
        bundle.write_bytes(made)
        run_yidao("join", str(bundle), "--data", str(node.folder), *ports)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The daemons; when they stop, nothing of all the rows is in the store or in a log."""
    made = House(tmp_path_factory.mktemp("http2"))
    try:
        wait_until("the child is linked", made.linked)
        made.check_honest()
        journals, rss, files = made.journals(), made.rss_bytes(), made.files_open()
        yield made
        assert made.journals() == journals
        assert made.rss_bytes() - rss < ALL_GROWTH_BYTES
        wait_until("no descriptor is left", lambda: made.files_open() <= files + 4)
    finally:
        made.stop()
    log = made.root.log.read_bytes()
    assert log.count(b"link.session.opened            peer=/33") == 1, "the honest link was lost"
    for unwanted in (b"Traceback", b"Exception", MARK):
        assert unwanted not in log


Attack = Callable[[Wire, bytes], None]


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent once the connection stands, and how it must end at each port.

    Attributes:
        link: One of these at the link port; at the join port too, unless `join` is given.
        plain: It is sent before any HTTP/2.
        acks: The server's settings are acknowledged, so that its limits hold.
    """

    attack: Attack
    link: tuple[str, ...]
    join: tuple[str, ...] = ()
    plain: bool = False
    acks: bool = True


def sends(*parts: bytes | Callable[[bytes], bytes]) -> Attack:
    """An attack that sends this, in which a function makes bytes from the method."""

    def attack(wire: Wire, method: bytes) -> None:
        wire.send(b"".join(each(method) if callable(each) else each for each in parts))

    return attack


def floods(
    part: bytes | Callable[[bytes, int], bytes],
    times: int,
    batch: int = 500,
    first: Callable[[bytes], bytes] = lambda _method: b"",
) -> Attack:
    """An attack that sends one thing again and again until the server ends it."""

    def attack(wire: Wire, method: bytes) -> None:
        wire.send(first(method))
        for start in range(0, times, batch):
            numbers = range(start, start + batch)
            data = b"".join(part(method, n) if callable(part) else part for n in numbers)
            if not wire.send(data) or wire.read_until(lambda: bool(wire.endings), 0.001):
                return

    return attack


def call(*more: bytes) -> Callable[[bytes], bytes]:
    """Return what opens a call with further header fields."""
    return lambda method: opened(method, *more)


def half_headers(method: bytes) -> bytes:
    """Return a header block that does not end."""
    return frame(HEADERS, 0, 1, call_headers(method))


def reset_call(method: bytes, number: int) -> bytes:
    """Return a call that is taken back at once."""
    stream = 2 * number + 1
    return opened(method, stream=stream) + frame(RST_STREAM, 0, stream, struct.pack(">I", 8))


def headers(**fields: bytes) -> Callable[[bytes], bytes]:
    """Return a call with these in place of the right fields, and 9 KiB beside them."""
    more = header(b"x-more", MARK + b"v" * 9_000)
    return lambda method: frame(HEADERS, END_HEADERS, 1, call_headers(method, more, **fields))


def bomb(size_mib: int) -> bytes:
    """Return frames of one message that unpacks to so many MiB."""
    packed = message(gzip.compress(bytes(size_mib << 20), 1), compressed=1)
    pieces = [packed[at : at + 16_384] for at in range(0, len(packed), 16_384)]
    return b"".join(frame(DATA, 0, 1, piece) for piece in pieces)


def said(body: bytes = MARK, *, compressed: int = 0, length: int | None = None) -> bytes:
    """Return one message in a frame."""
    return frame(DATA, 0, 1, message(body, compressed=compressed, length=length))


GZIP = header(b"grpc-encoding", b"gzip")
MANY = header(b"x-more", b"v" * 13_000)
WINDOW = frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 2**31 - 1))
REFUSED, LATE, UNKNOWN, BROKEN = ("status 8",), ("status 4",), ("status 12",), ("status 13",)
CUT = ("closed", "goaway", "rst")

ROWS: dict[str, Row] = {
    "1 random bytes in place of HTTP/2": Row(sends(bytes(range(256)) * 16), CUT, plain=True),
    "3 a request of HTTP/1.1": Row(
        sends(b"GET /" + MARK + b" HTTP/1.1\r\nHost: node\r\n\r\n"), CUT, plain=True
    ),
    "6 pings without end": Row(floods(frame(PING, payload=bytes(8)), 20_000), CUT),
    "7 ten thousand calls, each taken back": Row(floods(reset_call, 10_000, 100), CUT),
    "8 continuations without end": Row(
        floods(frame(CONTINUATION, 0, 1, header(b"x", b"v" * 4_000)), 4_000, 20, half_headers),
        REFUSED,
    ),
    "8 empty continuations without end": Row(
        floods(frame(CONTINUATION, 0, 1), 100_000, first=half_headers), CUT
    ),
    "9 a header of 9 KiB": Row(sends(call(header(b"x-more", b"v" * 9_216))), REFUSED),
    "9 headers of 64 KiB": Row(
        sends(
            half_headers,
            *(frame(CONTINUATION, END_HEADERS * (n == 4), 1, MANY) for n in range(5)),
        ),
        REFUSED,
    ),
    "9 ten thousand headers": Row(
        sends(
            half_headers,
            *(
                frame(CONTINUATION, END_HEADERS * (n == 9), 1, header(b"x", b"v") * 1_000)
                for n in range(10)
            ),
        ),
        REFUSED,
    ),
    "10 a length with zeros behind it": Row(
        sends(frame(HEADERS, END_HEADERS, 1, b"\x00\x7f" + b"\x80" * 16_000)), (*BROKEN, *CUT)
    ),
    "10 a length with zeros behind it over many frames": Row(
        sends(
            frame(HEADERS, 0, 1, b"\x00\x7f" + b"\x80" * 16_000),
            *[frame(CONTINUATION, 0, 1, b"\x80" * 16_000)] * 20,
        ),
        (*BROKEN, *CUT),
    ),
    "11 te that is not trailers": Row(sends(headers(te=b"x")), (*BROKEN, *REFUSED)),
    "11 a scheme that is none": Row(sends(headers(scheme=b"x")), (*BROKEN, *REFUSED)),
    "11 both": Row(sends(headers(te=b"x", scheme=b"x")), (*BROKEN, *REFUSED)),
    "12 a service that is not here": Row(sends(opened(b"/no.Such/" + MARK)), UNKNOWN),
    "12 a method that is not here": Row(sends(lambda method: opened(method + b"Not")), UNKNOWN),
    "12 reflection": Row(
        sends(opened(b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")), UNKNOWN
    ),
    "13 a message of 2^32-1 bytes": Row(sends(call(), said(length=2**32 - 1)), REFUSED),
    "14 a message shorter than its prefix": Row(
        sends(call(), frame(DATA, END_STREAM, 1, message(MARK, length=100))),
        ("status 0", *BROKEN),
        ("status 7", *BROKEN),
    ),
    "14 a message that cannot be parsed": Row(
        sends(call(), said(b"\xff" * 9 + MARK)), ("status 0",), ("status 7",)
    ),
    "15 a message that says it is compressed": Row(sends(call(), said(compressed=1)), BROKEN),
    "15 garbage for gzip": Row(sends(call(GZIP), said(compressed=1)), UNKNOWN),
    "15 an encoding that is none": Row(
        sends(call(header(b"grpc-encoding", MARK)), said(compressed=1)), BROKEN
    ),
    "15 200 MiB in a few KiB": Row(sends(call(GZIP), bomb(200)), UNKNOWN),
    "17 a deadline of no time": Row(sends(call(header(b"grpc-timeout", b"0n"))), LATE),
    "17 a deadline before now": Row(sends(call(header(b"grpc-timeout", b"-1S"))), BROKEN),
    "18 a call that is half closed at once": Row(
        sends(lambda method: opened(method, end=True)), ("status 0",), ("status 7",)
    ),
}


@pytest.mark.parametrize("port", METHODS)
@pytest.mark.parametrize("row", ROWS)
def test_bad_bytes_are_refused_and_the_honest_go_on(house: House, port: str, row: str) -> None:
    """The call or the connection ends, during and after which the honest are served."""
    case = ROWS[row]
    wire = house.ports[port].dial(acks=case.acks)
    before = house.rss_bytes()
    if not case.plain:
        wire.start()
        # The server's settings hold once they are acknowledged.
        assert wire.read_until(lambda: len(wire.kinds) >= 2, HANG_SECONDS)
    case.attack(wire, METHODS[port])
    assert wire.ended(HANG_SECONDS), "the server lets it be"
    assert wire.endings[0] in ((port == "join" and case.join) or case.link)
    house.check_honest()
    assert house.rss_bytes() - before < GROWTH_BYTES
    wire.close()


RAW = {
    "1 random bytes": bytes(reversed(range(256))) * 16,
    "1 zeros": bytes(4_096),
    "3 a request of HTTP/1.1 without TLS": b"GET /" + MARK + b" HTTP/1.1\r\nHost: node\r\n\r\n",
    "4 the preface of HTTP/2 without TLS": PREFACE,
}


@pytest.mark.parametrize("port", METHODS)
@pytest.mark.parametrize("row", RAW)
def test_what_is_not_tls_is_cut_at_once(house: House, port: str, row: str) -> None:
    """Nothing is answered but, at most, an alert of TLS."""
    with house.ports[port].tcp() as sock:
        sock.settimeout(HANG_SECONDS)
        sock.sendall(RAW[row])
        answer = b""
        try:
            while data := sock.recv(4_096):
                answer += data
        except ConnectionResetError:
            pass
    assert answer[:1] in (b"", b"\x15")
    house.check_honest()


def hello_bytes() -> bytes:
    """Return how a TLS client begins."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


ALL_WINDOW = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1))
#: These are left when a time is over: of the handshake, of the settings, of a silent
#: session, of the one message of a call, or of a connection without calls.
PATIENT: dict[str, Row] = {
    "2 TLS and then silence": Row(sends(), CUT, plain=True),
    "4 the preface and nothing else": Row(sends(PREFACE), CUT, plain=True),
    "4 a connection without a call": Row(sends(), CUT),
    "5 settings without end": Row(
        floods(frame(SETTINGS, payload=struct.pack(">HI", INITIAL_WINDOW_SIZE, 65_535)), 20_000),
        CUT,
    ),
    "8 continuations of 20 MiB under limits that are never acknowledged": Row(
        floods(frame(CONTINUATION, 0, 1, header(b"x", b"v" * 16_000)), 1_300, 50, half_headers),
        ("status 14", *REFUSED, *CUT),
        acks=False,
    ),
    "9 headers of 64 KiB under limits that are never acknowledged": Row(
        ROWS["9 headers of 64 KiB"].attack,
        # Refused by size, where the server holds it to them all the same.
        ("status 0", "status 8", *CUT),
        ("status 4", "status 8", *CUT),
        acks=False,
    ),
    "9 limits that are never acknowledged, beside a call that may stay": Row(
        sends(opened(LINK + b"Query")), ("status 14", *CUT), UNKNOWN, acks=False
    ),
    "14 a message that does not go on": Row(
        sends(call(), said(length=100)), ("status 0",), ("status 4",)
    ),
    "16 windows that overflow, of the connection": Row(sends(ALL_WINDOW * 2), CUT),
    "16 windows that overflow, of a call": Row(
        sends(call(), WINDOW * 2), ("status 0", *CUT), ("status 4", *CUT)
    ),
    "17 a deadline of eleven thousand years": Row(
        sends(call(header(b"grpc-timeout", b"99999999H"))), ("status 0",), ("status 4",)
    ),
    "18 a call without a first message": Row(sends(call()), ("status 0",), ("status 4",)),
}


def test_patient_senders_are_left_in_time_and_the_honest_go_on(house: House) -> None:
    """Whoever says nothing, or nothing to the point, is left within half a minute."""
    before = house.rss_bytes()
    wires: dict[tuple[str, str], Wire] = {}
    for port, method in METHODS.items():
        for row, case in PATIENT.items():
            wire = wires[port, row] = house.ports[port].dial(acks=case.acks)
            if not case.plain:
                wire.start()
                assert wire.read_until(lambda wire=wire: len(wire.kinds) >= 2, HANG_SECONDS), row
            case.attack(wire, method)
    end = time.monotonic() + 30
    while time.monotonic() < end and not all(wire.endings for wire in wires.values()):
        for wire in wires.values():
            wire.ended(0.05)
        house.check_honest()
    ends = {key: wire.endings[:1] for key, wire in wires.items()}
    for (port, row), ending in ends.items():
        case = PATIENT[row]
        wanted = (port == "join" and case.join) or case.link
        assert ending, (port, row, "the server lets it be")
        assert ending[0] in wanted, (port, row)
    assert house.rss_bytes() - before < ALL_GROWTH_BYTES
    for wire in wires.values():
        wire.close()


def test_five_hundred_half_open_handshakes_keep_nobody_out(house: House) -> None:
    """An enrolled child connects beside them, and they are gone when their time is over."""
    hello = hello_bytes()
    files = house.files_open()
    halves = []
    for number in range(500):
        sock = house.ports["link" if number % 5 else "join"].tcp()
        if number % 2:
            sock.sendall(hello)
        halves.append(sock)
    # Descriptors of earlier connections may go meanwhile.
    wait_until("they are there", lambda: house.files_open() >= files + 400)
    wire = house.ports["link"].dial()
    wire.start()
    wire.send(opened(METHODS["link"]))
    assert wire.read_until(lambda: DATA in wire.kinds, HANG_SECONDS), "no hello of the parent"
    wire.close()
    house.check_honest()
    wait_until("the half-open are left", lambda: house.files_open() <= files + 4)
    for sock in halves:
        sock.close()


def control(*said: Heartbeat | Hello) -> bytes:
    """Return frames of the control stream."""
    return b"".join(frame(DATA, 0, 1, message(encode_control(each))) for each in said)


def test_a_child_that_lives_and_never_reads_is_left(house: House) -> None:
    """It says who it is and gives signs of life, and no byte may go to it (R46)."""
    own = KeyFolder(house.stranger.folder).load_identity()
    hello = Hello(
        network=own.network, node_id=own.node_id, store_id=bytes(16), path=own.path, epoch="1"
    )
    before = house.rss_bytes()
    wire = house.ports["link"].dial()
    wire.start(struct.pack(">HI", INITIAL_WINDOW_SIZE, 0))
    assert wire.read_until(lambda: len(wire.kinds) >= 2, HANG_SECONDS)
    wire.send(opened(METHODS["link"]) + control(hello))
    wait_until("its session is there", lambda: house.state("/34") == "connecting")

    def left() -> bool:
        wire.send(control(Heartbeat(now_ms=1)))
        wire.read_until(lambda: False, 0.3)
        house.check_honest()
        return house.state("/34") != "connecting"

    wait_until("it is left", left, 30)
    assert b"link.stream.unread" in house.root.log.read_bytes()
    assert house.rss_bytes() - before < GROWTH_BYTES
    wire.close()


def test_signs_of_life_do_not_stand_for_a_hello(house: House) -> None:
    """A control stream on which nobody says who it is ends like a silent one (row 18)."""
    wire = house.ports["link"].dial()
    wire.start()
    wire.send(opened(METHODS["link"]))
    wait_until(
        "it is left",
        lambda: wire.send(control(Heartbeat(now_ms=1))) and wire.ended(0.5),
        HANG_SECONDS,
    )
    assert wire.endings[0] == "status 0"
    wire.close()
