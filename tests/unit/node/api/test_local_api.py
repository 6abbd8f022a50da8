"""The local API and its client over a real Unix socket, with a real store behind."""

import asyncio
import hashlib
import itertools
import stat
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from importlib.resources import files
from pathlib import Path as FilePath

import grpc
import orjson
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from yidao.api.errors import YidaoError, every_error
from yidao.api.local.v1 import local_pb2, reporting_pb2, reporting_pb2_grpc
from yidao.catalog.codes import sample_uscc
from yidao.node.access import audit
from yidao.node.access.service import Access
from yidao.node.affairs.affairs import Affairs
from yidao.node.api import node_service as _node_service  # noqa: F401 - its errors count too
from yidao.node.api.errors import ERROR_METADATA, STATUS, error_message, status_of
from yidao.node.api.server import LocalServer
from yidao.node.api.servicers import affair_servicers
from yidao.node.client import (
    Client,
    ClientError,
    EnergyTarget,
    NodeUnreachable,
    Row,
    SocketPathTooLong,
)
from yidao.node.keys import Identity
from yidao.node.store.errors import StoreFull
from yidao.node.store.store import Store
from yidao.sync.ids import JournalId, NetworkId, NodeId, Path
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

ACTOR = "sample@/"
NOW_MS = 1_795_140_000_000


class Running:
    """A root node's affairs served on a socket, the loop in a thread."""

    def __init__(self, folder: FilePath) -> None:
        seed = bytes(32)
        numbers = itertools.count(1)

        def random(size: int) -> bytes:
            return hashlib.shake_128(next(numbers).to_bytes(8, "big")).digest(size)

        identity = Identity(
            network=NetworkId(seed[:16]),
            node_id=NodeId(seed[:16]),
            path=Path(),
            epoch="1",
            suite=ED25519_SHA256,
            journal=Ed25519Signer(b"j" * 32),
            cosign=Ed25519Signer(b"c" * 32),
        )
        self.store = Store.open(
            f"sqlite:///{folder}/store.db", clock_ms=lambda: NOW_MS, random=random
        )
        self.store.bind(identity)
        self.affairs = Affairs(self.store, identity, clock_ms=lambda: NOW_MS, random=random)
        self.store.start(self.affairs.projectors, self.affairs.deciders)
        self.socket = folder / "local.sock"
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.server = LocalServer(self.socket, affair_servicers(self.affairs))
        self.run(self.server.start())

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def sizes(self) -> Mapping[JournalId, int]:
        """Give the size of every journal."""
        return {head.journal: head.size for head in self.store.heads()}

    def close(self) -> None:
        self.run(self.server.stop(0.1))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self.store.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One node for the module."""
    made = Running(tmp_path_factory.mktemp("node"))
    yield made
    made.close()


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    """A client of it."""
    with Client.open(running.socket, timeout_seconds=60) as made:
        yield made


def pack(version: str) -> bytes:
    return (files("yidao.catalog") / "packs" / f"energy-{version}.yaml").read_bytes()


def institution(index: int, number: int = 1) -> Row:
    entry = {
        "uscc": sample_uscc(index, "330106"),
        "name": f"样例单位{index}",
        "region_code": "330106",
        "inst_type": "01",
        "reg_status": "1",
    }
    return Row(row=number, form="institution", payload=orjson.dumps(entry))


def profile(index: int, number: int = 1, period: str = "2025-Q2", **changed: object) -> Row:
    entry = {
        "uscc": sample_uscc(index, "330106"),
        "period": period,
        "floor_area": "5000.00",
        "energy_users": 100,
    }
    return Row(row=number, form="profile", period=period, payload=orjson.dumps(entry | changed))


@pytest.fixture
def published(client: Client) -> Client:
    """A client of the node with both packs in force; publishing again changes nothing."""
    for version in ("2022", "2025"):
        client.publish_pack(pack(version), actor=ACTOR)
    return client


def test_packs_are_published_listed_and_given(published: Client) -> None:
    """What was published comes back byte for byte."""
    assert published.publish_pack(pack("2022"), actor=ACTOR).repeat
    assert [each.version for each in published.packs()] == ["2022", "2025"]
    assert published.pack("energy", version="2022") == pack("2022")
    assert published.pack("energy", on="2026-05-01") == pack("2025")


def test_rows_go_in_calls_of_500_with_progress(published: Client) -> None:
    """1,201 rows are three calls; results keep the caller's numbers and order."""
    told: list[int] = []
    rows = [institution(index, number=index + 7) for index in range(1_000, 2_201)]
    done = published.submit("energy", iter(rows), actor=ACTOR, progress=told.append)
    assert told == [500, 1_000, 1_201]
    assert [each.row for each in done.results] == [row.row for row in rows]
    assert done.count("submitted") == 1_201
    again = published.submit("energy", rows[:3], actor=ACTOR)
    assert again.count("unchanged") == 3
    units = list(published.units())
    assert len(units) >= 1_201
    assert [unit.unit for unit in units] == sorted(unit.unit for unit in units)


