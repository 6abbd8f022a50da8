"""Questions over three nodes, joined by queues instead of streams."""

import asyncio
import hashlib
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yidao.api.errors import YidaoError
from yidao.api.link.v1 import link_pb2 as pb
from yidao.node.keys import Identity
from yidao.node.link.answering import MAX_REMEMBERED
from yidao.node.link.errors import QueryOverload, QueryTooLate
from yidao.node.link.queries import MAX_UNDER_WAY, MAX_WAITING, Outgoing, Queries, _Line
from yidao.sync.errors import PeerError, QueryRefused, QueryUnroutable
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.query import MAX_ANSWER_BYTES, WINDOW_PAGES, Asked, to_proto
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
        self.known = known = {
            each.node_id: SimpleNamespace(
                path=each.path, cosign_key=each.cosign.public_key, revoked=False
            )
            for each in self.identities.values()
        }

        def store(own: Identity) -> Any:
            def keys_of(node_id: NodeId) -> tuple[Any, ...]:
                return (known[node_id],) if node_id in known else ()

            return SimpleNamespace(enrolled=known.get, keys_of=keys_of, identity=own)

        self.nodes = {
            path: Queries(
                store=store(identity),
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

    def bounce(self, lower: str, upper: str) -> None:
        """Let a faulty lower node hand up again whatever comes down to it."""
        up: asyncio.Queue[bytes | None] = asyncio.Queue()
        faulty = self.identities[lower]
        held = self.nodes[upper].hold(faulty.node_id, faulty.path, _drain(up), up)
        self.tasks[upper, lower] = asyncio.create_task(held)
        self.tasks[lower, upper] = asyncio.create_task(asyncio.sleep(0))

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
            for node in tree.nodes.values():
                node.stop()

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


def test_a_revoked_node_is_not_answered() -> None:
    """Its key asks nobody below any more, whoever carries the question."""

    async def story(tree: Tree) -> None:
        tree.known[tree.identities["/33"].node_id].revoked = True
        with pytest.raises(QueryRefused) as refused:
            await ask(tree, "/33", "/33/3301")
        assert refused.value.params["reason"] == "QUERY_DENIED"

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


class Stream:
    """Pages that are given one by one, as far as they are read."""

    def __init__(self, pages: int) -> None:
        self.given = 0
        self._pages = pages

    def __call__(self, asked: Asked) -> Iterator[bytes]:
        for number in range(self._pages):
            self.given += 1
            yield str(number).encode()


def test_pages_come_in_order_and_only_as_fast_as_they_are_read() -> None:
    """A reader that stops leaves the answerer a window ahead and no more."""

    async def story(tree: Tree) -> None:
        stream = Stream(40)
        tree.nodes["/33/3301"].answering.kinds["rows"] = stream
        got = []
        async with aclosing(tree.nodes["/"].pages(Path.parse("/33/3301"), "rows")) as pages:
            async for page in pages:
                got.append(int(page))
                if len(got) == 10:
                    await asyncio.sleep(0.05)
                    # The window, one page that waits to go, and the look for the last one.
                    assert stream.given <= 10 + 2 * WINDOW_PAGES + 2
        assert got == list(range(40))
        assert all(node._under_way == {} for node in tree.nodes.values())
        assert tree.nodes["/33/3301"].answering.under_way() == 0

    run(story)


def test_a_question_says_what_is_asked_what_for_and_for_whom() -> None:
    """And the answerer knows where the asker stands, by its enrolment."""

    async def story(tree: Tree) -> None:
        seen: list[Asked] = []

        def answer(asked: Asked) -> list[bytes]:
            seen.append(asked)
            return [b""]

        tree.nodes["/33"].answering.kinds["rows"] = answer
        pages = tree.nodes["/"].pages(
            Path.parse("/33"), "rows", args=b"{}", purpose="样例", actor="li@/"
        )
        assert [page async for page in pages] == [b""]
        [asked] = seen
        question = asked.question
        assert (question.args, question.purpose, question.actor) == (b"{}", "样例", "li@/")
        assert str(asked.asker_path) == "/"

    run(story)


@pytest.mark.parametrize("cause", ["closed", "deadline", "asker's line cut", "middle line cut"])
def test_who_asks_no_longer_stops_the_answer(cause: str) -> None:
    """Closed, out of time, or gone with its line: nothing keeps running anywhere."""

    async def story(tree: Tree) -> None:
        stream = Stream(400)
        tree.nodes["/33/3301"].answering.kinds["rows"] = stream
        seconds = 0.3 if cause == "deadline" else 20.0
        pages = tree.nodes["/"].pages(Path.parse("/33/3301"), "rows", seconds=seconds)
        assert await anext(pages) == b"0"
        if cause == "closed":
            await pages.aclose()
        elif cause == "deadline":
            await asyncio.sleep(0.4)
            with pytest.raises((QueryTooLate, QueryRefused)):
                async for _ in pages:
                    pass
        else:
            lower, upper = ("/33", "/") if "asker" in cause else ("/33/3301", "/33")
            tree.cut(lower, upper)
            with pytest.raises(QueryRefused) as refused:
                async for _ in pages:
                    pass
            assert refused.value.params["reason"] == "QUERY_LINE_LOST"
        await asyncio.sleep(0.05)
        assert all(node._under_way == {} for node in tree.nodes.values())
        assert tree.nodes["/33/3301"].answering.under_way() == 0
        assert tree.nodes["/33/3301"]._answered_here == {}
        assert stream.given < 400

    run(story)


def test_r58_a_question_for_a_foreign_subtree_is_denied_where_it_is_answered() -> None:
    """The routers carry it; the node that is asked refuses it, whatever is asked."""

    async def story(tree: Tree) -> None:
        asked: list[Asked] = []
        tree.nodes["/33/3302"].answering.kinds["rows"] = lambda a: asked.append(a) or [b""]
        with pytest.raises(QueryRefused) as refused:
            async for _ in tree.nodes["/33/3301"].pages(Path.parse("/33/3302"), "rows"):
                pass
        assert refused.value.params["reason"] == "QUERY_DENIED"
        assert asked == []

    run(story)


def test_r58_an_expired_question_is_refused() -> None:
    """By the answerer's own clock, also where a router would have let it through."""

    async def story(tree: Tree) -> None:
        answerer = tree.nodes["/33/3301"].answering
        answerer._clock_ms = lambda: tree.now_ms + 60_000
        with pytest.raises(QueryRefused) as refused:
            await ask(tree, "/", "/33/3301")
        assert refused.value.params["reason"] in {"QUERY_EXPIRED", "QUERY_TOO_LATE"}

    run(story)


def test_r58_a_loop_is_cut() -> None:
    """A node below that hands a question up again meets a typed error at the first tier."""

    async def story(tree: Tree) -> None:
        tree.cut("/33", "/")
        await asyncio.sleep(0.01)
        tree.bounce("/33", "/")
        await asyncio.sleep(0)
        with pytest.raises((QueryRefused, QueryTooLate)) as ended:
            await ask(tree, "/", "/33/3301", seconds=2.0)
        assert ended.value.params.get("reason") == "QUERY_LOOPED"
        assert tree.nodes["/"]._under_way == {}

    run(story)


def test_r58_a_captured_question_is_not_answered_twice() -> None:
    """Neither while it is answered nor afterwards."""

    async def story(tree: Tree) -> None:
        captured: list[pb.Query] = []
        middle = tree.nodes["/33"]
        send = middle._send

        def listen(question: Any, *, back: Any) -> Any:
            captured.append(to_proto(question))
            return send(question, back=back)

        middle._send = listen  # type: ignore[method-assign]
        assert await ask(tree, "/", "/33/3301") == b"/33/3301"
        [query] = captured
        out: Outgoing = asyncio.Queue()
        replayer = tree.identities["/33"]
        incoming: Outgoing = asyncio.Queue()
        incoming.put_nowait(pb.QueryMessage(query=query).SerializeToString())
        held = tree.nodes["/33/3301"].hold(replayer.node_id, replayer.path, _drain(incoming), out)
        task = asyncio.create_task(held)
        told = pb.QueryMessage.FromString(await out.get() or b"")
        task.cancel()
        assert told.answer.error_code == "QUERY_REPLAYED"

    run(story)


def test_r58_a_thousand_questions_at_once_all_end() -> None:
    """Each with its answer or a typed error, within its deadline, and nothing is left."""

    async def story(tree: Tree) -> list[object]:
        targets = ("/33", "/33/3301", "/33/3302")
        asked = [ask(tree, "/", targets[n % 3], seconds=20.0) for n in range(1_000)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert tree.nodes["/"]._under_way == {}
        return ends

    ends = run(story)
    assert len(ends) == 1_000
    answered = [end for end in ends if isinstance(end, bytes)]
    refused = [end for end in ends if isinstance(end, YidaoError)]
    assert len(answered) + len(refused) == 1_000
    assert {getattr(end, "code", "") for end in refused} <= {"QUERY_OVERLOAD", "QUERY_REFUSED"}
    assert len(answered) >= MAX_UNDER_WAY


def test_r58_a_router_that_restarts_ends_what_went_through_it() -> None:
    """At once and by name, and the next question goes through."""

    async def story(tree: Tree) -> None:
        release = threading.Event()

        def slow(asked: Asked) -> Iterator[bytes]:
            release.wait(20)
            yield b"late"

        tree.nodes["/33/3301"].answering.kinds["rows"] = slow
        pages = tree.nodes["/"].pages(Path.parse("/33/3301"), "rows", seconds=20.0)
        waiting = asyncio.ensure_future(anext(pages))
        await asyncio.sleep(0.05)
        for lower, upper in (("/33", "/"), ("/33/3301", "/33")):
            tree.cut(lower, upper)
        with pytest.raises(QueryRefused) as refused:
            await waiting
        assert refused.value.params["reason"] == "QUERY_LINE_LOST"
        release.set()
        for lower, upper in (("/33", "/"), ("/33/3301", "/33")):
            tree.join(lower, upper)
        await asyncio.sleep(0)
        assert await ask(tree, "/", "/33/3301") == b"/33/3301"

    run(story)


@pytest.mark.parametrize(
    "answers",
    [
        [pb.Answer(page=1, body=b"x")],
        [pb.Answer(page=0, body=bytes(MAX_ANSWER_BYTES + 1))],
        [pb.Answer(page=n, body=b"x") for n in range(WINDOW_PAGES + 1)],
    ],
    ids=["a page is missing", "a page is too large", "more pages than were wanted"],
)
def test_an_answer_that_breaks_the_rules_ends_the_question(answers: list[pb.Answer]) -> None:
    """The router that notices tells the asker, and the node that answers to stop."""

    async def story(tree: Tree) -> None:
        out: Outgoing = asyncio.Queue()
        county = tree.identities["/33/3302"]
        middle = tree.nodes["/33"]
        line = _Line(county.node_id, county.path, out)
        middle._lines[county.path] = line
        asking = asyncio.ensure_future(anext(tree.nodes["/"].pages(county.path, "rows")))
        query = pb.QueryMessage.FromString(await out.get() or b"").query
        # The asker reads nothing, so it wants no more.
        tree.nodes["/"]._want_more = lambda *_: None  # type: ignore[method-assign]
        for answer in answers:
            answer.query_id = query.query_id
            middle._answered(line, answer)
        told = [pb.QueryMessage.FromString(out.get_nowait() or b"") for _ in range(out.qsize())]
        assert [each.WhichOneof("body") for each in told] == ["cancel"]
        assert middle._under_way == {}
        ended = await asyncio.gather(asking, return_exceptions=True)
        assert ended[0] == b"x" or isinstance(ended[0], QueryRefused)
        assert tree.nodes["/"]._under_way == {}

    run(story)


def test_a_stranger_cannot_answer_or_cancel_a_question() -> None:
    """Only the line that it went over, and the line that it came from."""

    async def story(tree: Tree) -> None:
        stream = Stream(40)
        tree.nodes["/33/3301"].answering.kinds["rows"] = stream
        pages = tree.nodes["/"].pages(Path.parse("/33/3301"), "rows")
        got = [await anext(pages)]
        middle = tree.nodes["/33"]
        [query_id] = middle._under_way
        stranger = middle._lines[Path.parse("/33/3302")]
        forged = pb.Answer(query_id=query_id, body=b"forged", page=1, last=True)
        middle._answered(stranger, forged)
        middle._cancelled(stranger, query_id)
        got += [page async for page in pages]
        assert got == [str(n).encode() for n in range(40)]

    run(story)


@given(st.binary(max_size=200))
def test_no_bytes_on_a_query_stream_do_harm(data: bytes) -> None:
    """They are skipped, or answered with a typed error; the stream goes on."""

    async def story(tree: Tree) -> None:
        line = tree.nodes["/33"]._lines[Path.parse("/33/3301")]
        message = pb.QueryMessage(query=pb.Query(query_id=bytes(16), body=data, signature=data))
        for sent in (data, message.SerializeToString()):
            try:
                tree.nodes["/33"]._arrived(line, sent)
            except PeerError:
                continue
        assert await ask(tree, "/", "/33/3301") == b"/33/3301"

    run(story)


def test_an_asker_is_remembered_only_so_far() -> None:
    """Who asks more often than the memory is large, is refused until questions are forgotten."""

    async def story(tree: Tree) -> None:
        answering = tree.nodes["/33"].answering
        root = tree.identities["/"].node_id
        await ask(tree, "/", "/33")
        remembered = answering._remembered[root]
        for number in range(MAX_REMEMBERED - 1):
            remembered[number.to_bytes(16, "big")] = tree.now_ms + 120_000
        with pytest.raises(QueryRefused) as refused:
            await ask(tree, "/", "/33")
        assert refused.value.params["reason"] == "QUERY_OVERLOAD"
        tree.now_ms += 120_000
        assert await ask(tree, "/", "/33") == b"/33"
        assert len(remembered) == 1

    run(story)


def test_a_neighbour_that_asks_and_never_reads_is_left() -> None:
    """What waits for it stays bounded, and its line ends with a typed error."""

    async def asks() -> AsyncIterator[bytes]:
        for number in range(2 * MAX_WAITING):
            yield pb.QueryMessage(query=pb.Query(query_id=b"%016d" % number)).SerializeToString()

    async def story(tree: Tree) -> None:
        out: Outgoing = asyncio.Queue()
        peer = tree.identities["/33/3301"]
        with pytest.raises(QueryOverload):
            await tree.nodes["/33"].hold(peer.node_id, peer.path, asks(), out)
        assert out.qsize() == MAX_WAITING

    run(story)
