"""Who may append over a stream, for how long, and how it ends."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path as FilePath
from unittest.mock import patch

import grpc
import pytest

from tests.unit.node.api.offices import Office, refused
from yidao.api.errors import YidaoError
from yidao.api.local.v1 import records_pb2, records_pb2_grpc
from yidao.node.affairs.publishing.commands import Landed, Publishing
from yidao.node.client import Client, NewRecord, Published, Publisher, Token
from yidao.sync.ids import JournalId

RECORD = NewRecord(kind="app.meter.reading", object="meter/1", body=b"{}")


@pytest.fixture
def office(tmp_path: FilePath) -> Iterator[Office]:
    """As on a test network, with one of each who matters."""
    made = Office(tmp_path)
    made.add("li", "filler")
    made.add("kan", "viewer")
    yield made
    made.close()


def code_of(future: "Future[object]") -> str:
    error = future.exception(30)
    assert isinstance(error, YidaoError)
    return error.code


def send(publisher: Publisher) -> "Future[object]":
    """Send a record; what keeps it from being sent comes as its outcome."""
    try:
        return publisher.send([RECORD])  # type: ignore[return-value]
    except YidaoError as error:
        failed: Future[object] = Future()
        failed.set_exception(error)
        return failed


def test_a_session_appends_in_its_own_name_and_no_other(office: Office) -> None:
    """An empty actor is filled in; another one ends the stream, with nothing stored."""
    client = office.enter("li")
    assert client.publish([RECORD]) == 1
    with client.publisher(actor="kan@/") as publisher:
        assert code_of(send(publisher)) == "ACTOR_NOT_YOURS"
    seen = list(office.machine.follow(kinds=["app."], until_now=True))
    assert [event.actor for event in seen] == ["li@/"]
    # Each stream once, however many records come over it.
    call = ("access.call.done", "li@/", "call/RecordsService/Append", "done")
    assert office.events().count(call) == 2


def test_who_has_no_permission_does_not_come_in(office: Office) -> None:
    """A viewer's stream ends before its first record, and so does one without a session."""
    for client in (office.enter("kan"), office.machine.with_token("x" * 43)):
        with client.publisher() as publisher:
            assert code_of(send(publisher)) in {"PERMISSION_DENIED", "SESSION_ENDED"}
    assert list(office.machine.follow(kinds=["app."], until_now=True)) == []


def test_a_stream_does_not_outlive_its_token(office: Office) -> None:
    """Whether it still holds is asked every second in which something comes."""
    wanted = Token(user="li", permissions=("records.publish",))
    given = office.machine.give_token(wanted, actor="", days=1)
    client = office.machine.with_token(given.secret)
    with client.publisher() as publisher:
        assert send(publisher).result(30)
        office.machine.revoke_token(given.token.id, actor="")
        until = time.monotonic() + 20
        while (outcome := send(publisher)).exception(30) is None:
            assert time.monotonic() < until, "it is never asked again"
            time.sleep(0.2)
        assert code_of(outcome) == "TOKEN_REVOKED"


def test_a_node_that_stops_ends_its_streams(office: Office) -> None:
    """What was answered is durable; the caller learns that the rest is to be sent again."""
    publisher = office.machine.publisher(actor="li@/")
    assert publisher.send([RECORD]).result(30)
    office.run(office.server.stop(5))
    publisher.close()
    assert code_of(send(publisher)) == "APPEND_ENDED"


def test_a_defect_ends_the_stream_instead_of_leaving_it_silent(office: Office) -> None:
    """Whatever goes wrong at the node, nobody waits for ever."""
    with (
        patch.object(Publishing, "submit", side_effect=RuntimeError("sample")),
        office.machine.publisher(actor="li@/") as publisher,
    ):
        assert code_of(send(publisher)) == "INTERNAL"


def test_receipts_are_told_of_the_journal_that_is_written(office: Office) -> None:
    """Of the newest size, of no other journal, and of the next epoch's from its beginning."""
    journal = JournalId(node_id=office.store.identity.node_id, channel="up:15", epoch="1")

    def told(name: JournalId, size: int) -> None:
        office.loop.call_soon_threadsafe(office.received.told, name, size)

    with office.machine.publisher(actor="li@/") as publisher:
        size = publisher.send([RECORD]).result(30).size
        told(replace(journal, channel="up:1"), size + 7)
        told(journal, size)
        assert publisher.wait_received(size, 30)
        assert publisher.received == size
        with patch.object(
            Publishing, "journal", return_value=replace(journal, epoch="2-" + "a" * 16)
        ):
            publisher.send([replace(RECORD, object="meter/2")]).result(30)
            told(journal, size + 40)
            told(replace(journal, epoch="2-" + "a" * 16), size + 5)
            assert publisher.wait_received(size + 5, 30)
            assert publisher.received == size + 5


