"""Asking many nodes at once: each with its own fate, put together as far as they answer.

Every question ends by its deadline. Nodes are asked side by side, a few at a
time; a node that is late or unreachable is stood in for by older figures that
say so; one that refuses is not, for a refusal is an answer. Rows without an
order are handed on as they come; ordered rows and groups once all is known.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from yidao.api.errors import YidaoError
from yidao.catalog.selection.errors import AnswerMalformed
from yidao.catalog.selection.pages import Page, read_page
from yidao.catalog.selection.question import RowsQuestion
from yidao.node.access.fields import Asker
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.sharing.answers import Answers, Wanted
from yidao.node.affairs.sharing.errors import DeadlineInvalid
from yidao.node.affairs.sharing.merging import Merge
from yidao.node.affairs.sharing.offers import Shelf
from yidao.node.affairs.sharing.remembered import LastAnswers, Older, held_rows
from yidao.node.affairs.sharing.results import End, Fate, NodeFate, Rows
from yidao.node.affairs.sharing.rows import MAX_ROWS_BYTES, Found
from yidao.node.affairs.sharing.targets import Scope, Target, targets
from yidao.node.logging import get_logger
from yidao.sync.errors import QueryRefused
from yidao.sync.ids import Path
from yidao.sync.query import MAX_LIFE_MS, error_params

KIND: Final = "rows"
AT_ONCE: Final = 8
#: Of the deadline: for older figures, and to put the answer together.
_RESERVE: Final = 0.2
_MAX_RESERVE_SECONDS: Final = 2.0
_THREADS: Final = 4
_LATE: Final = frozenset({"QUERY_TOO_LATE", "SHARE_ANSWER_ABANDONED"})
_UNREACHABLE: Final = frozenset(
    {"QUERY_UNROUTABLE", "QUERY_LINE_LOST", "QUERY_OVERLOAD", "QUERY_EXPIRED"}
)


log = get_logger()


class Ask(Protocol):
    """Asks another node; closing the generator cancels the question."""

    def __call__(
        self,
        target: Path,
        kind: str,
        *,
        args: bytes,
        purpose: str,
        actor: str,
        seconds: float,
    ) -> AsyncGenerator[bytes, None]:
        """Give the pages of the answer; raises a `YidaoError` where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question as a user of this node asks it.

    Attributes:
        seconds: When the answer must be complete.
        reader: Who reads, as far as it decides on this node's own fields.
        live_only: Older figures are not wanted.
    """

    actor: str
    question: RowsQuestion
    scope: Scope
    purpose: str = ""
    seconds: float = 10.0
    reader: Asker = field(default_factory=Asker)
    live_only: bool = False


@dataclass(frozen=True, slots=True)
class _Came:
    found: Found
    fate: NodeFate


_Queue = asyncio.Queue[_Came | None]


class Gathering:
    """Asks and puts together. Lives on the event loop."""

    def __init__(self, *, desk: Desk, shelf: Shelf, answers: Answers, ask: Ask) -> None:
        self._desk = desk
        self._shelf = shelf
        self._answers = answers
        self._ask = ask
        self._last = LastAnswers()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="gather")

    def stop(self) -> None:
        """Take no more work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def ask(self, request: Request) -> AsyncGenerator[Rows | End, None]:
        """Give the answer in pieces; the last is an `End`.

        Raises:
            ActorInvalid, ActorElsewhere: The actor may not act here.
            DeadlineInvalid: The deadline is not within a minute.
            ScopeInvalid, ResourceUnknown: See `targets`.
            GroupsTooMany, NumberOverflow: The groups of all nodes together are too many or large.
        """
        if not 0 < request.seconds <= MAX_LIFE_MS / 1000:
            raise DeadlineInvalid(limit_ms=MAX_LIFE_MS)
        request = replace(request, actor=str(self._desk.authorise(request.actor)))
        loop = asyncio.get_running_loop()
        end = loop.time() + request.seconds
        asked = await loop.run_in_executor(self._threads, lambda: self._targets(request))
        fates = [NodeFate(path=target.path) for target in asked]
        merge = Merge(request.question)
        out: _Queue = asyncio.Queue(AT_ONCE)
        gathering = asyncio.create_task(self._gather(request, asked, fates, merge, out, end))
        try:
            while not merge.enough:
                came = await asyncio.wait_for(out.get(), max(end - loop.time(), 0))
                if came is None:
                    break
                rows = _merged(merge, came)
                if rows is not None:
                    yield rows
        except TimeoutError:
            log.info("sharing.question.late", seconds=request.seconds)
        finally:
            gathering.cancel()
            await asyncio.gather(gathering, return_exceptions=True)
        while not (out.empty() or merge.enough):
            came = out.get_nowait()
            rows = None if came is None else _merged(merge, came)
            if rows is not None:
                yield rows
        for rows in merge.rest():
            yield rows
        yield _end(fates, merge)

    def _targets(self, request: Request) -> tuple[Target, ...]:
        with self._desk.read() as conn:
            return targets(conn, self._shelf, self._desk.path, request.question, request.scope)

    async def _gather(
        self,
        request: Request,
        asked: Sequence[Target],
        fates: Sequence[NodeFate],
        merge: Merge,
        out: _Queue,
        end: float,
    ) -> None:
        live_end = end - min(request.seconds * _RESERVE, _MAX_RESERVE_SECONDS)
        room = asyncio.Semaphore(AT_ONCE)

        async def one(target: Target, fate: NodeFate) -> None:
            node = _Node(target, fate, request, merge, out)
            started = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout_at(live_end), room:
                    await self._live(node, live_end)
            except TimeoutError:
                await self._older(node)
            except YidaoError as error:
                _settle(fate, error)
                await self._older(node)
            except Exception:
                # One node's answer must not take the others' with it.
                log.exception("sharing.node.failed", path=str(target.path))
                _settle(fate, YidaoError())
            finally:
                fate.took_ms = int((asyncio.get_running_loop().time() - started) * 1000)

        async with asyncio.TaskGroup() as tasks:
            for target, fate in zip(asked, fates, strict=True):
                tasks.create_task(one(target, fate))
        await out.put(None)

    async def _live(self, node: "_Node", live_end: float) -> None:
        """Ask one node and hand on what comes."""
        remaining = live_end - asyncio.get_running_loop().time()
        request, target = node.request, node.target
        args = target.question.encode()
        if target.path == self._desk.path:
            asking = self._own(request, args)
        else:
            asking = self._ask(
                target.path,
                KIND,
                args=args,
                purpose=request.purpose,
                actor=request.actor,
                seconds=remaining,
            )
        async with contextlib.aclosing(asking) as bodies:
            async for body in bodies:
                await node.came(body)
        await node.ended()
        if target.path == self._desk.path:
            # What one user was shown here stands in for nothing that another asks.
            return
        self._last.keep(
            target, request.purpose, node.whole(), node.fate.as_of_ms, node.fate.resource
        )

    async def _own(self, request: Request, args: bytes) -> AsyncGenerator[bytes, None]:
        desk = self._desk
        given_up = [False]
        wanted = Wanted(
            query_id=desk.mint(),
            asker=desk.identity.node_id,
            asker_path=desk.path,
            actor=request.actor,
            purpose=request.purpose,
            args=args,
            abandoned=lambda: given_up[0],
            reader=request.reader,
        )
        loop = asyncio.get_running_loop()
        try:
            pages = await loop.run_in_executor(
                self._threads, lambda: tuple(self._answers.answer(wanted))
            )
        finally:
            given_up[0] = True
        for page in pages:
            yield page

    async def _older(self, node: "_Node") -> None:
        """Let older figures stand in for a node that did not answer."""
        fate, target, purpose = node.fate, node.target, node.request.purpose
        if fate.fate is Fate.REFUSED:
            self._last.drop(target, purpose)
            return
        fate.cut = node.handed_on
        if node.handed_on:
            return
        fate.as_of_ms = 0
        if node.request.live_only:
            return
        older = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: self._find_older(target, purpose)
        )
        if older is not None:
            fate.cached, fate.as_of_ms = older.cached, older.as_of_ms
            fate.resource, fate.cut = older.resource, older.found.cut
            await node.out.put(_Came(older.found, fate))

    def _find_older(self, target: Target, purpose: str) -> Older | None:
        remembered = self._last.find(target, purpose)
        try:
            with self._desk.read() as conn:
                held = held_rows(conn, target)
        except YidaoError:
            # The standard is not here, or the question does not fit it: nothing to stand in.
            held = None
        known = [each for each in (remembered, held) if each is not None]
        return max(known, key=lambda each: each.as_of_ms, default=None)


