"""Trees of real stores with their affairs; the hand that carries frames plays the link."""

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path as FilePath

import orjson
import pytest

from tests.unit.node.affairs import signing
from yidao.catalog.codes import sample_uscc
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.reporting.commands import Submitted
from yidao.node.affairs.reporting.judging import RowIn
from yidao.node.affairs.reporting.records import Decision
from yidao.node.affairs.reporting.review import Choice
from yidao.node.affairs.standards.commands import publish_pack
from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart, Peer
from yidao.sync.enrolment import KIND, Enrolment
from yidao.sync.ids import Lane, NetworkId, NodeId, Path
from yidao.sync.message import Frame
from yidao.sync.sealing import X25519Box
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

NETWORK = NetworkId(bytes(range(16)))
# 2026-11-20 in China.
NOW_MS = 1_795_140_000_000
REGION = "330106"


def pack_file(version: str) -> bytes:
    """The exact bytes of a published energy pack."""
    return (files("yidao.catalog") / "packs" / f"energy-{version}.yaml").read_bytes()


class Desk:
    """One node: a store, its identity and its affairs."""

    def __init__(self, tree: "Tree", path: str, chain: tuple[Enrolment, ...]) -> None:
        self.tree = tree
        seed = hashlib.sha256(path.encode()).digest()
        self.identity = Identity(
            network=NETWORK,
            node_id=NodeId(seed[:16]),
            path=Path.parse(path),
            epoch="1",
            suite=ED25519_SHA256,
            journal=Ed25519Signer(seed),
            cosign=Ed25519Signer(hashlib.sha256(seed).digest()),
            boxes=(X25519Box(hashlib.sha256(seed).digest()),),
        )
        name = path.strip("/").replace("/", "-") or "root"
        self.store = Store.open(
            f"sqlite:///{tree.folder}/{name}.db", clock_ms=tree.clock, random=tree.random
        )
        self.store.bind(self.identity, chain)
        self.affairs = Affairs(self.store, self.identity, clock_ms=tree.clock, random=tree.random)
        self.store.start(self.affairs.projectors, self.affairs.deciders)

    @property
    def desk(self):
        return self.affairs.desk

    @property
    def path(self) -> str:
        return str(self.identity.path)

    @property
    def actor(self) -> str:
        return f"sample@{self.path}"

    @property
    def peer(self) -> Peer:
        return Peer(
            node_id=self.identity.node_id, path=self.identity.path, store_id=self.store.store_id
        )

    @property
    def enrolment(self) -> Enrolment:
        return Enrolment(
            node_id=self.identity.node_id,
            path=self.identity.path,
            journal_key=self.identity.journal.public_key,
            cosign_key=self.identity.cosign.public_key,
            tls_sha256=hashlib.sha256(self.identity.node_id).digest(),
        )

    def enrol(self, child: "Desk") -> None:
        draft = Draft(
            record_id=hashlib.sha256(f"enrol {child.path}".encode()).digest()[:16],
            kind=KIND,
            actor=self.actor,
            object_id=f"node/{child.identity.node_id.hex()}",
            object_version=1,
            created_ms=NOW_MS,
            parts=(DraftPart(name="core", body=child.enrolment.encode()),),
        )
        self.store.run(lambda tx: tx.append("node", [draft]))

    def forge(self, channel: str, **fields: object) -> int:
        """Append a record that no command would write, as a faulty node would."""
        given: dict[str, object] = {
            "record_id": self.desk.mint(),
            "actor": self.actor,
            "object_version": 1,
            "created_ms": NOW_MS,
            "parts": (),
        }
        given.update(fields)
        [ticket] = self.store.run(lambda tx: tx.append(channel, [Draft(**given)]))  # type: ignore[arg-type]
        self.settle()
        return ticket.position

    def settle(self) -> None:
        """Wait until nothing is left to fold or to decide."""
        while True:
            position = self.store.last_position()
            self.desk.settle(position)
            if self.store.last_position() == position:
                return

    def submit(self, *rows: RowIn, **options: bool) -> Submitted:
        return self.affairs.submission.submit("energy", self.actor, rows, **options)

    def query(self, statement):
        with self.desk.read() as conn:
            return conn.execute(statement).all()


