"""The subtree with its health: what is known, what is asked, and what stays unknown."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from yidao.api.local.v1 import node_pb2
from yidao.node.link.errors import QueryTooLate
from yidao.node.tree import DeadlineInvalid, Tree
from yidao.sync.errors import QueryUnroutable
from yidao.sync.ids import NodeId, Path

NOW_MS = 1_790_000_000_000
PATHS = ("/33", "/33/3301", "/33/3301/330106", "/33/3301-x", "/33/3302", "/44")
BELOW = ["/33", "/33/3301", "/33/3301/330106", "/33/3301-x", "/33/3302"]


def node_id(path: str) -> NodeId:
    return NodeId(hashlib.sha256(path.encode()).digest()[:16])


def peer(path: str, state: str = "connected", role: str = "child", **more: int) -> node_pb2.Peer:
    return node_pb2.Peer(node_id=node_id(path), path=path, role=role, state=state, **more)


def status(path: str, *peers: node_pb2.Peer, problems: int = 0) -> node_pb2.StatusResponse:
    return node_pb2.StatusResponse(
        path=path,
        peers=peers,
        version="1",
        problems=[node_pb2.Problem(code="X") for _ in range(problems)],
    )


class Country:
    """The node `/33` of a made-up country; the nodes below answer as a test wants."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.asked: list[str] = []
        self.own = status("/33", peer("/33/3301", lag=4), peer("/33/3302", "lost"))
        self.answers: dict[str, Callable[[], Awaitable[bytes]]] = {}
        self.says(
            status(
                "/33/3301",
                peer("/33", role="parent", lag=7),
                peer("/33/3301/330106", lag=2),
                problems=3,
            )
        )
        self.says(status("/33/3301/330106", peer("/33/3301", role="parent", next_retry_ms=9)))
        known = [
            SimpleNamespace(path=Path.parse(path), node_id=node_id(path), revoked=False)
            for path in PATHS
        ]
        self.revoked: list[SimpleNamespace] = []
        self.tree = Tree(
            store=SimpleNamespace(enrolments=lambda: known, revoked=lambda: self.revoked),  # type: ignore[arg-type]
            identity=SimpleNamespace(path=Path.parse("/33")),  # type: ignore[arg-type]
            clock_ms=lambda: self.now_ms,
            ask=self.ask,
            own=lambda: self.own,
        )

    def says(self, said: node_pb2.StatusResponse, path: str = "") -> None:
        async def answer() -> bytes:
            return said.SerializeToString()

        self.answers[path or said.path] = answer

    async def ask(self, path: Path, _kind: str, _seconds: float) -> bytes:
        self.asked.append(str(path))
        return await self.answers[str(path)]()

    def nodes(self, *, live: bool, deadline_ms: int = 0) -> dict[str, node_pb2.NodeInfo]:
        found = asyncio.run(self.tree.nodes(live=live, deadline_ms=deadline_ms))
        return {each.path: each for each in found}


@pytest.fixture
def country() -> Country:
    return Country()


def states(nodes: dict[str, node_pb2.NodeInfo]) -> list[str]:
    return [each.state for each in nodes.values()]


def test_without_asking_the_children_are_known_and_the_rest_is_unknown(country: Country) -> None:
    """By path, this node and below only; nobody is asked."""
    nodes = country.nodes(live=False)
    assert list(nodes) == BELOW
    assert states(nodes) == ["self", "connected", "unknown", "unknown", "lost"]
    assert nodes["/33/3301"].lag_down == 4
    assert nodes["/33/3301/330106"].as_of_ms == 0
    assert country.asked == []


def test_asked_live_every_connected_node_answers_for_itself(country: Country) -> None:
    """Branch by branch; a lost child and what no parent names are not asked."""
    nodes = country.nodes(live=True)
    assert country.asked == ["/33/3301", "/33/3301/330106"]
    assert states(nodes) == ["self", "connected", "connected", "unknown", "lost"]
    city, county = nodes["/33/3301"], nodes["/33/3301/330106"]
    assert (city.lag_down, city.lag_up, city.problems, city.version) == (4, 7, 3, "1")
    assert (county.lag_down, county.next_retry_ms, county.as_of_ms) == (2, 9, NOW_MS)


