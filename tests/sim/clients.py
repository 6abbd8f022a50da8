"""Who writes in a simulated tree, and what: the world's random choice."""

from hashlib import sha256
from typing import TYPE_CHECKING

from sim.model_state import Draft, RecordKey
from sim.sim_node import SimNode
from yidao.sync.ids import RecordId
from yidao.sync.record import Part, Release

if TYPE_CHECKING:
    from sim.world import World


class Clients:
    """All clients of all nodes of one world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = world.random
        self._records = 0

    def work(self) -> None:
        """Let somebody write something somewhere."""
        node = self._random.choice(
            [*self._world.nodes.values(), *[n for n in self._world.clones if n.up] * 9]
        )
        depth = node.me.path.depth
        is_leaf = depth == max(path.depth for path in self._world.nodes)
        channels = ["down", "down.control"] if not is_leaf else ["up:15", "up:15", "up:1"]
        if depth:
            channels += ["up:15", "up:15.urgent"]
        channel = self._random.choice(channels)
        drafts = [self.draft(channel) for _ in range(self._random.choice((1, 1, 2, 5)))]
        self.write(node, drafts, tries=5)

    def write(self, node: SimNode, drafts: list[Draft], tries: int) -> None:
        """Append, and again under the same record ids while there is no answer."""

        def told(keys: list[RecordKey]) -> None:
            answered.append(True)
            for journal, seq in keys:
                self._world.promise(node.me.node_id, journal, seq, "a client")

        answered: list[bool] = []
        node.append(drafts, told)

        def again() -> None:
            if not answered and tries:
                self.write(node, drafts, tries - 1)

        self._world.scheduler.after(3, again)

    def draft(self, channel: str) -> Draft:
        """Return the next record, of random parts."""
        self._records += 1
        seed = f"{self._world.seed} record {self._records}".encode()
        parts = []
        if self._random.random() < 0.7:
            for name in ("core", "pii")[: self._random.choice((1, 2))]:
                part = Part(
                    name=name,
                    salt=sha256(seed + name.encode()).digest(),
                    body=self._random.randbytes(self._random.choice((5, 50, 700))),
                )
                release = Release.WHEN_ACCEPTED if self._random.random() < 0.5 else Release.AT_ONCE
                parts.append((part, self._random.choice((1, 2, 15, 15)), release))
        if not channel.startswith("up"):
            parts = [(part, 15, Release.AT_ONCE) for part, _, _ in parts]
        return Draft(
            channel=channel, record_id=RecordId(sha256(seed).digest()[:16]), parts=tuple(parts)
        )
