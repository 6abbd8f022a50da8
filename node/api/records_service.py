"""The local API of records that programs publish."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

import grpc.aio

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import records_pb2, records_pb2_grpc
from yidao.node.affairs.publishing import errors
from yidao.node.affairs.publishing.commands import Landed, Publishing
from yidao.node.api.errors import answered, answered_stream, error_message
from yidao.node.api.landing import Landing
from yidao.node.received import Received
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.ids import REACH_ROOT, JournalId
from yidao.sync.record import Grade

#: Requests of one stream that wait for the disk; gRPC makes its caller wait for more.
MAX_IN_FLIGHT: Final = 64

Context = grpc.aio.ServicerContext[Any, Any]
_Response = records_pb2.AppendResponse
_GRADES: Final = {0: Grade.L2} | {int(grade): grade for grade in Grade}


class RecordsServicer(records_pb2_grpc.RecordsServiceServicer):
    """Serves `RecordsService`. Make it on the event loop."""

    def __init__(
        self, publishing: Publishing, received: Received, clock_ms: Callable[[], int]
    ) -> None:
        self._publishing = publishing
        self._received = received
        self._clock_ms = clock_ms
        self._landing = Landing()
        self._streams: set[_Stream] = set()
        received.listen(self._hear)

    def close(self) -> None:
        """End every stream with `APPEND_ENDED`; nobody waits for callers that never end."""
        for stream in tuple(self._streams):
            stream.end(errors.AppendEnded())

    @answered
    async def Publish(self, request: records_pb2.AppendRequest, context: Context) -> _Response:
        """Append one request's records."""
        channel = self._publishing.channel(request.reach)
        landed = await asyncio.wrap_future(self._submit(request, channel))
        return _answer(landed())

    @answered_stream
    async def Append(
        self, requests: AsyncIterator[records_pb2.AppendRequest], context: Context
    ) -> AsyncIterator[_Response]:
        """Append what comes, and answer in that order."""
        stream = _Stream()
        self._streams.add(stream)
        reading = asyncio.create_task(self._read(requests, stream))
        try:
            while True:
                response = await stream.answers.get()
                if response is None:
                    break
                yield response
            if stream.error is not None:
                raise stream.error
        finally:
            self._streams.discard(stream)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(
        self, requests: AsyncIterator[records_pb2.AppendRequest], stream: "_Stream"
    ) -> None:
        channel = ""
        try:
            async for request in requests:
                await stream.room.acquire()
                channel = self._channel(request, channel)
                self._goes_into(stream, self._publishing.journal(channel))
                try:
                    landing = self._submit(request, channel)
                except YidaoError as error:
                    landing = Future()
                    landing.set_exception(error)
                stream.waiting.append(landing)
                self._landing.watch(landing, stream.landed)
            stream.is_read = True
            stream.answer_ready()
        except Exception as error:  # noqa: BLE001 - raised again where the stream is answered
            stream.end(error)

    def _goes_into(self, stream: "_Stream", journal: JournalId) -> None:
        if stream.receipts is None or stream.receipts.journal != journal:
            # The first request, or the node has opened an epoch.
            stream.receipts = _Receipts(journal, self._received, stream.answers)
            stream.receipts.hear(is_idle=True)

    def _hear(self, journal: JournalId) -> None:
        for stream in self._streams:
            if stream.receipts is not None and stream.receipts.journal == journal:
                stream.receipts.hear(is_idle=not stream.waiting)

    def _channel(self, request: records_pb2.AppendRequest, before: str) -> str:
        """Return where a request's records go; raises `ReachInvalid` if it is elsewhere."""
        channel = self._publishing.channel(request.reach)
        if before not in ("", channel):
            raise errors.ReachInvalid(reach=request.reach, limit=REACH_ROOT)
        return channel

    def _submit(
        self, request: records_pb2.AppendRequest, channel: str
    ) -> "Future[Callable[[], Landed]]":
        actor = self._publishing.authorise(request.actor)
        now_ms = self._clock_ms()
        drafts = [_draft(record, actor, now_ms) for record in request.records]
        return self._publishing.submit(channel, drafts)


