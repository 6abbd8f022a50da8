"""Holds the standing of this node: hears the neighbours, fences, and opens the new epoch.

Lives on the event loop. The rules are `yidao.sync.fencing`; here is what they are
fed with and what follows. Whose word suffices: for a node that has a parent, the
parent's; for the root, that of all its children, or of one once the policy's wait
is over.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from yidao.node.keys import Identity
from yidao.node.logging import get_logger
from yidao.node.recovery.findings import (
    CLONED,
    DOUBTFUL,
    FORKED,
    RESTORED,
    UNWITNESSED,
    Findings,
    Neighbour,
)
from yidao.node.recovery.reopening import reopen
from yidao.node.store.standing import Compared, Reminder
from yidao.node.store.store import Store
from yidao.node.store.values import Fork
from yidao.sync.epoch import Cause, number_of
from yidao.sync.fencing import Standing, Start, Turn, Verdict, begun, turn_of, turned
from yidao.sync.ids import JournalId, NodeId
from yidao.sync.message import Held, Holding

#: Why a session ends: the next one asks for what is missing.
RESUMING: Final = "NODE_RESUMING"
_AGAIN_SECONDS: Final = 10.0

log = get_logger()


@dataclass(slots=True)
class _Heard:
    """What one neighbour's newest word leaves to be done."""

    agrees: bool = False
    missing: dict[JournalId, int] = field(default_factory=dict)


