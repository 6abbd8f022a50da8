"""A stream of events that outlives the node's restarts and knows what was handled."""

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

import grpc

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import follow_pb2
from yidao.node.client.cursors import Cursor, Mark
from yidao.node.client.errors import error_of
from yidao.sync.backoff import Backoff

#: A local node is back in seconds; one that is upgraded, in minutes.
_BACKOFF: Final = Backoff(min_seconds=0.2, max_seconds=30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record.

    Attributes:
        mark: Where it stands; to be kept if you keep your own cursor.
        object: As `return/energy/consumption/2025-Q2/<unit>`.
        version: Of the object.
        actor: `user@path`.
        created_ms: Unix milliseconds by the clock of whoever wrote it.
        origin: Id of the node whose record it is.
        causes: Records that it answers: of an acceptance, the return.
        payload: JSON bytes; empty where it is not here, or stays where it is.
    """

    mark: Mark
    record_id: bytes
    kind: str
    object: str
    version: int
    unit: str
    pack: str
    form: str
    period: str
    actor: str
    created_ms: int
    origin: bytes
    causes: tuple[bytes, ...]
    payload: bytes

    @property
    def position(self) -> int:
        """The record's position in the node's store."""
        return self.mark.position


class _Stream(Protocol):
    """What gRPC gives for a call that streams."""

    def __next__(self) -> follow_pb2.FollowResponse: ...

    def cancel(self) -> bool: ...


class Following(Iterator[Event]):
    """Events in store order; made by `Client.follow`. One thread iterates.

    Asking for the next event says that the last one was handled. Who leaves the
    loop after handling an event calls `done` first.
    """

    def __init__(
        self,
        call: Callable[[follow_pb2.FollowRequest], _Stream],
        request: follow_pb2.FollowRequest,
        socket: str,
        mark: Mark | None,
        cursor: Cursor | None,
        on_wait: Callable[[YidaoError, float], None] | None,
    ) -> None:
        self._call = call
        self._request = request
        self._socket = socket
        self._mark = mark
        self._cursor = cursor
        self._on_wait = on_wait
        self._backoff = _BACKOFF
        self._stream: _Stream | None = None
        self._ready: deque[Event] = deque()
        self._given: Event | None = None
        #: What is handled once all that is ready was.
        self._read_to: Mark | None = None
        self._closed = threading.Event()

    def __next__(self) -> Event:
        self.done()
        while not self._ready:
            if self._read_to is not None:
                self._moved(self._read_to)
            if not self._receive():
                raise StopIteration
        self._given = self._ready.popleft()
        return self._given

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def mark(self) -> Mark | None:
        """Up to where everything was handled; None before the first."""
        return self._mark

    def done(self) -> None:
        """Say that the event that was given last is handled."""
        if self._given is not None:
            given, self._given = self._given, None
            self._moved(given.mark)

    def close(self) -> None:
        """End the stream; what was not said to be handled comes again. Any thread may call."""
        self._closed.set()
        if self._stream is not None:
            self._stream.cancel()

    def _moved(self, mark: Mark) -> None:
        if self._mark is not None and mark.position <= self._mark.position:
            return
        self._mark = mark
        if self._cursor is not None:
            self._cursor.save(mark)

    def _receive(self) -> bool:
        """Wait for the next message; False when the stream has come to its end."""
        while not self._closed.is_set():
            try:
                message = next(self._opened())
            except StopIteration:
                return False
            except grpc.RpcError as failure:
                self._stream = None
                if not self._closed.is_set():
                    self._wait(error_of(failure, self._socket, 0))
                continue
            self._backoff = self._backoff.reset()
            self._ready.extend(_event(each, message.store_id) for each in message.events)
            self._read_to = Mark(store_id=message.store_id, position=message.position)
            return True
        return False

    def _opened(self) -> _Stream:
        if self._stream is None:
            if self._mark is not None:
                self._request.after = self._mark.position
                self._request.store_id = self._mark.store_id
            self._stream = self._call(self._request)
        return self._stream

    def _wait(self, error: YidaoError) -> None:
        """Let some time go by, unless the error is one that time does not mend."""
        if not error.retryable:
            raise error
        # Spread, not secret.
        seconds, self._backoff = self._backoff.next(random.random())  # noqa: S311
        if self._on_wait is not None:
            self._on_wait(error, seconds)
        self._closed.wait(seconds)


def _event(message: follow_pb2.Event, store_id: bytes) -> Event:
    return Event(
        mark=Mark(store_id=store_id, position=message.position),
        record_id=message.record_id,
        kind=message.kind,
        object=message.object,
        version=message.version,
        unit=message.unit,
        pack=message.pack,
        form=message.form,
        period=message.period,
        actor=message.actor,
        created_ms=message.created_ms,
        origin=message.origin,
        causes=tuple(message.causes),
        payload=message.payload,
    )
