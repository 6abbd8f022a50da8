"""Two real daemons, an office and the node above it, that tests may hurt.

The tree is founded once a session and copied for each test: the folders, with what the
machine remembers of them, on ports of their own.
"""

import contextlib
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Final, Self

from tests.faults import invariants
from tests.faults.nursery import Asked
from yidao.api.errors import YidaoError
from yidao.catalog.codes import sample_uscc
from yidao.node.client import Client, Row
from yidao.node.client.retries import Retries
from yidao.node.client.values import Status
from yidao.node.config import write_settings
from yidao.node.demo.tree import clean_environment, free_ports, run_yidao
from yidao.node.setup import CONFIG_NAME

ROOT: Final = Path(__file__).parents[2]
REGION: Final = "330106"
PACK: Final = "energy"
# Above what one start of a daemon takes on a machine that does ten other things.
PATIENCE_SECONDS: Final = 90.0
ONE_ACCOUNT: Final = {
    "YIDAO_LOCAL_ACCOUNT": "full",
    "YIDAO_FOUR_EYES": "false",
    "YIDAO_ADMINISTRATOR_KEYS": "false",
}
# A test cannot wait for a line as an office can.
HASTE: Final[Mapping[str, str | float]] = {
    "keepalive_seconds": 2,
    "keepalive_timeout_seconds": 2,
    "cosign_interval_seconds": 1,
    "backoff_min_seconds": 0.1,
    "backoff_max_seconds": 0.5,
}
_numbers = itertools.count(1)


