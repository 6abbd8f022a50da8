"""Several daemons over one database: who leads, and who hears of whose commits.

One connection a daemon, apart from the writer's, does both. It listens for what the
others' transactions notify with their commit, so that nobody has to ask again and again;
and it tries for the advisory lock of the leader: the one daemon that folds and decides,
runs the jobs of the node and dials the parent. The lock ends with its session, so that
a leader that dies is followed within a second and no clock is compared.

Leading is a division of work and nothing that safety rests on: cursors move and records
are numbered behind the row lock of `store_head`, whoever believes to lead.
"""

import os
import select
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import Engine

from yidao.node.store.engine import APPLICATION_ID, is_from_database

BEAT_SECONDS: Final = 1.0
TAG_BYTES: Final = 8
#: What a commit tells: it grew the store, or it moved the projections.
GREW: Final = "grew"
APPLIED: Final = "applied"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class News:
    """What another daemon has told.

    Attributes:
        kind: GREW, APPLIED, or a word that the layer above gave to `Tx.tell`.
        text: A position in digits, or what belongs to the word.
    """

    kind: str
    text: str


class Leading(Protocol):
    """What a store knows of other daemons on its database."""

    @property
    def leads(self) -> bool:
        """Whether this daemon does what one of them must do."""

    def start(
        self, on_news: Callable[[News | None], None], on_lead: Callable[[bool], None], /
    ) -> None:
        """Begin to listen; both are called in a thread of its own.

        Args:
            on_news: Takes what was told; None if something may have been missed.
            on_lead: Takes whether this daemon leads from now on.
        """

    def telling(self, news: News, /) -> str:
        """Return the statement that tells the others once it is committed; "" for nobody."""

    def close(self) -> None:
        """Listen and lead no more."""


class Alone:
    """One daemon has the database for itself."""

    leads = True

    def start(
        self, _on_news: Callable[[News | None], None], on_lead: Callable[[bool], None], /
    ) -> None:
        """Nobody tells anything, and this daemon leads."""
        leads = True
        on_lead(leads)

    def telling(self, _news: News, /) -> str:
        """Nobody listens."""
        return ""

    def close(self) -> None:
        """Nothing."""


class Shared:
    """One of several daemons, each of which has one of these."""

    def __init__(self, engine: Engine, table_oid: int, tag: bytes) -> None:
        """Take what it works with.

        Args:
            engine: Gives connections that commit each statement.
            table_oid: Names the channel and the lock: the same to all for as long as there
                is the store, which may get another id.
            tag: Random bytes that tell this daemon's news from the others'.
        """
        self._engine = engine
        self._channel = f"yidao_{table_oid}"
        self._lock_keys = f"{APPLICATION_ID}, {table_oid}::oid::int"
        self._tag = tag.hex()
        self._leads = False
        self._is_closing = False
        self._wake_read, self._wake_write = os.pipe()
        self._thread: threading.Thread | None = None
        self._on_news: Callable[[News | None], None]
        self._on_lead: Callable[[bool], None]

    @property
    def leads(self) -> bool:
        """Whether this daemon holds the lock."""
        return self._leads

    def start(
        self, on_news: Callable[[News | None], None], on_lead: Callable[[bool], None], /
    ) -> None:
        """Listen in a thread."""
        self._on_news, self._on_lead = on_news, on_lead
        self._thread = threading.Thread(target=self._run, name="store-news", daemon=True)
        self._thread.start()

    def telling(self, news: News, /) -> str:
        """Return a NOTIFY; kinds and texts are words of ours, without quotes."""
        return f"NOTIFY {self._channel}, '{self._tag} {news.kind} {news.text}'"

    def close(self) -> None:
        """Let the lock go and end the thread."""
        if self._is_closing:
            return
        self._is_closing = True
        os.write(self._wake_write, b"x")
        if self._thread is not None:
            self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._engine.dispose()

    def _run(self) -> None:
        while not self._is_closing:
            try:
                with self._engine.connect() as conn:
                    self._hold(conn.connection.driver_connection)
            except Exception as error:
                if not is_from_database(error):
                    raise
                log.warning("store.news.lost", reason=type(error).__name__)
            finally:
                self._lead(leads=False)
            self._wait(None)

    def _hold(self, raw: Any) -> None:
        raw.execute(f"LISTEN {self._channel}")
        # Whatever was told before is told to nobody.
        self._on_news(None)
        while not self._is_closing:
            if self._leads:
                raw.execute("SELECT 1")
            else:
                found = raw.execute(f"SELECT pg_try_advisory_lock({self._lock_keys})").fetchone()
                self._lead(leads=bool(found[0]))
            self._wait(raw)
            for notice in raw.notifies(timeout=0):
                self._heard(notice.payload)

    def _wait(self, raw: Any) -> None:
        sources = [self._wake_read] if raw is None else [raw.fileno(), self._wake_read]
        select.select(sources, [], [], BEAT_SECONDS)

    def _heard(self, payload: str) -> None:
        tag, kind, text = payload.split(" ", 2)
        if tag != self._tag:
            self._on_news(News(kind, text))

    def _lead(self, *, leads: bool) -> None:
        if leads != self._leads:
            self._leads = leads
            if leads:
                log.info("store.lead.taken")
            else:
                log.info("store.lead.left")
            self._on_lead(leads)