class Tree:
    """Nodes that know each other as enrolment makes them, with the packs published."""

    def __init__(self, folder: FilePath) -> None:
        self.folder = folder
        self.nodes: dict[str, Desk] = {}
        self._numbers = itertools.count(1)
        self.now_ms = NOW_MS

    def clock(self) -> int:
        return self.now_ms

    def random(self, size: int) -> bytes:
        return hashlib.shake_256(next(self._numbers).to_bytes(8, "big")).digest(size)

    def grow(self, *paths: str) -> None:
        """Make nodes, parents first."""
        for text in paths:
            path = Path.parse(text)
            above = [
                node for node in self.nodes.values() if node.identity.path.is_ancestor_of(path)
            ]
            above.sort(key=lambda node: node.identity.path.depth)
            node = Desk(self, text, tuple(each.enrolment for each in above))
            self.nodes[text] = node
            if above:
                above[-1].enrol(node)

    def __getitem__(self, path: str) -> Desk:
        return self.nodes[path]

    def publish(self, *versions: str) -> None:
        for version in versions:
            publish_pack(self["/"].desk, pack_file(version), self["/"].actor)
        self.exchange()

    def exchange(self) -> None:
        """Carry everything everywhere, as links do, until nothing moves."""
        while sum(self._carry(a, b) for a in self.nodes.values() for b in self.nodes.values()):
            for node in self.nodes.values():
                node.settle()

    def _carry(self, source: Desk, target: Desk) -> bool:
        paths = source.identity.path, target.identity.path
        if paths[0].parent != paths[1] and paths[1].parent != paths[0]:
            return False
        moved = False
        head = source.store.last_position()
        for lane in Lane:
            known = {each.lane: each.position for each in target.store.cursors(source.peer)}
            after = scanned = known.get(lane, 0)
            while scanned < head:
                items, scanned = source.store.read_lane(
                    target.peer, lane, scanned, head, 256 * 1024
                )
                if not items:
                    continue
                frame = Frame(lane=lane, items=items, after_position=after)
                outcome = target.store.run(lambda tx, f=frame: tx.ingest(source.peer, f))
                assert not outcome.refusals
                moved = moved or outcome.records > 0
                after = items[-1].last_position
        return moved

    def close(self) -> None:
        for node in self.nodes.values():
            node.store.close()


@pytest.fixture
def tree(tmp_path: FilePath) -> Iterator[Tree]:
    """An empty tree."""
    made = Tree(tmp_path)
    yield made
    made.close()


ROOT, CITY, COUNTY, AGENCY = "/", "/33", "/33/06", "/33/06/a"


@pytest.fixture
def four(tree: Tree) -> Tree:
    """Root, city, county, agency; both versions of the energy pack in force."""
    tree.grow(ROOT, CITY, COUNTY, AGENCY)
    tree.publish("2022", "2025")
    return tree


