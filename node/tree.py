"""The subtree as this node knows it: who is there, who is connected, who lags.

What is known of a node comes from two sides. Its parent says whether its line is
up and what waits for it; the node itself says what waits for its parent, when
it dials again and what is wrong with it. This node speaks for itself and of its
children at any time; the nodes further down are asked, branch by branch, and the
last answers are kept in memory with the time at which they came.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import node_pb2
from yidao.node.errors import NodeError
from yidao.node.keys import Identity
from yidao.node.logging import get_logger
from yidao.node.store.store import Store
from yidao.node.store.values import EnrolledNode
from yidao.sync.ids import Path

DEFAULT_DEADLINE_MS: Final = 3_000
MAX_DEADLINE_MS: Final = 20_000
#: A peer lets 256 questions of one asker be under way (`link.queries`); half are for others.
MAX_ASKED_AT_ONCE: Final = 128
#: How long a word about a line counts as current where nobody is asked: two signs of life.
FRESH_MS: Final = 60_000

log = get_logger()


class DeadlineInvalid(NodeError):
    """The time for an answer is out of range (params: deadline_ms, limit_ms)."""

    code = "DEADLINE_INVALID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a node said of itself and its children, and when."""

    status: node_pb2.StatusResponse
    as_of_ms: int


class Tree:
    """The nodes at and below this one. Lives on the event loop.

    Args:
        ask: Puts a signed question to a node below; raises a typed error.
        own: This node's own status; called in a thread.
    """

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        clock_ms: Callable[[], int],
        ask: Callable[[Path, str, float], Awaitable[bytes]],
        own: Callable[[], node_pb2.StatusResponse],
    ) -> None:
        self._store = store
        self._own_path = identity.path
        self._clock_ms = clock_ms
        self._ask = ask
        self._own = own
        self._words: dict[Path, Word] = {}

    async def status_of(self, path: str) -> node_pb2.StatusResponse:
        """Ask one node for its status, and remember it.

        Raises:
            QueryError, QueryUnroutable: It did not answer.
            HeaderFieldInvalid: That is no path.
        """
        target = Path.parse(path)
        status = node_pb2.StatusResponse.FromString(await self._ask(target, "status", 10.0))
        self._remember(target, status)
        return status

    async def nodes(self, *, live: bool, deadline_ms: int) -> Sequence[node_pb2.NodeInfo]:
        """Give every node of the subtree, by path.

        Args:
            live: Ask every node that a line leads to; answers may be partial.
            deadline_ms: How long the asking may take; 0 means 3,000.

        Raises:
            DeadlineInvalid: It is above 20,000.
        """
        if deadline_ms > MAX_DEADLINE_MS:
            raise DeadlineInvalid(deadline_ms=deadline_ms, limit_ms=MAX_DEADLINE_MS)
        began_ms = self._clock_ms()
        known = await asyncio.to_thread(self._below)
        self._remember(self._own_path, await asyncio.to_thread(self._own))
        if live:
            seconds = (deadline_ms or DEFAULT_DEADLINE_MS) / 1000
            visit = _Visit(self._ask_one, known, seconds)
            try:
                async with asyncio.timeout(seconds):
                    await visit.below(self._words[self._own_path].status)
            except TimeoutError:
                log.info("node.tree.partly_answered", asked=visit.asked, answered=visit.answered)
        for gone in self._words.keys() - {each.path for each in known}:
            del self._words[gone]
        since_ms = began_ms if live else began_ms - FRESH_MS
        return views(known, self._own_path, self._words, since_ms)

    def _below(self) -> list[EnrolledNode]:
        standing = self._store.enrolments()
        paths = {each.path for each in standing}
        # Who was revoked is shown until another node stands there.
        gone = [each for each in self._store.revoked() if each.path not in paths]
        nodes = [each for each in (*standing, *gone) if each.path.is_within(self._own_path)]
        return sorted(nodes, key=lambda each: str(each.path).split("/"))

    async def _ask_one(self, path: Path, seconds: float) -> node_pb2.StatusResponse | None:
        """Ask one node; None if it does not answer or answers as somebody else."""
        try:
            data = await self._ask(path, "status", seconds)
            status = node_pb2.StatusResponse.FromString(data)
        except YidaoError as error:
            log.info("node.tree.unanswered", path=str(path), code=error.code)
            return None
        except DecodeError:
            log.warning("node.tree.unreadable", path=str(path))
            return None
        if status.path != str(path):
            log.warning("node.tree.mistaken", path=str(path))
            return None
        self._remember(path, status)
        return status

    def _remember(self, path: Path, status: node_pb2.StatusResponse) -> None:
        self._words[path] = Word(status=status, as_of_ms=self._clock_ms())


