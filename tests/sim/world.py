"""One run: a tree, its work, its faults, and what was promised on the way."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from random import Random

from sim.clients import Clients
from sim.histories import Histories
from sim.invariants import NodeView, Promise, TreeView, always, healed
from sim.mishaps import Mishaps
from sim.model_state import (
    ENROLLED,
    NETWORK,
    Draft,
    Enrolled,
    RecordKey,
    State,
)
from sim.remembered import remembered_verifications
from sim.scheduler import Scheduler
from sim.sim_node import SimNode
from sim.sim_writer import signer_of
from yidao.api.errors import YidaoError
from yidao.sync.fencing import Standing
from yidao.sync.ids import JournalId, Lane, NodeId, Path, RecordId
from yidao.sync.message import Refusal
from yidao.sync.routing import lanes_for
from yidao.sync.states import State as Stage

# Children of each node, tier by tier. Both shapes have 13 nodes or more.
SHAPES = {"1+3+9": (3, 3), "1+2+4+8": (2, 2, 2)}
COUNTRY = {"1+3+9+27": (3, 3, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much happens, and how badly.

    Attributes:
        chaos_seconds: How long there is work and faults.
        heal_seconds: How long everything may take to settle afterwards.
        faults: How many faults of all kinds.
        appends: How many times somebody writes something.
        hostile: Whether frames also vanish, come twice or in another order, which no
            network does.
        disasters: Whether lines also clog, disks are also set back and cloned, and
            clocks jump.
        away_seconds: How long after the chaos no line works, while everybody writes on.
        max_backoff_seconds: How long a node waits at most before it dials again.
        only: The names of the mishaps that may happen; empty for all of the above.
    """

    chaos_seconds: float = 12.0
    heal_seconds: float = 60.0
    faults: int = 12
    appends: int = 24
    hostile: bool = True
    shapes: tuple[str, ...] = tuple(sorted(SHAPES))
    disasters: bool = False
    away_seconds: float = 0.0
    max_backoff_seconds: float = 4.0
    only: tuple[str, ...] = ()


def country(seed: int) -> Plan:
    """Return the plan of a seed for four tiers, forty nodes and every fault there is.

    In one seed of fifty no line works for thirty days; there no disk is set back.
    """
    plan = Plan(
        shapes=tuple(COUNTRY),
        disasters=True,
        chaos_seconds=20,
        faults=30,
        appends=60,
        heal_seconds=200,
    )
    if seed % 50 != 49:
        return plan
    return replace(plan, away_seconds=30 * 86_400, max_backoff_seconds=240, heal_seconds=900)


