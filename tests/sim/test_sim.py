"""Three hundred seeds of a small tree, and the controls that show that they bite."""

import pytest

from sim import broken
from sim.invariants import (
    NodeView,
    Promise,
    TreeView,
    always,
    everything_arrived,
    healed,
    held_is_what_the_origin_wrote,
    name,
    promised_is_kept,
)
from sim.sim_node import SimNode
from sim.world import SHAPES, Plan, World
from yidao.sync.ids import JournalId, NodeId, Path

SEEDS = 300
CHUNK = 25


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK), ids=lambda n: f"seeds {n}+{CHUNK}")
def test_tree_survives_everything(first: int) -> None:
    """Whatever crashes, cuts and replays: acked is kept, in order, once, and all ends equal."""
    for seed in range(first, first + CHUNK):
        world = World(seed)
        violations = world.run()
        assert not violations, (
            f"replay: python -m tests.sim.run {seed} --small --log",
            violations,
        )
        assert len(world.nodes) >= 13


@pytest.mark.long
@pytest.mark.parametrize("first", range(10_000, 20_000, 500), ids=lambda n: f"seeds {n}+500")
def test_tree_survives_a_campaign(first: int) -> None:
    """The same for ten thousand other seeds, with more work and more faults in each."""
    for seed in range(first, first + 500):
        violations = World(seed, Plan(chaos_seconds=30, faults=40, appends=80)).run()
        assert not violations, (seed, violations)


@pytest.mark.parametrize("seed", range(20))
def test_honest_network_ends_no_session_with_an_error(seed: int) -> None:
    """Cuts, crashes and second dials alone never make a session find its peer at fault."""
    world = World(seed, Plan(hostile=False))
    assert world.run() == []
    assert {name for name in world.faults if name.isupper()} == set()


def test_faults_and_shapes_really_occur() -> None:
    """The seeds see both shapes of tree, every kind of fault and every lane at work."""
    worlds = [World(seed) for seed in range(12)]
    for world in worlds:
        world.run()
    assert {len(world.nodes) for world in worlds} == {13, 15}
    assert len(SHAPES) == 2
    faults = {fault.__name__ for world in worlds for fault in world.mishaps.kinds()}
    assert faults <= {name for world in worlds for name, n in world.faults.items() if n}
    views = [world.view() for world in worlds]
    channels = {j.channel for view in views for n in view.nodes.values() for j in n.headers}
    assert channels == {"node", "up:15", "up:1", "up:15.urgent", "down", "down.control"}
    at_root = [set(view.at(Path()).parts) for view in views]
    waiting = [
        (view.at(Path()), journal, seq, part)
        for view in views
        for node in view.nodes.values()
        for (journal, seq, part) in node.parts
        if node.path.depth > 1 and journal.node_id == node.node_id and journal.channel == "up:15"
    ]
    came = sum((j, seq, part) in root.parts for root, j, seq, part in waiting)
    stayed = sum((j, seq, part) not in root.parts for root, j, seq, part in waiting)
    assert min(came, stayed, *map(len, at_root)) > 10, "parts both travel and stay"


def test_same_seed_is_the_same_run() -> None:
    """A seed decides everything, so that a failure can be replayed."""
    runs = []
    for _ in range(2):
        log: list[str] = []
        world = World(7, log=log.append)
        world.run()
        runs.append((log, {n.path: n.headers for n in world.view().nodes.values()}))
    assert runs[0] == runs[1]


CONTROLS = {
    "acks before sync": (broken.AcksBeforeSync, "LOST"),
    "cursor apart from the items": (broken.CursorBeforeItems, "SHORT"),
    "effects of duplicates": (broken.FoldsDuplicates, "EFFECT"),
    "holes in a lane": (broken.SkipsItems, "REFUSED"),
    "parts before their release": (broken.ReleasesEarly, "PART"),
    "roots that are not recomputed": (broken.BelievesRoots, "ROOT"),
    "one frame lost and acknowledged": (broken.LosesOneFrame, "LOST"),
}


