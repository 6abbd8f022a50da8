"""Several daemons over one PostgreSQL database: they share journals, positions and cursors."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import psycopg
import pytest
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from yidao.node.link.peercheck import Peer as CheckedPeer
from yidao.node.link.seats import SEAT, Seats
from yidao.node.recovery.startup import look
from yidao.node.store import errors, vouching
from yidao.node.store.leading import News
from yidao.node.store.records import Reader
from yidao.node.store.store import Store
from yidao.node.store.values import StoredRecord
from yidao.sync.epoch import Cause
from yidao.sync.fencing import Start
from yidao.sync.ids import NodeId, Path
from yidao.sync.lives import Heard

sample = MetaData()
seen = Table(
    "sample_seen",
    sample,
    Column("position", BigInteger, primary_key=True),
    Column("object_id", Text, nullable=False),
)


class Noter:
    """Notes each record; a second time would break the key."""

    name = "sample.noter"
    tables = (seen,)

    def fold(self, conn: Connection, records: list[StoredRecord], reader: Reader) -> None:
        """Note."""
        for record in records:
            conn.execute(
                insert(seen).values(position=record.position, object_id=record.header.object_id)
            )


@pytest.fixture(params=["postgresql"])
def new_url(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Databases of the server; one daemon a file is SQLite's rule."""
    new_database: Callable[[], str] = request.getfixturevalue("postgresql")
    return new_database


