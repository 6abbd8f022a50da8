"""Following a node: every record once it shows, in order, from a cursor that lasts."""

import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import follow_pb2, follow_pb2_grpc
from yidao.node.client import (
    Client,
    ClientError,
    CursorFileUnreadable,
    Event,
    FileCursor,
    Mark,
)


def positions(client: Client, **chosen) -> list[int]:
    return [event.position for event in client.follow(until_now=True, **chosen)]


@pytest.fixture
def filled(client: Client, rows) -> Client:
    """Three units, two right sizes and a wrong one."""
    client.submit("energy", [rows.institution(n) for n in (1, 2, 3)], actor=rows.actor)
    client.submit("energy", [rows.profile(1), rows.profile(2)], actor=rows.actor)
    client.submit("energy", [rows.profile(3, "-1")], actor=rows.actor)
    return client


def test_events_come_in_store_order_with_their_payload(filled: Client, rows) -> None:
    """Each record that is no local one, by position, named in full."""
    events = list(filled.follow(until_now=True))
    found = [event.position for event in events]
    assert found == sorted(set(found))
    event = next(each for each in events if each.kind == "reporting.return.submitted")
    (shown,) = filled.returns(unit=event.unit, form="profile").returns
    assert event.record_id == shown.record_id
    assert event.payload == shown.payload
    assert (event.pack, event.form, event.period) == ("energy", "profile", "2025-Q2")
    assert (event.version, event.actor) == (1, rows.actor)
    assert event.object == f"return/energy/profile/2025-Q2/{event.unit}"


CHOICES: dict[str, tuple[dict[str, object], list[str]]] = {
    "a whole kind": (
        {"kinds": ["standards.pack.published"]},
        ["standards.pack.published"],
    ),
    "a family of kinds": ({"kinds": ["reporting."]}, ["reporting.return.submitted"] * 2),
    "a form": ({"forms": ["institution"]}, ["registry.unit.registered"] * 3),
    "a period": ({"periods": ["2025-Q2"]}, ["reporting.return.submitted"] * 2),
    "the beginning of an object": (
        {"object_prefix": "unit/"},
        ["registry.unit.registered"] * 3,
    ),
    "two that exclude each other": ({"kinds": ["registry."], "periods": ["2025-Q2"]}, []),
    "local records too": (
        {"kinds": ["reporting."], "local_too": True},
        ["reporting.return.submitted"] * 2 + ["reporting.return.refused"],
    ),
}


@pytest.mark.parametrize("case", CHOICES)
def test_a_filter_chooses(filled: Client, case: str) -> None:
    """Everything that is asked for must hold."""
    chosen, kinds = CHOICES[case]
    assert [event.kind for event in filled.follow(until_now=True, **chosen)] == kinds  # type: ignore[arg-type]


def test_a_filter_by_unit(filled: Client, rows) -> None:
    """One unit's records: its entry and its return."""
    unit = next(iter(filled.units())).unit
    events = list(filled.follow(until_now=True, units=[unit]))
    assert [event.unit for event in events] == [unit, unit]


def test_what_is_personal_or_stays_here_is_not_sent(client: Client, rows) -> None:
    """Neither personal fields nor a refused row, whatever stands in it, leave by a stream."""
    person = "样例统计员"
    done = client.submit(
        "energy",
        [
            rows.institution(1, statistician=person),
            rows.institution(2, statistician=person, inst_type="99"),
        ],
        actor=rows.actor,
    )
    assert [each.outcome for each in done.results] == ["submitted", "refused"]
    events = {event.kind: event for event in client.follow(until_now=True, local_too=True)}
    assert "样例单位1" in events["registry.unit.registered"].payload.decode()
    assert events["reporting.return.refused"].payload == b""
    assert all(person not in event.payload.decode() for event in events.values())


def test_a_new_record_comes_by_itself(client: Client, rows) -> None:
    """Who waits is woken by the commit, and can ask for what the event names."""
    seen: list[tuple[Event, int]] = []
    started, over = threading.Event(), threading.Event()

    def listen() -> None:
        with client.follow(kinds=["standards.", "registry."]) as following:
            for event in following:
                if event.kind.startswith("standards."):
                    started.set()
                    continue
                seen.append((event, len(list(client.units()))))
                over.set()
                return

    thread = threading.Thread(target=listen)
    thread.start()
    assert started.wait(20)
    client.submit("energy", [rows.institution(1)], actor=rows.actor)
    assert over.wait(20)
    thread.join(20)
    assert [(event.kind, units) for event, units in seen] == [("registry.unit.registered", 1)]


def test_a_cursor_goes_on_after_what_was_handled(filled: Client, tmp_path: Path) -> None:
    """An event is handled once the next is asked for; one that was left comes again."""
    everything = positions(filled)
    file = tmp_path / "cursor"
    for event in filled.follow(cursor=FileCursor(file)):
        if event.position == everything[2]:
            break
    kept = FileCursor(file).load()
    assert kept is not None
    assert kept.position == everything[1]
    assert positions(filled, cursor=FileCursor(file)) == everything[2:]
    assert positions(filled, cursor=FileCursor(file)) == []


def test_an_event_can_be_said_to_be_handled(filled: Client, tmp_path: Path) -> None:
    """Who leaves the loop after the work is done says so."""
    everything = positions(filled)
    file = tmp_path / "cursor"
    with filled.follow(cursor=FileCursor(file)) as following:
        assert next(following).position == everything[0]
        following.done()
    assert positions(filled, cursor=FileCursor(file)) == everything[1:]


