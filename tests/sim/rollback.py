"""One node under a parent, on several machines, while its disk is rolled back and cloned.

What runs is the real pure core: seals, the parent's checks, verdicts, standings and
lives. Modelled are the disks, the memory of machines (`node.recovery.witness`) and
sessions. The one invariant: where two roots for one size of one epoch left their
machines, that was exposed.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from random import Random

from yidao.sync.checkpoint import parse_checkpoint
from yidao.sync.epoch import next_epoch, number_of
from yidao.sync.errors import PeerError
from yidao.sync.fencing import Standing, Start, Turn, Verdict, begun, judge, turn_of, turned
from yidao.sync.ids import JournalId, NetworkId, NodeId
from yidao.sync.journal import JournalState, Seal, check_held, extend, seal
from yidao.sync.lives import Heard, Lives
from yidao.sync.merkle import Frontier, leaf_hashes
from yidao.sync.suite import Ed25519Signer

NETWORK = NetworkId(bytes(16))
NODE = NodeId(b"sample node 0001")
SIGNER = Ed25519Signer(sha256(b"sample key of a node that is cloned").digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A store: the seals of each epoch, the epoch in which it writes, who wrote last."""

    epoch: str = "1"
    life: bytes = b""
    seals: tuple[Seal, ...] = ()

    def of(self, epoch: str) -> tuple[Seal, ...]:
        """The seals of one epoch."""
        return tuple(each for each in self.seals if each.journal.epoch == epoch)


@dataclass(slots=True, kw_only=True)
class Process:
    """One process on a machine."""

    machine: int
    disk: Disk
    life: bytes
    standing: Standing