def test_streams_are_told_of_receipts_of_their_own_records(office: Office) -> None:
    """And one that has nothing on its way of every one; also where a record was sent before."""
    journal = JournalId(node_id=office.store.identity.node_id, channel="up:15", epoch="1")

    def told(size: int) -> None:
        office.loop.call_soon_threadsafe(office.received.told, journal, size)

    first = replace(RECORD, record_id=bytes(range(16)))
    requests: queue.SimpleQueue[records_pb2.AppendRequest | None] = queue.SimpleQueue()
    with (
        office.machine.publisher(actor="li@/") as one,
        grpc.insecure_channel(f"unix:{office.socket}") as channel,
    ):
        answers = records_pb2_grpc.RecordsServiceStub(channel).Append(iter(requests.get, None))
        size = one.send([first]).result(30).size
        request = records_pb2.AppendRequest(actor="li@/", reach=15)
        request.records.add(record_id=bytes(16), kind="app.meter.reading", object="m/2", version=1)
        requests.put(request)
        later = next(answers).size
        assert later == size + 1
        told(size)
        assert one.wait_received(size, 30)
        told(later)
        assert one.wait_received(later, 30)
        assert next(answers).received == later
        requests.put(None)
    with office.machine.publisher(actor="li@/") as again:
        assert again.send([first]).result(30).size <= later
        assert again.wait_received(later, 30)


class Held:
    """The next request of an office stays on its way until it is let go."""

    def __init__(self) -> None:
        self.landing: Future[Callable[[], Landed]] = Future()
        self._is_there = threading.Event()

    def _submit(self, *_: object) -> "Future[Callable[[], Landed]]":
        self._is_there.set()
        return self.landing

    def send(self, publisher: Publisher) -> "Future[Published]":
        """Send a record, and return once it is on its way."""
        with patch.object(Publishing, "submit", side_effect=self._submit):
            sent = publisher.send([RECORD])
            assert self._is_there.wait(30)
        return sent


def test_a_stream_hears_of_progress_whatever_waits(office: Office) -> None:
    """Sizes are kept in mind for some requests only; what comes after them is told of as well."""
    journal = JournalId(node_id=office.store.identity.node_id, channel="up:15", epoch="1")
    with office.machine.publisher(actor="li@/") as publisher:
        sent = [publisher.send([replace(RECORD, object=f"meter/{n}")]) for n in range(80)]
        sizes = [each.result(30).size for each in sent]
        held = Held()
        held.send(publisher)
        for size in (sizes[0], sizes[62], sizes[66], sizes[70], sizes[79]):
            office.loop.call_soon_threadsafe(office.received.told, journal, size)
            assert publisher.wait_received(size, 30)
            assert publisher.received == size
        held.landing.set_result(lambda: Landed(positions=(1,), size=sizes[79] + 1))


def test_what_was_received_before_it_landed_is_told(office: Office) -> None:
    """A record that was sent again, on a stream that was busy when others' receipts came."""
    journal = JournalId(node_id=office.store.identity.node_id, channel="up:15", epoch="1")
    with office.machine.publisher(actor="li@/") as publisher:
        held = Held()
        sent = held.send(publisher)
        office.loop.call_soon_threadsafe(office.received.told, journal, 9)
        office.run(asyncio.sleep(0))
        held.landing.set_result(lambda: Landed(positions=(1,), size=3))
        assert sent.result(30).size == 3
        assert publisher.wait_received(3, 30)
        assert publisher.received == 9


def test_one_request_is_answered_by_the_unary_call(office: Office) -> None:
    """The same checks, without a stream."""
    with grpc.insecure_channel(f"unix:{office.socket}") as channel:
        stub = records_pb2_grpc.RecordsServiceStub(channel)
        request = records_pb2.AppendRequest(actor="li@/", reach=15)
        request.records.add(
            record_id=bytes(range(16)), kind="app.meter.reading", object="m/1", version=1
        )
        answer = stub.Publish(request)
        assert stub.Publish(request).positions == answer.positions
        request.records[0].kind = "reporting.return.submitted"
        with pytest.raises(grpc.RpcError) as caught:
            stub.Publish(request)
    assert caught.value.details() == "KIND_NOT_PUBLISHABLE"  # type: ignore[attr-defined]


def test_a_client_publishes_only_what_it_may(office: Office) -> None:
    """A person's session of the wrong role is refused by name."""
    kan: Client = office.enter("kan")
    refused("PERMISSION_DENIED", lambda: kan.publish([RECORD]))
