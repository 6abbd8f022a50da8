"""Questions over three nodes, joined by queues instead of streams."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from yidao.node.keys import Identity
from yidao.node.link.errors import QueryTooLate
from yidao.node.link.queries import MAX_UNDER_WAY, Queries, _Line
from yidao.sync.errors import QueryRefused, QueryUnroutable
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.query import MAX_ANSWER_BYTES
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

PATHS = ("/", "/33", "/33/3301", "/33/3302")


def _identity(path: str) -> Identity:
    seed = hashlib.sha256(path.encode()).digest()
    return Identity(
        network=NetworkId(bytes(16)),
        node_id=NodeId(seed[:16]),
        path=Path.parse(path),
        epoch="1",
        suite=ED25519_SHA256,
        journal=Ed25519Signer(seed),
        cosign=Ed25519Signer(hashlib.sha256(seed).digest()),
    )


class Tree:
    """Four nodes; every node knows every enrolment."""

    def __init__(self) -> None:
        self.now_ms = 1_790_000_000_000
        self.identities = {path: _identity(path) for path in PATHS}
        known = {
            each.node_id: SimpleNamespace(path=each.path, cosign_key=each.cosign.public_key)
            for each in self.identities.values()
        }
        store = SimpleNamespace(enrolled=known.get)
        self.nodes = {
            path: Queries(
                store=store,  # type: ignore[arg-type]
                identity=identity,
                clock_ms=lambda: self.now_ms,
                random=secrets.token_bytes,
            )
            for path, identity in self.identities.items()
        }
        for path, node in self.nodes.items():
            node.answering.kinds["status"] = lambda _asked, path=path: [path.encode()]
        self.tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def join(self, lower: str, upper: str) -> None:
        """Open the query stream between two nodes, both ways."""
        up: asyncio.Queue[bytes | None] = asyncio.Queue()
        down: asyncio.Queue[bytes | None] = asyncio.Queue()
        for own, peer, incoming, out in ((lower, upper, down, up), (upper, lower, up, down)):
            other = self.identities[peer]
            held = self.nodes[own].hold(other.node_id, other.path, _drain(incoming), out)
            self.tasks[own, peer] = asyncio.create_task(held)

    def cut(self, lower: str, upper: str) -> None:
        """End the stream between two nodes."""
        for pair in ((lower, upper), (upper, lower)):
            self.tasks.pop(pair).cancel()


async def _drain(queue: "asyncio.Queue[bytes | None]") -> AsyncIterator[bytes]:
    while (message := await queue.get()) is not None:
        yield message


def run(story: Callable[[Tree], Awaitable[Any]]) -> Any:
    """Play a story on a joined tree."""

    async def play() -> Any:
        tree = Tree()
        for lower, upper in (("/33", "/"), ("/33/3301", "/33"), ("/33/3302", "/33")):
            tree.join(lower, upper)
        await asyncio.sleep(0)
        try:
            return await asyncio.wait_for(story(tree), 30)
        finally:
            for task in tree.tasks.values():
                task.cancel()

    return asyncio.run(play())


def ask(tree: Tree, asker: str, target: str, kind: str = "status", seconds: float = 5.0) -> Any:
    return tree.nodes[asker].ask(Path.parse(target), kind, seconds)


@pytest.mark.parametrize(
    ("asker", "target"), [("/", "/33"), ("/", "/33/3301"), ("/33", "/33/3302")]
)
def test_an_ancestor_is_answered(asker: str, target: str) -> None:
    """By the addressed node itself, through those between."""
    assert run(lambda tree: ask(tree, asker, target)) == target.encode()


@pytest.mark.parametrize(
    ("asker", "target", "kind", "reason"),
    [
        ("/33/3301", "/33/3302", "status", "QUERY_DENIED"),  # a sibling, through the parent
        ("/33/3301", "/33", "status", "QUERY_DENIED"),  # the parent itself
        ("/33/3301", "/", "status", "QUERY_DENIED"),
        ("/", "/33/3301", "rows", "QUERY_DENIED"),  # what nobody answers
        ("/", "/33/9999", "status", "QUERY_UNROUTABLE"),
    ],
)
def test_others_are_refused_where_it_is_decided(
    asker: str, target: str, kind: str, reason: str
) -> None:
    """With the code of whoever refused, well before the deadline."""

    async def story(tree: Tree) -> None:
        with pytest.raises(QueryRefused) as refused:
            await ask(tree, asker, target, kind)
        assert refused.value.params["reason"] == reason

    run(story)


def test_nobody_asks_in_another_ones_name() -> None:
    """A county with its own key cannot ask as the root, though the way would be open."""

    async def story(tree: Tree) -> None:
        root, county = tree.identities["/"], tree.identities["/33/3302"]
        tree.nodes["/33/3302"]._identity = Identity(
            network=root.network,
            node_id=root.node_id,
            path=county.path,
            epoch="1",
            suite=ED25519_SHA256,
            journal=county.journal,
            cosign=county.cosign,
        )
        with pytest.raises(QueryRefused) as refused:
            await ask(tree, "/33/3302", "/33/3301")
        assert refused.value.params["reason"] == "QUERY_SIGNATURE_INVALID"

    run(story)


def test_a_cut_line_is_said_at_once_and_a_silent_one_in_time() -> None:
    """No question is left without an end."""

    async def story(tree: Tree) -> None:
        tree.cut("/33/3301", "/33")
        await asyncio.sleep(0.01)
        with pytest.raises(QueryRefused) as refused:
            await ask(tree, "/", "/33/3301")
        assert refused.value.params["reason"] == "QUERY_UNROUTABLE"
        with pytest.raises(QueryUnroutable):
            await ask(tree, "/33", "/33/3301")
        # The other county's stream is there, and nobody reads it.
        out: asyncio.Queue[bytes | None] = asyncio.Queue()
        county = tree.identities["/33/3302"]
        tree.nodes["/33"]._lines[county.path] = _Line(county.node_id, county.path, out)
        with pytest.raises(QueryTooLate):
            await ask(tree, "/", "/33/3302", seconds=0.2)
        assert tree.nodes["/"]._under_way == {}

    run(story)


def test_many_questions_at_once_all_end() -> None:
    """Up to the bound they are answered; beyond it they are refused, and room comes back."""

    async def story(tree: Tree) -> list[object]:
        asked = [ask(tree, "/", "/33/3301") for _ in range(2 * MAX_UNDER_WAY)]
        return await asyncio.gather(*asked, return_exceptions=True) + [
            await ask(tree, "/", "/33/3301")
        ]

    ends = run(story)
    answered = [end for end in ends if end == b"/33/3301"]
    refused = [end for end in ends if getattr(end, "code", "") == "QUERY_OVERLOAD"]
    assert len(answered) + len(refused) == len(ends)
    assert len(answered) >= MAX_UNDER_WAY
    assert refused
    assert ends[-1] == b"/33/3301"


def test_an_answer_over_the_limit_is_an_error() -> None:
    """The asker learns it; nothing of that size goes over a line."""

    async def story(tree: Tree) -> None:
        tree.nodes["/33"].answering.kinds["status"] = lambda _asked: [bytes(MAX_ANSWER_BYTES + 1)]
        with pytest.raises(QueryRefused) as refused:
            await ask(tree, "/", "/33")
        assert refused.value.params["reason"] == "QUERY_OVERLOAD"

    run(story)
