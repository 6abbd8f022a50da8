"""Answering questions that are addressed to this node: who may ask, once, in pages, in time.

A question is believed only by its own signature. It is answered once: the ids
of answered questions are remembered for as long as a question can be in time.
The memory is bounded for each asker, and so bounds how often one may ask.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from yidao.api.errors import YidaoError
from yidao.api.link.v1 import link_pb2 as pb
from yidao.node.keys import Identity
from yidao.node.link.errors import QueryDenied, QueryOverload, QueryTooLate
from yidao.node.logging import get_logger
from yidao.node.store.store import Store
from yidao.sync.errors import QueryReplayed
from yidao.sync.ids import NodeId
from yidao.sync.query import (
    MAX_ALL_PAGES_BYTES,
    MAX_ANSWER_BYTES,
    MAX_LIFE_MS,
    MAX_PAGES,
    WINDOW_PAGES,
    Asked,
    Question,
    check_question,
    error_params,
)

#: Of one asker in two minutes; as many questions are remembered.
MAX_REMEMBERED: Final = 8_192
_REMEMBER_MS: Final = 2 * MAX_LIFE_MS
_THREADS: Final = 4

Answers = Callable[[Asked], Iterable[bytes]]
"""Gives the pages of an answer, at least one. Called and read in a thread."""

T = TypeVar("T")

log = get_logger()


@dataclass(slots=True, eq=False)
class _Job:
    """An answer that is being given.

    Attributes:
        send: Puts a page or an error on its way to the asker.
        before_page: Pages below this number may be sent.
    """

    question: Question
    send: Callable[[pb.Answer], None]
    before_page: int = WINDOW_PAGES
    granted: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    task: "asyncio.Task[None] | None" = None


class Answering:
    """The answers of one node. Lives on the event loop.

    Attributes:
        kinds: What this node answers.
    """

    def __init__(self, *, store: Store, identity: Identity, clock_ms: Callable[[], int]) -> None:
        self.kinds: dict[str, Answers] = {}
        self._store = store
        self._identity = identity
        self._clock_ms = clock_ms
        self._jobs: dict[bytes, _Job] = {}
        self._remembered: dict[NodeId, OrderedDict[bytes, int]] = {}
        # Of its own: questions from elsewhere must not take the threads of this node's users.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="answer")

    def start(self, question: Question, send: Callable[[pb.Answer], None]) -> None:
        """Begin to answer; every answer ends with a last page or an error.

        Raises:
            QueryReplayed: The question is being answered now.
        """
        if question.query_id in self._jobs:
            raise QueryReplayed
        job = _Job(question, send)
        self._jobs[question.query_id] = job
        job.task = asyncio.create_task(self._run(job))

    def more(self, query_id: bytes, before_page: int) -> None:
        """Let further pages go."""
        job = self._jobs.get(query_id)
        if job is not None:
            job.before_page = max(job.before_page, before_page)
            job.granted.set()

    def cancel(self, query_id: bytes) -> None:
        """Stop: nobody waits for this answer any more."""
        job = self._jobs.pop(query_id, None)
        if job is not None and job.task is not None:
            job.cancelled = True
            job.task.cancel()

    def under_way(self) -> int:
        """How many answers are being given."""
        return len(self._jobs)

    def stop(self) -> None:
        """Stop all answers."""
        for query_id in list(self._jobs):
            self.cancel(query_id)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, job: _Job) -> None:
        question = job.question
        seconds = min(question.expires_ms - self._clock_ms(), MAX_LIFE_MS) / 1000
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._give(job)
        except TimeoutError:
            self._refuse(job, QueryTooLate(path=str(self._identity.path)))
        except YidaoError as error:
            self._refuse(job, error)
        except Exception:
            log.exception("link.answer.failed", kind=question.kind)
            self._refuse(job, YidaoError())
        finally:
            job.cancelled = True
            if self._jobs.get(question.query_id) is job:
                del self._jobs[question.query_id]

    def _refuse(self, job: _Job, error: YidaoError) -> None:
        log.info("link.query.refused", kind=job.question.kind, code=error.code)
        job.send(error_answer(job.question.query_id, error))

    async def _give(self, job: _Job) -> None:
        """Send page after page as far as the asker has room; each is bounded, and all together."""
        asked = self._admit(job)
        answers = self.kinds[job.question.kind]
        pages = await self._in_thread(lambda: iter(answers(asked)))
        page = await self._in_thread(lambda: next(pages, None))
        number = size_bytes = 0
        while page is not None:
            following = await self._in_thread(lambda: next(pages, None))
            size_bytes += len(page)
            if (
                len(page) > MAX_ANSWER_BYTES
                or size_bytes > MAX_ALL_PAGES_BYTES
                or number >= MAX_PAGES
            ):
                raise QueryOverload
            while number >= job.before_page:
                job.granted.clear()
                await job.granted.wait()
            job.send(
                pb.Answer(
                    query_id=job.question.query_id, body=page, page=number, last=following is None
                )
            )
            page = following
            number += 1

    def _admit(self, job: _Job) -> Asked:
        """Decide here, on the asker's own signature; nodes between decide nothing.

        1. Network, time and signature are right, by the asker's enrolment.
        2. The asker stands above this node, and was not revoked.
        3. This node answers that kind of question.
        4. The question was not answered before.
        """
        question = job.question
        asker = self._store.enrolled(question.asker)
        keys = self._store.keys_of(question.asker)
        # 1.
        check_question(
            question,
            network=self._identity.network,
            now_ms=self._clock_ms(),
            asker_key=keys[-1].cosign_key if keys else None,
        )
        # 2.
        is_above = asker is not None and asker.path.is_ancestor_of(self._identity.path)
        if asker is None or asker.revoked or not is_above:
            raise QueryDenied(kind=question.kind)
        # 3.
        if question.kind not in self.kinds:
            raise QueryDenied(kind=question.kind)
        # 4.
        self._remember(question)
        return Asked(question=question, asker_path=asker.path, cancelled=lambda: job.cancelled)

    def _remember(self, question: Question) -> None:
        """Note a question that is about to be answered.

        Raises:
            QueryReplayed: It was asked before.
            QueryOverload: The asker has asked too often in the last minutes.
        """
        now_ms = self._clock_ms()
        seen = self._remembered.setdefault(question.asker, OrderedDict())
        # In the order in which they came, so the first are forgotten first.
        while seen and next(iter(seen.values())) <= now_ms:
            seen.popitem(last=False)
        if question.query_id in seen:
            raise QueryReplayed
        if len(seen) >= MAX_REMEMBERED:
            raise QueryOverload
        # Whatever its expiry, a question is refused as expired by then.
        seen[question.query_id] = now_ms + _REMEMBER_MS

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def error_answer(query_id: bytes, error: YidaoError) -> pb.Answer:
    """Return the answer that tells the asker why there is none."""
    return pb.Answer(
        query_id=query_id[:16],
        error_code=error.code,
        error_params=[
            pb.ErrorParam(name=name, value=value)
            for name, value in error_params(error.params).items()
        ],
        last=True,
    )