class _Visit:
    """One round through the tree: a node's answer says which of its children to ask.

    A branch that is slow holds up nobody but itself.
    """

    def __init__(
        self,
        ask: Callable[[Path, float], Awaitable[node_pb2.StatusResponse | None]],
        known: Sequence[EnrolledNode],
        seconds: float,
    ) -> None:
        self._ask = ask
        self._known = {str(each.path) for each in known}
        self._seconds = seconds
        self._room = asyncio.Semaphore(MAX_ASKED_AT_ONCE)
        self.asked = 0
        self.answered = 0

    async def below(self, status: node_pb2.StatusResponse) -> None:
        """Ask the children that a node is connected to, and theirs."""
        paths = [
            peer.path
            for peer in status.peers
            if peer.role == "child" and peer.state == "connected" and peer.path in self._known
        ]
        async with asyncio.TaskGroup() as group:
            for path in paths:
                group.create_task(self._one(Path.parse(path)))

    async def _one(self, path: Path) -> None:
        async with self._room:
            self.asked += 1
            status = await self._ask(path, self._seconds)
        if status is not None:
            self.answered += 1
            await self.below(status)


def views(
    known: Sequence[EnrolledNode], own: Path, words: Mapping[Path, Word], since_ms: int
) -> list[node_pb2.NodeInfo]:
    """Put together what is known of each node.

    Args:
        known: Nodes at and below this one, parents before their children.
        own: Where this node stands.
        words: What nodes said, by path.
        since_ms: An older word says nothing about the line, which may be cut by now.
    """
    reached: set[Path | None] = set()
    found: list[node_pb2.NodeInfo] = []
    for node in known:
        info = _said_by_itself(node, words.get(node.path))
        if node.path == own:
            info.state = "self"
        elif node.revoked:
            info.state = "revoked"
        else:
            above = words.get(node.path.parent) if node.path.parent else None
            # Whoever stands behind a line that is cut cannot be told about.
            is_current = node.path.parent in reached and above and above.as_of_ms >= since_ms
            _add_said_by_parent(info, above, is_current=bool(is_current))
        if info.state in ("self", "connected"):
            reached.add(node.path)
        found.append(info)
    return found


def _said_by_itself(node: EnrolledNode, word: Word | None) -> node_pb2.NodeInfo:
    info = node_pb2.NodeInfo(path=str(node.path), node_id=node.node_id, state="unknown")
    if word is not None:
        info.problems = len(word.status.problems)
        info.version = word.status.version
        info.office_name = word.status.office_name
        info.as_of_ms = word.as_of_ms
        for peer in word.status.peers:
            if peer.role == "parent":
                info.lag_up, info.next_retry_ms = peer.lag, peer.next_retry_ms
    return info


def _add_said_by_parent(info: node_pb2.NodeInfo, word: Word | None, *, is_current: bool) -> None:
    if word is None:
        return
    for peer in word.status.peers:
        if peer.role == "child" and peer.node_id == info.node_id:
            info.lag_down, info.last_seen_ms = peer.lag, peer.last_seen_ms
            info.as_of_ms = max(info.as_of_ms, word.as_of_ms)
            if is_current:
                info.state = peer.state
