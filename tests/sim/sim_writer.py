"""The writer of one simulated node: jobs go into commits, and the disk syncs them in its time."""

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from sim.model_state import (
    ACCEPTED,
    SUBMITTED,
    Draft,
    Enrolled,
    RecordKey,
    State,
    decode_header,
)
from sim.model_store import ModelStore
from sim.scheduler import INSTANT_SECONDS
from yidao.sync.ids import JournalId, RecordId
from yidao.sync.suite import Ed25519Signer

if TYPE_CHECKING:
    from sim.world import World


# When the simulated country begins, in Unix ms.
EPOCH_MS = 1_750_000_000_000


@lru_cache(maxsize=64)
def signer_of(name: str) -> Ed25519Signer:
    """Return the sample journal key of a node."""
    return Ed25519Signer(sha256(b"sample key of " + name.encode()).digest())


class SimWriter:
    """A process with a disk and two clocks; what is down has no queue.

    Args:
        world: Where it stands, and whose random choices and time it has.
        me: Who it is.
        chain: What it knows from its enrolment.
    """

    def __init__(self, world: "World", me: Enrolled, chain: list[Enrolled]) -> None:
        self.world = world
        self.me = me
        self.random = Random(f"{world.seed} {me.path}")
        self.store = self.make_store(me, chain)
        self.up = True
        self.life = 0
        # What the wall clock shows beyond the time that has passed.
        self.clock_ms = 0
        self.backups: list[State] = []
        self._queue: list[Callable[[State], Callable[[], None]]] = []
        self._commit_due = False
        self._synced_at = 0.0
        # How much of each own journal the world knows to be on this disk.
        self._noted: dict[JournalId, int] = {}

    def make_store(self, me: Enrolled, chain: list[Enrolled]) -> ModelStore:
        """Return the node's store; broken nodes make a broken one."""
        return ModelStore(me, signer_of(str(me.path)), chain)

    def enrol(self, drafts: list[Draft]) -> None:
        """Begin with these records on the disk."""
        self.store.commit([lambda state: [self.store.append(state, drafts)].clear()])
        self.store.sync()

    def submit(self, job: Callable[[State], Callable[[], None]]) -> None:
        """Put a job into the next commit; what it returns runs once that is durable."""
        if not self.up:
            return
        self._queue.append(job)
        if not self._commit_due:
            self._commit_due = True
            self.later(self.random.random() * 0.05, self._commit)

    def _commit(self) -> None:
        self._commit_due = False
        done: list[Callable[[], None]] = []
        jobs = [lambda state, job=job: done.append(job(state)) for job in self._queue]
        self._queue.clear()
        self.store.wall_ms = max(0, self._wall_ms())
        self.store.commit([*jobs, self._decide])
        self.committed(done)

    def committed(self, done: list[Callable[[], None]]) -> None:
        """Sync the disk, then let everybody know."""
        # One disk, quick as a rule and now and then not; a later commit is never
        # synced before an earlier one.
        now = self.world.scheduler.now
        took = self.random.random() ** 4 * 1.5
        self._synced_at = max(self._synced_at + INSTANT_SECONDS, now + took)
        self.later(self._synced_at - now, lambda: self._synced(done))

    def _synced(self, done: list[Callable[[], None]]) -> None:
        self.store.sync()
        self._note_signed()
        for tell in done:
            tell()
        self.synced()

    def _note_signed(self) -> None:
        for journal, headers in self.store.durable.headers.items():
            if journal.node_id != self.me.node_id:
                continue
            since = self._noted.get(journal, 0)
            if len(headers) > since:
                self.world.histories.signed(journal, headers, since)
                self._noted[journal] = len(headers)

    def append(self, drafts: list[Draft], told: Callable[[list[RecordKey]], None]) -> None:
        """Append as a client would: `told` once it is durable, or never."""

        def job(state: State) -> Callable[[], None]:
            if self.store.is_fenced:
                return lambda: None
            keys = self.store.append(state, drafts)
            return lambda: told(keys)

        self.submit(job)

    def _decide(self, state: State) -> None:
        """Accept what children submitted; the cursor moves in the same commit."""
        if self.store.is_fenced:
            return
        accepted = []
        done = state.decided_position
        first = bisect_right(state.segments, done, key=lambda segment: segment.position)
        for item in state.segments[first:]:
            if state.enrolled[item.seal.journal.node_id].path.parent != self.me.path:
                continue
            for seq, header_bytes in enumerate(item.seal.headers, start=item.seal.first_seq):
                header = decode_header(header_bytes)
                # One in four is never accepted, so that parts must also stay away.
                if header.kind == SUBMITTED and header.parts and header.record_id[0] % 4:
                    accepted.append(
                        Draft(
                            channel="up:15",
                            record_id=RecordId(sha256(header.record_id).digest()[:16]),
                            kind=ACCEPTED,
                            releases=((item.seal.journal, seq),),
                        )
                    )
        state.decided_position = state.head
        if accepted:
            self.store.append(state, accepted)

    def synced(self) -> None:
        """Do what is to be done once more is durable."""
        raise NotImplementedError

    def steady_seconds(self) -> float:
        """Return the clock that nobody can set."""
        return self.world.scheduler.now

    def _wall_ms(self) -> int:
        return int(self.world.scheduler.now * 1000) + EPOCH_MS + self.clock_ms

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back unless this process has ended by then."""
        life = self.life

        def unless_crashed() -> None:
            if self.life == life:
                callback()

        self.world.scheduler.after(seconds, unless_crashed)