class _Node:
    """What came of one node so far."""

    def __init__(
        self, target: Target, fate: NodeFate, request: Request, merge: Merge, out: _Queue
    ) -> None:
        self.target = target
        self.fate = fate
        self.request = request
        self.out = out
        self._in_pieces = merge.in_pieces
        self._pages: list[Page] = []
        self._size_bytes = 0

    @property
    def handed_on(self) -> bool:
        """Whether live rows have gone on already."""
        return self._in_pieces and bool(self._pages)

    async def came(self, body: bytes) -> None:
        """Read a page; raises `AnswerMalformed`."""
        question = self.request.question
        page = read_page(body, keys=len(question.by), measures=len(question.aggregate))
        self._size_bytes += len(body)
        if self._size_bytes > 2 * MAX_ROWS_BYTES or (
            self._pages and page.columns != self._pages[0].columns
        ):
            raise AnswerMalformed(reason="too_long")
        self._pages.append(page)
        self.fate.as_of_ms, self.fate.resource = page.as_of_ms, page.resource
        self.fate.cut = page.cut
        if self._in_pieces:
            await self.out.put(_Came(Found(columns=page.columns, rows=page.rows), self.fate))

    async def ended(self) -> None:
        """Hand on what had to wait for the last page."""
        if self.fate.fate is not Fate.REFUSED:
            self.fate.fate, self.fate.code = Fate.ANSWERED, ""
        if not self._in_pieces and self._pages:
            await self.out.put(_Came(self.whole(), self.fate))

    def whole(self) -> Found:
        """Give the answer in one piece."""
        return Found(
            columns=self._pages[0].columns if self._pages else (),
            rows=tuple(row for page in self._pages for row in page.rows),
            groups=tuple(group for page in self._pages for group in page.groups),
            cut=self.fate.cut,
        )


def _merged(merge: Merge, came: _Came) -> Rows | None:
    try:
        return merge.take(came.found, came.fate)
    except AnswerMalformed as error:
        _settle(came.fate, error)
        return None


def _settle(fate: NodeFate, error: YidaoError) -> None:
    """Note why a node's answer did not come."""
    fate.code, fate.params = error.code, error_params(error.params)
    if isinstance(error, QueryRefused):
        fate.code, fate.params = str(error.params["reason"]), error.said
    if fate.code in _LATE:
        fate.fate = Fate.LATE
    elif fate.code in _UNREACHABLE:
        fate.fate = Fate.UNREACHABLE
    else:
        fate.fate = Fate.REFUSED


def _end(fates: Sequence[NodeFate], merge: Merge) -> End:
    if merge.enough:
        for fate in fates:
            if fate.fate is Fate.LATE and not fate.cached:
                fate.fate, fate.code = Fate.UNNEEDED, ""
    complete = not merge.cut and all(fate.fate is Fate.ANSWERED and not fate.cut for fate in fates)
    return End(tuple(fates), complete)
