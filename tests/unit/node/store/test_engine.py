"""Opening a SQLite store: what is refused, what is promised, what a broken disk does."""

import contextlib
import importlib
import os
import pkgutil
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.templates import migrated_stores
from yidao.migrations import REVISIONS
from yidao.node import affairs
from yidao.node.keys import Identity
from yidao.node.store import engine, errors, tables
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.ids import NetworkId, NodeId
from yidao.sync.ids import Path as NodePath
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module", autouse=True)
def migrated() -> Iterator[None]:
    """Here stores are made by the migrations; elsewhere they are copies of one."""
    with migrated_stores():
        yield


def identity(seed: int = 1) -> Identity:
    """A root."""
    return Identity(
        network=NetworkId(bytes(16)),
        node_id=NodeId(bytes([seed]) * 16),
        path=NodePath(),
        epoch="1",
        suite=ED25519_SHA256,
        journal=Ed25519Signer(bytes([seed]) * 32),
        cosign=Ed25519Signer(bytes([seed + 100]) * 32),
    )


def draft(number: int, body: bytes = b"{}") -> Draft:
    """A sample record."""
    return Draft(
        record_id=number.to_bytes(16),
        kind="test.thing.made",
        actor="sample@/",
        object_id="thing/x",
        object_version=1,
        created_ms=1,
        parts=(DraftPart(name="core", body=body),),
    )


@contextlib.contextmanager
def opened(path: Path, on_fatal: Callable[[BaseException], None] | None = None) -> Iterator[Store]:
    """A bound and started store."""
    fatal = {} if on_fatal is None else {"on_fatal": on_fatal}
    store = Store.open(f"sqlite:///{path}", clock_ms=lambda: 1_000, random=os.urandom, **fatal)
    try:
        store.bind(identity())
        store.start()
        yield store
    finally:
        store.close()


def open_raises(url: str) -> errors.StoreError:
    """What opening raises."""
    with pytest.raises(errors.StoreError) as caught:
        Store.open(url, clock_ms=lambda: 1, random=os.urandom).close()
    return caught.value


def foreign_database(path: Path) -> None:
    """A SQLite file of another program."""
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE journal (id INTEGER)")
        conn.commit()


def newer_store(path: Path) -> None:
    """A store that a newer version has upgraded."""
    with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
        conn.commit()


class TestRefused:
    @pytest.mark.parametrize(
        ("make", "code"),
        [
            pytest.param(lambda path: path.touch(), "STORE_EMPTY", id="zero bytes"),
            pytest.param(
                lambda path: path.write_bytes(b"no database" * 1_000), "STORE_FOREIGN", id="noise"
            ),
            pytest.param(foreign_database, "STORE_FOREIGN", id="another program's database"),
            pytest.param(newer_store, "STORE_NEWER", id="newer revision"),
        ],
    )
    def test_what_is_no_store_is_left_as_it_is(
        self, tmp_path: Path, make: Callable[[Path], None], code: str
    ) -> None:
        """A file that is no store of this version is refused and not changed by a byte."""
        path = tmp_path / "store.db"
        make(path)
        before = path.read_bytes()
        assert open_raises(f"sqlite:///{path}").code == code
        assert path.read_bytes() == before
        assert open_raises(f"sqlite:///{path}").code == code

    def test_a_store_of_another_node(self, tmp_path: Path) -> None:
        """A store serves the node that it was made for, and no other."""
        path = tmp_path / "store.db"
        with opened(path):
            pass
        store = Store.open(f"sqlite:///{path}", clock_ms=lambda: 1, random=os.urandom)
        with pytest.raises(errors.StoreOfAnotherNode):
            store.bind(identity(2))
        store.close()

    def test_a_store_that_is_open_already(self, tmp_path: Path) -> None:
        """A second opening is refused while the first lasts, and allowed after it."""
        path = tmp_path / "store.db"
        with opened(path):
            assert open_raises(f"sqlite:///{path}").code == "STORE_LOCKED"
        with opened(path) as store:
            assert store.last_position() == 0

    @pytest.mark.parametrize(
        "url", ["sqlite://", "sqlite:///relative.db", "mysql://x/y", "no url", ""]
    )
    def test_urls(self, url: str) -> None:
        """A URL that no store can be behind is a typed error."""
        assert open_raises(url).code == "STORE_URL_INVALID"

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        """A store in a missing folder is a typed error and makes no folder."""
        assert open_raises(f"sqlite:///{tmp_path}/no/store.db").code == "STORE_UNREACHABLE"
        assert not (tmp_path / "no").exists()

    def test_unbound(self, tmp_path: Path) -> None:
        """A store that nobody has bound and started does nothing."""
        store = Store.open(f"sqlite:///{tmp_path}/s.db", clock_ms=lambda: 1, random=os.urandom)
        for call in (store.start, store.last_position, lambda: store.submit(lambda _tx: None)):
            with pytest.raises(errors.StoreUnbound):
                call()
        store.close()

    def test_a_crash_while_the_store_was_made(self, tmp_path: Path) -> None:
        """What an interrupted creation left beside the name is swept away."""
        path = tmp_path / "store.db"
        (tmp_path / "store.db.new").write_bytes(b"half")
        with opened(path) as store:
            assert store.run(lambda tx: tx.append("up:15", [draft(1)]))
        assert sorted(p.name for p in tmp_path.iterdir()) == ["store.db", "store.db.lock"]