class World:
    """A tree of nodes under one scheduler; the seed decides everything."""

    def __init__(
        self,
        seed: int,
        plan: Plan | None = None,
        node_type: Callable[["World", Enrolled, list[Enrolled]], SimNode] = SimNode,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.seed = seed
        self.plan = plan or Plan()
        self.network = NETWORK
        self.scheduler = Scheduler()
        self.random = Random(seed)
        self.faults: Counter[str] = Counter()
        self.promises: dict[tuple[NodeId, JournalId, int], Promise] = {}
        self.refusals: list[str] = []
        self.parted: set[Path] = set()
        # Whether no line works at all, whatever ends in the meantime.
        self.is_away = False
        self.violations: list[str] = []
        self.histories = Histories()
        self._log = log
        self._node_type = node_type
        self.nodes: dict[Path, SimNode] = {}
        self.clones: list[SimNode] = []
        self._by_id: dict[NodeId, SimNode] = {}
        self._acked: dict[tuple[SimNode, NodeId, Lane], int] = {}
        self._recovering: set[NodeId] = set()
        self._clients = Clients(self)
        self.mishaps = Mishaps(self)
        self._plant(node_type)

    def _plant(self, node_type: Callable[["World", Enrolled, list[Enrolled]], SimNode]) -> None:
        shape = self.random.choice(self.plan.shapes)
        tiers = [[Path()]]
        for children in (SHAPES | COUNTRY)[shape]:
            tiers.append([p.child(f"{n}") for p in tiers[-1] for n in range(1, children + 1)])
        for path in [path for tier in tiers for path in tier]:
            me = Enrolled(
                node_id=NodeId(sha256(f"sample node {path}".encode()).digest()[:16]),
                path=path,
                public_key=signer_of(str(path)).public_key,
            )
            chain = [n.me for n in self.nodes.values() if n.me.path.is_ancestor_of(path)]
            self.nodes[path] = self._by_id[me.node_id] = node_type(self, me, chain)
        for node in self.nodes.values():
            children = [n.me for n in self.nodes.values() if n.me.path.parent == node.me.path]
            node.enrol([self._enrolment(child) for child in children])

    def _enrolment(self, child: Enrolled) -> Draft:
        return Draft(
            channel="node",
            record_id=RecordId(sha256(b"enrol" + child.node_id).digest()[:16]),
            kind=ENROLLED,
            object_id=f"{child.node_id.hex()} {child.path} {child.public_key.hex()}",
        )

    # Running.

    def run(self) -> list[str]:
        """Run chaos, then heal; return everything that was wrong."""
        with remembered_verifications():
            return self._run()

    def _run(self) -> list[str]:
        for node in self.nodes.values():
            self.scheduler.after(self.random.random(), node.dial)
            if self.plan.disasters:
                self._back_up(node)
        chaos = self.plan.chaos_seconds
        end = chaos + self.plan.away_seconds
        for n in range(self.plan.appends):
            until = chaos if n % 2 else end
            self.scheduler.after(self.random.uniform(0, until), self._clients.work)
        for _ in range(self.plan.faults):
            self.scheduler.after(self.random.uniform(1, chaos), self.mishaps.any_kind)
        for moment in (0.5, 1.0):
            self.scheduler.run_until(chaos * moment)
            self.violations += always(self.view())
        if self.plan.away_seconds:
            self._go_away(end)
        self._heal()
        self.settle()
        self.violations += healed(self.view())
        return list(dict.fromkeys(self.violations))

    def _back_up(self, node: SimNode) -> None:
        # What a commit left behind is never changed: to keep it is to copy it.
        for _ in range(3):
            moment = self.random.uniform(0, self.plan.chaos_seconds)
            self.scheduler.after(moment, lambda: node.backups.append(node.store.durable))

    def _go_away(self, end: float) -> None:
        """No line works any more; everybody goes on alone."""
        self.faults["away"] += 1
        self.is_away = True
        for _, link in self.mishaps.links():
            link.connection.cut(silent=0.5)
        for _ in range(self.plan.faults // 3):
            for kind in (self.mishaps.kill, self.mishaps.lose_power, self.mishaps.jump_clock):
                self.scheduler.after(self.random.uniform(0, self.plan.away_seconds - 60), kind)
        self.scheduler.run_until(end)
        assert not self.mishaps.links(), "a line came up while none works"
        self.violations += always(self.view())

    def _heal(self) -> None:
        """End all faults; copies that ran beside their original are switched off."""
        self.is_away = False
        self.parted.clear()
        for clone in self.clones:
            self.unplug(clone)
        for node in self.nodes.values():
            node.aside.clear()
            if not node.up:
                continue
            for link in node.links.values():
                for side in (0, 1):
                    link.connection.release(side)

    def settle(self) -> None:
        """Let time pass without faults until nothing moves any more."""
        end = self.scheduler.now + self.plan.heal_seconds
        while self.scheduler.now < end and not self.is_settled():
            self.scheduler.run_until(self.scheduler.now + 1)
            for node in self.nodes.values():
                if node.up and node.warden.standing in (Standing.CLONED, Standing.FORKED):
                    # An operator has looked.
                    node.warden.decide()
        self._recovering.clear()

    def is_settled(self) -> bool:
        """Whether every node is up and linked and holds what its neighbours have for it."""
        nodes = self.nodes.values()
        if not all(n.up and n.warden.standing is Standing.ACTIVE for n in nodes):
            return False
        if any(n.store.is_unsynced for n in nodes):
            return False
        forked = self.histories.forked()
        return all(
            self._is_even(node, forked) for node in self.nodes.values() if node.me.path.labels
        )

    def _is_even(self, node: SimNode, forked: Mapping[JournalId, int]) -> bool:
        assert node.me.path.parent is not None
        parent = self.nodes[node.me.path.parent]
        link = node.links.get(parent.me.node_id)
        if link is None or link.session.state is not Stage.FLOWING:
            return False
        return all(
            there.store.durable.journals.get(journal) == held
            for here, there in ((node, parent), (parent, node))
            for journal, held in here.store.latest.journals.items()
            # Of a forked journal it is enough to hold what both histories share.
            if len(there.store.durable.headers.get(journal, ())) < forked.get(journal, held.size)
            and (
                journal.node_id == there.me.node_id
                or lanes_for(
                    journal.channel,
                    self._by_id[journal.node_id].me.path,
                    here.me.path,
                    there.me.path,
                )
            )
        )

    # Disks.

    def new_clone(self, node: SimNode) -> SimNode:
        """Return a node that is down, on a copy of another's disk."""
        path = node.me.path
        chain = [each.me for each in self.nodes.values() if each.me.path.is_ancestor_of(path)]
        clone = self._node_type(self, node.me, chain)
        clone.up = False
        clone.random.seed(f"{self.seed} {path} clone {len(self.clones)}")
        clone.store.roll_back(self.random.choice((node.store.durable, node.backups[-1])))
        self._recovering.add(node.me.node_id)
        self.clones.append(clone)
        return clone

    def unplug(self, clone: SimNode) -> None:
        """Switch a copy off for good; what only it knew is lost."""
        if clone.up:
            clone.crash()
            self._keep_what_others_hold(clone, clone.store.durable)

    def set_back(self, node: SimNode, older: State) -> None:
        """Put an older state on a node's disk; what nobody else knew is lost."""
        newer = node.store.durable
        node.store.roll_back(older)
        self._recovering.add(node.me.node_id)
        self._keep_what_others_hold(node, newer)
        for key in [key for key in self._acked if key[0] is node]:
            del self._acked[key]

    def _keep_what_others_hold(self, node: SimNode, newer: State) -> None:
        """Forget what clients were told, where no neighbour holds the same record."""
        path = node.me.path
        around = [n for p, n in self.nodes.items() if p == path.parent or p.parent == path]
        for key, promise in list(self.promises.items()):
            if promise.holder != node.me.node_id or promise.journal.node_id != promise.holder:
                continue
            mine = newer.headers.get(promise.journal, ())
            if len(mine) > promise.seq and not any(
                held[: promise.seq + 1] == mine[: promise.seq + 1]
                for held in (n.store.durable.headers.get(promise.journal, ()) for n in around)
            ):
                del self.promises[key]

    def by_id(self, node_id: NodeId) -> SimNode:
        """Return the original of that name."""
        return self._by_id[node_id]

    def tamper(self) -> JournalId:
        """Let a middle node's disk change a byte of a leaf's journal; return its name."""
        leaf = max(self.nodes, key=lambda path: (path.depth, path))
        relay = self.nodes[Path(leaf.labels[:1])]
        journal = JournalId(node_id=self.nodes[leaf].me.node_id, channel="up:15", epoch="1")
        relay.store.tampered = (journal, 1)
        for moment in (1, 4, 8):
            drafts = [self._clients.draft("up:15"), self._clients.draft("up:15")]
            self.scheduler.after(moment, partial(self._clients.write, self.nodes[leaf], drafts, 5))
        return journal

    def mend(self) -> None:
        """Let every disk be right again, and every middle node dial anew."""
        for node in self.nodes.values():
            node.store.tampered = None
        self.refusals.clear()
        for _, link in self.mishaps.links():
            link.connection.cut()
        self.scheduler.run_until(self.scheduler.now + 3)

    def is_parted(self, child: SimNode) -> bool:
        """Whether a node cannot reach its parent now."""
        return self.is_away or child.me.path in self.parted

    # What is observed.

    def note_ack(self, sender: SimNode, receiver: Enrolled, lane: Lane, position: int) -> None:
        """A sender was told that a lane is durable at its peer up to a position."""
        key = (sender, receiver.node_id, lane)
        before = self._acked.get(key, 0)
        segments = sender.store.durable.segments
        for item in segments[bisect_right(segments, before, key=lambda s: s.position) :]:
            if item.position > position:
                break
            journal = item.seal.journal
            origin = self._by_id[journal.node_id].me.path
            # A refused journal is not promised: the sender heard of it before this ack.
            if journal in self._by_id[receiver.node_id].store.latest.wanted:
                continue
            if lanes_for(journal.channel, origin, sender.me.path, receiver.path) is lane:
                self.promise(receiver.node_id, journal, item.seal.end_seq - 1, str(sender.me.path))
        self._acked[key] = max(before, position)

    def promise(self, holder: NodeId, journal: JournalId, seq: int, told_by: str) -> None:
        """Somebody was told that a record is durable at a node."""
        self.promises[holder, journal, seq] = Promise(
            holder=holder, journal=journal, seq=seq, told_by=told_by
        )

    def note_fork(self, journal: JournalId) -> None:
        """Somebody has two signed checkpoints of an epoch that contradict each other."""
        self.histories.expose(journal)
        self.faults["fork"] += 1

    def note_refusals(self, node: SimNode, peer: Enrolled, refusals: Sequence[Refusal]) -> None:
        """Among honest nodes with honest disks nothing is ever refused."""
        for refusal in refusals:
            origin = refusal.journal.node_id
            if origin in self._recovering and refusal.code.startswith("SEAL_"):
                # It was set back or cloned, and has signed two histories.
                self.note_fork(refusal.journal)
                continue
            said = f"REFUSED: {node.me.path} {refusal.journal} {refusal.seq} {refusal.code}"
            self.log(said)
            self.refusals.append(said)

    def note_fault(self, node: SimNode, error: YidaoError) -> None:
        """A session ended because of what came in."""
        self.faults[error.code] += 1
        self.log(f"{node.me.path} ends a session: {error}")

    def log(self, line: str) -> None:
        """Say what happens, if somebody listens."""
        if self._log is not None:
            self._log(f"{self.scheduler.now:8.3f}  {line}")

    def view(self) -> TreeView:
        """Return what every node holds durably."""
        return TreeView(
            nodes={node.me.node_id: _view(node) for node in self.nodes.values()},
            promises=list(self.promises.values()),
            refusals=self.refusals,
            recovering=frozenset(self._recovering),
            forked=self.histories.forked(),
        )


def _view(node: SimNode) -> NodeView:
    state = node.store.durable
    return NodeView(
        node_id=node.me.node_id,
        path=node.me.path,
        headers=state.headers,
        roots={journal: held.frontier.root() for journal, held in state.journals.items()},
        effects=tuple(_effects(node)),
        parts={key: (part.salt, part.body) for key, part in state.parts.items()},
        releases=frozenset(key for keys in state.released.values() for key in keys),
    )


def _effects(node: SimNode) -> Iterator[RecordKey]:
    for item in node.store.durable.segments:
        for seq in range(item.seal.first_seq, item.seal.end_seq):
            yield item.seal.journal, seq
