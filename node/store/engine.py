"""Opening a database: who may open it, what it must promise, which revision it has.

SQLite: the file is made under another name and moved into place when its tables
are there, so that a file which is empty always means a loss and never a
beginning. One process holds the file (a lock beside it), one connection in it
writes and checkpoints: SQLite before 3.51.3 can damage a WAL that two
connections write or checkpoint at once. synchronous=FULL and WAL are read back;
with NORMAL a power loss takes acknowledged commits.

PostgreSQL: several daemons may open it; their commits are put in order by a row
lock (`store_head`). The server's durability settings are read, not set.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool

from yidao.migrations import REVISIONS
from yidao.node.store import errors, tables, vouching

APPLICATION_ID: Final = 0x59494441  # "YIDA"
STORE_ID_BYTES: Final = 16
WAL_AUTOCHECKPOINT_PAGES: Final = 20_000
# 32 KiB for 4,096 pages of the log: enough for half a gigabyte of it.
WAL_INDEX_BYTES: Final = 1024 * 1024
BUSY_TIMEOUT_MS: Final = 5_000
READERS: Final = 4

# What is set on a connection, and what must then be read back.
_WRITER_PRAGMAS: Final[Mapping[str, str | int]] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    "wal_autocheckpoint": WAL_AUTOCHECKPOINT_PAGES,
    "mmap_size": 0,
    "busy_timeout": BUSY_TIMEOUT_MS,
    "cache_size": -64_000,
    # What was erased must be gone from the file, not only from the tables.
    "secure_delete": 1,
}
_READER_PRAGMAS: Final[Mapping[str, str | int]] = {
    "wal_autocheckpoint": 0,
    "mmap_size": 0,
    "busy_timeout": BUSY_TIMEOUT_MS,
    "query_only": 1,
}
_SERVER_SETTINGS: Final = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """An open database.

    Attributes:
        writer: Used by one thread only.
        reader: Read-only snapshots, any thread.
        release: Gives the file's lock back.
        listener: Connections that commit each statement; None where one process has the
            database for itself.
        table_oid: What PostgreSQL calls the table of the head; 0 elsewhere.
    """

    writer: Engine
    reader: Engine
    store_id: bytes
    release: Callable[[], None]
    listener: Engine | None = None
    table_oid: int = 0

    @property
    def is_sqlite(self) -> bool:
        """Whether the dialect is SQLite."""
        return self.writer.dialect.name == "sqlite"

    def close(self) -> None:
        """Close all connections, the writer's last since closing the last one checkpoints."""
        self.reader.dispose()
        self.writer.dispose()
        self.release()


def open_engines(url: str, random: Callable[[int], bytes]) -> Engines:
    """Open the database, make or upgrade its tables, check what it promises.

    Args:
        url: `sqlite:////absolute/path` or `postgresql://…`.
        random: Gives that many random bytes, for a new store's id.

    Raises:
        StoreUrlInvalid, StoreEmpty, StoreForeign, StoreNewer, StoreLocked, StorePragma,
        StoreUnreachable, StoreFull: The database was not changed, or only upgraded.
    """
    parsed = _parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(Path(str(parsed.database)), random)
    return _open_postgresql(parsed, random)


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise errors.StoreUrlInvalid(reason="form") from None
    match parsed.get_backend_name():
        case "sqlite":
            if not parsed.database or not Path(parsed.database).is_absolute():
                raise errors.StoreUrlInvalid(reason="path")
        case "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        case _:
            raise errors.StoreUrlInvalid(reason="database")
    return parsed


def _open_sqlite(path: Path, random: Callable[[int], bytes]) -> Engines:
    release = _lock(path)
    try:
        if not path.exists():
            _create_sqlite(path, random)
        _check_is_store(path)
        writer = _sqlite_engine(path, _WRITER_PRAGMAS, "BEGIN IMMEDIATE", readers=0)
        with _translated(), writer.begin() as conn:
            _upgrade(conn)
            store_id = read_store_id(conn)
        reader = _sqlite_engine(path, _READER_PRAGMAS, "BEGIN", readers=READERS)
        index = _reserve_index(path)
    except BaseException:
        release()
        raise

    def close_files() -> None:
        index.close()
        release()

    return Engines(writer=writer, reader=reader, store_id=store_id, release=close_files)