class TestPromised:
    def test_pragmas(self, tmp_path: Path) -> None:
        """The writer runs in WAL with synchronous FULL, and only it checkpoints."""
        path = tmp_path / "store.db"
        with opened(path) as store:
            wanted = {"journal_mode": "wal", "synchronous": 2, "wal_autocheckpoint": 20_000}
            wanted |= {"mmap_size": 0}
            found = store.run(
                lambda tx: {
                    name: tx.conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted
                }
            )
            assert found == wanted
            with store.read() as conn:
                assert conn.exec_driver_sql("PRAGMA query_only").scalar() == 1
                assert conn.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == 0

    def test_a_pragma_that_does_not_take(self, tmp_path: Path) -> None:
        """A database that answers another durability than was asked for is refused."""
        path = tmp_path / "store.db"
        with opened(path):
            pass
        wrong = engine._sqlite_engine(path, {"synchronous": 77}, "BEGIN", readers=0)
        with pytest.raises(errors.StorePragma) as caught:
            wrong.connect()
        assert caught.value.params["name"] == "synchronous"

    def test_a_reader_cannot_write(self, tmp_path: Path) -> None:
        """A snapshot refuses to change anything."""
        with (
            opened(tmp_path / "store.db") as store,
            pytest.raises(errors.StoreError),
            store.read() as conn,
        ):
            conn.exec_driver_sql("DELETE FROM store_head")

    def test_a_snapshot_does_not_move(self, tmp_path: Path) -> None:
        """What is committed meanwhile is not seen by a snapshot that is open."""
        with opened(tmp_path / "store.db") as store, store.read() as conn:
            count = "SELECT count(*) FROM segment"
            assert conn.exec_driver_sql(count).scalar() == 0
            store.run(lambda tx: tx.append("up:15", [draft(1)]))
            assert conn.exec_driver_sql(count).scalar() == 0

    def test_the_file_is_private(self, tmp_path: Path) -> None:
        """The database file can be read by its user alone."""
        path = tmp_path / "store.db"
        with opened(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_the_log_is_moved_on_demand(self, tmp_path: Path) -> None:
        """After a checkpoint by the writer the write-ahead log is empty."""
        path = tmp_path / "store.db"
        with opened(path) as store:
            store.run(lambda tx: tx.append("up:15", [draft(1, b"x" * 100_000)]))
            log = path.with_name("store.db-wal")
            assert log.stat().st_size > 100_000
            store.checkpoint_wal()
            assert log.stat().st_size == 0
            assert store.scrub().faults == ()

    def test_a_reader_keeps_the_log(self, tmp_path: Path) -> None:
        """What an older snapshot reads stays in the log until it is closed, and that is told."""
        path = tmp_path / "store.db"
        with opened(path) as store:
            with store.read() as conn:
                conn.exec_driver_sql("SELECT count(*) FROM segment").scalar()
                store.run(lambda tx: tx.append("up:15", [draft(1)]))
                assert not store.checkpoint_wal(wait_ms=0)
            timeout = store.run(lambda tx: tx.conn.exec_driver_sql("PRAGMA busy_timeout").scalar())
            assert timeout == engine.BUSY_TIMEOUT_MS
            assert store.checkpoint_wal(wait_ms=0)
            assert path.with_name("store.db-wal").stat().st_size == 0


class TestDisk:
    def test_nothing_rests_on_the_log_of_a_process_that_died(self, tmp_path: Path) -> None:
        """Opening writes what a dead process left in its log into the database, and syncs it."""
        left = tmp_path / "left"
        left.mkdir()
        with opened(tmp_path / "store.db") as store:
            store.run(lambda tx: tx.append("up:15", [draft(1)]))
            reached = store.last_position()
            for name in ("store.db", "store.db-wal"):
                shutil.copyfile(tmp_path / name, left / name)
        assert (left / "store.db-wal").stat().st_size

        engines = engine.open_engines(f"sqlite:///{left}/store.db", os.urandom)
        assert (left / "store.db-wal").stat().st_size == 0
        alone = tmp_path / "alone.db"
        shutil.copyfile(left / "store.db", alone)
        engines.close()
        with contextlib.closing(sqlite3.connect(alone)) as conn:
            assert conn.execute("SELECT last_position FROM store_head").fetchone() == (reached,)

    def test_a_full_disk_loses_nothing_and_heals(self, tmp_path: Path) -> None:
        """With no space left a job fails with a reason; with space again the node goes on."""
        with opened(tmp_path / "store.db") as store:
            store.run(lambda tx: tx.append("up:15", [draft(1)]))
            pages = "PRAGMA page_count"

            def fill(engine: Any) -> None:
                raw = engine.raw_connection()
                used = raw.cursor().execute(pages).fetchone()[0]
                raw.cursor().execute(f"PRAGMA max_page_count = {used + 4}")
                raw.close()

            store._running().errand(fill).result()
            with pytest.raises(errors.StoreFull):
                store.run(lambda tx: tx.append("up:15", [draft(2, b"x" * 200_000)]))
            assert store.last_position() == 2
            assert store.lookup(draft(1).record_id) == 2

            def free(engine: Any) -> None:
                raw = engine.raw_connection()
                raw.cursor().execute("PRAGMA max_page_count = 1000000")
                raw.close()

            store._running().errand(free).result()
            (ticket,) = store.run(lambda tx: tx.append("up:15", [draft(2, b"x" * 200_000)]))
            assert (ticket.position, ticket.seq) == (3, 1)
            assert store.scrub().faults == ()

    def test_the_index_of_the_log_has_its_room(self, tmp_path: Path) -> None:
        """It need not grow when the disk is full, and SQLite's locks on it are held."""

        def is_locked() -> bool:
            index = (tmp_path / "store.db-shm").stat()
            mine = [
                line.split()
                for line in Path("/proc/locks").read_text().splitlines()
                if line.split()[5].endswith(f":{index.st_ino}")
            ]
            return any(words[1] == "POSIX" and words[4] == str(os.getpid()) for words in mine)

        with opened(tmp_path / "store.db") as store:
            store.run(lambda tx: tx.append("up:15", [draft(1)]))
            index = (tmp_path / "store.db-shm").stat()
            assert index.st_size == engine.WAL_INDEX_BYTES
            assert index.st_blocks * 512 >= engine.WAL_INDEX_BYTES
            assert is_locked()
            store.run(lambda tx: tx.append("up:15", [draft(2)]))
            assert is_locked()
        assert not (tmp_path / "store.db-shm").exists()

    def test_an_io_error_is_the_end(self, tmp_path: Path) -> None:
        """After a disk error of the writer the process is told to end, and no job runs again."""
        told: list[BaseException] = []
        done = threading.Event()

        def fatal(error: BaseException) -> None:
            told.append(error)
            done.set()

        with opened(tmp_path / "store.db", fatal) as store:

            def breaks(tx: Any) -> None:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise engine.OperationalError("COMMIT", None, error)

            with pytest.raises(errors.StoreError):
                store.run(breaks)
            assert done.wait(timeout=30)
            assert engine.is_fatal(told[0])
            with pytest.raises(errors.StoreClosed):
                store.submit(lambda tx: tx.append("up:15", [draft(1)])).result(timeout=30)

    def test_the_process_really_ends(self, tmp_path: Path) -> None:
        """Unless told otherwise, a disk error ends the process with code 70."""
        code = (
            "from yidao.node.store.writer import end_process\n"
            "end_process(OSError('disk I/O error'))\n"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 70


class TestMigrations:
    def test_the_migrations_make_the_tables(self, tmp_path: Path) -> None:
        """A migrated database has the tables that the code describes, no more and no less."""
        for module in pkgutil.walk_packages(affairs.__path__, "yidao.node.affairs."):
            importlib.import_module(module.name)
        with opened(tmp_path / "store.db") as store, store.read() as conn:
            context = MigrationContext.configure(conn)
            assert compare_metadata(context, tables.metadata) == []

    def test_the_list_of_revisions_is_that_of_the_scripts(self) -> None:
        """The list that the daemon compares with is the chain of migration scripts."""
        config = Config()
        config.set_main_option("script_location", str(ROOT / "migrations"))
        scripts = ScriptDirectory.from_config(config)
        chain = [script.revision for script in scripts.walk_revisions()]
        assert tuple(reversed(chain)) == REVISIONS

    def test_an_idle_store_loads_no_alembic(self, tmp_path: Path) -> None:
        """Opening a store that is up to date does not import Alembic."""
        path = tmp_path / "store.db"
        with opened(path):
            pass
        code = (
            "import os, sys\n"
            "from yidao.node.store.store import Store\n"
            f"Store.open('sqlite:///{path}', clock_ms=lambda: 1, random=os.urandom).close()\n"
            "sys.exit('alembic' in sys.modules)\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_a_store_is_made_from_an_installed_wheel(self, tmp_path: Path) -> None:
        """The wheel brings the migrations along: unpacked elsewhere, it makes a store."""
        # setuptools writes into the tree that it builds, hence the copy.
        source = tmp_path / "source"
        for folder in ("node", "sync", "catalog", "migrations", "proto"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", source)
        for name in ("LICENSE", "README.md"):
            (source / name).write_text("sample\n")
        build = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
        command = [sys.executable, *build, "-w", str(tmp_path), str(source)]
        subprocess.run(command, check=True, cwd=tmp_path)
        (wheel,) = tmp_path.glob("*.whl")
        site = tmp_path / "site"
        zipfile.ZipFile(wheel).extractall(site)
        code = (
            "import os, sys\n"
            "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]\n"
            f"sys.path.insert(0, {str(site)!r})\n"
            "from yidao.node.store import store\n"
            f"assert store.__file__.startswith({str(site)!r}), store.__file__\n"
            f"url = 'sqlite:///{tmp_path}/store.db'\n"
            "store.Store.open(url, clock_ms=lambda: 1, random=os.urandom).close()\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
