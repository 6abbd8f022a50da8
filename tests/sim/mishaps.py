"""What can go wrong in a simulated tree: machines, disks, lines and clocks."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sim.scheduler import DATA, Connection
from sim.sim_node import Link, SimNode
from yidao.sync.fencing import Start
from yidao.sync.ids import NodeId, Path

if TYPE_CHECKING:
    from sim.world import World

DAY_MS = 86_400_000
# A clock that is a year ahead, ten years back, an hour back, or half a minute off.
CLOCK_JUMPS_MS = (400 * DAY_MS, -3_650 * DAY_MS, -3_600_000, 30_000, -30_000)

# Does something and returns whether there was anything to do it to.
Mishap = Callable[[], bool]


class Mishaps:
    """The faults of one world; which of them happen is the world's random choice."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = world.random
        self._after = world.scheduler.after
        # Whose disk has lost what others know of: never two neighbours, since what both
        # have lost is lost.
        self.victims: set[Path] = set()
        self.frames: list[tuple[NodeId, NodeId, bytes]] = []

    def kinds(self) -> list[Mishap]:
        """Return what may happen in this world, the frequent ones more than once."""
        kinds = [self.kill, self.crash, self.cut, self.cut, self.half_open, self.part, self.redial]
        if self._world.plan.disasters:
            kinds += [self.lose_power, self.clog, self.part_one_way, self.swizzle]
            kinds += [self.jump_clock]
        if self._world.plan.disasters and not self._world.plan.away_seconds:
            # Who was set back and reaches nobody opens an epoch that nobody has witnessed;
            # if its lost self had opened one too, only a person can say which one counts.
            kinds += [self.roll_back, self.restore, self.clone]
        if self._world.plan.hostile:
            # Not all in one world: a replayed frame in the place of a lost one is an
            # attacker inside TLS, and stopped by seals alone.
            hostile = (self.lose_frame, self.replay, self.repeat_frame, self.swap_frames)
            kinds += [hostile[self._world.seed % len(hostile)]] * 2
        only = self._world.plan.only
        return [kind for kind in kinds if not only or kind.__name__ in only]

    def names(self) -> set[str]:
        """Return the names of all that may happen in this world."""
        return {kind.__name__ for kind in self.kinds()} | {"away"}

    def any_kind(self) -> None:
        """Let something happen."""
        kind = self._random.choice(self.kinds())
        self._world.faults[kind.__name__] += kind()

    # Machines.

    def kill(self) -> bool:
        """A process dies; the machine keeps what it has written."""
        node = self._running()
        self._log(f"{node.me.path} is killed")
        node.store.sync()
        return self._end(node, Start.REMEMBERED)

    def crash(self) -> bool:
        """A process dies with what it has not synced."""
        # The moment that hurts is between a commit and its sync.
        node = self._running(unsynced=True)
        self._log(f"{node.me.path} crashes")
        return self._end(node, Start.REMEMBERED)

    def lose_power(self) -> bool:
        """A machine stops; when it boots, nothing vouches for its disk."""
        node = self._running(unsynced=True)
        self._log(f"{node.me.path} loses power")
        return self._end(node, Start.DOUBTFUL)

    def roll_back(self) -> bool:
        """A disk is set back, and nobody says so: a snapshot, or syncs that were a lie."""
        return self._set_back(self._victim(), Start.DOUBTFUL)

    def restore(self) -> bool:
        """A disk is lost, and a backup unpacked."""
        return self._set_back(self._victim(), Start.RESTORED)

    def clone(self) -> bool:
        """A copy of a node's disk starts on another machine, and runs beside it for a while."""
        node = self._victim()
        if node is None or not node.me.path.labels:
            return False
        self._log(f"{node.me.path} is cloned")
        clone = self._world.new_clone(node)
        clone.restart(Start.DOUBTFUL)
        self._after(self._random.uniform(3, 15), lambda: self._world.unplug(clone))
        return True

    def _end(self, node: SimNode, start: Start) -> bool:
        node.crash()
        self._after(self._random.uniform(0.1, 4), lambda: node.restart(start))
        return True

    def _set_back(self, node: SimNode | None, start: Start) -> bool:
        if node is None:
            return False
        self._log(f"{node.me.path} is set back ({start.value})")
        node.crash()
        self._world.set_back(node, self._random.choice(node.backups))
        self._after(self._random.uniform(0.5, 6), lambda: node.restart(start))
        return True

    def _running(self, *, unsynced: bool = False) -> SimNode:
        up = [node for node in self._world.nodes.values() if node.up]
        hurt = [node for node in up if node.store.is_unsynced] if unsynced else []
        return self._random.choice(hurt or up)

    def _victim(self) -> SimNode | None:
        around = {path for victim in self.victims for path in (victim, victim.parent)}
        free = [
            node
            for path, node in self._world.nodes.items()
            if node.up and node.backups and path not in around and path.parent not in self.victims
        ]
        if not free:
            return None
        node = self._random.choice(free)
        self.victims.add(node.me.path)
        return node

    def jump_clock(self) -> bool:
        """Somebody sets the wall clock of a node; the time that passes goes on."""
        node = self._random.choice(list(self._world.nodes.values()))
        node.clock_ms += self._random.choice(CLOCK_JUMPS_MS)
        return True

    # Lines.

    def cut(self) -> bool:
        """A connection ends."""
        return self._to_some_link("is cut off", lambda c: c.cut())

    def half_open(self) -> bool:
        """A connection ends and nobody is told."""
        return self._to_some_link("is cut off and nobody is told", lambda c: c.cut(silent=1.0))

    def part(self) -> bool:
        """A node and its parent do not reach each other for a while."""
        path = self._random.choice([path for path in self._world.nodes if path.labels])
        self._log(f"{path} is parted from its parent")
        self._world.parted.add(path)
        for node, link in self.links():
            if node.me.path == path:
                link.connection.cut(silent=0.5)
        self._after(self._random.uniform(1, 8), lambda: self._world.parted.discard(path))
        return True

    def part_one_way(self) -> bool:
        """What one side sends does not arrive for a while; the other way it does."""
        side, seconds = self._random.randrange(2), self._random.uniform(2, 9)
        return self._to_some_link(
            f"is parted in direction {side}", lambda c: self._clog(c, seconds, (side,))
        )

    def clog(self) -> bool:
        """A line stands still for a while, and then everything comes at once."""
        seconds = self._random.uniform(0.2, 5)
        return self._to_some_link("is clogged", lambda c: self._clog(c, seconds))

    def swizzle(self) -> bool:
        """Lines of a random subset stop one by one, and go on in random order."""
        links = self.links()
        chosen = self._random.sample(links, self._random.randint(0, len(links) // 2))
        for _, link in chosen:
            stop, go = sorted(self._random.uniform(0, 6) for _ in range(2))
            halt = partial(self._clog, link.connection, go - stop)
            self._after(stop, halt)
        return bool(chosen)

    def _clog(self, line: Connection, seconds: float, sides: tuple[int, ...] = (0, 1)) -> None:
        for side in sides:
            line.clog(side)
            self._after(seconds, partial(line.release, side))

    def redial(self) -> bool:
        """The child believes that its link is dead and dials again; the parent does not."""
        for node, link in self._some_link():
            self._log(f"{node.me.path} dials again over a live link")
            del node.links[link.peer.node_id]
            node.dial()
            return True
        return False

    # What no network does; the session must notice.

    def replay(self) -> bool:
        """Captured frames come a second time, into whatever session there is."""
        done = False
        for sender, receiver, data in self._random.sample(self.frames, min(3, len(self.frames))):
            link = self._world.by_id(sender).links.get(receiver)
            if link is not None:
                link.connection.send(link.side, DATA, data)
                done = True
        return done

    def lose_frame(self) -> bool:
        """One frame vanishes."""
        return self._meddle("lose")

    def repeat_frame(self) -> bool:
        """One frame comes twice."""
        return self._meddle("repeat")

    def swap_frames(self) -> bool:
        """One frame comes after the one that followed it."""
        return self._meddle("swap")

    def _meddle(self, what: str) -> bool:
        return self._to_some_link("", lambda c: setattr(c, "next_data", what))

    def captured(self, sender: SimNode, link: Link, data: bytes) -> None:
        """Somebody on the line keeps what passes."""
        if len(self.frames) < 200:
            self.frames.append((sender.me.node_id, link.peer.node_id, data))

    def links(self) -> list[tuple[SimNode, Link]]:
        """Return every link, as its child sees it."""
        return [
            (node, link)
            for node in self._world.nodes.values()
            for link in node.links.values()
            if link.peer.path == node.me.path.parent
        ]

    def _some_link(self) -> list[tuple[SimNode, Link]]:
        links = self.links()
        return [self._random.choice(links)] if links else []

    def _to_some_link(self, line: str, what: Callable[[Connection], None]) -> bool:
        for node, link in self._some_link():
            if line:
                self._log(f"{node.me.path} {line}")
            what(link.connection)
            return True
        return False

    def _log(self, line: str) -> None:
        self._world.log(line)