def test_large_files_split_a_call_before_500_rows(published: Client) -> None:
    """Forty files of 250 KiB do not make one message of 10 MB."""
    published.submit("energy", [institution(0)], actor=ACTOR)
    told: list[int] = []
    rows = [
        Row(
            row=number,
            form="profile",
            period="2025-Q2",
            payload=profile(0, energy_users=number + 1).payload,
            attachment=bytes(250 * 1024),
        )
        for number in range(40)
    ]
    done = published.submit("energy", rows, actor=ACTOR, progress=told.append)
    assert done.count("submitted") == 40
    assert len(told) > 1


def test_a_refused_row_says_why_in_both_languages(published: Client) -> None:
    """The fault names the field, the code, and what to read."""
    published.submit("energy", [institution(1)], actor=ACTOR)
    done = published.submit("energy", [profile(1, period="2026-Q1", land_area="9.00")], actor=ACTOR)
    [result] = done.results
    assert (result.outcome, result.version) == ("refused", 1)
    [fault] = result.faults
    assert (fault.field, fault.code, fault.severity) == ("land_area", "FIELD_RETIRED", "error")
    assert fault.zh != fault.en
    page = published.returns(unit=sample_uscc(1, "330106"), state="refused")
    assert page.returns[0].faults == result.faults


def test_returns_are_listed_page_by_page_and_rolled_up(published: Client) -> None:
    """Filters, pages and totals with frontiers come through the socket as they are."""
    published.submit(
        "energy",
        [institution(index) for index in range(5)]
        + [profile(index, period="2025-Q3") for index in range(5)],
        actor=ACTOR,
    )
    seen, after = [], ""
    while True:
        page = published.returns(form="profile", period="2025-Q3", limit=2, after=after)
        seen.extend(page.returns)
        after = page.next
        if not after:
            break
    assert len({each.unit for each in seen}) == len(seen) == 5
    totals = published.roll_up(pack="energy", form="profile", period="2025-Q3")
    assert totals.submitted.fields["floor_area"] == "25000.00"
    assert (totals.submitted.returns, totals.accepted.returns) == (5, 0)
    assert totals.frontiers[0].origin.endswith("/up:15/1")


def test_a_clerk_and_a_reviewer_are_served_through_the_socket(published: Client) -> None:
    """Due, missing, a receipt by its code, a total taken apart, a withdrawal: all as values."""
    unit, period = sample_uscc(3_000, "330106"), "2026-Q3"
    published.submit("energy", [institution(3_000)], actor=ACTOR)

    def owed() -> dict[str, str]:
        page = published.due(unit=unit, on="2026-10-09")
        return {each.form: each.state for each in page.due}

    assert owed() == {"consumption": "missing", "profile": "missing"}
    [result] = published.submit("energy", [profile(3_000, period=period)], actor=ACTOR).results
    assert owed() == {"consumption": "missing"}
    found = published.missing(pack="energy", form="profile", period=period)
    assert (found.reported, unit in {each.unit for each in found.missing}) == (1, False)
    receipt = published.receipt(record_id=result.record_id)
    assert published.receipt(code=receipt.code) == receipt
    assert (receipt.about.unit, receipt.about.pack, receipt.held_by) == (unit, "energy", ())
    [row] = published.break_down(
        pack="energy", form="profile", period=period, by="child", scope="submitted"
    ).rows
    assert (row.key, row.totals.fields["floor_area"]) == ("/", "5000.00")
    done = published.withdraw(actor=ACTOR, record_ids=[result.record_id], reason="样例")
    assert done.withdrawn == 1
    assert owed() == {"consumption": "missing", "profile": "withdrawn"}
    [listed] = published.returns(unit=unit, state="withdrawn").returns
    assert (listed.withdrawn_by, listed.withdrawn_reason) == (ACTOR, "样例")
    with pytest.raises(ClientError) as refused:
        published.due(on="yesterday")
    assert refused.value.code == "DATE_INVALID"