class _Receipts:
    """Which receipts a stream is told of: those that say something of its own records.

    With hundreds of streams, telling each of every receipt would be more work than the records.
    One that has nothing on its way is told of all; it may ask for what another one wrote.
    """

    def __init__(
        self, journal: JournalId, received: Received, answers: "asyncio.Queue[_Response | None]"
    ) -> None:
        self.journal = journal
        self._received = received
        self._answers = answers
        self._told = self._last = 0
        # Of what is durable and not received, as much as is kept in mind.
        self._sizes: deque[int] = deque()

    def landed(self, size: int) -> None:
        """Note that a request is durable, with the size of the journal then."""
        self._last = size
        if size > self._told and len(self._sizes) < MAX_IN_FLIGHT:
            self._sizes.append(size)
            # What was sent again may have been received long ago.
            self.hear()

    def hear(self, *, is_idle: bool = False) -> None:
        """Look at the newest receipt, and tell of it if it is of use."""
        size = self._received.size_of(self.journal)
        covers = self._sizes and self._sizes[0] <= size
        if size > self._told and (covers or (is_idle and not self._sizes)):
            self._told = size
            self._answers.put_nowait(_Response(received=size))
            while self._sizes and self._sizes[0] <= size:
                self._sizes.popleft()
            if not self._sizes and self._last > size:
                # More is out than is kept in mind.
                self._sizes.append(size + 1)


class _Stream:
    """One stream: answers go out in the order of the requests."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[_Response | None] = asyncio.Queue()
        self.receipts: _Receipts | None = None
        self.room = asyncio.Semaphore(MAX_IN_FLIGHT)
        self.waiting: list[Future[Callable[[], Landed]]] = []
        self.is_read = False
        self.error: Exception | None = None

    def landed(self, _done: "Future[Callable[[], Landed]]") -> None:
        """Answer what is done, as far as everything before it is."""
        self.answer_ready()

    def answer_ready(self) -> None:
        """Put out the answers whose turn it is; the last one ends the stream."""
        try:
            while self.waiting and self.waiting[0].done():
                self.room.release()
                answer = _outcome(self.waiting.pop(0))
                self.answers.put_nowait(answer)
                if answer.size and self.receipts is not None:
                    self.receipts.landed(answer.size)
        except Exception as error:  # noqa: BLE001 - raised again where the stream is answered
            self.end(error)
            return
        if self.is_read and not self.waiting:
            self.answers.put_nowait(None)

    def end(self, error: Exception) -> None:
        """End it with an error; what is under way is durable or not, and not answered."""
        self.error = error
        self.answers.put_nowait(None)


def _outcome(done: "Future[Callable[[], Landed]]") -> _Response:
    try:
        return _answer(done.result()())
    except YidaoError as error:
        return _Response(error=error_message(error))


def _answer(landed: Landed) -> _Response:
    return _Response(positions=landed.positions, size=landed.size)


def _draft(record: records_pb2.NewRecord, actor: str, now_ms: int) -> Draft:
    return Draft(
        record_id=record.record_id,
        kind=record.kind,
        actor=actor,
        object_id=record.object,
        object_version=record.version,
        created_ms=record.created_ms or now_ms,
        unit=record.unit,
        causes=tuple(record.causes),
        schema=record.schema,
        schema_sha256=record.schema_sha256,
        period=record.period,
        parts=_parts(record.parts),
    )


def _parts(parts: Sequence[records_pb2.NewPart]) -> tuple[DraftPart, ...]:
    try:
        return tuple(
            [DraftPart(name=part.name, body=part.body, grade=_GRADES[part.grade]) for part in parts]
        )
    except KeyError as error:
        raise errors.GradeInvalid(grade=error.args[0]) from None
