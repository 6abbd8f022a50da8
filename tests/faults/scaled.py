"""A province of two daemons over one PostgreSQL, between a root and two counties."""

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from tests.faults import daemons, invariants, watch
from tests.faults.daemons import Daemon, Nursery, wait_until
from tests.faults.growing import grow
from tests.faults.postgres import Server, url_of
from yidao.node.client.values import Status
from yidao.node.demo.tree import free_ports, run_yidao
from yidao.sync.fencing import Turn

COUNTIES: Final = ("01", "02")
_DOUBT: Final = Turn.DOUBTED.value
_LEADER: Final = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
_BEHIND: Final = "SELECT count(*) FROM cursor, store_head WHERE position < last_position"


class Scaled:
    """The tree, and the servers that the province's store is on.

    Attributes:
        first, second: The province's daemons.
        server: The one that is written to.
        standby: The one that follows it, if there is one.
    """

    def __init__(self, nursery: Nursery, folder: Path, databases: Path) -> None:
        self._nursery = nursery
        self._folder = folder
        self._databases = databases
        # Whoever is killed leaves its port to the next standby: the URL names these two.
        self._ports = itertools.cycle(free_ports(2))
        self.server = Server.make(databases / "db1", next(self._ports))
        self.standby: Server | None = None
        self._made = 1
        self.root, self.second = self._daemon("/", "root"), self._daemon("/33", "second")
        self.first = self._daemon("/33", "33")
        self.counties: list[Daemon] = []

    @property
    def daemons(self) -> list[Daemon]:
        """All, from the top down."""
        return [self.root, self.first, self.second, *self.counties]

    @property
    def province(self) -> tuple[Daemon, Daemon]:
        """The two that are one node."""
        return self.first, self.second

    def found(self) -> None:
        """Found the tree; all of it runs when this returns."""
        self.server.start()
        self.follow()
        url = url_of(self.server, *([] if self.standby is None else [self.standby]))
        ports = free_ports(2)
        self.root.link_port = ports[0]
        run_yidao("init", "--data", str(self.root.folder), *daemons.listen_options(ports))
        daemons.change_settings(self.root.folder, **daemons.HASTE)
        self.root.start()
        with self.root.client() as client:
            pack = (files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes()
            client.publish_pack(pack, actor="sample@/")
        self.first = grow(self._nursery, self.root, "33", self._folder, database_url=url)
        self.first.start()
        # What an operator does for a second daemon, see docs/operator.md.
        self.second.folder.mkdir(mode=0o700)
        shutil.copytree(self.first.folder / "keys", self.second.folder / "keys")
        shutil.copy(self.first.folder / "config.toml", self.second.folder / "config.toml")
        link, join = free_ports(2)
        self.second.link_port = link
        daemons.change_settings(
            self.second.folder, listen=f"127.0.0.1:{link}", join_listen=f"127.0.0.1:{join}"
        )
        self.second.start()
        both = f"127.0.0.1:{self.first.link_port},127.0.0.1:{link}"
        for label in COUNTIES:
            county = grow(self._nursery, self.first, label, self._folder, parent_address=both)
            self.counties.append(county)
            county.start()
        self.wait_linked()
        for county in self.counties:
            with county.client() as client:
                wait_until("the standard comes", lambda c=client: len(c.packs()) == 1)

    def follow(self) -> None:
        """Give the server a standby that every commit waits for, on the port that is free."""
        port = next(self._ports)
        self._made += 1
        self.standby = self.server.standby(self._databases / f"db{self._made}", port)

    def pass_lead(self) -> None:
        """Cut the connection of the daemon that leads until the other one does; both run on."""
        heads = [_linked(watch.status(each)) for each in self.province]
        other = self.second if "/" in heads[0] else self.first
        for _ in range(20):
            with self.server.connect() as conn:
                cut = conn.execute(_LEADER).fetchone()
                conn.execute("SELECT pg_terminate_backend(%s)", cut)
                wait_until(
                    "one leads", lambda c=cut: conn.execute(_LEADER).fetchone() not in (None, c)
                )
            self.wait_linked()
            if "/" in _linked(watch.status(other)):
                return
        raise AssertionError("the other one never leads")

    def problems(self) -> set[str]:
        """The codes of what any daemon shows to its operator as wrong."""
        return {code for each in self.daemons for code in watch.problems(each)}

    def fall_behind(self) -> None:
        """Let the standby miss what is committed from here on; no commit waits for it."""
        assert self.standby is not None
        self.standby.kill()
        self.server.wait_for_nobody()

    def fail_over(self) -> None:
        """Kill the server and promote its standby."""
        assert self.standby is not None
        self.server.kill()
        if not self.standby.running:
            self.standby.start()
        self.standby.promote()
        self.server, self.standby = self.standby, None

    def wait_linked(self) -> None:
        """Return once the province may sign, and every county and the root has its link."""
        wait_until("all are linked", self._is_linked)

    def wait_moved(self, left: Daemon) -> None:
        """Return once all children and the parent are linked with one daemon of the province."""
        paths = {"/", *(each.path for each in self.counties)}
        wait_until(
            "children and parent are at the daemon that is left",
            lambda: (said := left.status()) is not None and _linked(said) == paths,
        )

    def wait_idle(self) -> None:
        """Return once nobody has anything to send."""
        wait_until("nobody has anything to send", lambda: all(map(daemons.is_idle, self.daemons)))

    def doubts(self) -> int:
        """How often a daemon of the province found itself on a server that nobody vouches for."""
        return sum(each.said().count(_DOUBT) for each in self.province)

    def folded_once(self) -> bool:
        """Whether the views that two daemons took turns to fold are what the journals give."""
        with self.server.connect() as conn:
            wait_until("all is folded", lambda: conn.execute(_BEHIND).fetchone() == (0,))
        with self.second.client() as client:
            return client.rebuild().equal

    def settled(self) -> list[str]:
        """Let all send everything, stop them, and give what is wrong with their stores.

        A node may write a record of its own at any minute, also while others stop: what is
        short only of that is not short the next time.
        """
        found: list[str] = []
        for number in range(3):
            for each in self.daemons:
                if not each.running:
                    each.start()
            self.wait_linked()
            self.wait_idle()
            for each in reversed(self.daemons):
                each.stop()
            found = self.faults(self._folder / f"province{number}", settled=True)
            if not all(fault.startswith(("SHORT", "PART")) for fault in found) or not found:
                break
        return found

    def faults(self, shown: Path, *, settled: bool) -> list[str]:
        """Give what is wrong with the stores of all, none of whom runs.

        Args:
            shown: A new folder, for the province's store as the checker reads it.
            settled: All had the time to send everything.
        """
        shown.mkdir()
        self.server.export(shown / "store.db")
        folders = [self.root.folder, shown, *(each.folder for each in self.counties)]
        acked = {each.folder: each.acked for each in (self.root, *self.counties)}
        acked[shown] = [*self.first.acked, *self.second.acked]
        return [*invariants.check(folders, acked=acked, settled=settled), *_histories(folders)]

    def close(self) -> None:
        """End everything."""
        for each in self.daemons:
            each.kill()
        for server in (self.server, self.standby):
            if server is not None:
                server.kill()

    def _is_linked(self) -> bool:
        said = [each.status() for each in self.daemons]
        if not all(status is not None and status.state == "active" for status in said):
            return False
        root, first, second, *counties = [status for status in said if status is not None]
        # The province's daemons know of a session where it is; each link has one end at either.
        above = _connected(first, "/") + _connected(second, "/")
        return above == _connected(root, "/33") == 1 and all(
            _connected(each, "/33") == 1 for each in counties
        )

    def _daemon(self, path: str, name: str) -> Daemon:
        return Daemon(
            nursery=self._nursery,
            path=path,
            folder=self._folder / name,
            memory=self._folder / "memory",
            link_port=0,
        )


def _connected(status: Status, path: str) -> int:
    return sum(peer.state == "connected" for peer in status.peers if peer.path == path)


def _linked(status: Status) -> set[str]:
    return {peer.path for peer in status.peers if peer.state == "connected"}


def _histories(folders: list[Path]) -> Iterator[str]:
    """Whether two stores hold checkpoints of one journal and size that differ."""
    seen: dict[tuple[object, int], bytes] = {}
    for folder in folders:
        for journal, notes in invariants.read(folder).checkpoints.items():
            for size, note in notes.items():
                if seen.setdefault((journal, size), note) != note:
                    yield f"FORK: two checkpoints of {journal} at {size}"


@contextlib.contextmanager
def loads(*loaded: Daemon) -> Iterator[None]:
    """Hand rows in at every one of some daemons, for as long as this is open."""
    with contextlib.ExitStack() as stack:
        for each in loaded:
            # As much as two cores carry beside seven processes and two servers.
            stack.enter_context(daemons.Load(each, rows_a_call=3, pause_seconds=0.15))
        yield
