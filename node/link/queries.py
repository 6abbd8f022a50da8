"""Live questions over the links: asked here, passed on, or answered here.

Every question ends: with an answer, with a typed error from wherever it
stopped, or by the asker's own deadline. What is under way is bounded for each
peer, and forgotten when its time is over.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from yidao.api.errors import YidaoError
from yidao.api.link.v1 import link_pb2 as pb
from yidao.node.keys import Identity
from yidao.node.link.errors import QueryDenied, QueryOverload, QueryRefused, QueryTooLate
from yidao.node.logging import get_logger
from yidao.node.store.store import Store
from yidao.sync.errors import QueryMalformed, QueryUnroutable
from yidao.sync.ids import NodeId, Path
from yidao.sync.query import (
    MAX_ANSWER_BYTES,
    MAX_LIFE_MS,
    Hop,
    Question,
    check_question,
    make_question,
    next_hop,
    read_question,
    to_proto,
)

MAX_UNDER_WAY = 256

Outgoing = asyncio.Queue[bytes | None]

log = get_logger()


@dataclass(slots=True)
class _UnderWay:
    """A question that waits for its answer, and where the answer goes."""

    expires_ms: int
    back_to: NodeId | None
    answer: "asyncio.Future[bytes] | None"


class Queries:
    """The questions of one node. Lives on the event loop.

    Attributes:
        answers: What this node answers, by kind; each is called in a thread.
    """

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self.answers: dict[str, Callable[[], bytes]] = {}
        self._store = store
        self._identity = identity
        self._clock_ms = clock_ms
        self._random = random
        self._lines: dict[Path, tuple[NodeId, Outgoing]] = {}
        self._under_way: dict[bytes, _UnderWay] = {}

    async def ask(self, target: Path, kind: str, seconds: float = 10.0) -> bytes:
        """Return another node's answer.

        Raises:
            QueryUnroutable: No line leads there now.
            QueryRefused: The question was refused on its way (params: path, reason).
            QueryTooLate: Nobody answered in time.
        """
        own = self._identity
        expires_ms = self._clock_ms() + min(int(seconds * 1000), MAX_LIFE_MS)
        question = make_question(
            query_id=self._random(16),
            network=own.network,
            asker=own.node_id,
            target=target,
            kind=kind,
            expires_ms=expires_ms,
            signer=own.cosign,
        )
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._send(question, _UnderWay(expires_ms, None, answer), from_above=False)
        try:
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            raise QueryTooLate(path=str(target)) from None
        finally:
            self._under_way.pop(question.query_id, None)

    async def hold(
        self, peer_id: NodeId, peer_path: Path, incoming: AsyncIterator[bytes], out: Outgoing
    ) -> None:
        """Serve one peer's query stream until it ends."""
        line = (peer_id, out)
        self._lines[peer_path] = line
        answering: set[asyncio.Task[None]] = set()
        try:
            async for data in incoming:
                message = _parse(data)
                if message.WhichOneof("body") == "answer":
                    self._answered(peer_id, message.answer)
                else:
                    task = asyncio.create_task(self._asked(peer_id, peer_path, message.query, out))
                    answering.add(task)
                    task.add_done_callback(answering.discard)
                    if len(answering) > MAX_UNDER_WAY:
                        await asyncio.wait(answering, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in answering:
                task.cancel()
            if self._lines.get(peer_path) is line:
                del self._lines[peer_path]

    async def _asked(
        self, peer_id: NodeId, peer_path: Path, query: pb.Query, out: Outgoing
    ) -> None:
        try:
            question = read_question(query)
            from_above = peer_path == self._identity.path.parent
            if question.target != self._identity.path:
                waiting = _UnderWay(question.expires_ms, peer_id, None)
                self._send(question, waiting, from_above=from_above)
                return
            body = await self._answer(question)
            answer = pb.Answer(query_id=question.query_id, body=body, last=True)
        except YidaoError as error:
            log.info("link.query.refused", peer=str(peer_path), code=error.code)
            answer = pb.Answer(query_id=query.query_id[:16], error_code=error.code, last=True)
        out.put_nowait(pb.QueryMessage(answer=answer).SerializeToString())

    async def _answer(self, question: Question) -> bytes:
        """Decide here, on the asker's own signature; nodes between decide nothing."""
        asker = self._store.enrolled(question.asker)
        check_question(
            question,
            network=self._identity.network,
            now_ms=self._clock_ms(),
            asker_key=None if asker is None else asker.cosign_key,
        )
        if asker is None or not asker.path.is_ancestor_of(self._identity.path):
            raise QueryDenied(kind=question.kind)
        answer = self.answers.get(question.kind)
        if answer is None:
            raise QueryDenied(kind=question.kind)
        body = await asyncio.to_thread(answer)
        if len(body) > MAX_ANSWER_BYTES:
            raise QueryOverload
        return body

    def _send(self, question: Question, waiting: _UnderWay, *, from_above: bool) -> None:
        hop, path = next_hop(self._identity.path, question.target, from_above=from_above)
        if hop is Hop.HERE or path not in self._lines:
            raise QueryUnroutable(path=str(self._identity.path))
        now_ms = self._clock_ms()
        if now_ms >= question.expires_ms:
            raise QueryTooLate(path=str(question.target))
        self._forget_expired(now_ms)
        if sum(each.back_to == waiting.back_to for each in self._under_way.values()) >= (
            MAX_UNDER_WAY
        ):
            raise QueryOverload
        if question.query_id in self._under_way:
            raise QueryMalformed(field="query_id")
        # An honest question lives a minute at most; no peer's word keeps a row longer.
        waiting.expires_ms = min(question.expires_ms, now_ms + MAX_LIFE_MS)
        self._under_way[question.query_id] = waiting
        _, out = self._lines[path]
        out.put_nowait(pb.QueryMessage(query=to_proto(question)).SerializeToString())

    def _answered(self, peer_id: NodeId, answer: pb.Answer) -> None:
        """Give an answer to who waits for it; one that nobody waits for is dropped."""
        waiting = self._under_way.pop(answer.query_id, None)
        if waiting is None or len(answer.body) > MAX_ANSWER_BYTES:
            return
        if waiting.answer is None:
            for node_id, out in self._lines.values():
                if node_id == waiting.back_to:
                    out.put_nowait(pb.QueryMessage(answer=answer).SerializeToString())
            return
        if waiting.answer.done():
            return
        if answer.error_code:
            known = self._store.enrolled(peer_id)
            path = str(known.path) if known else peer_id.hex()
            refused = QueryRefused(path=path, reason=answer.error_code[:64])
            waiting.answer.set_exception(refused)
        else:
            waiting.answer.set_result(answer.body)

    def _forget_expired(self, now_ms: int) -> None:
        expired = [key for key, each in self._under_way.items() if each.expires_ms < now_ms]
        for key in expired:
            del self._under_way[key]


def _parse(data: bytes) -> pb.QueryMessage:
    try:
        message = pb.QueryMessage.FromString(data)
    except DecodeError:
        raise QueryMalformed(field="message") from None
    if message.WhichOneof("body") is None:
        raise QueryMalformed(field="message")
    return message
