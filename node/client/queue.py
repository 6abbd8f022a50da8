"""Rows that wait in a file of their own until a node takes them.

A program puts rows in while the node is down, or not there yet. Each row has a
key from the moment it is put in, so that handing in what was cut off gives the
first result again and nothing twice. The file is SQLite, written through to the
disk before `put` returns; a program that is killed goes on where it was.
"""

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from yidao.api.errors import YidaoError
from yidao.node.client.values import Row, RowFault, RowResult, Submitted

_CALL_ROWS: Final = 500
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE queued (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    pack TEXT NOT NULL,
    actor TEXT NOT NULL,
    form TEXT NOT NULL,
    period TEXT NOT NULL,
    payload BLOB NOT NULL,
    attachment BLOB NOT NULL,
    causes TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT '',
    record_id BLOB NOT NULL DEFAULT x'',
    version INTEGER NOT NULL DEFAULT 0,
    faults TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX queued_state ON queued (state, seq);
"""
_CONTENT: Final = ("pack", "actor", "form", "period", "payload", "attachment", "causes")

WAITING: Final = "waiting"
DONE: Final = "done"
REFUSED: Final = "refused"


class QueueFileUnusable(YidaoError):
    """A queue's file is no queue, or cannot be read or written (params: path, reason)."""

    code = "QUEUE_FILE_UNUSABLE"


class QueueKeyReused(YidaoError):
    """A row was put in under a key that another row has (params: key)."""

    code = "QUEUE_KEY_REUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A row of the queue.

    Attributes:
        key: The caller's own, or the one that was made.
        state: `waiting`, `done` or `refused`.
        outcome: As the node said, see `RowResult`; empty while it waits.
        faults: Errors of a refused row; warnings of one that is done.
    """

    key: str
    pack: str
    actor: str
    row: Row
    state: str
    outcome: str
    record_id: bytes
    version: int
    faults: tuple[RowFault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """What a flush came to: how many rows are done and refused by it, and how many wait still."""

    done: int
    refused: int
    waiting: int


class _Submitter(Protocol):
    """The call of the client that a flush makes."""

    def submit(self, pack: str, rows: Iterable[Row], *, actor: str) -> Submitted:
        """Hand rows in."""


class OfflineQueue:
    """Rows in a file, in the order in which they were put in. One thread at a time.

    Args:
        path: The file; made if it is not there.

    Raises:
        QueueFileUnusable: It holds something else.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        with self._told():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30.0)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA synchronous=FULL")
            with self._transaction():
                self._prepare()
            # Only now: the mode is written into the file, and it is known to be ours.
            self._db.execute("PRAGMA journal_mode=WAL")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put(self, pack: str, rows: Iterable[Row], *, actor: str) -> list[str]:
        """Put rows in, all or none; they are on the disk once this returns.

        A row that is here already, with its key, is left as it is; one whose key
        was refused takes the place of the refused one.

        Returns:
            The keys, in the order of the rows.

        Raises:
            QueueKeyReused: A key belongs to another row here.
        """
        with self._told(), self._transaction():
            return [self._put(pack, actor, row) for row in rows]

    def flush(
        self, client: _Submitter, *, progress: Callable[[int, int], None] | None = None
    ) -> Flushed:
        """Hand in what waits, in order; each answer is on the disk before the next call.

        If the node cannot be reached or refuses a call, what was not answered
        waits on: flush again.

        Args:
            client: Of the node.
            progress: Told after each call how many rows are answered, and how many wait.

        Raises:
            YidaoError: As `Client.submit`.
        """
        done = refused = 0
        while batch := self._batch():
            pack, actor = batch[0]["pack"], batch[0]["actor"]
            answer = client.submit(pack, [_row(each) for each in batch], actor=actor)
            with self._told(), self._transaction():
                states = [
                    self._answered(each["seq"], result)
                    for each, result in zip(batch, answer.results, strict=True)
                ]
            refused += states.count(REFUSED)
            done += states.count(DONE)
            if progress is not None:
                progress(done + refused, self.count(WAITING))
        return Flushed(done=done, refused=refused, waiting=self.count(WAITING))

    def count(self, state: str) -> int:
        """Count the rows in a state: `waiting`, `done` or `refused`."""
        with self._told():
            query = "SELECT count(*) FROM queued WHERE state = ?"
            return int(self._db.execute(query, (state,)).fetchone()[0])

    def rows(self, state: str = "") -> Iterator[Queued]:
        """Give the rows in a state, or all, in the order in which they were put in."""
        seq = 0
        while True:
            with self._told():
                page = self._db.execute(
                    "SELECT * FROM queued WHERE seq > ? AND ? IN ('', state)"
                    " ORDER BY seq LIMIT 200",
                    (seq, state),
                ).fetchall()
            if not page:
                return
            yield from (_queued(each) for each in page)
            seq = page[-1]["seq"]

    def forget(self, state: str = DONE) -> int:
        """Delete the rows in a state, and give how many; `done` keeps their keys at the node."""
        with self._told():
            return self._db.execute("DELETE FROM queued WHERE state = ?", (state,)).rowcount

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == _VERSION:
            return
        if version != 0 or self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise QueueFileUnusable(path=str(self._path), reason=f"version {version}")
        for statement in _SCHEMA.split(";"):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def _put(self, pack: str, actor: str, row: Row) -> str:
        key = row.key or f"queue-{uuid.uuid4().hex}"
        causes = json.dumps([cause.hex() for cause in row.causes])
        content = (pack, actor, row.form, row.period, row.payload, row.attachment, causes)
        held = self._db.execute("SELECT * FROM queued WHERE key = ?", (key,)).fetchone()
        if held is not None:
            if tuple(held[name] for name in _CONTENT) == content and held["state"] != REFUSED:
                return key
            if held["state"] != REFUSED:
                raise QueueKeyReused(key=key)
            self._db.execute("DELETE FROM queued WHERE key = ?", (key,))
        self._db.execute(
            "INSERT INTO queued"
            " (key, pack, actor, form, period, payload, attachment, causes, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key, *content, WAITING),
        )
        return key

    def _batch(self) -> Sequence[sqlite3.Row]:
        """Give the next rows that can go in one call: of one pack and one actor."""
        with self._told():
            waiting = self._db.execute(
                "SELECT * FROM queued WHERE state = ? ORDER BY seq LIMIT ?", (WAITING, _CALL_ROWS)
            ).fetchall()
        size = 0
        while size < len(waiting) and all(
            waiting[size][name] == waiting[0][name] for name in ("pack", "actor")
        ):
            size += 1
        return waiting[:size]

    def _answered(self, seq: int, result: RowResult) -> str:
        # A row that was refused the same way before is `unchanged`, and refused all the same.
        wrong = any(fault.severity == "error" for fault in result.faults)
        state = REFUSED if wrong or result.outcome == "refused" else DONE
        faults = json.dumps([asdict(fault) for fault in result.faults], ensure_ascii=False)
        self._db.execute(
            "UPDATE queued SET state = ?, outcome = ?, record_id = ?, version = ?, faults = ?"
            " WHERE seq = ?",
            (state, result.outcome, result.record_id, result.version, faults, seq),
        )
        return state

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise QueueFileUnusable(path=str(self._path), reason=type(error).__name__) from None


def _row(held: sqlite3.Row) -> Row:
    return Row(
        row=held["seq"],
        form=held["form"],
        period=held["period"],
        payload=held["payload"],
        attachment=held["attachment"],
        causes=tuple(bytes.fromhex(cause) for cause in json.loads(held["causes"])),
        key=held["key"],
    )


def _queued(held: sqlite3.Row) -> Queued:
    faults: list[dict[str, Any]] = json.loads(held["faults"])
    return Queued(
        key=held["key"],
        pack=held["pack"],
        actor=held["actor"],
        row=_row(held),
        state=held["state"],
        outcome=held["outcome"],
        record_id=held["record_id"],
        version=held["version"],
        faults=tuple(RowFault(**fault) for fault in faults),
    )