def test_a_cursor_moves_over_what_is_not_wanted(filled: Client, tmp_path: Path) -> None:
    """A filter that matches nothing must not scan everything again the next time."""
    file = tmp_path / "cursor"
    assert positions(filled, cursor=FileCursor(file), kinds=["nobody."]) == []
    kept = FileCursor(file).load()
    assert kept is not None
    assert kept.position >= positions(filled, local_too=True)[-1]


def test_a_cursor_of_ones_own_has_each_effect_once(filled: Client) -> None:
    """The mark of an event, kept with its effect, is where to go on."""
    everything = list(filled.follow(until_now=True))
    assert positions(filled, after=everything[3].mark) == [each.position for each in everything[4:]]


def other_store(mark: Mark) -> Mark:
    return Mark(store_id=b"\x00" * 16, position=mark.position)


def ahead(mark: Mark) -> Mark:
    return Mark(store_id=mark.store_id, position=10**6)


WRONG_CURSORS: dict[str, tuple[Callable[[Mark], Mark], str]] = {
    "of a store that was replaced": (other_store, "CURSOR_OF_ANOTHER_STORE"),
    "past the end of a restored store": (ahead, "CURSOR_AHEAD_OF_STORE"),
}


@pytest.mark.parametrize("case", WRONG_CURSORS)
def test_a_cursor_that_does_not_fit_is_told(filled: Client, case: str) -> None:
    """Nothing is skipped or repeated in silence, and nobody waits for what never comes."""
    change, code = WRONG_CURSORS[case]
    mark = next(filled.follow()).mark
    with pytest.raises(ClientError) as told:
        next(filled.follow(after=change(mark)))
    assert told.value.code == code


def test_too_long_a_filter_is_refused(client: Client) -> None:
    """Before anything is read."""
    with pytest.raises(ClientError) as told:
        next(client.follow(units=["9" * 18] * 501))
    assert told.value.code == "FOLLOW_FILTER_INVALID"


def test_a_stream_goes_on_when_the_node_is_back(served, client: Client, rows) -> None:
    """The stop ends the stream at once; the client waits, tells why, and misses nothing."""
    waits: list[str] = []
    back = threading.Event()

    def told(error: YidaoError, _seconds: float) -> None:
        waits.append(error.code)
        if len(waits) == 2:
            served.start()
            back.set()

    found: list[str] = []
    with client.follow(kinds=["registry."], on_wait=told) as following:
        client.submit("energy", [rows.institution(1)], actor=rows.actor)
        found.append(next(following).kind)
        served.stop()
        thread = threading.Thread(target=lambda: found.append(next(following).kind))
        thread.start()
        assert back.wait(20)
        client.submit("energy", [rows.institution(2)], actor=rows.actor)
        thread.join(20)
    assert found == ["registry.unit.registered"] * 2
    assert waits[:2] == ["FOLLOW_ENDED", "NODE_UNREACHABLE"]


def test_only_so_many_follow_at_once(served, rows) -> None:
    """The next one is told to wait and gets its turn when another leaves."""
    with Client.open(served.socket) as client:
        streams = [client.follow() for _ in range(8)]
        for each in streams:
            next(each)
        waits: list[str] = []

        def told(error: YidaoError, _seconds: float) -> None:
            waits.append(error.code)
            streams[0].close()

        assert next(client.follow(on_wait=told)).position == 1
        assert waits[0] == "FOLLOWERS_TOO_MANY"
        for each in streams[1:]:
            each.close()


def test_a_sign_of_life_is_sent(served) -> None:
    """An idle stream says its position at once, and again within the time that was asked for."""
    with grpc.insecure_channel(f"unix:{served.socket}") as channel:
        stub = follow_pb2_grpc.FollowServiceStub(channel)
        last = served.store.last_position()
        request = follow_pb2.FollowRequest(
            after=last, store_id=served.store.store_id, keep_alive_seconds=1
        )
        call = stub.Follow(request, timeout=20)
        signs = [next(call), next(call)]
        call.cancel()
    assert [(sign.position, len(sign.events)) for sign in signs] == [(last, 0)] * 2


BAD_FILES = {
    "cut off": '{"format": "yidao cursor 1", "store',
    "of another kind": '{"format": "something"}',
    "a list": "[1, 2]",
    "no text": "\x00\x01",
    "without a position": '{"format": "yidao cursor 1", "store_id": "00"}',
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_cursor_is_not_taken_for_one(tmp_path: Path, case: str) -> None:
    """Beginning again in silence would repeat every effect."""
    file = tmp_path / "cursor"
    file.write_text(BAD_FILES[case])
    with pytest.raises(CursorFileUnreadable):
        FileCursor(file).load()
    assert file.read_text() == BAD_FILES[case]


def test_a_cursor_may_be_written_less_often(filled: Client, tmp_path: Path) -> None:
    """Then a cut repeats as many events, and none is missed."""
    everything = positions(filled)
    file = tmp_path / "cursor"
    for event in filled.follow(cursor=FileCursor(file, every=3)):
        if event.position == everything[5]:
            break
    again = positions(filled, cursor=FileCursor(file))
    assert again == everything[3:]