def test_two_daemons_write_one_journal(tree: Any) -> None:
    """Both append at once: no position twice, no gap, one sound tree, each record folded once."""
    first = tree.node("/")
    first.store.run(lambda tx: sample.create_all(tx.conn))
    first = tree.reopen(first, projectors=[Noter()])
    second = tree.open(first.url, first.identity, projectors=[Noter()])
    assert first.store.store_id == second.store.store_id
    positions: dict[str, list[int]] = {"first": [], "second": []}

    def write(node: Any, name: str) -> None:
        for number in range(40):
            positions[name] += node.append("up:15", node.draft(f"{name} {number}"))

    threads = [
        threading.Thread(target=write, args=(node, name))
        for node, name in ((first, "first"), (second, "second"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    given = sorted(positions["first"] + positions["second"])
    assert given == list(range(2, 82))
    assert first.store.scrub().faults == ()
    for node in (first, second):
        node.store.run(lambda _tx: None)
        node.store.applied(81).result(timeout=60)
    assert not first.store.problems()
    with first.store.read() as conn:
        assert conn.execute(select(seen.c.position)).scalars().all() == list(range(1, 82))


def test_an_id_that_the_other_daemon_took(tree: Any) -> None:
    """A repeat that reaches the other daemon gives the first position too."""
    first = tree.node("/")
    second = tree.open(first.url, first.identity)
    position = first.append("up:15", first.draft("a"))
    assert second.append("up:15", first.draft("a")) == position


def wait_until(what: str, met: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def both(tree: Any) -> tuple[Any, Any]:
    """Two daemons of one node."""
    first = tree.node("/")
    return first, tree.open(first.url, first.identity)


def test_each_hears_of_what_the_other_commits(both: tuple[Any, Any]) -> None:
    """Whoever waits for commits is woken by those of either daemon."""
    first, second = both
    for one, other in (both, (second, first)):
        heard = threading.Event()
        position = one.store.last_position() + 1

        def listen(
            _arrivals: object, store: Any = other.store, at: int = position, h: Any = heard
        ) -> None:
            if store.last_position() >= at:
                h.set()

        other.store.on_commit(listen)
        one.append("up:15", one.draft(f"to be heard of {position}"))
        assert heard.wait(60)
        assert other.store.last_position() >= position


def test_one_leads_until_it_ends(tree: Any, both: tuple[Any, Any]) -> None:
    """One of two daemons leads; when it ends, the other one folds what was left."""
    wait_until("somebody leads", lambda: any(each.store.leads for each in both))
    leader, other = both if both[0].store.leads else both[::-1]
    assert not other.store.leads
    position = other.append("up:15", other.draft("by the one that does not lead"))[0]
    other.store.applied(position).result(timeout=60)
    leader.store.close()
    wait_until("the other one leads", lambda: bool(other.store.leads))
    position = other.append("up:15", other.draft("after the leader's end"))[0]
    other.store.applied(position).result(timeout=60)


def test_another_run_of_the_server_fences_all(both: tuple[Any, Any]) -> None:
    """What nobody has vouched for is sealed by nobody; one daemon's word is enough for all."""
    first, second = both
    first.store.run(lambda tx: tx.vouch())
    second.append("up:15", second.draft("vouched for"))
    with first.store._engines.writer.begin() as conn:
        vouching.give(conn, vouching.Word("another/run", "1"))
    for number, each in enumerate(both):
        with pytest.raises(errors.StoreFenced):
            each.append("up:15", each.draft(f"not vouched for {number}"))
        assert each.store.fence.reason == vouching.UNVOUCHED
    second.store.run(lambda tx: tx.vouch())
    for number, each in enumerate(both):
        each.append("up:15", each.draft(f"not vouched for {number}"))


def test_a_start_is_judged_by_the_database(tree: Any, tmp_path: FilePath) -> None:
    """What another daemon wrote since is no doubt; another run is; less than was seen is a loss."""
    running = tree.node("/")

    def start(seen_to: int = 0) -> Start:
        store = Store.open(running.url, clock_ms=tree.clock, random=tree.random)
        store.bind(running.identity)
        found = look(tmp_path, store, environ={"XDG_RUNTIME_DIR": str(tmp_path)})
        found.witness.reached(seen_to)
        found.witness.close()
        store.close()
        return found.start

    def vouch(doubt: str = "", *, settled: bool = False) -> None:
        running.store.run(lambda tx: tx.vouch(doubt, settled=settled))

    assert start() is Start.DOUBTFUL
    vouch()
    assert start() is Start.REMEMBERED
    running.append("up:15", running.draft("by the other daemon"))
    assert start() is Start.REMEMBERED
    with running.store._engines.writer.begin() as conn:
        vouching.give(conn, vouching.Word("another/run", "1"))
    assert start() is Start.DOUBTFUL
    vouch()
    assert start(seen_to=1_000) is Start.REMEMBERED
    assert start() is Start.RESTORED
    with pytest.raises(errors.StoreFenced):
        running.append("up:15", running.draft("after the loss was seen"))
    assert start() is Start.RESTORED
    vouch(settled=True)
    assert start() is Start.REMEMBERED


def test_a_word_that_was_taken_back_is_given_anew_by_who_settles_it(both: tuple[Any, Any]) -> None:
    """A daemon that has only heard an agreeing neighbour does not outvote one that knows more."""
    first, second = both
    first.store.run(lambda tx: tx.vouch())
    first.store.run(lambda tx: tx.vouch("resuming"))
    second.store.run(lambda tx: tx.vouch())
    with pytest.raises(errors.StoreFenced):
        second.append("up:15", second.draft("in doubt"))
    first.store.run(lambda tx: tx.vouch(settled=True))
    second.append("up:15", second.draft("in doubt"))


def test_an_epoch_that_the_other_daemon_opened_is_gone_on_with(both: tuple[Any, Any]) -> None:
    """No daemon seals in an epoch that another one has ended."""
    first, second = both
    first.store.run(lambda tx: tx.vouch())
    first.append("up:15", first.draft("in the first epoch"))
    fresh = replace(first.identity, epoch="2")
    first.store.run(lambda tx: tx.open_epoch(fresh, Cause.RESTORED))
    second.append("up:15", second.draft("in the second epoch"))
    assert second.store.identity.epoch == "2"
    with second.store.read() as conn:
        sizes = conn.exec_driver_sql(
            "SELECT epoch, size FROM journal WHERE channel = 'up:15' ORDER BY epoch"
        ).all()
    assert [tuple(row) for row in sizes] == [("1", 1), ("2", 1)]


def test_a_line_of_positions_that_one_renames_is_renamed_for_all(
    tree: Any, both: tuple[Any, Any]
) -> None:
    """Others learn the new name with the epoch; who starts later hears of their commits."""
    first, second = both
    first.store.run(lambda tx: tx.vouch())
    second.append("up:15", second.draft("in the first epoch"))
    before = second.store.store_id
    fresh = replace(first.identity, epoch="2")
    followed = threading.Event()
    second.store.on_followed(followed.set)

    def reopen(tx: Any) -> None:
        tx.open_epoch(fresh, Cause.RESTORED)
        tx.begin_line()

    first.store.run(reopen)
    second.append("up:15", second.draft("in the second epoch"))
    assert followed.is_set()
    assert first.store.store_id == second.store.store_id != before
    third = tree.open(first.url, fresh)
    # More than a daemon reads by itself when it begins to listen, or to lead.
    for number in range(4):
        position = second.append("up:15", second.draft(f"number {number}"))[0]
        wait_until("the third hears", lambda p=position: third.store.last_position() >= p)
    assert sum(each.store.leads for each in (first, second, third)) == 1


def test_what_nobody_folds_is_applied_at_each_daemon(both: tuple[Any, Any]) -> None:
    """Who follows learns from the database that the leader is past it."""
    wait_until("somebody leads", lambda: any(each.store.leads for each in both))
    for number, each in enumerate(both):
        draft = each.draft(f"of a program {number}", kind="app.sample.opened")
        position = each.append("local", draft)[0]
        for one in both:
            assert one.store.applied(position).result(timeout=60) >= position


class Cutter:
    """Cuts the writer's connection after everything was written, before COMMIT is sent."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql")
        self.armed = False

    def reaching(self, position: int) -> None:
        """Cut, once."""
        if not self.armed:
            return
        self.armed = False
        with psycopg.connect(self._url.render_as_string(hide_password=False)) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE state = 'idle in transaction' AND query LIKE 'NOTIFY%'"
            )

    def reached(self, position: int) -> None:
        """Nothing."""


def test_a_commit_whose_answer_is_lost(tree: Any) -> None:
    """The caller is told that nobody knows, and learns it by asking again with the same id."""
    node = tree.node("/")
    store = Store.open(node.url, clock_ms=tree.clock, random=tree.random)
    cutter = Cutter(node.url)
    store.remember_by(cutter)
    store.bind(node.identity)
    store.start()
    draft = node.draft("handed in twice")
    try:
        cutter.armed = True
        with pytest.raises(errors.StoreCommitUnknown):
            store.append_later("up:15", [draft], list).result(timeout=60)
        assert not cutter.armed
        (ticket,) = store.append_later("up:15", [draft], list).result(timeout=60)
        (again,) = store.append_later("up:15", [draft], list).result(timeout=60)
        assert (again.position, again.repeat) == (ticket.position, True)
        assert store.scrub().faults == ()
    finally:
        store.close()


def test_a_child_sits_at_one_daemon(both: tuple[Any, Any], tree: Any) -> None:
    """A later greeting elsewhere ends an older session; a life that comes back is noticed."""
    asyncio.run(_sit(both, tree))


async def _sit(both: tuple[Any, Any], tree: Any) -> None:
    child = CheckedPeer(node_id=NodeId(bytes(16)), path=Path.parse("/33"), tls_sha256=bytes(32))
    first, second = (Seats(each.store, tree.clock, tree.random) for each in both)
    told: list[News] = []
    both[0].store.on_news(told.append)
    assert await first.take(child, b"a" * 16) is Heard.ONE
    assert not first.is_elsewhere(child.path)
    assert second.is_elsewhere(child.path)
    assert await second.take(child, b"b" * 16) is Heard.ONE
    wait_until("the first one hears of it", lambda: any(each.kind == SEAT for each in told))
    assert first.has_left(told[-1]) == child.node_id
    assert second.has_left(told[-1]) is None
    assert await first.take(child, b"a" * 16) is Heard.TWO


class Gone:
    """An engine whose server does not answer."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.asked = 0
        self.has_asked = threading.Event()

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self._engine, name)

    def connect(self) -> Any:
        """Fail as a connection that is refused."""
        self.asked += 1
        self.has_asked.set()
        refused = psycopg.OperationalError("connection refused")
        raise OperationalError("connect", None, refused)


def test_while_the_server_is_gone_jobs_wait(
    tree: Any, both: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked now and then and not all the time; at the end who waits is told why."""
    monkeypatch.setattr("yidao.node.store.writer._AGAIN_SECONDS", 60.0)
    store = both[0].store
    writer = store._writer
    assert writer is not None
    gone = Gone(writer._engine)
    store.run(lambda _tx: monkeypatch.setattr(writer, "_engine", gone))
    first = store.submit(lambda tx: tx.now_ms)
    assert gone.has_asked.wait(60)
    second = store.submit(lambda tx: tx.now_ms)
    # Of more jobs and of news it takes no notice: one look for each of what it had to do.
    store.close()
    assert gone.asked <= 3
    for waiting in (first, second):
        with pytest.raises(errors.StoreUnreachable):
            waiting.result(timeout=60)