def _reserve_index(path: Path) -> BinaryIO:
    """Give the index of the write-ahead log its room on the disk now.

    A full disk that kept it from growing would fail a commit of which only a new start can
    tell whether it counts. The file is to stay open as long as the database: closing it gives
    back every lock that this process has on it, SQLite's own too.
    """
    index = path.with_name(f"{path.name}-shm").open("r+b")
    # Without room even for this, it grows as it did, and fails as it did.
    with contextlib.suppress(OSError):
        os.posix_fallocate(index.fileno(), 0, WAL_INDEX_BYTES)
    return index


def _lock(path: Path) -> Callable[[], None]:
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.StoreUnreachable(reason=error.strerror or "lock") from None
    # A file object, since closing a bare number twice may close somebody else's file.
    held = os.fdopen(descriptor, "rb")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        raise errors.StoreLocked(path=str(path)) from None
    return held.close


def _create_sqlite(path: Path, random: Callable[[int], bytes]) -> None:
    staged = path.with_name(path.name + ".new")
    for leftover in (staged, staged.with_name(staged.name + "-journal")):
        leftover.unlink(missing_ok=True)
    os.close(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    engine = _sqlite_engine(staged, {"synchronous": 2}, "BEGIN IMMEDIATE", readers=0)
    with _translated(), engine.begin() as conn:
        conn.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        _found(conn, random)
    engine.dispose()
    staged.replace(path)
    # SQLite ignores an error of the folder's fsync; without it the file may be gone
    # after a power loss.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_is_store(path: Path) -> None:
    """Look at the file without changing what it holds, before a pragma could.

    Closing this only connection moves the log of a process that died into the database,
    and syncs it. Nothing may rest on that log before: where a sync had failed, it may be
    in memory only, and look whole.
    """
    if path.stat().st_size == 0:
        raise errors.StoreEmpty(path=str(path))
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
            found = raw.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError:
        raise errors.StoreForeign(reason="not a SQLite database") from None
    if found != APPLICATION_ID:
        raise errors.StoreForeign(reason="application id")


def _sqlite_engine(
    path: Path, pragmas: Mapping[str, str | int], begin: str, *, readers: int
) -> Engine:
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(
        url,
        poolclass=QueuePool,
        # The one writer connection stays open for as long as the store does.
        pool_size=readers or 1,
        max_overflow=-1 if readers else 0,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _connected(raw: Any, _record: object) -> None:
        # The driver must not begin transactions by itself.
        raw.isolation_level = None
        for name, value in pragmas.items():
            raw.execute(f"PRAGMA {name} = {value}")
        for name, value in pragmas.items():
            answer = raw.execute(f"PRAGMA {name}").fetchone()
            if answer is not None and answer[0] != value:
                raise errors.StorePragma(name=name, value=str(answer[0]), wanted=str(value))

    @event.listens_for(engine, "begin")
    def _begun(conn: Connection) -> None:
        conn.exec_driver_sql(begin)

    return engine


def _open_postgresql(url: URL, random: Callable[[int], bytes]) -> Engines:
    # Without a ping: a transaction on a connection that was lost fails, and the writer then
    # makes another one.
    writer = create_engine(url, pool_size=1, max_overflow=1)
    reader = create_engine(
        url,
        pool_size=READERS,
        max_overflow=-1,
        isolation_level="REPEATABLE READ",
        pool_pre_ping=True,
    )

    @event.listens_for(reader, "connect")
    def _connected(raw: Any, _record: object) -> None:
        raw.read_only = True

    @event.listens_for(writer, "connect")
    def _looked_at(raw: Any, record: ConnectionPoolEntry) -> None:
        record.info[vouching.RUN] = vouching.run_of(raw)
        raw.rollback()

    with _translated(), writer.begin() as conn:
        for name, wanted in _SERVER_SETTINGS.items():
            value = str(conn.exec_driver_sql(f"SHOW {name}").scalar_one())
            if value != wanted:
                raise errors.StorePragma(name=name, value=value, wanted=wanted)
        # Two daemons that start at once must not both make the tables.
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({APPLICATION_ID})")
        names = set(inspect(conn).get_table_names())
        if not names:
            _found(conn, random)
        elif not {"alembic_version", "store_head", "meta"} <= names:
            raise errors.StoreForeign(reason="other tables")
        _upgrade(conn)
        store_id = read_store_id(conn)
        table_oid = conn.exec_driver_sql("SELECT 'store_head'::regclass::oid").scalar_one()
    listener = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    return Engines(
        writer=writer,
        reader=reader,
        store_id=store_id,
        release=lambda: None,
        listener=listener,
        table_oid=int(table_oid),
    )


def _found(conn: Connection, random: Callable[[int], bytes]) -> None:
    _migrate(conn)
    conn.execute(insert(tables.meta).values(key="store_id", value=random(STORE_ID_BYTES)))
    conn.execute(insert(tables.head).values(id=1, last_position=0))


def _upgrade(conn: Connection) -> None:
    if not inspect(conn).has_table("alembic_version"):
        raise errors.StoreForeign(reason="no revision")
    found = conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    if len(found) != 1 or found[0] not in REVISIONS:
        raise errors.StoreNewer(revision=",".join(found))
    if found[0] != REVISIONS[-1]:
        _migrate(conn)


def _migrate(conn: Connection) -> None:
    # Imported here: an idle daemon never loads Alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("yidao.migrations")).replace("%", "%%"))
    config.attributes["connection"] = conn
    command.upgrade(config, REVISIONS[-1])


def read_store_id(conn: Connection) -> bytes:
    """Return the name of this store's line of positions.

    Raises:
        StoreForeign: There is none.
    """
    found = conn.execute(
        select(tables.meta.c.value).where(tables.meta.c.key == "store_id")
    ).scalar_one_or_none()
    if found is None or len(found) != STORE_ID_BYTES:
        raise errors.StoreForeign(reason="no store id")
    return bytes(found)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what a database says at opening into an error that tells what to do."""
    try:
        yield
    except OperationalError as error:
        raise translate(error) from error
    except DatabaseError as error:
        raise errors.StoreForeign(reason=type(error.orig).__name__) from error


def truncate_wal(engine: Engine, wait_ms: int = BUSY_TIMEOUT_MS) -> bool:
    """Move the write-ahead log into the database file; nothing to do on PostgreSQL.

    Args:
        engine: The writer's.
        wait_ms: How long readers of older snapshots are waited for; nobody writes meanwhile.

    Returns:
        Whether the log is empty. What a reader keeps in it goes at a later call.
    """
    if engine.dialect.name != "sqlite":
        return True
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {wait_ms}").fetchall()
        try:
            ((is_kept, *_),) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}").fetchall()
    finally:
        raw.close()
    return not is_kept


def is_from_database(error: BaseException) -> bool:
    """Whether the driver or the expression language raised it."""
    return isinstance(error, SQLAlchemyError) or type(error).__module__.partition(".")[0] in (
        "sqlite3",
        "psycopg",
    )


def translate(error: BaseException) -> errors.StoreError:
    """Return what a database error means for a caller."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.Error):
        primary = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            return errors.StoreFull()
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return errors.StoreLocked(path="")
        if primary == sqlite3.SQLITE_CANTOPEN:
            return errors.StoreUnreachable(reason="cannot open")
        return errors.StoreWriteFailed(reason=type(cause).__name__)
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate == "53100":
        return errors.StoreFull()
    if sqlstate is None or sqlstate.startswith(("08", "57")):
        return errors.StoreUnreachable(reason=type(cause).__name__)
    return errors.StoreWriteFailed(reason=type(cause).__name__)


def may_pass(error: BaseException) -> bool:
    """Whether the same work may succeed later: no space, no connection, a lock."""
    return is_from_database(error) and isinstance(
        translate(error), errors.StoreFull | errors.StoreLocked | errors.StoreUnreachable
    )


def is_fatal(error: BaseException) -> bool:
    """Whether after this error nothing that the process believes of its disk holds.

    After a failed fsync the kernel may drop the pages and call the next fsync a
    success, so going on would acknowledge what is not there.
    """
    cause = getattr(error, "orig", error)
    if not isinstance(cause, sqlite3.Error):
        return False
    primary = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