class Rows:
    """Sample rows: 样例 units with plausible, consistent figures."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def unit(self, index: int) -> str:
        return sample_uscc(index, REGION)

    def row(self, form: str, period: str, payload: object, **more: object) -> RowIn:
        data = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        return RowIn(row=next(self._numbers), form=form, period=period, payload=data, **more)  # type: ignore[arg-type]

    def institution(self, index: int, **changed: object) -> RowIn:
        entry = {
            "uscc": self.unit(index),
            "name": f"样例单位{index:04d}",
            "region_code": REGION,
            "inst_type": "01",
            "reg_status": "1",
        }
        return self.row("institution", "", entry | changed)

    def profile(self, index: int, period: str = "2025-Q2", **changed: object) -> RowIn:
        entry = {
            "uscc": self.unit(index),
            "period": period,
            "floor_area": "5000.00",
            "energy_users": 100,
        }
        return self.row("profile", period, entry | changed)

    def consumption(self, index: int, period: str = "2025-Q2", **changed: object) -> RowIn:
        entry = {
            "uscc": self.unit(index),
            "period": period,
            "elec_kwh": f"{50000 + index}.00",
            "elec_fee": f"{31000 + index}.00",
            "water_m3": "700.00",
            "water_tap_m3": "600.00",
            "water_well_m3": "100.00",
            "water_fee": "3500.00",
        }
        return self.row("consumption", period, entry | changed)

    def ledger(self, index: int, period: str = "2025-07", **changed: object) -> RowIn:
        entry = {
            "uscc": self.unit(index),
            "period": period,
            "elec_kwh": "17000.00",
            "elec_fee": "10540.00",
        }
        attachment = changed.pop("attachment", b"")
        return self.row("monthly_ledger", period, entry | changed, attachment=attachment)


@pytest.fixture
def rows() -> Rows:
    """Sample rows."""
    return Rows()


@pytest.fixture
def registered(four: Tree, rows: Rows) -> Callable[..., Tree]:
    """A tree whose agency has registered the first units."""

    def make(count: int = 2) -> Tree:
        done = four[AGENCY].submit(*(rows.institution(index) for index in range(count)))
        assert {result.outcome.value for result in done.results} == {"submitted"}
        four.exchange()
        return four

    return make


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """The closed stores of a tree whose one return, with a file, is accepted everywhere."""
    folder = tmp_path_factory.mktemp("settled")
    tree, rows = Tree(folder), Rows()
    tree.grow(ROOT, CITY, COUNTY, AGENCY)
    tree.publish("2022", "2025")
    tree[AGENCY].submit(rows.institution(0))
    tree.exchange()
    row = rows.profile(0)
    tree[AGENCY].submit(rows.row("profile", "2025-Q2", row.payload, attachment=b"sample invoice"))
    tree.exchange()
    choice, accept = Choice(period="2025-Q2"), Decision.ACCEPT.value
    tree[COUNTY].affairs.review.review(tree[COUNTY].actor, choice, accept)
    tree.exchange()
    tree.close()
    return folder


@pytest.fixture
def accepted(settled: FilePath, tmp_path: FilePath) -> Iterator[Tree]:
    """A tree of its own out of `settled`."""
    folder = tmp_path / "tree"
    shutil.copytree(settled, folder)
    made = Tree(folder)
    # Ids and salts must not come again.
    made._numbers = itertools.count(1_000_000)
    made.grow(ROOT, CITY, COUNTY, AGENCY)
    yield made
    made.close()


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An agency with one unit, shared by tests that look only at their own rows."""
    tree = Tree(tmp_path_factory.mktemp("tree"))
    tree.grow(ROOT, CITY, COUNTY, AGENCY)
    tree.publish("2022", "2025")
    tree[AGENCY].submit(Rows().institution(0))
    yield tree[AGENCY]
    tree.close()


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tree, str, bytes]]:
    """A tree, its unit and the record of the one return in it, for tests that share them."""
    tree, rows = Tree(tmp_path_factory.mktemp("reported")), Rows()
    tree.grow(ROOT, CITY, COUNTY, AGENCY)
    tree.publish("2022")
    tree[AGENCY].submit(rows.institution(0))
    [done] = tree[AGENCY].submit(rows.consumption(0)).results
    tree.exchange()
    yield tree, rows.unit(0), done.record_id
    tree.close()


@pytest.fixture
def packs() -> Callable[[str], bytes]:
    """The exact bytes of a version of the energy pack."""
    return pack_file


def with_units(tree: Tree, rows: Rows) -> Tree:
    """Let a tree have a root, its child, and below that the agency that hosts three units."""
    tree.grow(*reversed(signing.TIERS))
    tree.publish("2022")
    tree[signing.AGENCY].submit(*(rows.institution(index) for index in range(3)))
    tree.exchange()
    return tree


def with_demand(tree: Tree, rows: Rows) -> list[bytes]:
    """Let three returns wait at the agency, where two of three must sign; the county demands it."""
    digest = signing.appoint(tree, *signing.NAMES)
    county = tree[signing.COUNTY].affairs.policies
    county.file(f"shen@{signing.COUNTY}", digest)
    county.demand(f"shen@{signing.COUNTY}", "energy/consumption", demanded=True)
    done = tree[signing.AGENCY].submit(*(rows.consumption(index) for index in range(3)))
    tree.exchange()
    return [each.record_id for each in done.results]


@pytest.fixture
def small(tree: Tree, rows: Rows) -> Tree:
    """A root, its child, and below that the agency that hosts three units."""
    return with_units(tree, rows)


@pytest.fixture
def waiting(small: Tree, rows: Rows) -> tuple[Tree, list[bytes]]:
    """Three returns that wait for signatures, and their records."""
    return small, with_demand(small, rows)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """Three returns are signed and accepted under the agency's second policy."""
    tree, rows = Tree(tmp_path_factory.mktemp("signed")), Rows()
    with_demand(with_units(tree, rows), rows)
    signing.appoint(tree, "zhao", "li", threshold=1, signing=("sun",))
    signing.submit(tree, signing.sign_batch(signing.prepared(tree), "zhao"))
    signing.accept(tree)
    yield tree
    tree.close()
