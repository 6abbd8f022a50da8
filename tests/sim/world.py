"""One run: a tree, its work, its faults, and what was promised on the way."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from random import Random

from sim.invariants import NodeView, Promise, TreeView, always, healed
from sim.model_store import ENROLLED, NETWORK, Draft, Enrolled, RecordKey
from sim.scheduler import DATA, Scheduler
from sim.sim_node import Link, SimNode, signer_of
from yidao.api.errors import YidaoError
from yidao.sync.ids import JournalId, Lane, NodeId, Path, RecordId
from yidao.sync.message import Refusal
from yidao.sync.record import Part, Release
from yidao.sync.routing import lanes_for
from yidao.sync.states import State as Stage

# Children of each node, tier by tier. Both shapes have 13 nodes or more.
SHAPES = {"1+3+9": (3, 3), "1+2+4+8": (2, 2, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much happens, and how badly.

    Attributes:
        chaos_seconds: How long there is work and faults.
        heal_seconds: How long everything may take to settle afterwards.
        faults: How many faults of all kinds.
        appends: How many times somebody writes something.
        hostile: Whether frames also vanish or come twice, which no network does.
    """

    chaos_seconds: float = 12.0
    heal_seconds: float = 60.0
    faults: int = 12
    appends: int = 24
    hostile: bool = True


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
        self.promises: dict[tuple[NodeId, object, int], Promise] = {}
        self.refusals: list[str] = []
        self.frames: list[tuple[NodeId, NodeId, bytes]] = []
        self.parted: set[Path] = set()
        self.violations: list[str] = []
        self._log = log
        self.nodes: dict[Path, SimNode] = {}
        self._by_id: dict[NodeId, SimNode] = {}
        self._acked: dict[tuple[NodeId, NodeId, Lane], int] = {}
        self._records = 0
        self._plant(node_type)

    def _plant(self, node_type: Callable[["World", Enrolled, list[Enrolled]], SimNode]) -> None:
        shape = self.random.choice(sorted(SHAPES))
        tiers = [[Path()]]
        for children in SHAPES[shape]:
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
        for node in self.nodes.values():
            self.scheduler.after(self.random.random(), node.dial)
        for _ in range(self.plan.appends):
            self.scheduler.after(self.random.uniform(0, self.plan.chaos_seconds), self._work)
        for _ in range(self.plan.faults):
            self.scheduler.after(self.random.uniform(1, self.plan.chaos_seconds), self._fault)
        self._tick()
        for moment in (0.5, 1.0):
            self.scheduler.run_until(self.plan.chaos_seconds * moment)
            self.violations += always(self.view())
        self.parted.clear()
        self.settle()
        self.violations += healed(self.view())
        return list(dict.fromkeys(self.violations))

    def settle(self) -> None:
        """Let time pass without faults until nothing moves any more."""
        end = self.scheduler.now + self.plan.heal_seconds
        while self.scheduler.now < end and not self.is_settled():
            self.scheduler.run_until(self.scheduler.now + 1)

    def _tick(self) -> None:
        for node in self.nodes.values():
            node.tick()
        self.scheduler.after(1, self._tick)

    def is_settled(self) -> bool:
        """Whether every node is up and linked and holds what its neighbours have for it."""
        return all(node.up for node in self.nodes.values()) and all(
            self._is_even(node) for node in self.nodes.values() if node.me.path.labels
        )

    def _is_even(self, node: SimNode) -> bool:
        assert node.me.path.parent is not None
        parent = self.nodes[node.me.path.parent]
        link = node.links.get(parent.me.node_id)
        if link is None or link.session.state is not Stage.FLOWING:
            return False
        return all(
            there.store.durable.journals.get(journal) == held
            for here, there in ((node, parent), (parent, node))
            for journal, held in here.store.latest.journals.items()
            if lanes_for(
                journal.channel,
                self._by_id[journal.node_id].me.path,
                here.me.path,
                there.me.path,
            )
        )

    # Work.

    def _work(self) -> None:
        node = self.random.choice(list(self.nodes.values()))
        depth = node.me.path.depth
        is_leaf = depth == max(path.depth for path in self.nodes)
        channels = ["down", "down.control"] if not is_leaf else ["up:15", "up:15", "up:1"]
        if depth:
            channels += ["up:15", "up:15.urgent"]
        channel = self.random.choice(channels)
        drafts = [self._draft(channel) for _ in range(self.random.choice((1, 1, 2, 5)))]
        self._write(node, drafts, tries=5)

    def _write(self, node: SimNode, drafts: list[Draft], tries: int) -> None:
        def told(keys: list[RecordKey]) -> None:
            answered.append(True)
            for journal, seq in keys:
                self._promise(node.me.node_id, journal, seq, "a client")

        answered: list[bool] = []
        node.append(drafts, told)

        def again() -> None:
            # A client that got no answer says the same again, under the same record ids.
            if not answered and tries:
                self._write(node, drafts, tries - 1)

        self.scheduler.after(3, again)

    def _draft(self, channel: str) -> Draft:
        self._records += 1
        seed = f"{self.seed} record {self._records}".encode()
        parts = []
        if self.random.random() < 0.7:
            for name in ("core", "pii")[: self.random.choice((1, 2))]:
                part = Part(
                    name=name,
                    salt=sha256(seed + name.encode()).digest(),
                    body=self.random.randbytes(self.random.choice((5, 50, 700))),
                )
                release = Release.WHEN_ACCEPTED if self.random.random() < 0.5 else Release.AT_ONCE
                parts.append((part, self.random.choice((1, 2, 15, 15)), release))
        if not channel.startswith("up"):
            parts = [(part, 15, Release.AT_ONCE) for part, _, _ in parts]
        return Draft(
            channel=channel, record_id=RecordId(sha256(seed).digest()[:16]), parts=tuple(parts)
        )

    # Faults.

    def _fault(self) -> None:
        fault = self.random.choice(self.kinds_of_fault())
        self.faults[fault.__name__] += 1
        fault()

    def kinds_of_fault(self) -> list[Callable[[], None]]:
        """Return the faults that this plan has, the frequent ones more than once."""
        kinds = [self._crash, self._crash, self._cut, self._cut, self._half_open, self._part]
        kinds.append(self._redial)
        if not self.plan.hostile:
            return kinds
        # Not both in one world: a replayed frame in the place of a lost one is an
        # attacker inside TLS, and stopped by seals alone.
        return [*kinds, *[self._replay if self.seed % 2 else self._lose_frame] * 2]

    def _links(self) -> list[tuple[SimNode, Link]]:
        return [
            (node, link)
            for node in self.nodes.values()
            for link in node.links.values()
            if link.peer.path == node.me.path.parent
        ]

    def _crash(self) -> None:
        up = [node for node in self.nodes.values() if node.up]
        # The moment that hurts is between a commit and its sync.
        node = self.random.choice([node for node in up if node.store.is_unsynced] or up)
        self.log(f"{node.me.path} crashes")
        node.crash()
        self.scheduler.after(self.random.uniform(0.1, 4), node.restart)

    def _cut(self) -> None:
        if links := self._links():
            node, link = self.random.choice(links)
            self.log(f"{node.me.path} is cut off")
            link.connection.cut()

    def _half_open(self) -> None:
        if links := self._links():
            node, link = self.random.choice(links)
            self.log(f"{node.me.path} is cut off and nobody is told")
            link.connection.cut(silent=1.0)

    def _part(self) -> None:
        path = self.random.choice([path for path in self.nodes if path.labels])
        self.log(f"{path} is parted from its parent")
        self.parted.add(path)
        for node, link in self._links():
            if node.me.path == path:
                link.connection.cut(silent=0.5)
        self.scheduler.after(self.random.uniform(1, 8), lambda: self.parted.discard(path))

    def _redial(self) -> None:
        """The child believes that its link is dead and dials again; the parent does not."""
        if links := self._links():
            node, link = self.random.choice(links)
            self.log(f"{node.me.path} dials again over a live link")
            del node.links[link.peer.node_id]
            node.dial()

    def _replay(self) -> None:
        """Captured frames come a second time, into whatever session there is."""
        for sender, receiver, data in self.random.sample(self.frames, min(3, len(self.frames))):
            link = self._by_id[sender].links.get(receiver)
            if link is not None:
                link.connection.send(link.side, DATA, data)

    def _lose_frame(self) -> None:
        """One frame vanishes, which no network does; the session must notice."""
        if links := self._links():
            _, link = self.random.choice(links)
            link.connection.lose_next = DATA

    def tamper(self) -> JournalId:
        """Let a middle node's disk change a byte of a leaf's journal; return its name."""
        leaf = max(self.nodes, key=lambda path: (path.depth, path))
        relay = self.nodes[Path(leaf.labels[:1])]
        journal = JournalId(node_id=self.nodes[leaf].me.node_id, channel="up:15", epoch="1")
        relay.store.tampered = (journal, 1)
        for moment in (1, 4, 8):
            drafts = [self._draft("up:15"), self._draft("up:15")]
            self.scheduler.after(moment, partial(self._write, self.nodes[leaf], drafts, 5))
        return journal

    def mend(self) -> None:
        """Let every disk be right again, and every middle node dial anew."""
        for node in self.nodes.values():
            node.store.tampered = None
        self.refusals.clear()
        for _, link in self._links():
            link.connection.cut()
        self.scheduler.run_until(self.scheduler.now + 3)

    def is_parted(self, child: SimNode) -> bool:
        """Whether a node cannot reach its parent now."""
        return child.me.path in self.parted

    # What is observed.

    def note_ack(self, sender: SimNode, receiver: Enrolled, lane: Lane, position: int) -> None:
        """A sender was told that a lane is durable at its peer up to a position."""
        key = (sender.me.node_id, receiver.node_id, lane)
        before = self._acked.get(key, 0)
        for item in sender.store.durable.segments:
            if not before < item.position <= position:
                continue
            journal = item.seal.journal
            origin = self._by_id[journal.node_id].me.path
            # A refused journal is not promised: the sender heard of it before this ack.
            if journal in self._by_id[receiver.node_id].store.latest.wanted:
                continue
            if lanes_for(journal.channel, origin, sender.me.path, receiver.path) is lane:
                self._promise(receiver.node_id, journal, item.seal.end_seq - 1, str(sender.me.path))
        self._acked[key] = max(before, position)

    def _promise(self, holder: NodeId, journal: object, seq: int, told_by: str) -> None:
        key = (holder, journal, seq)
        self.promises[key] = Promise(
            holder=holder,
            journal=journal,  # type: ignore[arg-type]
            seq=seq,
            told_by=told_by,
        )

    def note_refusals(self, node: SimNode, refusals: list[Refusal]) -> None:
        """Among honest nodes with honest disks nothing is ever refused."""
        for refusal in refusals:
            said = f"REFUSED: {node.me.path} {refusal.journal} {refusal.seq} {refusal.code}"
            self.log(said)
            self.refusals.append(said)

    def note_fault(self, node: SimNode, error: YidaoError) -> None:
        """A session ended because of what came in."""
        self.faults[error.code] += 1
        self.log(f"{node.me.path} ends a session: {error}")

    def captured(self, sender: SimNode, link: Link, data: bytes) -> None:
        """Somebody on the line keeps what passes."""
        if len(self.frames) < 200:
            self.frames.append((sender.me.node_id, link.peer.node_id, data))

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
