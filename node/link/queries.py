"""Live questions over the links: asked here, passed on, or handed in to be answered here.

Every question ends: with an answer, with a typed error from wherever it
stopped, or by the asker's own deadline. What is under way is bounded for each
line and forgotten when its time is over. Who asks no longer, cancels; a line
that is lost ends what went over it, towards both sides.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from yidao.api.errors import YidaoError
from yidao.api.link.v1 import link_pb2 as pb
from yidao.node.keys import Identity
from yidao.node.link.answering import Answering, error_answer
from yidao.node.link.errors import (
    QueryAnswerInvalid,
    QueryElsewhere,
    QueryLineLost,
    QueryOverload,
    QueryTooLate,
)
from yidao.node.logging import get_logger
from yidao.node.store.store import Store
from yidao.sync.errors import QueryLooped, QueryMalformed, QueryRefused, QueryUnroutable
from yidao.sync.ids import NodeId, Path
from yidao.sync.query import (
    MAX_ALL_PAGES_BYTES,
    MAX_ANSWER_BYTES,
    MAX_LIFE_MS,
    MAX_PAGES,
    WINDOW_PAGES,
    Hop,
    Question,
    error_code,
    error_params,
    make_question,
    next_hop,
    read_question,
    to_proto,
)

MAX_UNDER_WAY: Final = 256
#: What may wait to be read by a neighbour that goes on asking: more than all windows together.
MAX_WAITING: Final = 2 * WINDOW_PAGES * MAX_UNDER_WAY


class Outgoing(Protocol):
    """Where messages for a peer are put; `None` ends its stream."""

    def put_nowait(self, message: bytes | None) -> None:
        """Put one behind those that wait."""

    def qsize(self) -> int:
        """How many wait."""


log = get_logger()


@dataclass(slots=True, eq=False)
class _Line:
    """One query stream with a neighbour."""

    peer_id: NodeId
    peer_path: Path
    out: Outgoing

    def send(self, **body: pb.Query | pb.Answer | pb.MorePages | pb.CancelQuery) -> None:
        self.out.put_nowait(pb.QueryMessage(**body).SerializeToString())  # type: ignore[arg-type]


@dataclass(slots=True, eq=False)
class _UnderWay:
    """A question that went over a line and waits for pages.

    Attributes:
        back: Where it came from; None if it was asked here.
        forth: Where it went.
        inbox: What came for a question that was asked here.
        pages: How many came.
        before_page: How many may come before the asker wants more.
    """

    target: Path
    expires_ms: int
    back: _Line | None
    forth: _Line
    inbox: "asyncio.Queue[pb.Answer]"
    pages: int = 0
    size_bytes: int = 0
    before_page: int = WINDOW_PAGES


class Queries:
    """The questions of one node. Lives on the event loop.

    Attributes:
        answering: What this node answers itself.
        sits_elsewhere: Says whether a neighbour without a line here has one to another
            daemon of this node.
    """

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self.answering = Answering(store=store, identity=identity, clock_ms=clock_ms)
        self._store = store
        self._identity = identity
        self._clock_ms = clock_ms
        self._random = random
        self.sits_elsewhere: Callable[[Path], bool] = lambda _path: False
        self._lines: dict[Path, _Line] = {}
        self._under_way: dict[bytes, _UnderWay] = {}
        self._answered_here: dict[bytes, _Line] = {}

    async def ask(self, target: Path, kind: str, seconds: float = 10.0) -> bytes:
        """Return another node's answer of one page; raises what `pages` raises."""
        async with contextlib.aclosing(self.pages(target, kind, seconds=seconds)) as pages:
            return await anext(pages)

    async def pages(
        self,
        target: Path,
        kind: str,
        *,
        args: bytes = b"",
        purpose: str = "",
        actor: str = "",
        seconds: float = 10.0,
    ) -> AsyncGenerator[bytes, None]:
        """Give another node's answer, page by page.

        Close it when no more is wanted: the other node then stops.

        Raises:
            QueryUnroutable: No line leads there now.
            QueryElsewhere: The line is another daemon's of this node.
            QueryRefused: The question was refused on its way (params: path, reason).
            QueryTooLate: The last page did not come in time.
            QueryMalformed: The question is too long.
            QueryOverload: Too many questions are under way here.
        """
        own = self._identity
        question = make_question(
            query_id=self._random(16),
            network=own.network,
            asker=own.node_id,
            target=target,
            kind=kind,
            expires_ms=self._clock_ms() + min(int(seconds * 1000), MAX_LIFE_MS),
            signer=self._store.identity.cosign,
            args=args,
            purpose=purpose,
            actor=actor,
        )
        end = asyncio.get_running_loop().time() + seconds
        asked = self._send(question, back=None)
        try:
            while True:
                answer = await self._next(asked, end)
                yield answer.body
                if answer.last:
                    return
                self._want_more(question.query_id, asked, asked.pages + WINDOW_PAGES)
        finally:
            self._give_up(question.query_id)

    async def _next(self, asked: _UnderWay, end: float) -> pb.Answer:
        remaining = end - asyncio.get_running_loop().time()
        try:
            answer = await asyncio.wait_for(asked.inbox.get(), remaining)
        except TimeoutError:
            raise QueryTooLate(path=str(asked.target)) from None
        if answer.error_code:
            raise QueryRefused(
                path=str(asked.forth.peer_path),
                reason=error_code(answer.error_code),
                said=error_params({each.name: each.value for each in answer.error_params}),
            )
        return answer

    async def hold(
        self, peer_id: NodeId, peer_path: Path, incoming: AsyncIterator[bytes], out: Outgoing
    ) -> None:
        """Serve one peer's query stream until it ends.

        Raises:
            QueryOverload: The peer asks, and does not read what it is answered.
        """
        line = _Line(peer_id, peer_path, out)
        self._lines[peer_path] = line
        try:
            async for data in incoming:
                if out.qsize() >= MAX_WAITING:
                    log.warning("link.query.unread", peer=str(peer_path), waiting=out.qsize())
                    raise QueryOverload
                try:
                    self._arrived(line, data)
                except YidaoError as error:
                    # A newer peer may say what this version does not know.
                    log.info("link.query.skipped", peer=str(peer_path), code=error.code)
        finally:
            if self._lines.get(peer_path) is line:
                del self._lines[peer_path]
            self._lost(line)

    def stop(self) -> None:
        """Stop answering."""
        self.answering.stop()

    def _arrived(self, line: _Line, data: bytes) -> None:
        message = _parse(data)
        match message.WhichOneof("body"):
            case "query":
                self._asked(line, message.query)
            case "answer":
                self._answered(line, message.answer)
            case "more":
                self._more(line, message.more)
            case "cancel":
                self._cancelled(line, message.cancel.query_id)
            case _:
                raise QueryMalformed(field="message")

    def _asked(self, line: _Line, query: pb.Query) -> None:
        try:
            question = read_question(query)
            if question.target == self._identity.path:
                self._answer(line, question)
            else:
                self._send(question, back=line)
        except YidaoError as error:
            log.info("link.query.refused", peer=str(line.peer_path), code=error.code)
            line.send(answer=error_answer(query.query_id, error))

    def _answer(self, line: _Line, question: Question) -> None:
        if sum(each is line for each in self._answered_here.values()) >= MAX_UNDER_WAY:
            raise QueryOverload
        query_id = question.query_id

        def send(answer: pb.Answer) -> None:
            if answer.last:
                self._answered_here.pop(query_id, None)
            line.send(answer=answer)

        self.answering.start(question, send)
        self._answered_here[query_id] = line

    def _send(self, question: Question, *, back: _Line | None) -> _UnderWay:
        came_from = None if back is None else back.peer_path
        hop, path = next_hop(self._identity.path, question.target, came_from=came_from)
        forth = self._lines.get(path)
        if forth is None and hop is not Hop.HERE and self.sits_elsewhere(path):
            raise QueryElsewhere(path=str(path))
        if hop is Hop.HERE or forth is None:
            raise QueryUnroutable(path=str(self._identity.path))
        now_ms = self._clock_ms()
        if now_ms >= question.expires_ms:
            raise QueryTooLate(path=str(question.target))
        self._forget_expired(now_ms)
        if sum(each.back is back for each in self._under_way.values()) >= MAX_UNDER_WAY:
            raise QueryOverload
        if question.query_id in self._under_way:
            raise QueryLooped(path=str(self._identity.path))
        # An honest question lives a minute at most; no peer's word keeps a row longer.
        expires_ms = min(question.expires_ms, now_ms + MAX_LIFE_MS)
        under_way = _UnderWay(question.target, expires_ms, back, forth, asyncio.Queue())
        self._under_way[question.query_id] = under_way
        forth.send(query=to_proto(question))
        return under_way

    def _answered(self, line: _Line, answer: pb.Answer) -> None:
        """Give a page to who waits for it, in order and as much as was wanted; else drop it."""
        asked = self._under_way.get(answer.query_id)
        if asked is None or asked.forth is not line:
            return
        if not answer.error_code:
            asked.size_bytes += len(answer.body)
            if (
                answer.page != asked.pages
                or asked.pages >= min(asked.before_page, MAX_PAGES)
                or len(answer.body) > MAX_ANSWER_BYTES
                or asked.size_bytes > MAX_ALL_PAGES_BYTES
            ):
                line.send(cancel=pb.CancelQuery(query_id=answer.query_id))
                self._end(answer.query_id, QueryAnswerInvalid(path=str(asked.target)))
                return
            asked.pages += 1
        if answer.last or answer.error_code:
            del self._under_way[answer.query_id]
        self._hand_back(asked, answer)

    def _more(self, line: _Line, more: pb.MorePages) -> None:
        asked = self._under_way.get(more.query_id)
        if asked is not None and asked.back is line:
            self._want_more(more.query_id, asked, more.before_page)
        elif self._answered_here.get(more.query_id) is line:
            self.answering.more(more.query_id, more.before_page)

    def _want_more(self, query_id: bytes, asked: _UnderWay, before_page: int) -> None:
        """Ask for more pages, and never for more than fit what is kept of one question."""
        asked.before_page = min(before_page, asked.pages + WINDOW_PAGES)
        asked.forth.send(more=pb.MorePages(query_id=query_id, before_page=asked.before_page))

    def _cancelled(self, line: _Line, query_id: bytes) -> None:
        asked = self._under_way.get(query_id)
        if asked is not None and asked.back is line:
            self._give_up(query_id)
        elif self._answered_here.get(query_id) is line:
            del self._answered_here[query_id]
            self.answering.cancel(query_id)

    def _give_up(self, query_id: bytes) -> None:
        """Let nobody work on a question any longer."""
        asked = self._under_way.pop(query_id, None)
        if asked is not None:
            asked.forth.send(cancel=pb.CancelQuery(query_id=query_id))

    def _end(self, query_id: bytes, error: YidaoError) -> None:
        asked = self._under_way.pop(query_id, None)
        if asked is not None:
            self._hand_back(asked, error_answer(query_id, error))

    def _hand_back(self, asked: _UnderWay, answer: pb.Answer) -> None:
        if asked.back is None:
            asked.inbox.put_nowait(answer)
        else:
            asked.back.send(answer=answer)

    def _lost(self, line: _Line) -> None:
        """End everything that went over a line."""
        for query_id, asked in list(self._under_way.items()):
            if asked.forth is line:
                self._end(query_id, QueryLineLost(path=str(line.peer_path)))
            elif asked.back is line:
                self._give_up(query_id)
        for query_id, answered in list(self._answered_here.items()):
            if answered is line:
                del self._answered_here[query_id]
                self.answering.cancel(query_id)

    def _forget_expired(self, now_ms: int) -> None:
        expired = [key for key, each in self._under_way.items() if each.expires_ms < now_ms]
        for key in expired:
            self._end(key, QueryTooLate(path=str(self._under_way[key].target)))


def _parse(data: bytes) -> pb.QueryMessage:
    try:
        return pb.QueryMessage.FromString(data)
    except DecodeError:
        raise QueryMalformed(field="message") from None