class Warden:
    """The standing of one node."""

    def __init__(
        self,
        store: Store,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
        wait_seconds: float,
    ) -> None:
        self._store = store
        self.findings = Findings(store)
        self._clock_ms = clock_ms
        self._random = random
        self._wait_seconds = wait_seconds
        self._on_reopened: list[Callable[[Identity], None]] = []
        self._on_turned: list[Callable[[Standing], None]] = []
        self._heard: dict[NodeId, _Heard] = {}
        self._waiting: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._trying_again: asyncio.TimerHandle | None = None
        self._waited = False
        self._has_reopened = False
        self._cause = Cause.RESTORED
        self.standing = Standing.ACTIVE
        self.since_ms = clock_ms()

    def begin(self, start: Start) -> None:
        """Take the standing of a start; before the store is started, so that nothing is sealed."""
        self.standing = begun(start)
        if self.standing is not Standing.ACTIVE:
            self._store.fence.close(self.standing.value)
            log.warning("node.start.fenced", start=start.value, standing=self.standing.value)

    def watch(self, start: Start) -> None:
        """Say what a start is in doubt about, and begin the policy's wait."""
        if start is Start.RESTORED:
            self.findings.note(RESTORED)
        if self.standing is Standing.ACTIVE:
            return
        self._wait(doubtful=start is Start.DOUBTFUL)

    def doubt(self) -> bool:
        """Take it that the store is not surely the one that it was; return whether that is news.

        What neighbours have said of the one before counts no more.
        """
        if not self._turn(Turn.DOUBTED):
            return False
        self._heard.clear()
        self._waited = False
        self._wait(doubtful=True)
        return True

    def vouched(self) -> None:
        """Take it that another daemon on this database has heard what this one waits for."""
        if self.standing is Standing.FENCED:
            self._turn(Turn.AGREED)

    def _wait(self, *, doubtful: bool) -> None:
        if doubtful:
            self.findings.note(DOUBTFUL, minutes=max(1, round(self._wait_seconds / 60)))
        if self._waiting is not None:
            self._waiting.cancel()
        loop = asyncio.get_running_loop()
        self._waiting = loop.call_later(self._wait_seconds, self._wait_is_over)
        if self._suffices():
            self._turn(Turn.AGREED)

    def on_reopened(self, callback: Callable[[Identity], None]) -> None:
        """Call back with who writes in a new epoch, before anything more is written in it."""
        self._on_reopened.append(callback)

    def on_turned(self, callback: Callable[[Standing], None]) -> None:
        """Call back with each new standing, before anything is sealed in it."""
        self._on_turned.append(callback)

    def stop(self) -> None:
        """Decide nothing more."""
        if self._waiting is not None:
            self._waiting.cancel()
        if self._trying_again is not None:
            self._trying_again.cancel()
        if self._reopening is not None:
            self._reopening.cancel()

    # What the neighbours say.

    def wanted(self, peer: Neighbour) -> tuple[Holding, ...]:
        """Return which own journals to ask a neighbour for, and from where."""
        heard = self._heard.get(peer.node_id)
        if heard is None or not heard.missing:
            return ()
        sizes = {head.journal: head.size for head in self._store.heads() if head.own}
        return tuple(
            Holding(journal=journal, size=sizes.get(journal, 0)) for journal in tuple(heard.missing)
        )

    def compare(
        self,
        peer: Neighbour,
        compared: Iterable[Compared],
        reminders: Iterable[Reminder],
        asked: Iterable[Holding],
    ) -> str:
        """Take a neighbour's word at the start of a session.

        Args:
            peer: Who says it.
            compared: Our journals against what it holds of them.
            reminders: What it proves of its own.
            asked: What this session has asked it for already.

        Returns:
            Why the session must end, so that the next one can ask; empty to go on.
        """
        compared, reminders = tuple(compared), tuple(reminders)
        heard = self._heard[peer.node_id] = _Heard()
        heard.missing = {
            each.journal: each.held_size for each in compared if each.verdict is Verdict.BEHIND
        }
        self.findings.show(peer, compared, reminders)
        # An epoch that this process has opened is in no older copy, whatever else was lost.
        lost = not self._has_reopened and any(not each.forked for each in reminders)
        current = [each.verdict for each in compared if self._counts(each.journal)]
        turn = turn_of(current, lost=lost)
        before = self.standing
        if turn is not Turn.AGREED:
            self._turn(turn)
        heard.agrees = turn in (Turn.AGREED, Turn.LOST)
        self._settle()
        if turn is Turn.DIVERGED and before is not Standing.FORKED:
            return FORKED
        news = heard.missing.keys() - {each.journal for each in asked}
        return RESUMING if news else ""

    def ingested(self, peer: Neighbour, forked: tuple[Fork, ...]) -> None:
        """Look again after a neighbour's frame is durable."""
        heard = self._heard.get(peer.node_id)
        if heard is None or not (heard.missing or forked):
            return
        for fork in forked:
            self.findings.show_own_fork(peer, fork.journal, fork.held, fork.other)
            if self._counts(fork.journal):
                self._turn(Turn.DIVERGED)
            heard.missing.pop(fork.journal, None)
        sizes = {head.journal: head.size for head in self._store.heads() if head.own}
        heard.missing = {
            journal: size for journal, size in heard.missing.items() if sizes.get(journal, 0) < size
        }
        if not heard.missing:
            heard.agrees = True
            self._settle()

    def proofs(self) -> tuple[Held, ...]:
        """Return own checkpoints to show to neighbours: those of journals that are forked."""
        found = self._store.problems(code=FORKED)
        return tuple(
            Held(journal=journal_of(each.journal), checkpoint=str(each.params["held"]).encode())
            for each in found
            if each.params.get("held")
        )

    def replaced(self) -> None:
        """Take it that the parent has a session with another process of this node."""
        if self._turn(Turn.REPLACED):
            self.findings.note(CLONED, side="older", node=self._store.identity.node_id.hex())

    async def decide(self, operator: str) -> str:
        """Open a new epoch because an operator says so, and return its name.

        Where the last attempt failed, this is the next one.

        Raises:
            YidaoError, Exception: What kept the epoch from being opened.
        """
        log.warning("node.epoch.decided", operator=operator, standing=self.standing.value)
        agreed = any(heard.agrees for heard in self._heard.values())
        self._cause = Cause.RESTORED if agreed else Cause.UNWITNESSED
        if not self._turn(Turn.DECIDED) and self.standing is Standing.REOPENING:
            self._start_reopening()
        if self._reopening is not None:
            await asyncio.shield(self._reopening)
        return self._store.identity.epoch

    # What follows.

    def _settle(self) -> None:
        if self.standing is not Standing.ACTIVE and self._suffices():
            self._cause = Cause.RESTORED
            self._turn(Turn.AGREED)

    def _suffices(self) -> bool:
        """Whether those who have spoken, and whose word counts, know of nothing more."""
        if any(heard.missing for heard in self._heard.values()):
            return False
        agreed = {node_id for node_id, heard in self._heard.items() if heard.agrees}
        own = self._store.identity
        nodes = self._store.enrolments()
        if own.path.depth:
            return any(n.node_id in agreed for n in nodes if n.path == own.path.parent)
        children = {n.node_id for n in nodes if n.path.parent == own.path and n.path != own.path}
        return children <= agreed or bool(self._waited and children & agreed)

    def _wait_is_over(self) -> None:
        self._waited = True
        if self._store.identity.path.depth == 0:
            # A root has nobody above who could tell: one child at least must speak, or a person.
            self._settle()
            return
        self._cause = Cause.UNWITNESSED
        self._turn(Turn.WAITED)

    def _turn(self, turn: Turn) -> bool:
        before, after = self.standing, turned(self.standing, turn)
        if after is before:
            return False
        log.warning("node.standing.turned", turn=turn.value, before=before.value, after=after.value)
        self.standing, self.since_ms = after, self._clock_ms()
        for callback in self._on_turned:
            callback(after)
        if after is Standing.ACTIVE:
            self._store.unfence()
            self._store.submit(lambda tx: tx.clear_problems(DOUBTFUL))
        else:
            self._store.fence.close(after.value)
        if after is Standing.REOPENING:
            self._start_reopening()
        return True

    def _start_reopening(self) -> None:
        """Open an epoch, unless that is under way."""
        if self._reopening is None or self._reopening.done():
            self._reopening = asyncio.get_running_loop().create_task(self._reopen())
            self._reopening.add_done_callback(self._note_failure)

    async def _reopen(self) -> None:
        identity = await reopen(self._store, self._cause, self._random)
        self._has_reopened = True
        for callback in self._on_reopened:
            callback(identity)
        if self._cause is Cause.UNWITNESSED:
            self.findings.note(UNWITNESSED, epoch=identity.epoch)
        self._turn(Turn.OPENED)

    def _note_failure(self, task: "asyncio.Task[None]") -> None:
        """Tell why no epoch was opened, since nobody else may wait for it, and try again.

        A disk that is full has room some day, and nobody should have to come for it.
        """
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("node.epoch.failed", error=type(error).__name__, exc_info=error)
        loop = asyncio.get_running_loop()
        self._trying_again = loop.call_later(_AGAIN_SECONDS, self._try_again)

    def _try_again(self) -> None:
        if self.standing is Standing.REOPENING:
            self._start_reopening()

    def _counts(self, journal: JournalId) -> bool:
        """Whether a journal is of the epoch in which this node writes, or of a later one."""
        return number_of(journal.epoch) >= number_of(self._store.identity.epoch)


def journal_of(text: str) -> JournalId:
    """Return the journal that a problem names as `<node_id>/<channel>/<epoch>`."""
    node_id, channel, epoch = text.split("/")
    return JournalId(node_id=NodeId(bytes.fromhex(node_id)), channel=channel, epoch=epoch)
