"""Publishing records of a program: over one stream, with many requests in flight."""

import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import grpc

from yidao.api.local.v1 import records_pb2
from yidao.node.client.errors import NodeUnreachable, error_of, refusal_of
from yidao.sync.ids import CHANCE_BYTES, new_record_id

#: Enough to keep the disk busy; more only waits in memory.
MAX_IN_FLIGHT: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record that a program publishes.

    Attributes:
        kind: `app.<program>.<what>`.
        object: What it is about.
        body: Of its core part, at most 256 KiB.
        record_id: 16 bytes, the time first: the idempotency key; made if empty.
        version: Of the object.
        grade: 1 to 4.
    """

    kind: str
    object: str
    body: bytes
    record_id: bytes = b""
    version: int = 1
    unit: str = ""
    period: str = ""
    schema: str = ""
    schema_sha256: bytes = b""
    grade: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where records stand that are durable.

    Attributes:
        positions: In the node's store, one a record.
        size: Of the journal with them; the parent has them once `received` is as much.
    """

    positions: tuple[int, ...]
    size: int


Open = Callable[[Iterator[records_pb2.AppendRequest]], Iterable[records_pb2.AppendResponse]]


class Publisher:
    """Appends records over one stream; for several threads.

        with client.publisher(actor="meter@/33") as publisher:
            durable = [publisher.send(batch) for batch in batches]
            for each in durable:
                each.result()

    Args:
        open_stream: Starts the call.
        actor: `user@path`; a session's own if empty.
        reach: How many tiers up the records go.
        socket: Where to, for errors.
    """

    def __init__(self, open_stream: Open, *, actor: str, reach: int, socket: str) -> None:
        self._actor, self._reach, self._socket = actor, reach, socket
        self._requests: queue.SimpleQueue[records_pb2.AppendRequest | None] = queue.SimpleQueue()
        self._waiting: deque[Future[Published]] = deque()
        self._room = threading.Semaphore(MAX_IN_FLIGHT)
        self._news = threading.Condition()
        self._received = 0
        self._ended: BaseException | None = None
        self._stream = open_stream(iter(self._requests.get, None))
        self._reader = threading.Thread(target=self._read, name="yidao-publish", daemon=True)
        self._reader.start()

    def send(self, records: Sequence[NewRecord]) -> "Future[Published]":
        """Send 1 to 2,000 records, stored all or none; waits while many are in flight.

        Returns:
            Done once they are durable at the node; its error is a `ClientError` if the node
            refuses them, `NodeUnreachable` if it is gone: send them again under the same ids.
        """
        request = records_pb2.AppendRequest(actor=self._actor, reach=self._reach)
        for each in records:
            _write(each, request.records.add())
        future: Future[Published] = Future()
        self._room.acquire()
        with self._news:
            if self._ended is not None:
                self._room.release()
                raise self._ended
            self._waiting.append(future)
            self._requests.put(request)
        return future

    @property
    def received(self) -> int:
        """Up to which size the parent holds the journal, by the newest receipt that was told.

        While records are on their way, only receipts that cover some of this stream's are told.
        """
        return self._received

    def wait_received(self, size: int, seconds: float) -> bool:
        """Wait until the parent holds the journal up to `size`; False if that takes longer."""
        with self._news:
            return self._news.wait_for(
                lambda: self._received >= size or self._ended is not None, seconds
            ) and (self._received >= size)

    def close(self) -> None:
        """Wait for what is under way, and end the stream."""
        self._requests.put(None)
        self._reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> None:
        ended: BaseException = NodeUnreachable(socket=self._socket)
        try:
            for response in self._stream:
                self._take(response)
        except grpc.RpcError as failure:
            ended = error_of(failure, self._socket, 0.0)
        with self._news:
            self._ended = ended
            self._news.notify_all()
        while self._waiting:
            self._waiting.popleft().set_exception(ended)
            self._room.release()
        # The request stream ends with the call; whoever waits in it is let go.
        self._requests.put(None)

    def _take(self, response: records_pb2.AppendResponse) -> None:
        if response.received:
            with self._news:
                self._received = response.received
                self._news.notify_all()
            return
        future = self._waiting.popleft()
        self._room.release()
        if response.HasField("error"):
            future.set_exception(refusal_of(response.error, "REFUSED"))
        else:
            positions = tuple(response.positions)
            future.set_result(Published(positions=positions, size=response.size))


def mint_record_id() -> bytes:
    """Make a record id: 16 bytes, ordered by time."""
    return new_record_id(time.time_ns() // 1_000_000, secrets.token_bytes(CHANCE_BYTES))


def _write(record: NewRecord, out: records_pb2.NewRecord) -> None:
    # In place: a message that is made apart is copied into its request, which costs five times
    # as much; what is empty need not be said.
    out.record_id = record.record_id or mint_record_id()
    out.kind, out.object, out.version = record.kind, record.object, record.version
    if record.unit:
        out.unit = record.unit
    if record.period:
        out.period = record.period
    if record.schema:
        out.schema = record.schema
    if record.schema_sha256:
        out.schema_sha256 = record.schema_sha256
    out.parts.add(name="core", body=record.body, grade=record.grade)