def wait_until(what: str, met: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition; fails the test if it does not come."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)


class Nursery:
    """The process that starts daemons, see `tests.faults.nursery`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # An interrupt from the keyboard is for the tests, which then end their daemons.
            start_new_session=True,
        )
        self._born: queue.Queue[int] = queue.Queue()
        self._codes: dict[int, int] = {}
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, asked: Asked) -> int:
        """Start a daemon and give its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        return self._born.get(timeout=PATIENCE_SECONDS)

    def code(self, pid: int) -> int | None:
        """Give the exit code of a daemon (negative: the signal), None while it runs."""
        with self._changed:
            return self._codes.get(pid)

    def wait(self, pid: int, seconds: float) -> int | None:
        """Wait until a daemon has ended; gives its exit code, None if it did not."""
        with self._changed:
            self._changed.wait_for(lambda: pid in self._codes, seconds)
            return self._codes.get(pid)

    def close(self) -> None:
        """End the process; daemons are ended by whoever started them."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_SECONDS)
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            with self._changed:
                if "code" not in said:
                    # The kernel gives numbers again; the code was of an earlier process.
                    self._codes.pop(said["pid"], None)
                    self._born.put(said["pid"])
                    continue
                self._codes[said["pid"]] = said["code"]
                self._changed.notify_all()


@dataclass(slots=True, kw_only=True)
class Daemon:
    """One daemon.

    Attributes:
        path: Its place in the tree.
        folder: Its data folder.
        memory: The folder that stands for this machine's memory, see `recovery.witness`.
        acked: Ids of the records that a client was told are durable.
        pid: Of the process, 0 if none was started.
        settings: Given to every start by its environment.
        before: Done in its process before it starts, see `nursery.Asked`.
    """

    nursery: Nursery
    path: str
    folder: Path
    memory: Path
    link_port: int
    acked: list[bytes] = field(default_factory=list)
    pid: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    before: list[tuple[str, str]] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        """Of the local API."""
        return self.folder / "local.sock"

    @property
    def log(self) -> Path:
        """What the daemon said."""
        return self.folder.with_suffix(".log")

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return bool(self.pid) and self.nursery.code(self.pid) is None

    def begin(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        gate: Path | None = None,
        most_bytes: int = 0,
        shims: Sequence[str] = (),
    ) -> int:
        """Start the daemon and return its process id at once; see `nursery.Asked`."""
        assert not self.running
        self.memory.mkdir(exist_ok=True)
        memory = {"XDG_RUNTIME_DIR": str(self.memory)}
        told = {**ONE_ACCOUNT, **memory, **self.settings, **(environment or {})}
        self.pid = self.nursery.start(
            Asked(
                run=["run", "--data", str(self.folder)],
                log=str(self.log),
                environment=told,
                gate=str(gate or ""),
                most_bytes=most_bytes,
                before=self.before,
                shims=list(shims),
            )
        )
        return self.pid

    def start(self) -> None:
        """Start the daemon and return once its local API answers."""
        self.begin()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return once the local API answers.

        Raises:
            AssertionError: The process ended, or took too long.
        """

        def ready() -> bool:
            assert self.running, f"{self.path} ended: {self.said()[-800:]}"
            return self.status() is not None

        wait_until(f"start {self.path}", ready)

    def said(self) -> str:
        """Give what stands in the log."""
        return self.log.read_text(errors="replace")

    def status(self) -> Status | None:
        """Give the health, None while nobody answers."""
        try:
            with self.client() as client:
                return client.status()
        except YidaoError:
            return None

    def client(self) -> Client:
        """A client of the local API whose calls are made once."""
        return Client.open(self.socket, timeout_seconds=30, retries=Retries(attempts=1))

    def submit(self, rows: Sequence[Row]) -> None:
        """Hand rows in by one call that is made once, and note what was acknowledged.

        Raises:
            YidaoError: The call failed; nothing is noted.
        """
        with self.client() as client:
            done = client.submit(PACK, rows, actor=f"sample@{self.path}")
        faults = [fault.code for each in done.results for fault in each.faults]
        assert not faults, faults
        self.acked += [each.record_id for each in done.results]

    def kill(self) -> None:
        """End the process as a power cut would, if it still runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process in order, if it still runs."""
        self._end(signal.SIGTERM)

    def wait_end(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until the process has ended by itself; gives its exit code."""
        code = self.nursery.wait(self.pid, seconds)
        assert code is not None, f"{self.path} did not end"
        return code

    def _end(self, number: signal.Signals) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            self.wait_end()


def rows(count: int) -> list[Row]:
    """Give rows of units that no other call gives, each a record."""
    return [_row(next(_numbers)) for _ in range(count)]


def _row(number: int) -> Row:
    cells: dict[str, str | int] = {
        "uscc": sample_uscc(number, REGION),
        "name": f"样例单位{number:06d}",
        "region_code": REGION,
        "inst_type": "01",
        "is_admin_org": True,
        "is_independent": True,
        "is_key_user": False,
        "reg_status": "1",
    }
    return Row.of("institution", cells, key=f"fault-{number}", row=number)


class Load:
    """Hands rows in, call by call, until it is ended; a daemon that is gone is waited for.

    Fails the test if nothing at all was acknowledged: then nothing was under load.
    """

    def __init__(self, daemon: Daemon, rows_a_call: int = 5, pause_seconds: float = 0.0) -> None:
        self._daemon = daemon
        self._rows_a_call = rows_a_call
        self._pause_seconds = pause_seconds
        self._ended = threading.Event()
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.defect: BaseException | None = None
        self._acked_before = 0
        self._refused = ""

    def __enter__(self) -> Self:
        self._acked_before = len(self._daemon.acked)
        self._thread.start()
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        self._may_go_on.set()
        self._thread.join()
        if self.defect is not None:
            raise self.defect
        if raised is None:
            assert len(self._daemon.acked) > self._acked_before, f"no load: {self._refused}"

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Begin no further call while a test looks at what it has."""
        self._may_go_on.clear()
        try:
            yield
        finally:
            self._may_go_on.set()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._may_go_on.wait()
                try:
                    self._daemon.submit(rows(self._rows_a_call))
                    self._ended.wait(self._pause_seconds)
                except YidaoError as error:
                    self._refused = error.code
                    self._ended.wait(0.02)
        except BaseException as defect:  # noqa: BLE001 (it is raised at the end)
            self.defect = defect


class Pair:
    """An office `/33` and the root above it.

    Args:
        folder: Holds `root` and `office`, and `memory`.
    """

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self.folder = folder
        self._counted = 0
        self.root, self.office = (
            Daemon(
                nursery=nursery,
                path=path,
                folder=folder / name,
                memory=folder / "memory",
                link_port=_listens(folder / name),
            )
            for path, name in (("/", "root"), ("/33", "office"))
        )

    @property
    def both(self) -> tuple[Daemon, Daemon]:
        """The root first."""
        return self.root, self.office

    def start(self) -> None:
        """Start what does not run, and return once the link is up and both may sign."""
        for daemon in self.both:
            if not daemon.running:
                daemon.begin()
        for daemon in self.both:
            daemon.wait_ready()
        self.wait_linked()

    def wait_linked(self) -> None:
        """Return once the link is up and both may sign."""
        wait_until("both are active and linked", lambda: all(map(_is_linked, self.both)))

    def settle(self) -> None:
        """Let both send everything, then stop them in order, the office first."""
        self.start()
        wait_until("both have nothing to send", lambda: all(map(is_idle, self.both)))
        self.office.stop()
        self.root.stop()

    def kill(self) -> None:
        """End both as a power cut would."""
        for daemon in self.both:
            daemon.kill()

    def newly_acked(self) -> int:
        """Count the records that the office acknowledged since this was asked last."""
        before, self._counted = self._counted, len(self.office.acked)
        return self._counted - before

    def faults(self) -> list[str]:
        """Give what is wrong with the stores of both, which do not run."""
        return self._check(settled=False)

    def healed(self) -> list[str]:
        """Let both send everything, stop them, and give what is wrong with their stores.

        A node may write a record of its own at any minute, also while the other one stops:
        what is short only of that is not short the next time.
        """
        found: list[str] = []
        for _ in range(3):
            self.settle()
            found = self._check(settled=True)
            if not all(fault.startswith(("SHORT", "PART")) for fault in found) or not found:
                break
        return found

    def _check(self, *, settled: bool) -> list[str]:
        acked: dict[Path, Collection[bytes]] = {each.folder: each.acked for each in self.both}
        folders = [each.folder for each in self.both]
        return invariants.check(folders, acked=acked, settled=settled)

    def copy(self, nursery: Nursery, folder: Path) -> "Pair":
        """Give a pair of its own, made of copies, on other ports; this one does not run."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*.sock"))
        root, office = folder / "root", folder / "office"
        ports = free_ports(4)
        link, join = (f"127.0.0.1:{port}" for port in ports[:2])
        change_settings(root, listen=link, join_listen=join)
        change_settings(
            office,
            listen=f"127.0.0.1:{ports[2]}",
            join_listen=f"127.0.0.1:{ports[3]}",
            parent_address=link,
            parent_join_address=join,
        )
        return Pair(nursery, folder)


def found(nursery: Nursery, folder: Path) -> Pair:
    """Found the tree in a new folder; gives it stopped, with the standard at both ends."""
    folder.mkdir(parents=True)
    ports = free_ports(4)
    root, office, bundle = folder / "root", folder / "office", folder / "office.bundle"
    run_yidao("init", "--data", str(root), *listen_options(ports[:2]))
    change_settings(root, **HASTE)
    above = Daemon(
        nursery=nursery, path="/", folder=root, memory=folder / "memory", link_port=ports[0]
    )
    above.start()
    try:
        with above.client() as client:
            pack = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()
            client.publish_pack(pack, actor="sample@/")
            bundle.write_bytes(client.add_child("33", ttl_seconds=600, operator="sample@/"))
        bundle.chmod(0o600)
        run_yidao("join", str(bundle), "--data", str(office), *listen_options(ports[2:]))
        change_settings(office, **HASTE)
        pair = Pair(nursery, folder)
        pair.root.pid = above.pid
        pair.start()
        with pair.office.client() as client:
            wait_until("the standard comes", lambda: len(client.packs()) == 1)
        pair.settle()
    except BaseException:
        above.kill()
        raise
    return pair


def _is_linked(daemon: Daemon) -> bool:
    assert daemon.running, f"{daemon.path} ended: {daemon.said()[-800:]}"
    status = daemon.status()
    return (
        status is not None
        and status.state == "active"
        and bool(status.peers)
        and all(peer.state == "connected" for peer in status.peers)
    )


def is_idle(daemon: Daemon) -> bool:
    """Whether nothing waits for any peer of a daemon that answers."""
    status = daemon.status()
    return status is not None and not any(peer.lag for peer in status.peers)


def listen_options(ports: Sequence[int]) -> list[str]:
    link, join = ports
    return ["--listen", f"127.0.0.1:{link}", "--join-listen", f"127.0.0.1:{join}"]


def _listens(folder: Path) -> int:
    settings = tomllib.loads((folder / CONFIG_NAME).read_text("utf-8"))
    return int(settings["listen"].rpartition(":")[2])


def change_settings(folder: Path, **settings: str | float) -> None:
    """Change settings of a node that does not run."""
    file = folder / CONFIG_NAME
    kept = tomllib.loads(file.read_text("utf-8"))
    file.unlink()
    write_settings(file, {**kept, **settings})