def test_a_dry_run_through_the_socket_appends_nothing(running: Running, published: Client) -> None:
    """The outcome is `valid`, the store stays."""
    size = running.store.last_position()
    done = published.submit("energy", [institution(77)], actor=ACTOR, dry_run=True)
    assert done.results[0].outcome == "valid"
    assert running.store.last_position() == size


def test_directives_are_issued_listed_and_drawn(client: Client) -> None:
    """A directive goes in and comes out as it was."""
    figure = EnergyTarget(target="/33", year=2026, indicator="EPA", cap_value="18.00")
    issued = client.issue(
        actor=ACTOR,
        number="样例1号",
        title="下达指标",
        targets=["/33"],
        due="2026-12-31",
        energy_targets=[figure],
    )
    [listed] = [each for each in client.directives() if each.directive == issued.directive]
    assert (listed.state, listed.targets, listed.energy_targets) == ("issued", ("/33",), (figure,))
    [target] = client.tree(issued.directive)
    assert (target.path, target.state) == ("/33", "waiting")


REFUSALS = {
    "an actor that is none": (
        lambda c: c.submit("energy", [institution(0)], actor="li"),
        "ACTOR_INVALID",
    ),
    "an actor from elsewhere": (
        lambda c: c.submit("energy", [institution(0)], actor="li@/33"),
        "ACTOR_ELSEWHERE",
    ),
    "a pack that is none": (lambda c: c.publish_pack(b"x", actor=ACTOR), "PACK_INVALID"),
    "an unknown pack": (
        lambda c: c.submit("water", [institution(0)], actor=ACTOR),
        "PACK_UNKNOWN",
    ),
    "a date that is none": (lambda c: c.pack("energy", on="tomorrow"), "DATE_INVALID"),
    "an unknown return": (
        lambda c: c.review(actor=ACTOR, decision="accept", record_ids=[bytes(16)]),
        "RETURN_UNKNOWN",
    ),
    "an unknown decision": (
        lambda c: c.review(actor=ACTOR, decision="maybe", form="x"),
        "DECISION_INVALID",
    ),
    "a period that is none": (
        lambda c: c.roll_up(pack="energy", form="profile", period="x"),
        "PERIOD_INVALID",
    ),
    "a form that is none": (
        lambda c: c.roll_up(pack="energy", form="x", period="2025-Q2"),
        "FORM_UNKNOWN",
    ),
    "an unknown directive": (lambda c: c.tree("directive/x"), "DIRECTIVE_UNKNOWN"),
    "a wrong target": (
        lambda c: c.issue(actor=ACTOR, number="7", title="x", targets=["/"]),
        "DIRECTIVE_TARGET_INVALID",
    ),
    "a key that is none": (lambda c: c.returns(after="x"), "CURSOR_INVALID"),
    "a service that is not served": (lambda c: c.status(), "CLIENT_ERROR"),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_comes_back_as_the_same_typed_error(
    running: Running, published: Client, case
) -> None:
    """Code and parameters are the node's own; nothing but the audit's entry is appended."""
    call, code = case
    before = running.sizes()
    with pytest.raises(ClientError) as caught:
        call(published)
    assert caught.value.code == code
    assert {
        journal.channel for journal, size in running.sizes().items() if size != before[journal]
    } <= {audit.CHANNEL}


def test_a_refusal_is_in_the_audit_before_it_is_answered(
    running: Running, published: Client
) -> None:
    """Each time: gRPC answers while a call is aborted, what is noted then may come too late."""
    for _ in range(20):
        # Of those that are alike, the first of a minute is an entry.
        running.affairs.access.auditor.flush(everything=True)
        before = running.sizes()
        with pytest.raises(ClientError):
            published.submit("water", [institution(0)], actor=ACTOR)
        assert running.sizes() == {
            journal: size + (journal.channel == audit.CHANNEL) for journal, size in before.items()
        }


def test_a_refusal_that_cannot_be_in_the_audit_is_not_answered(
    running: Running, published: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is told why the audit failed."""

    def full(*_: object) -> Future[None]:
        failed: Future[None] = Future()
        failed.set_exception(StoreFull())
        return failed

    monkeypatch.setattr(Access, "call_refused", full)
    with pytest.raises(ClientError) as caught:
        published.submit("water", [institution(0)], actor=ACTOR)
    assert caught.value.code == StoreFull.code
    with pytest.raises(ClientError) as caught:
        published.submit("water", [institution(0)], actor="li")
    assert caught.value.code == StoreFull.code


def test_a_retryable_refusal_says_so(published: Client) -> None:
    """A pack may still be on its way."""
    with pytest.raises(ClientError) as caught:
        published.submit("water", [institution(0)], actor=ACTOR)
    assert caught.value.retryable
    assert caught.value.params == {"pack": "water"}


def test_what_nobody_foresaw_leaves_without_a_word_of_it(
    running: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No trace and no text of the exception reaches the client."""

    def broken(*_: object) -> None:
        raise RuntimeError("a secret path /srv/x")

    monkeypatch.setattr(running.affairs.review, "review", broken)
    channel = grpc.insecure_channel(f"unix:{running.socket}")
    stub = reporting_pb2_grpc.ReportingServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Review(reporting_pb2.ReviewRequest(actor=ACTOR), timeout=30)
    failure = caught.value
    assert failure.code() is grpc.StatusCode.INTERNAL
    carried = dict(failure.trailing_metadata())
    assert local_pb2.Error.FromString(carried[ERROR_METADATA]).code == "INTERNAL"
    assert "secret" not in f"{failure.details()}{failure.trailing_metadata()}"
    channel.close()


def test_the_socket_is_the_nodes_own(running: Running) -> None:
    """Nobody but the node's user may open it."""
    mode = running.socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_the_health_service_answers_for_each_service(running: Running) -> None:
    """Known services serve, unknown ones are not found."""
    channel = grpc.insecure_channel(f"unix:{running.socket}")
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", "yidao.api.local.v1.ReportingService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="yidao.none"), timeout=30)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    channel.close()


