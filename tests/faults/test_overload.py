"""What one child or a stranger can do to a node at most: R44 and R46 to R50, on real daemons.

A root, an office that is honest, and two children that are not. After each attack the
honest one hands in, and the root holds it; the root has grown by no more than a bound.
What is sent byte for byte to the ports, and streams that are never read, are in
`tests/corpus/test_http2.py`.
"""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.daemons import (
    PATIENCE_SECONDS,
    Load,
    Nursery,
    Pair,
    change_settings,
    rows,
    wait_until,
)
from tests.faults.growing import grow
from tests.faults.hostile import HostileChild
from tests.faults.report import record
from yidao.api.link.v1 import link_pb2 as pb
from yidao.node.client.errors import NodeUnreachable
from yidao.node.client.values import Status
from yidao.node.keys import KeyFolder
from yidao.node.link.quota import BURST_SECONDS
from yidao.sync.ids import JournalId
from yidao.sync.message import MAX_FRAME_BYTES, Goodbye

pytestmark = pytest.mark.e2e

#: What the root lets a child send and have refused; a hundredth of what is tried.
QUOTA_BYTES_PER_SECOND, REFUSALS_PER_MINUTE = 4 << 10, 100
GROWTH_BYTES = 48 << 20
#: What gRPC and TLS keep for a connection that is not there yet.
HANDSHAKE_BYTES = 64 << 10
#: What was granted before it was slowed, and a frame for a few sessions after that one.
WINDOW_BYTES = (1 << 20) + 4 * (256 << 10)


class Village:
    """The daemons, and the folders of two more children, of which one never runs."""

    def __init__(self, pair: Pair, nursery: Nursery) -> None:
        self.root, self.office = pair.root, pair.office
        change_settings(
            pair.root.folder,
            child_kib_per_second=QUOTA_BYTES_PER_SECOND >> 10,
            child_refusals_per_minute=REFUSALS_PER_MINUTE,
        )
        pair.start()
        self._office_id = KeyFolder(pair.office.folder).load_identity().node_id.hex()
        self.other, self._hostile = (
            grow(nursery, pair.root, label, pair.folder) for label in ("34", "35")
        )

    def hostile(self) -> HostileChild:
        """A connection of the third child, which does not run."""
        return HostileChild(self._hostile.folder, self.root.link_port)

    def held_of_office(self) -> int:
        """How many records of the office the root holds."""
        journals = self.status().journals
        return sum(each.size for each in journals if self._office_id in each.origin)

    def held_by_root(self) -> Mapping[JournalId, Sequence[bytes]]:
        """The headers of every journal that the root holds, as its file has them."""
        return invariants.read(self.root.folder).view.headers

    def rss_bytes(self) -> int:
        """How much memory the root has now."""
        return int(Path(f"/proc/{self.root.pid}/statm").read_text().split()[1]) * 4096

    def files_open(self) -> int:
        """How many descriptors the root has."""
        return len(list(Path(f"/proc/{self.root.pid}/fd").iterdir()))

    def check_honest(self) -> None:
        """What the office hands in now is held by the root, over the link that it has."""
        before = self.held_of_office()
        # On a machine that is this busy a call may find nobody in time; then it is made again.
        wait_until("the office takes it", self._hands_in)
        wait_until("the root holds it", lambda: self.held_of_office() > before)

    def _hands_in(self) -> bool:
        try:
            self.office.submit(rows(1))
        except NodeUnreachable:
            assert self.office.running
            return False
        return True

    def check_whole(self) -> None:
        """Stop both, and look at everything that they hold."""
        wait_until("the office has nothing to send", self._is_idle)
        self.office.stop()
        self.root.stop()
        acked = {self.office.folder: self.office.acked}
        assert invariants.check([self.root.folder, self.office.folder], acked=acked) == []

    def _is_idle(self) -> bool:
        status = self.office.status()
        return status is not None and not any(peer.lag for peer in status.peers)

    def status(self) -> Status:
        """The root's health, asked until it says it."""
        found: list[Status] = []

        def asked() -> bool:
            status = self.root.status()
            found.extend([] if status is None else [status])
            return bool(found)

        wait_until("the root answers", asked)
        return found[0]

    def problems(self) -> set[str]:
        """What the root shows to people."""
        return {problem.code for problem in self.status().problems}


@pytest.fixture(scope="module")
def village(
    pattern: Pair, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Village]:
    """The daemons; at the end nothing that was acknowledged is lost."""
    pair = pattern.copy(nursery, tmp_path_factory.mktemp("overload") / "n")
    made = None
    try:
        made = Village(pair, nursery)
        made.check_honest()
        yield made
        made.other.kill()
        made.check_whole()
    finally:
        if made is not None:
            made.other.kill()
        pair.kill()