class Rollbacks:
    """One run; the seed decides everything.

    Attributes:
        told: Every root that left its machine, by epoch and size.
        exposed: Epochs of which somebody has learned that two speak in them.
    """

    def __init__(self, seed: int) -> None:
        self.told: dict[tuple[str, int], set[bytes]] = defaultdict(set)
        self.exposed: set[str] = set()
        self.random = Random(seed)
        self.held: dict[str, list[Seal]] = defaultdict(list)
        self.lives = Lives()
        self.memory: dict[int, tuple[bytes, int]] = {}
        self.copies: list[Disk] = []
        self.now_ms = 0
        self.counts: dict[str, int] = defaultdict(int)
        self.running = [self.started(0, Disk(), Start.FIRST)]
        self.linked = self.running[0]

    def run(self, steps: int = 60) -> list[str]:
        """Do as many things as chance wants, then let everybody speak; return what is wrong."""
        kinds = (self.write, self.write, self.meet, self.copy, self.restart, self.roll_back)
        kinds += (self.clone, self.boot, self.restore, self.wait, self.decide)
        for _ in range(steps):
            self.now_ms += self.random.randrange(120_000)
            kind = self.random.choice(kinds)
            self.counts[kind.__name__] += 1
            kind(self.random.choice(self.running))
        for _ in range(3):
            for process in list(self.running):
                self.meet(process)
        return [
            f"FORK: epoch {epoch} size {size}"
            for (epoch, size), roots in self.told.items()
            if len(roots) > 1 and epoch not in self.exposed
        ]

    # What happens.

    def write(self, process: Process) -> None:
        """Seal some records, if the node may."""
        if process.standing is Standing.ACTIVE:
            headers = [self.random.randbytes(8) for _ in range(self.random.choice((1, 1, 3)))]
            self.append(process, headers)

    def copy(self, process: Process) -> None:
        """Keep the disk as it is: a backup, a snapshot, a copied folder."""
        self.copies.append(process.disk)

    def restart(self, process: Process) -> None:
        """Kill the process and start it where it was."""
        self.begin_again(process, process.disk)

    def roll_back(self, process: Process) -> None:
        """Put an older copy in the place of the disk, as a clean folder looks."""
        if self.copies:
            self.begin_again(process, self.random.choice(self.copies))

    def restore(self, process: Process) -> None:
        """Unpack a backup, which says so."""
        if self.copies:
            self.begin_again(process, self.random.choice(self.copies), Start.RESTORED)

    def boot(self, process: Process) -> None:
        """Start the machine anew; it remembers nothing."""
        self.memory.pop(process.machine, None)
        self.begin_again(process, process.disk)

    def clone(self, process: Process) -> None:
        """Run a copy on another machine beside it."""
        if len(self.running) < 3:
            machine = max(each.machine for each in self.running) + 1
            disk = self.random.choice([*self.copies, process.disk])
            self.running.append(self.started(machine, disk))

    def wait(self, process: Process) -> None:
        """Let the policy's wait go by without the parent."""
        if process.standing in (Standing.FENCED, Standing.RESUMING):
            self.turn(process, Turn.WAITED)

    def decide(self, process: Process) -> None:
        """Let an operator go on where only a person may."""
        if process.standing in (Standing.FORKED, Standing.CLONED):
            self.turn(process, Turn.DECIDED)

    def meet(self, process: Process) -> None:
        """Hold a session: both say what they hold, what is missing comes, the rest is sent."""
        older, self.linked = self.linked, process
        if older in self.running and older is not process and self.random.random() < 0.5:
            # It still had its session, and hears that another one has taken its place.
            self.turn(older, Turn.REPLACED)
        self.lives, heard = self.lives.hear(process.life, self.now_ms)
        if heard is not Heard.ONE:
            self.exposed.add(process.disk.epoch)
        verdicts = {epoch: self.compare(process, seals) for epoch, seals in self.held.items()}
        newest = number_of(process.disk.epoch)
        counting = [v for epoch, v in verdicts.items() if number_of(epoch) >= newest]
        for epoch, verdict in verdicts.items():
            if verdict is Verdict.DIVERGED:
                self.exposed.add(epoch)
        turn = turn_of(counting, lost=False)
        self.turn(process, turn)
        if turn is not Turn.DIVERGED:
            self.heal(process, [e for e, v in verdicts.items() if v is Verdict.BEHIND])
        self.send(process)

    # How it is done.

    def started(self, machine: int, disk: Disk, start: Start | None = None) -> Process:
        """A new process on a disk, standing as what vouches for it says."""
        life = self.random.randbytes(16)
        remembered = self.memory.get(machine) == (disk.life, len(disk.seals)) and disk.life
        start = start or (Start.REMEMBERED if remembered else Start.DOUBTFUL)
        disk = replace(disk, life=life)
        made = Process(machine=machine, disk=disk, life=life, standing=begun(start))
        self.remember(made)
        return made

    def begin_again(self, process: Process, disk: Disk, start: Start | None = None) -> None:
        """Put a new process in the place of one."""
        self.running.remove(process)
        self.running.append(self.started(process.machine, disk, start))

    def remember(self, process: Process) -> None:
        """The witness: only a store that may sign is vouched for."""
        if process.standing is Standing.ACTIVE:
            self.memory[process.machine] = (process.life, len(process.disk.seals))
        else:
            self.memory.pop(process.machine, None)

    def append(self, process: Process, headers: list[bytes]) -> None:
        """Sign and store one seal."""
        disk = process.disk
        journal = JournalId(node_id=NODE, channel="up:15", epoch=disk.epoch)
        state = JournalState(journal=journal, frontier=frontier_of(disk.of(disk.epoch)))
        made = seal(state, headers, NETWORK, SIGNER).seal
        process.disk = replace(disk, seals=(*disk.seals, made))
        self.remember(process)

    def compare(self, process: Process, seals: list[Seal]) -> Verdict:
        """What the parent's checkpoint of one epoch says to this process."""
        mine = process.disk.of(seals[-1].journal.epoch)
        told = parse_checkpoint(seals[-1].checkpoint)
        return judge(told, frontier_of(mine).size, partial(root_at, mine))

    def turn(self, process: Process, turn: Turn) -> None:
        """Let a turn have its effect; a new epoch is opened at once."""
        process.standing = turned(process.standing, turn)
        if process.standing is Standing.REOPENING:
            mark = self.random.randbytes(8) if turn is Turn.WAITED else b""
            disk = process.disk
            newest = max((each.journal.epoch for each in disk.seals), key=number_of, default="1")
            before = max(newest, disk.epoch, key=number_of)
            process.disk = replace(disk, epoch=next_epoch(before, mark))
            process.standing = turned(process.standing, Turn.OPENED)
        self.remember(process)

    def heal(self, process: Process, epochs: list[str]) -> None:
        """Take back what the parent holds more, each seal verified against what is here."""
        for epoch in epochs:
            for each in self.held[epoch]:
                mine = process.disk.of(epoch)
                state = JournalState(journal=each.journal, frontier=frontier_of(mine))
                if each.end_seq <= state.size:
                    continue
                try:
                    extend(state, each, NETWORK, SIGNER.public_key)
                except PeerError:
                    self.exposed.add(epoch)
                    self.turn(process, Turn.DIVERGED)
                    return
                process.disk = replace(process.disk, seals=(*process.disk.seals, each))
        if epochs and process.standing is Standing.RESUMING:
            self.turn(process, Turn.AGREED)

    def send(self, process: Process) -> None:
        """Send everything; the parent takes what extends and exposes what contradicts."""
        for each in process.disk.seals:
            root = parse_checkpoint(each.checkpoint).root
            self.told[each.journal.epoch, each.end_seq].add(root)
            held = self.held[each.journal.epoch]
            frontier = frontier_of(tuple(held))
            state = JournalState(journal=each.journal, frontier=frontier)
            try:
                if extend(state, each, NETWORK, SIGNER.public_key).duplicate:
                    root = root_at(tuple(held), each.end_seq)
                    check_held(each, root, NETWORK, SIGNER.public_key)
                else:
                    held.append(each)
            except PeerError:
                self.exposed.add(each.journal.epoch)
                return


def frontier_of(seals: tuple[Seal, ...]) -> Frontier:
    """The tree that seals lead to."""
    return Frontier().append_many(leaf_hashes([h for each in seals for h in each.headers]))


def root_at(seals: tuple[Seal, ...], size: int) -> bytes:
    """The root of the first records of seals."""
    headers = [header for each in seals for header in each.headers]
    return Frontier().append_many(leaf_hashes(headers[:size])).root()