def test_who_was_revoked_is_shown_until_another_node_stands_there(country: Country) -> None:
    """By its own state, whatever its line was; at a path that is taken again it is not named."""
    for path in ("/33/3309", "/33/3301", "/34"):
        gone = SimpleNamespace(path=Path.parse(path), node_id=b"gone" * 4, revoked=True)
        country.revoked.append(gone)
    nodes = country.nodes(live=True)
    assert list(nodes) == [*BELOW, "/33/3309"]
    assert nodes["/33/3309"].state == "revoked"
    assert nodes["/33/3301"].state == "connected"


async def _silent() -> bytes:
    await asyncio.sleep(3600)
    return b""


async def _too_late() -> bytes:
    raise QueryTooLate(path="/33/3301")


async def _unroutable() -> bytes:
    raise QueryUnroutable(path="/33")


async def _rubbish() -> bytes:
    return b"\xff\xff"


async def _as_another() -> bytes:
    return status("/44", peer("/33/3301/330106")).SerializeToString()


FAULTS = {
    "says nothing": _silent,
    "is too late": _too_late,
    "is behind no line": _unroutable,
    "answers rubbish": _rubbish,
    "answers as another node": _as_another,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_who_does_not_answer_hides_only_what_is_below(country: Country, fault: str) -> None:
    """The answer comes by the deadline: the line is known, what is below it is not."""
    country.own = status("/33", peer("/33/3301"), peer("/33/3302"))
    country.says(status("/33/3302", problems=1))
    country.answers["/33/3301"] = FAULTS[fault]
    nodes = country.nodes(live=True, deadline_ms=50)
    assert states(nodes) == ["self", "connected", "unknown", "unknown", "connected"]
    assert nodes["/33/3302"].problems == 1
    assert nodes["/33/3301"].version == ""


def test_the_last_answer_is_kept_with_its_time(country: Country) -> None:
    """Later figures are shown with their time; an old word says nothing about a line."""
    country.nodes(live=True)
    country.now_ms += 30_000
    soon = country.nodes(live=False)["/33/3301/330106"]
    assert (soon.state, soon.as_of_ms) == ("connected", NOW_MS)
    country.now_ms += 600_000
    late = country.nodes(live=False)["/33/3301/330106"]
    assert (late.state, late.lag_down, late.as_of_ms) == ("unknown", 2, NOW_MS)


def test_behind_a_cut_line_nothing_is_known(country: Country) -> None:
    """A fresh word of a node whose line was cut since does not stand."""
    country.nodes(live=True)
    country.own = status("/33", peer("/33/3301", "lost"))
    nodes = country.nodes(live=False)
    assert (nodes["/33/3301"].state, nodes["/33/3301/330106"].state) == ("lost", "unknown")


def test_a_time_that_is_too_long_is_refused(country: Country) -> None:
    """Nobody is asked."""
    with pytest.raises(DeadlineInvalid):
        country.nodes(live=True, deadline_ms=20_001)
    assert country.asked == []


def test_many_are_asked_at_once_but_not_all(country: Country) -> None:
    """At most 128 questions are under way, and everybody is asked in the end."""
    paths = [f"/33/n{number:03}" for number in range(300)]
    known = [
        SimpleNamespace(path=Path.parse(path), node_id=node_id(path), revoked=False)
        for path in paths
    ]
    store = SimpleNamespace(enrolments=lambda: known, revoked=list)
    country.tree._store = store  # type: ignore[assignment]
    country.own = status("/33", *(peer(path) for path in paths))
    under_way = most = 0

    async def ask(path: Path, _kind: str, _seconds: float) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        country.asked.append(str(path))
        return status(str(path)).SerializeToString()

    country.tree._ask = ask
    country.nodes(live=True)
    assert (most, sorted(country.asked)) == (128, paths)
