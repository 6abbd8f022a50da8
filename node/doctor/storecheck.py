"""What the store tells without its daemon: whether it is whole, and what waits for a person."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, func, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from yidao.node.config import Settings
from yidao.node.doctor import errors
from yidao.node.store import tables, trust
from yidao.node.store.errors import JournalRevoked
from yidao.node.store.problems import read_problems
from yidao.node.store.values import Problem
from yidao.sync.ids import NodeId

STORE_NAME: Final = "store.db"
_WAL_LIMIT_MIB: Final = 512
_CONNECT_SECONDS: Final = 3
# What libpq says (fe-connect.c) and what of it may be told on.
_REASONS: Final = (
    ("could not translate host name", "DNS"),
    ("failed to resolve host", "DNS"),
    ("refused", "REFUSED"),
    ("timeout", "TIMEOUT"),
    ("authentication failed", "PASSWORD"),
    ("no password supplied", "PASSWORD"),
    ("no pg_hba.conf entry", "PG_HBA"),
    ("does not exist", "DATABASE_OR_ROLE_MISSING"),
    ("too many clients", "TOO_MANY_CLIENTS"),
    ("starting up", "STARTING"),
    ("No such file or directory", "SOCKET_MISSING"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What lies in a store: its revision, and rows by table."""

    revision: str
    rows: Mapping[str, int]


def check_file(file: Path) -> None:
    """Require that SQLite finds its file whole and its log small."""
    if not file.exists():
        return
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise errors.DatabaseDamaged(path=str(file), reason=str(error)) from None
    finally:
        connection.close()
    if verdict != "ok":
        raise errors.DatabaseDamaged(path=str(file), reason=verdict)
    wal = file.with_name(file.name + "-wal")
    size_mib = wal.stat().st_size >> 20 if wal.exists() else 0
    if size_mib > _WAL_LIMIT_MIB:
        raise errors.WalTooLarge(size_mib=size_mib, limit_mib=_WAL_LIMIT_MIB)


@contextmanager
def opened(settings: Settings) -> Iterator[Connection]:
    """Open the node's store to read.

    Raises:
        PostgresqlUnreachable: The server does not let the node in.
    """
    if settings.database_url is None:
        file = settings.data_dir / STORE_NAME
        engine = create_engine(f"sqlite:///file:{file}?mode=ro&uri=true")
    else:
        url = make_url(settings.database_url).set(drivername="postgresql+psycopg")
        engine = create_engine(url, connect_args={"connect_timeout": _CONNECT_SECONDS})
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        if settings.database_url is None:
            raise errors.DatabaseDamaged(path=STORE_NAME, reason="open") from None
        several = url.query.get("host", ())
        hosts = (several,) if isinstance(several, str) else several
        address = ",".join(hosts) or f"{url.host or 'local'}:{url.port or 5432}"
        raise errors.PostgresqlUnreachable(
            address=address, reason=_reason(str(error.orig))
        ) from None
    finally:
        engine.dispose()


def has_store(settings: Settings) -> bool:
    """Whether there is something to look at: a node that never ran has no file yet."""
    return settings.database_url is not None or (settings.data_dir / STORE_NAME).exists()


def open_problems(connection: Connection) -> Sequence[tuple[str, Mapping[str, str | int]]]:
    """Return what the node noted down for a person: codes and params, the latest first."""
    return [
        (each.code, {**_about(connection, each), **each.params})
        for each in read_problems(connection, open_only=True)
    ]


def _about(connection: Connection, problem: Problem) -> Mapping[str, str | int]:
    about: dict[str, str | int] = {"journal": problem.journal} if problem.journal else {}
    if problem.seq >= 0:
        about["seq"] = problem.seq
    if problem.peer:
        node = trust.enrolled(connection, NodeId(problem.peer))
        about["peer"] = str(node.path) if node else problem.peer.hex()
    return about


def check_journals(connection: Connection) -> None:
    """Require that no journal was put aside."""
    journal = tables.journal
    row = connection.execute(
        select(journal)
        .where(
            journal.c.quarantine_code.is_not(None),
            # Nothing to mend: the problem of the node itself says what happened.
            journal.c.quarantine_code != JournalRevoked.code,
        )
        .limit(1)
    ).one_or_none()
    if row is not None:
        raise errors.JournalQuarantined(
            journal=f"{row.node_id.hex()}/{row.channel}/{row.epoch}",
            seq=row.quarantined_at_seq or 0,
            reason=row.quarantine_code,
        )


def parked(connection: Connection) -> tuple[int, int]:
    """Return how many lots of parts wait for their records, and the id of the oldest."""
    table = tables.parked_parts
    count, oldest = connection.execute(select(func.count(), func.min(table.c.id))).one()
    return count, oldest or 0


def inventory(connection: Connection) -> Inventory:
    """Count every table of the store."""
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    names = sorted(inspect(connection).get_table_names())
    quote = connection.dialect.identifier_preparer.quote
    rows = {
        name: connection.exec_driver_sql(f"SELECT count(*) FROM {quote(name)}").scalar_one()  # noqa: S608 (a table's own name)
        for name in names
    }
    return Inventory(revision=revision, rows=rows)


def _reason(words: str) -> str:
    """Say why in a word; a driver's own sentence may hold what nobody has looked at."""
    return next((short for part, short in _REASONS if part in words), "UNKNOWN")