def test_calls_that_wait_do_not_hold_up_a_read(running: Running, published: Client) -> None:
    """While the one writer is busy, lists and totals go on."""
    with running.affairs.desk.lock:
        held = threading.Thread(
            target=lambda: published.submit("energy", [institution(78)], actor=ACTOR)
        )
        held.start()
        assert published.packs()
        assert published.returns(limit=1) is not None
        assert held.is_alive()
    held.join(30)
    assert not held.is_alive()


def test_a_socket_path_that_is_too_long_is_a_typed_error(tmp_path: FilePath) -> None:
    """On both ends, before anything is opened."""
    path = tmp_path / ("x" * 108)
    with pytest.raises(SocketPathTooLong):
        Client.open(path)
    with pytest.raises(SocketPathTooLong):
        LocalServer(path, ())


def test_no_daemon_is_a_typed_error(tmp_path: FilePath) -> None:
    """Neither a folder without a socket nor a socket that nobody serves hangs."""
    with pytest.raises(NodeUnreachable):
        Client.open(tmp_path / "local.sock")
    import socket

    dead = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(dead))
    with Client.open(dead, timeout_seconds=20) as client, pytest.raises(NodeUnreachable):
        client.packs()


@pytest.mark.parametrize("kind", sorted(set(every_error()), key=lambda kind: kind.__qualname__))
def test_every_error_has_a_status(kind: type[YidaoError]) -> None:
    """An error that a caller made is never shown as a defect of the node."""
    error = kind.__new__(kind)
    assert status_of(error) in set(STATUS.values())
    if kind.__module__.startswith(("yidao.catalog", "yidao.node.affairs", "yidao.node.access")):
        assert status_of(error) is not grpc.StatusCode.INTERNAL


def test_a_parameter_is_cut_to_fit_the_metadata() -> None:
    """A long name does not lose the whole error."""
    error = ClientError("X", retryable=False, name="n" * 9_000)
    message = error_message(error)
    assert len(message.SerializeToString()) < 512
    assert message.code == "X"
