"""The store of one node: the only thing that other layers open, write through and read from."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final, Self, TypeVar

from sqlalchemy import Connection, select

from yidao.node.keys import Identity
from yidao.node.store import binding, errors, proving, rootlists, tables, vouching
from yidao.node.store.committimes import CommitTimes
from yidao.node.store.deaths import Deaths
from yidao.node.store.engine import (
    BUSY_TIMEOUT_MS,
    Engines,
    is_from_database,
    open_engines,
    read_store_id,
    translate,
    truncate_wal,
)
from yidao.node.store.fence import Fence
from yidao.node.store.forlinks import StoreForLinks
from yidao.node.store.highwater import HighWater, NoHighWater
from yidao.node.store.leading import APPLIED, GREW, TAG_BYTES, Alone, Leading, News, Shared
from yidao.node.store.linkreads import Arrivals
from yidao.node.store.projections import Decider, Projector, Runner
from yidao.node.store.transaction import Tx
from yidao.node.store.values import (
    Draft,
    Fault,
    RebuildReport,
    ScrubReport,
    Ticket,
)
from yidao.node.store.writer import Writer, end_process
from yidao.sync.enrolment import Enrolment
from yidao.sync.ids import NetworkId
from yidao.sync.removal import SealedSnapshot

T = TypeVar("T")
STORE_TAMPERED: Final = "STORE_TAMPERED"


class Store(StoreForLinks):
    """A database, its writer and its readers.

    `open`, `bind`, `start`, and at the end `close`. Reads may come from any
    thread; writes are jobs for the writer's thread.
    """

    def __init__(
        self,
        engines: Engines,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._engines = engines
        self._clock_ms = clock_ms
        self._random = random
        self._on_fatal = on_fatal
        self._identity: Identity | None = None
        # The store id, and the epoch of which it is known: no other change can change it.
        # By the epoch and how many were begun here: what a read that was overtaken found is old.
        self._line: tuple[tuple[str, int], bytes] | None = None
        self._lines_begun = 0
        self._runner: Runner | None = None
        self._writer: Writer | None = None
        self._high_water: HighWater = NoHighWater()
        self._deaths = Deaths()
        self.fence: Final = Fence()
        self._leading: Leading = Alone()
        if engines.listener is not None:
            self._leading = Shared(engines.listener, engines.table_oid, random(TAG_BYTES))
        self._on_news: list[Callable[[News], None]] = []
        self._on_lead: list[Callable[[bool], None]] = []

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
        on_fatal: Callable[[BaseException], None] = end_process,
    ) -> Self:
        """Open a database, making or upgrading its tables.

        Args:
            url: `sqlite:////absolute/path/store.db` or `postgresql://…`.
            clock_ms: Unix milliseconds.
            random: Gives that many unpredictable bytes.
            on_fatal: Called when the writer's disk fails; it should not return.

        Raises:
            StoreError: See `engine.open_engines`.
        """
        return cls(open_engines(url, random), clock_ms, random, on_fatal)

    @property
    def store_id(self) -> bytes:
        """16 random bytes that name this store's line of positions.

        A copy shares them; a new store does not, nor one that was set back and has opened
        an epoch since, because it may have given a position twice.
        """
        if self._identity is None:
            return self._engines.store_id
        known, key = self._line, (self.identity.epoch, self._lines_begun)
        if known is None or known[0] != key:
            with self._engines.reader.connect() as conn:
                known = self._line = (key, read_store_id(conn))
        return known[1]

    def begin_line(self) -> "Future[None]":
        """Name the line of positions anew, see `Tx.begin_line`; durable when the future is done."""

        def count(_done: "Future[None]") -> None:
            self._lines_begun += 1

        begun = self.submit(lambda tx: tx.begin_line())
        begun.add_done_callback(count)
        return begun

    @property
    def identity(self) -> Identity:
        """Whom this store serves, in the epoch in which it writes; `StoreUnbound` before `bind`."""
        if self._identity is None:
            raise errors.StoreUnbound
        return self._identity if self._writer is None else self._writer.identity

    def bind(self, identity: Identity, chain: Sequence[Enrolment] = ()) -> None:
        """Say which node this store serves, and what it knows of the nodes above it.

        Args:
            identity: The node.
            chain: Verified enrolments from the root down to this node.

        Raises:
            StoreOfAnotherNode: The store has served another one.
            EnrolmentConflict: The chain contradicts what the store holds.
            EpochNotLive: The store writes in another epoch, or under other keys.
        """
        with self._translated(), self._engines.writer.begin() as conn:
            binding.bind(conn, identity, chain)
        self._identity = identity

    def life(self) -> bytes:
        """Return the life that was written last."""
        with self.read() as conn:
            return binding.read_life(conn)

    def pin_root_list(self, data: bytes, statement: bytes, network: NetworkId) -> None:
        """Take over the root list that came with the join bundle, unless a newer one is here.

        Raises:
            RootListForeign, RootListUnsigned, RootListMalformed, …: See `rootlists.pin`.
        """
        with self._translated(), self._engines.writer.begin() as conn:
            rootlists.pin(conn, data, statement, network, self._clock_ms())

    def renew_life(self, life: bytes) -> tuple[bytes, int]:
        """Write down which process goes on from here; before `start`.

        Returns:
            The life of the process that wrote last, empty if none, and the last position.
        """
        with self._translated(), self._engines.writer.begin() as conn:
            return binding.renew_life(conn, life)

    def remember_by(self, high_water: HighWater) -> None:
        """Let somebody outside of the database remember how far it is; before `start`."""
        self._high_water = high_water

    def note_deaths_by(self, deaths: Deaths) -> None:
        """Let a process that dies over records be remembered by the next; before `start`."""
        self._deaths = deaths

    def unfence(self) -> None:
        """Let this node seal, and those who waited for it go on."""
        self.fence.open()
        self.submit(lambda _tx: None)

    def start(self, projectors: Sequence[Projector] = (), deciders: Sequence[Decider] = ()) -> None:
        """Start the writer, and with it what runs over the records."""
        runner = Runner(projectors, deciders, self._deaths)
        with self._translated(), self._engines.writer.begin() as conn:
            # Two daemons that start at once must not both write new cursors.
            lock = select(tables.head.c.last_position).with_for_update()
            position = conn.execute(lock).scalar_one()
            runner.load(conn)
        self._runner = runner
        self._writer = Writer(
            self._engines.writer,
            self.identity,
            runner,
            clock_ms=self._clock_ms,
            random=self._random,
            last_position=position,
            on_fatal=self._on_fatal,
        )
        self._writer.obey(self.fence, self._high_water, self._leading)
        self._writer.start()
        self._leading.start(self._hear, self._lead)

    def close(self) -> None:
        """Finish the queued jobs and close the database."""
        self._leading.close()
        if self._writer is not None:
            self._writer.close()
        self._engines.close()

    # Other daemons on the same database.

    @property
    def is_shared(self) -> bool:
        """Whether other daemons of this node may work on the database."""
        return self._engines.listener is not None

    @property
    def leads(self) -> bool:
        """Whether this daemon does what only one of them must do; always, where it is alone."""
        return self._leading.leads

    def on_lead(self, callback: Callable[[bool], None]) -> None:
        """Call back whenever this daemon begins to lead or ends; before `start`, in any thread."""
        self._on_lead.append(callback)

    def on_news(self, callback: Callable[[News], None]) -> None:
        """Call back with what another daemon told by `Tx.tell`; before `start`, in any thread."""
        self._on_news.append(callback)

    def vouched(self) -> vouching.Vouched:
        """Return what is said of this run of the database's server."""
        with self._translated(), self._engines.writer.begin() as conn:
            return vouching.judge(conn)

    def vouch(self, doubt: str = "", *, settled: bool = False) -> None:
        """Say whether this run of the database's server is to be believed (see `Tx.vouch`)."""
        if self._writer is not None:
            self.submit(lambda tx: tx.vouch(doubt, settled=settled))
            return
        with self._translated(), self._engines.writer.begin() as conn:
            run = conn.info[vouching.RUN]
            vouching.give(conn, vouching.Word(doubt or run, self.identity.epoch))

    def _hear(self, news: News | None) -> None:
        if news is None or news.kind in (GREW, APPLIED):
            self._running().hear(news)
            return
        if news.kind == vouching.KEY:
            # The next transaction reads what is said now.
            self.submit(lambda _tx: None)
        for callback in self._on_news:
            callback(news)

    def _lead(self, leads: bool) -> None:  # noqa: FBT001 (a callback's one argument)
        # Whoever begins to lead goes on where the last one stood.
        self._running().hear(None)
        for callback in self._on_lead:
            callback(leads)

    # Writing.

    def submit(self, job: Callable[[Tx], T]) -> "Future[T]":
        """Queue a job; the future is done once the job's transaction is fsynced.

        A job that raises is undone alone and its future raises the same. Its
        result must not hold the transaction.
        """
        return self._running().submit(job)

    def append_later(
        self, channel: str, drafts: Sequence[Draft], then: Callable[[list[Ticket]], T]
    ) -> "Future[T]":
        """Queue records for the journal of a channel; the future is done once they are durable.

        Its result is what `then` makes of the tickets, in the transaction. The same as a job
        that does this, but where several daemons share the database they wait for each other
        for less: salts, hashes and headers are made before the transaction begins. Raises
        what `Appender.append` raises, in the future.
        """
        return self._running().append_later(channel, drafts, then)

    def run(self, job: Callable[[Tx], T]) -> T:
        """Run a job and wait until it is durable."""
        return self.submit(job).result()

    def on_commit(self, callback: Callable[[Arrivals | None], None]) -> None:
        """Call back after each commit with what it stored, in the writer's thread.

        With None where that has to be looked for: other daemons write here as well.
        """
        self._running().on_commit(callback)

    def on_applied(self, callback: Callable[[int], None]) -> None:
        """Call back when projections have moved, in the writer's thread."""
        self._running().on_applied(callback)

    def on_followed(self, callback: Callable[[], None]) -> None:
        """Call back when this daemon writes in an epoch that another one opened.

        In the writer's thread. The store may have another id from then on.
        """
        self._running().on_followed(callback)

    def applied(self, position: int) -> "Future[int]":
        """Return a future that is done once what stands at `position` can be read in the views."""
        return self._running().applied(position)

    def last_position(self) -> int:
        """Return the last durable position."""
        return self._running().last_position

    @property
    def applied_position(self) -> int:
        """The position that all projectors have folded."""
        return self._running().applied_position

    @property
    def commits(self) -> int:
        """How many transactions the writer has committed since the start."""
        return self._running().commits

    @property
    def commit_times(self) -> CommitTimes:
        """How long the commits since the start took."""
        return self._running().commit_times

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read-only snapshot."""
        with self._translated(), self._engines.reader.connect() as conn, conn.begin():
            yield conn

    # The whole store.

    def scrub(self) -> ScrubReport:
        """Compare everything stored with what was signed; each fault becomes a problem."""
        with self.read() as conn:
            report = proving.scrub(conn, self.identity)
        self._note_faults(report.faults)
        return report

    def rebuild(self) -> RebuildReport:
        """Empty the projected tables, fold everything again and compare, in one transaction."""
        runner = self._runner
        if runner is None:
            raise errors.StoreUnbound

        def job(tx: Tx) -> RebuildReport:
            report, position = runner.rebuild(tx)
            tx.after_commit.append(lambda: runner.rebuilt(position))
            return report

        return self.run(job)

    def seal_snapshot(self) -> SealedSnapshot:
        """Seal the projected tables, in one transaction; a rebuild starts from there.

        Raises:
            PruningUnready: The views do not show everything yet.
        """
        runner = self._runner
        if runner is None:
            raise errors.StoreUnbound
        writer = self._running()
        return self.run(lambda tx: runner.seal_snapshot(tx, writer.last_position))

    def checkpoint_wal(self, wait_ms: int = BUSY_TIMEOUT_MS) -> bool:
        """Move the write-ahead log into the database file (see `engine.truncate_wal`)."""
        return self._running().errand(lambda engine: truncate_wal(engine, wait_ms)).result()

    def _note_faults(self, faults: Sequence[Fault]) -> None:
        """Write faults down as problems, durably before the caller goes on."""

        def note(tx: Tx) -> None:
            for fault in faults:
                tx.raise_problem(
                    STORE_TAMPERED,
                    journal=fault.journal,
                    seq=fault.seq,
                    what=fault.code,
                    position=fault.position,
                )

        if faults:
            self.run(note)

    def _running(self) -> Writer:
        if self._writer is None:
            raise errors.StoreUnbound
        return self._writer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not is_from_database(error):
                raise
            raise translate(error) from error
