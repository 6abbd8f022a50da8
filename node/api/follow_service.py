"""The local API of following: records in store order, live, for up to 64 readers.

A follower reads up to what the views show, so that whatever an event names can
be asked for at once. It holds one small batch; gRPC's flow control makes it wait
for its reader, and it reads no further meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import grpc.aio

from yidao.api.local.v1 import follow_pb2, follow_pb2_grpc
from yidao.node.access.caller import current_caller
from yidao.node.access.fieldpolicy import FieldPolicy, FieldReader
from yidao.node.access.fields import Asker
from yidao.node.access.roles import Permission
from yidao.node.affairs.reporting.showing import Showing
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.api import following
from yidao.node.api.errors import answered_stream
from yidao.node.api.workers import noted
from yidao.node.store.records import read_records
from yidao.node.store.store import Store

MAX_FOLLOWERS: Final = 64
#: Whole segments are read until so many records are there: at most 64 of 900 KiB.
_BATCH_RECORDS: Final = 64
_MESSAGE_BYTES: Final = 1024 * 1024
#: A reader whose filter matches nothing is told its position that often.
_TELL_RECORDS: Final = 2_000
#: Apart from the readers of other calls, who must not wait for somebody who catches up.
_READERS: Final = 2

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True, kw_only=True)
class _Stand:
    """How far one follower is: what was read, what its reader was told.

    Attributes:
        due: When it is to hear of us again, by the loop's clock.
    """

    read: int
    told: int
    keep_alive: int
    due: float = 0.0


class FollowServicer(follow_pb2_grpc.FollowServiceServicer):
    """Serves `FollowService`. Make it on the event loop, once the store runs."""

    def __init__(
        self, store: Store, fields: FieldPolicy, *, max_followers: int = MAX_FOLLOWERS
    ) -> None:
        self._store = store
        self._fields = fields
        self._max_followers = max_followers
        self._followers = 0
        self._is_closing = False
        self._news = asyncio.Event()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="api-follow")
        loop = asyncio.get_running_loop()

        def wake(_position: int) -> None:
            loop.call_soon_threadsafe(self._wake)

        store.on_applied(wake)

    def close(self) -> None:
        """End every stream with `FOLLOW_ENDED`; nobody waits for readers that never end."""
        self._is_closing = True
        self._wake()
        self._readers.shutdown(wait=False)

    @answered_stream
    async def Follow(
        self, request: follow_pb2.FollowRequest, context: Context
    ) -> AsyncIterator[follow_pb2.FollowResponse]:
        """Send records from a position on."""
        caller = current_caller()
        audit_too = caller.may(Permission.ACCESS_AUDIT)
        wanted = following.Wanted.of(request.filter, audit_too=audit_too, only=caller.forms)
        keep_alive = following.keep_alive_seconds(request.keep_alive_seconds)
        self._check_cursor(request)
        if self._followers >= self._max_followers:
            raise following.FollowersTooMany(limit=self._max_followers)
        self._followers += 1
        try:
            until = self._store.applied_position if request.until_now else None
            stand = _Stand(read=request.after, told=request.after, keep_alive=keep_alive)
            asked = asyncio.get_running_loop().run_in_executor(
                self._readers, self._fields.reader, Asker.of(caller)
            )
            reader, told_grade = await asked, 0
            async for response in self._stream(stand, wanted, until, reader):
                if reader.top_grade > told_grade:
                    # Once a stream and grade: each event would be a commit of its own.
                    told_grade = reader.top_grade
                    await noted(self._fields.shown(caller, "FollowService/Follow", reader))
                yield response
        finally:
            self._followers -= 1

    async def _stream(
        self,
        stand: _Stand,
        wanted: following.Wanted,
        until: int | None,
        reader: FieldReader,
    ) -> AsyncIterator[follow_pb2.FollowResponse]:
        clock = asyncio.get_running_loop().time
        while True:
            # Taken before the position is read: what comes in between wakes us.
            news = self._news
            up_to = self._store.applied_position if until is None else until
            while stand.read < up_to:
                if self._is_closing:
                    raise following.FollowEnded
                events, stand.read = await self._read(stand.read, up_to, wanted, reader)
                for response in self._responses(events, stand):
                    yield response
            if until is not None or clock() >= stand.due:
                yield self._response(stand, [])
            if until is not None:
                return
            if self._is_closing:
                raise following.FollowEnded
            await _within(news, stand.due - clock())

    async def _read(
        self, after: int, up_to: int, wanted: following.Wanted, reader: FieldReader
    ) -> tuple[list[follow_pb2.Event], int]:
        def read() -> tuple[list[follow_pb2.Event], int]:
            with self._store.read() as conn:
                records, scanned = read_records(conn, after, _BATCH_RECORDS)
                showing = Showing(packs_in_force(conn), reader)
            # What lies further than the views show is read again when they do.
            chosen = [
                following.event_of(record, showing.event(record))
                for record in records
                if record.position <= up_to and wanted.matches(record)
            ]
            return chosen, min(scanned, up_to) if scanned > after else up_to

        return await asyncio.get_running_loop().run_in_executor(self._readers, read)

    def _responses(
        self, events: list[follow_pb2.Event], stand: _Stand
    ) -> list[follow_pb2.FollowResponse]:
        """Fill messages; the last one says how far was read."""
        filled: list[list[follow_pb2.Event]] = [[]]
        size_bytes = 0
        for event in events:
            size_bytes += event.ByteSize()
            if filled[-1] and size_bytes > _MESSAGE_BYTES:
                filled.append([])
                size_bytes = event.ByteSize()
            filled[-1].append(event)
        if not events and stand.read - stand.told < _TELL_RECORDS:
            return []
        earlier = [
            follow_pb2.FollowResponse(
                position=batch[-1].position, store_id=self._store.store_id, events=batch
            )
            for batch in filled[:-1]
        ]
        return [*earlier, self._response(stand, filled[-1])]

    def _response(self, stand: _Stand, events: list[follow_pb2.Event]) -> follow_pb2.FollowResponse:
        stand.told = stand.read
        stand.due = asyncio.get_running_loop().time() + stand.keep_alive
        return follow_pb2.FollowResponse(
            position=stand.read, store_id=self._store.store_id, events=events
        )

    def _check_cursor(self, request: follow_pb2.FollowRequest) -> None:
        if request.after == 0:
            return
        if request.store_id != self._store.store_id:
            raise following.CursorOfAnotherStore(
                cursor=request.store_id.hex(), store=self._store.store_id.hex()
            )
        position = self._store.last_position()
        if request.after > position:
            raise following.CursorAheadOfStore(cursor=request.after, position=position)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


async def _within(news: asyncio.Event, seconds: float) -> None:
    """Wait for news, or until the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
