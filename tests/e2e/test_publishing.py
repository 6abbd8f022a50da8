"""Records of programs: over a stream to the node, sealed, received above, read and proved."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from tests.faults.daemons import Nursery, Pair, found
from tests.faults.watch import pause
from yidao.api.errors import YidaoError
from yidao.node.client import NewRecord, Published
from yidao.node.client.errors import NodeUnreachable
from yidao.node.client.publishing import mint_record_id

pytestmark = pytest.mark.e2e

ACTOR = "meter@/33"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """An office and its parent, which run."""
    nursery = Nursery()
    made = found(nursery, tmp_path_factory.mktemp("publishing") / "n")
    made.start()
    yield made
    made.kill()
    nursery.close()


def readings(count: int, start: int = 0) -> list[NewRecord]:
    """Records of a sample program."""
    return [
        NewRecord(
            kind="app.meter.reading",
            object=f"meter/{number}",
            body=b'{"sample":%d}' % number,
            record_id=mint_record_id(),
        )
        for number in range(start, start + count)
    ]


def code_of(future: "Future[Published]") -> str:
    error = future.exception(30)
    assert isinstance(error, YidaoError)
    return error.code


def test_records_are_durable_received_and_read_above(pair: Pair) -> None:
    """The receipt comes by itself; the root shows what came, in order, bytes as they were."""
    given = readings(1_200)
    told: list[int] = []
    with pair.office.client() as client:
        assert client.publish(given, actor=ACTOR, progress=told.append) == 1_200
        assert told[-1] == 1_200
        with client.publisher(actor=ACTOR) as publisher:
            last = publisher.send(readings(1, 1_200)).result(30)
            assert publisher.wait_received(last.size, 30)
    with pair.root.client() as client:
        seen = list(client.follow(kinds=["app."], until_now=True))
    assert [event.object for event in seen] == [f"meter/{number}" for number in range(1_201)]
    assert [event.record_id for event in seen[:-1]] == [each.record_id for each in given]
    assert seen[7].payload == given[7].body


def test_a_record_that_comes_again_stands_where_it_stood(pair: Pair) -> None:
    """The same content gives the first place; another one is refused, and the stream goes on."""
    first = readings(3, 10_000)
    other = NewRecord(
        kind=first[1].kind, object=first[1].object, body=b"{}", record_id=first[1].record_id
    )
    with pair.office.client() as client, client.publisher(actor=ACTOR) as publisher:
        done = publisher.send(first).result(30)
        assert publisher.send(first).result(30) == done
        refused = publisher.send([*readings(1, 10_003), other])
        after = publisher.send(readings(1, 10_004)).result(30)
    assert code_of(refused) == "RECORD_ID_REUSED"
    # All or none: the good record of the refused request took no place.
    assert after.size == done.size + 1


@pytest.mark.parametrize(
    ("records", "actor", "code"),
    [
        ([NewRecord(kind="reporting.return.submitted", object="x", body=b"")], ACTOR, "KIND_NOT"),
        ([NewRecord(kind="app.x", object="x", body=b"")], ACTOR, "HEADER_FIELD_INVALID"),
        ([NewRecord(kind="app.x.y", object="", body=b"")], ACTOR, "HEADER_FIELD_INVALID"),
        ([NewRecord(kind="app.x.y", object="x", body=b"", grade=9)], ACTOR, "GRADE_INVALID"),
        ([NewRecord(kind="app.x.y", object="x", body=bytes(300_000))], ACTOR, "HEADER_FIELD"),
        ([NewRecord(kind="app.x.y", object="x", body=b"")], "meter@/44", "ACTOR_ELSEWHERE"),
        ([], ACTOR, "RECORDS_TOO_MANY"),
        (readings(2_001), ACTOR, "RECORDS_TOO_MANY"),
    ],
    ids=["kind", "short kind", "object", "grade", "body", "actor", "none", "many"],
)
def test_what_is_wrong_is_refused_by_its_code(
    pair: Pair, records: Sequence[NewRecord], actor: str, code: str
) -> None:
    """Nothing of it is stored, and the stream takes the next request."""
    with pair.office.client() as client:
        with client.publisher(actor=actor) as publisher:
            assert code_of(publisher.send(records)).startswith(code)
        with client.publisher(actor=ACTOR) as publisher:
            publisher.send(readings(1, 20_000)).result(30)


def test_one_stream_has_one_reach_and_what_stays_stays(pair: Pair) -> None:
    """Records of reach 0 never leave; no record goes further than there are tiers."""
    with pair.office.client() as client:
        with client.publisher(actor=ACTOR, reach=0) as publisher:
            publisher.send(readings(1, 30_000)).result(30)
        with client.publisher(actor=ACTOR, reach=16) as publisher:
            assert code_of(publisher.send(readings(1))) == "REACH_INVALID"
        with client.publisher(actor=ACTOR) as publisher:
            size = publisher.send(readings(1, 30_001)).result(30).size
            assert publisher.wait_received(size, 30)
    with pair.root.client() as client:
        objects = {event.object for event in client.follow(kinds=["app."], until_now=True)}
    assert "meter/30001" in objects
    assert "meter/30000" not in objects


def test_what_was_not_answered_is_sent_again_after_a_crash(pair: Pair) -> None:
    """By its ids: every record is there once, also where the office died in between."""
    batches = [readings(100, 40_000 + at) for at in range(0, 2_000, 100)]
    with pair.office.client() as client, client.publisher(actor=ACTOR) as publisher:
        for batch in batches[:5]:
            publisher.send(batch).result(30)
        # It answers nothing more, whatever of this it still takes.
        pause(pair.office)
        flying = [publisher.send(batch) for batch in batches[5:10]]
        pair.office.kill()
        assert {code_of(each) for each in flying} == {NodeUnreachable.code}
    pair.start()
    # The program does not ask what arrived: it sends all again.
    with pair.office.client() as client, client.publisher(actor=ACTOR) as publisher:
        sent = [(batch, publisher.send(batch)) for batch in batches]
        acked = [r.record_id for batch, done in sent if done.result(30) for r in batch]
    assert len(acked) == 2_000
    pair.office.acked += acked
    assert pair.healed() == []
    pair.start()
    with pair.root.client() as client:
        seen = [
            event.record_id
            for event in client.follow(kinds=["app."], object_prefix="meter/4", until_now=True)
        ]
    mine = [each for each in seen if each in set(acked)]
    assert sorted(mine) == sorted(acked)
