"""Writes the audit: what happened at once, refusals that are alike once a minute with a count."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from yidao.node.access.audit import CHANNEL, Note, draft_of
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.ids import CHANCE_BYTES, new_record_id

#: Refusals that are alike are one entry in so long a time.
WINDOW_MS: Final = 60_000
#: Kinds of refusals that are counted at once; others are then one kind.
_MAX_KINDS: Final = 4_096


class Tally:
    """Counts what is alike, a window of a minute each. Not safe for threads."""

    def __init__(self) -> None:
        # By what makes notes alike: when the window began, the newest note, how many wait.
        self._open: dict[tuple[str, ...], tuple[int, Note, int]] = {}

    def count(self, note: Note, now_ms: int) -> int:
        """Count one.

        Returns:
            How many to write now: the first of a window at once, with those that
            waited since an earlier one; 0 if it waits itself.
        """
        key = _alike(note)
        if key not in self._open and len(self._open) >= _MAX_KINDS:
            key = (note.event,)
        began_ms, _, waiting = self._open.get(key, (now_ms - WINDOW_MS, note, 0))
        if 0 <= now_ms - began_ms < WINDOW_MS:
            self._open[key] = (began_ms, note, waiting + 1)
            return 0
        self._open[key] = (now_ms, note, 0)
        return waiting + 1

    def wait(self, note: Note, now_ms: int) -> None:
        """Count one that cannot be written now; `due` gives it once its window is over."""
        key = _alike(note)
        began_ms, _, waiting = self._open.get(key, (now_ms, note, 0))
        self._open[key] = (began_ms, note, waiting + 1)

    def due(self, now_ms: int, *, everything: bool = False) -> list[tuple[Note, int]]:
        """Take what waits in windows that are over, or all, with how many there are of each."""
        over = [
            key
            for key, (began_ms, _, _) in self._open.items()
            if everything or not 0 <= now_ms - began_ms < WINDOW_MS
        ]
        taken = [self._open.pop(key) for key in over]
        return [(note, waiting) for _, note, waiting in taken if waiting]


def _alike(note: Note) -> tuple[str, ...]:
    return (note.event, note.name, note.object, note.result)


class Auditor:
    """The only writer of audit records. Safe for threads."""

    def __init__(
        self, store: Store, *, clock_ms: Callable[[], int], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._random = random
        self._tally = Tally()
        self._lock = threading.Lock()

    def write(self, tx: Tx, note: Note, *, times: int = 1) -> None:
        """Append an entry in the transaction of what it is about."""
        now_ms = self._clock_ms()
        record_id = new_record_id(now_ms, self._random(CHANCE_BYTES))
        draft = draft_of(
            note, times=times, record_id=record_id, path=tx.identity.path, now_ms=now_ms
        )
        tx.append(CHANNEL, [draft])

    def done(self, note: Note) -> "Future[None]":
        """Write an entry by itself; it is durable when the future is done."""
        return self._store.submit(lambda tx: self.write(tx, note))

    def refused(self, note: Note) -> "Future[None]":
        """Count a refusal; it is written at once unless one like it was, within the minute.

        Behind a fence it only waits, so that whoever is refused hears why.
        """
        times = 0
        if self._store.fence.reason:
            with self._lock:
                self._tally.wait(note, self._clock_ms())
        else:
            times = self.counted(note)
        if not times:
            waits: Future[None] = Future()
            waits.set_result(None)
            return waits
        return self._store.submit(lambda tx: self.write(tx, note, times=times))

    def counted(self, note: Note) -> int:
        """Count a refusal and say how many to write now, see `Tally.count`."""
        with self._lock:
            return self._tally.count(note, self._clock_ms())

    def flush(self, *, everything: bool = False) -> None:
        """Write down what was counted in minutes that are over, or all of it; blocks.

        Behind a fence nothing is written, and what was counted waits.
        """
        if self._store.fence.reason:
            return
        with self._lock:
            due = self._tally.due(self._clock_ms(), everything=everything)

        def job(tx: Tx) -> None:
            for note, times in due:
                self.write(tx, note, times=times)

        if due:
            self._store.run(job)
