"""The standing of one simulated node: what `node.recovery.warden` does, in virtual time.

The rules are the real ones (`yidao.sync.fencing`). Around them this follows the
product step by step, since that part of it needs an event loop and a store.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sim.model_state import NETWORK, Enrolled, State, root_of
from yidao.sync.checkpoint import open_checkpoint, parse_checkpoint
from yidao.sync.epoch import Cause, number_of
from yidao.sync.fencing import Standing, Start, Turn, Verdict, begun, judge, turn_of, turned
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.message import Held, Holding

if TYPE_CHECKING:
    from sim.sim_node import SimNode

#: How long a start that nobody answers waits before it goes on unwitnessed.
WAIT_SECONDS: Final = 25.0
FORKED: Final = "NODE_FORKED"
RESUMING: Final = "NODE_RESUMING"


@dataclass(slots=True)
class _Heard:
    """What one neighbour's newest word leaves to be done."""

    agrees: bool = False
    missing: dict[JournalId, int] = field(default_factory=dict)


class SimWarden:
    """Hears the neighbours, fences, and opens the new epoch."""

    def __init__(self, node: "SimNode", start: Start) -> None:
        self._node = node
        self._heard: dict[NodeId, _Heard] = {}
        self._waited = False
        self._has_reopened = False
        self._cause = Cause.RESTORED
        self.standing = begun(start)
        self._fence()
        if self.standing is not Standing.ACTIVE:
            node.later(WAIT_SECONDS, self._wait_is_over)

    def wanted(self, peer: NodeId) -> tuple[Holding, ...]:
        """Return which own journals to ask a neighbour for, and from where."""
        heard = self._heard.get(peer, _Heard())
        return tuple(Holding(journal=each, size=self._size(each)) for each in heard.missing)

    def compare(
        self,
        peer: Enrolled,
        told: Iterable[Held],
        receipts: Iterable[Held],
        asked: Iterable[Holding],
    ) -> str:
        """Take a neighbour's word; return why the session must end, empty to go on."""
        heard = self._heard[peer.node_id] = _Heard()
        verdicts = {}
        for each in told:
            held = open_checkpoint(
                each.checkpoint, each.journal.origin(NETWORK), self._node.me.public_key
            )
            headers = self._node.store.durable.headers.get(each.journal, ())
            verdict = judge(held, len(headers), lambda size, of=headers: root_of(of[:size]))
            verdicts[each.journal] = verdict
            if verdict is Verdict.BEHIND:
                heard.missing[each.journal] = held.size
            elif verdict is Verdict.DIVERGED:
                self._node.world.note_fork(each.journal)
        # An epoch that this process has opened is in no older copy, whatever else was lost.
        lost = not self._has_reopened and any(
            parse_checkpoint(each.checkpoint).size > self._size(each.journal) for each in receipts
        )
        turn = turn_of([v for j, v in verdicts.items() if self._counts(j)], lost=lost)
        before = self.standing
        if turn is not Turn.AGREED:
            self._turn(turn)
        heard.agrees = turn in (Turn.AGREED, Turn.LOST)
        self._settle()
        if turn is Turn.DIVERGED and before is not Standing.FORKED:
            return FORKED
        return RESUMING if heard.missing.keys() - {each.journal for each in asked} else ""

    def ingested(self, peer: Enrolled, forked: Iterable[JournalId]) -> None:
        """Look again after a neighbour's frame is durable."""
        heard = self._heard.get(peer.node_id)
        if heard is None or not heard.missing:
            return
        for journal in forked:
            self._node.world.note_fork(journal)
            if self._counts(journal):
                self._turn(Turn.DIVERGED)
            heard.missing.pop(journal, None)
        heard.missing = {j: size for j, size in heard.missing.items() if self._size(j) < size}
        if not heard.missing:
            heard.agrees = True
            self._settle()

    def replaced(self) -> None:
        """Take it that the parent has a session with another process of this node."""
        self._turn(Turn.REPLACED)

    def decide(self) -> None:
        """Open a new epoch because an operator says so."""
        self._turn(Turn.DECIDED)

    def opened(self) -> None:
        """Go on in the epoch whose first record is durable."""
        self._has_reopened = True
        self._turn(Turn.OPENED)

    def _settle(self) -> None:
        if self.standing is not Standing.ACTIVE and self._suffices():
            self._cause = Cause.RESTORED
            self._turn(Turn.AGREED)

    def _suffices(self) -> bool:
        if any(heard.missing for heard in self._heard.values()):
            return False
        agreed = {node_id for node_id, heard in self._heard.items() if heard.agrees}
        own, known = self._node.me.path, self._node.store.durable.enrolled.values()
        if own.depth:
            return any(each.node_id in agreed for each in known if each.path == own.parent)
        children = {each.node_id for each in known if each.path.depth and each.path.parent == own}
        return children <= agreed or bool(self._waited and children & agreed)

    def _wait_is_over(self) -> None:
        self._waited = True
        if self._node.me.path.depth == 0:
            self._settle()
            return
        self._cause = Cause.UNWITNESSED
        self._turn(Turn.WAITED)

    def _turn(self, turn: Turn) -> None:
        before, self.standing = self.standing, turned(self.standing, turn)
        if self.standing is before:
            return
        node = self._node
        node.world.log(f"{node.me.path} turns from {before.value} to {self.standing.value}")
        self._fence()
        if self.standing is Standing.RESUMING:
            node.begin_line()
        elif self.standing is Standing.REOPENING:
            node.reopen(self._cause)
        elif self.standing is Standing.ACTIVE:
            # What waited behind the fence is decided now.
            node.submit(_nothing)

    def _fence(self) -> None:
        self._node.store.is_fenced = self.standing is not Standing.ACTIVE

    def _counts(self, journal: JournalId) -> bool:
        store = self._node.store
        return number_of(journal.epoch) >= number_of(store.own(store.durable, "node").epoch)

    def _size(self, journal: JournalId) -> int:
        return len(self._node.store.durable.headers.get(journal, ()))


def _nothing(state: State) -> "object":
    return lambda: None