@pytest.mark.parametrize(("node_type", "finding"), CONTROLS.values(), ids=CONTROLS.keys())
def test_broken_node_is_found(node_type: type[SimNode], finding: str) -> None:
    """With one guard taken out the checker finds it within a few seeds, by its name."""
    found: set[str] = set()
    for seed in range(40):
        found |= {violation.split(":")[0] for violation in World(seed, node_type=node_type).run()}
        if finding in found:
            return
    pytest.fail(f"40 seeds found {found or 'nothing'}, not {finding}")


class TestFork:
    """Two histories of a journal, which part at its third record, as somebody has found."""

    ORIGIN, PARENT = NodeId(bytes(16)), NodeId(bytes([1] * 16))
    FORKED = JournalId(node_id=ORIGIN, channel="up:15", epoch="1")
    OTHER = JournalId(node_id=ORIGIN, channel="node", epoch="1")
    WHOLE = (b"a", b"b", b"c", b"d")

    def _found(self, at_origin: tuple[bytes, ...], **at_parent: tuple[bytes, ...]) -> set[str]:
        """What the checker says, if the parent holds this of the two journals."""
        of = (
            {"node_id": self.ORIGIN, "path": Path.parse("/33")},
            {
                "node_id": self.PARENT,
                "path": Path(),
            },
        )
        headers = (
            {self.FORKED: at_origin, self.OTHER: self.WHOLE},
            {self.FORKED: at_parent["forked"], self.OTHER: at_parent.get("other", self.WHOLE)},
        )
        nothing = {"roots": {}, "effects": (), "parts": {}, "releases": frozenset()}
        views = [
            NodeView(**one, headers=held, **nothing)  # type: ignore[arg-type]
            for one, held in zip(of, headers, strict=True)
        ]
        promised = [
            Promise(holder=self.ORIGIN, journal=self.FORKED, seq=seq, told_by="a client")
            for seq in (1, 2)
        ]
        tree = TreeView(
            nodes={view.node_id: view for view in views}, promises=promised, forked={self.FORKED: 2}
        )
        checks = (promised_is_kept, held_is_what_the_origin_wrote, everything_arrived)
        return {line.split(":")[0] for check in checks for line in check(tree)}

    def test_what_follows_the_parting_agrees_with_nothing(self) -> None:
        """Either history, at any length."""
        assert self._found(self.WHOLE, forked=(b"a", b"b", b"x")) == set()
        assert self._found(self.WHOLE[:2], forked=self.WHOLE) == set()

    def test_what_both_share_is_held_to_every_promise(self) -> None:
        """A loss before the parting, or in another journal of the epoch, is not excused by it."""
        assert self._found(self.WHOLE[:1], forked=self.WHOLE) == {"LOST", "DIFFERS"}
        assert self._found(self.WHOLE, forked=(b"x", b"b", b"c")) == {"DIFFERS"}
        assert self._found(self.WHOLE, forked=self.WHOLE[:1]) == {"SHORT"}
        assert self._found(self.WHOLE, forked=self.WHOLE, other=self.WHOLE[:3]) == {"SHORT"}


class TestTamperedRelay:
    """A middle node whose disk changes a byte of what it passes on."""

    PLAN = Plan(faults=6, appends=60, hostile=False)

    @pytest.mark.parametrize("seed", range(6))
    def test_parent_refuses_and_everything_else_arrives(self, seed: int) -> None:
        """The journal stops before the false byte, with what cites it; all others are whole."""
        world = World(seed, self.PLAN)
        tampered = world.tamper()
        world.run()
        assert "SEAL_ROOT_MISMATCH" in {line.split(" ")[-1] for line in world.refusals}
        tree = world.view()
        assert [line for line in always(tree) if not line.startswith("REFUSED")] == []
        short = {line.split(" ")[1] for line in healed(tree) if line.startswith("SHORT")}
        leaf = tree.nodes[tampered.node_id]
        dependent = {
            name(JournalId(node_id=node.node_id, channel="up:15", epoch="1"))
            for node in tree.nodes.values()
            if leaf.path.is_within(node.path)
        }
        assert name(tampered) in short
        assert short <= dependent

    @pytest.mark.parametrize("seed", range(12))
    def test_mended_journal_is_sent_again(self, seed: int) -> None:
        """Once the relay's byte is right again, the next session brings the journal whole."""
        world = World(seed, self.PLAN)
        world.tamper()
        world.run()
        assert world.refusals
        world.mend()
        world.settle()
        assert healed(world.view()) == []