@pytest.mark.parametrize("where", ["control", "data"])
@pytest.mark.parametrize("count", [500_000, 2_000_000])
def test_r48_empty_messages_within_one_are_refused(
    village: Village, where: str, count: int
) -> None:
    """As many as one message holds, and more than it may hold: refused before any is read."""
    rss = village.rss_bytes()
    child = village.hostile()
    (child.open if where == "control" else child.greet)()
    # Fields of a length that is 0: wanted journals of a resume, items of a frame.
    resume = pb.ControlMessage.DESCRIPTOR.fields_by_name["resume"].number
    wanted = pb.Resume.DESCRIPTOR.fields_by_name["wanted"].number
    frame = pb.DataMessage.DESCRIPTOR.fields_by_name["frame"].number
    items = pb.Frame.DESCRIPTOR.fields_by_name["items"].number
    if where == "control":
        child.say_bytes(field(resume, field(wanted, b"") * count))
    else:
        child.send_bytes(field(frame, field(items, b"") * count))
    if count * 2 <= MAX_FRAME_BYTES:
        assert child.expect(Goodbye).code == "WIRE_TOO_LARGE"
    elif where == "control":
        wait_until("the session is over", child.ended.is_set)
        assert child.status == "RESOURCE_EXHAUSTED"
    else:
        # gRPC ends the stream before we see it; the session learns of it by its silence.
        wait_until("the stream is over", child.data_ended.is_set)
        assert child.data_status == "RESOURCE_EXHAUSTED"
    child.close()
    village.check_honest()
    assert village.rss_bytes() - rss < GROWTH_BYTES
    record("R48 messages of empty messages", injected=count)


def field(number: int, body: bytes) -> bytes:
    """Return a protobuf field of bytes."""
    size, length = len(body), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body


@pytest.mark.parametrize("halves", [1_500, pytest.param(8_000, marks=pytest.mark.long)])
def test_r47_half_open_connections_keep_nobody_out(village: Village, halves: int) -> None:
    """An office hands in beside them, a new call finds a descriptor, and in time they are gone."""
    files, rss = village.files_open(), village.rss_bytes()
    sockets = []
    try:
        for number in range(halves):
            sock = socket.create_connection(("127.0.0.1", village.root.link_port), timeout=10)
            if number % 2:
                # The beginning of a TLS record, of which the rest never comes.
                sock.sendall(bytes.fromhex("160301020001"))
            sockets.append(sock)
            if number % 500 == 499:
                assert village.root.running, village.root.wait_end()
                village.check_honest()
        wait_until("they are left", lambda: village.files_open() <= files + 8)
        village.check_honest()
        assert village.rss_bytes() - rss < GROWTH_BYTES + halves * HANDSHAKE_BYTES
    finally:
        for sock in sockets:
            sock.close()
    record("R47 half-open connections", injected=halves)


@pytest.mark.parametrize("records", [4_000, pytest.param(60_000, marks=pytest.mark.long)])
def test_r44_a_child_far_beyond_its_quota_is_slowed_alone(village: Village, records: int) -> None:
    """The root takes its quota of it and no more, while what the office hands in passes."""
    other, rss = village.other, village.rss_bytes()
    other.start()
    began, passed = time.monotonic(), 0
    try:
        with Load(other, rows_a_call=200):
            while len(other.acked) < records:
                assert time.monotonic() - began < PATIENCE_SECONDS + records / 10
                village.check_honest()
                passed += 1
        village.check_honest()
        assert village.rss_bytes() - rss < GROWTH_BYTES
    finally:
        other.kill()
    lasted = time.monotonic() - began
    own = invariants.read(other.folder).view
    taken = bytes_of(own, village.held_by_root())
    assert taken <= QUOTA_BYTES_PER_SECOND * (lasted + BURST_SECONDS) + WINDOW_BYTES
    assert bytes_of(own, own.headers) > taken + WINDOW_BYTES // 8, "it never had to wait"
    assert passed > 1
    record("R44 records of a child beyond its quota", injected=len(other.acked), passed=passed)


def bytes_of(view: invariants.NodeView, held: Mapping[JournalId, Sequence[bytes]]) -> int:
    """What of a node's own records somebody holds came to on the line, at least."""
    sizes = {journal: len(headers) for journal, headers in held.items()}
    mine = {journal: view.headers[journal][: sizes.get(journal, 0)] for journal in view.headers}
    headers = sum(len(raw) for j, raws in mine.items() if j.node_id == view.node_id for raw in raws)
    return headers + sum(
        len(salt) + len(body)
        for (journal, seq, _), (salt, body) in view.parts.items()
        if journal.node_id == view.node_id and seq < sizes.get(journal, 0)
    )


def test_r50_seals_that_nobody_signed_end_the_session(village: Village) -> None:
    """Of a million the quota of refusals lets some thousand be verified, a minute."""
    rss, a_frame, seals = village.rss_bytes(), 60, 1_000_000
    child = village.hostile()
    child.greet()
    sent = 0
    while sent < seals and not child.ended.is_set():
        child.send_seals(a_frame)
        sent += a_frame
    goodbye = child.expect(Goodbye)
    assert goodbye.code == "LINK_QUOTA_EXCEEDED"
    assert goodbye.retry_after_ms > 1_000
    child.close()
    assert sent < 10_000
    again = village.hostile()
    with pytest.raises(AssertionError, match=r"LINK_QUOTA_EXCEEDED|ended before"):
        again.greet()
    again.close()
    village.check_honest()
    assert village.rss_bytes() - rss < GROWTH_BYTES
    assert "CHILD_OVER_QUOTA" in village.problems()
    record("R50 seals that nobody signed", injected=sent)
