"""The client for programs on asyncio: the same calls, to be awaited.

Each call runs the client's own in a thread, so there is one implementation, and
one signature that type checkers see for both. A new call of the client gets its
line here; a test names those that are missing.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, cast

from yidao.node.client.client import Client
from yidao.node.client.cursors import Mark
from yidao.node.client.following import Event, Following
from yidao.node.client.publishing import NewRecord, Published, Publisher
from yidao.node.client.query import RowStream
from yidao.node.client.query_values import QueryAnswer, QueryRow
from yidao.node.client.retries import DEFAULT_RETRIES, Retries

P = ParamSpec("P")
T = TypeVar("T")

_THREADS: Final = 16


class _Awaited(Generic[P, T]):
    """A call of the client that is awaited."""

    def __init__(self, call: Callable[Concatenate[Client, P], T]) -> None:
        self._call = call

    def __get__(
        self, owner: "AsyncClient", kind: "type[AsyncClient]"
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(self._call)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return await owner.run(functools.partial(self._call, owner.client, *args, **kwargs))

        return call


class _Iterated(Generic[P, T]):
    """A call of the client whose results are iterated over."""

    def __init__(self, call: Callable[Concatenate[Client, P], Iterator[T]]) -> None:
        self._call = call

    def __get__(
        self, owner: "AsyncClient", kind: "type[AsyncClient]"
    ) -> Callable[P, AsyncIterator[T]]:
        @functools.wraps(self._call)
        async def call(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            found = self._call(owner.client, *args, **kwargs)
            while (one := await owner.run(functools.partial(next, found, None))) is not None:
                yield one

        return call


class AsyncFollowing(AsyncIterator[Event]):
    """Events in store order (see `Following`), in a thread of its own.

    A task that is cancelled while it waits here ends the stream: an event that
    arrived at that moment was not handled, and comes again the next time.
    """

    def __init__(self, following: Following) -> None:
        self._following = following
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="yidao-follow")

    async def __anext__(self) -> Event:
        event = await self._run(self._next)
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def mark(self) -> Mark | None:
        """Up to where everything was handled; None before the first."""
        return self._following.mark

    async def done(self) -> None:
        """Say that the event that was given last is handled."""
        await self._run(self._following.done)

    def close(self) -> None:
        """End the stream; what was not said to be handled comes again."""
        self._following.close()
        self._thread.shutdown(wait=False)

    def _next(self) -> Event | None:
        # A `StopIteration` cannot cross from a thread into a task.
        return next(self._following, None)

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except asyncio.CancelledError:
            self.close()
            raise


class _Followed(Generic[P]):
    """The call that gives a stream."""

    def __init__(self, call: Callable[Concatenate[Client, P], Following]) -> None:
        self._call = call

    def __get__(
        self, owner: "AsyncClient", kind: "type[AsyncClient]"
    ) -> Callable[P, AsyncFollowing]:
        @functools.wraps(self._call)
        def call(*args: P.args, **kwargs: P.kwargs) -> AsyncFollowing:
            return AsyncFollowing(self._call(owner.client, *args, **kwargs))

        return call


class AsyncPublisher:
    """Records over one stream (see `Publisher`); several tasks may send at once."""

    def __init__(
        self, publisher: Publisher, run: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._publisher = publisher
        self._run = run

    async def send(self, records: Sequence[NewRecord]) -> Published:
        """Send 1 to 2,000 records, and wait until they are durable."""
        sent = await self._run(functools.partial(self._publisher.send, records))
        return cast("Published", await asyncio.wrap_future(sent))

    @property
    def received(self) -> int:
        """Up to which size the parent holds the journal, by its receipts."""
        return self._publisher.received

    async def wait_received(self, size: int, seconds: float) -> bool:
        """Wait until the parent holds the journal up to `size`; False if that takes longer."""
        wait = functools.partial(self._publisher.wait_received, size, seconds)
        return bool(await self._run(wait))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._run(self._publisher.close)


class _Published(Generic[P]):
    """The call that opens a stream for records."""

    def __init__(self, call: Callable[Concatenate[Client, P], Publisher]) -> None:
        self._call = call

    def __get__(
        self, owner: "AsyncClient", kind: "type[AsyncClient]"
    ) -> Callable[P, AsyncPublisher]:
        @functools.wraps(self._call)
        def call(*args: P.args, **kwargs: P.kwargs) -> AsyncPublisher:
            return AsyncPublisher(self._call(owner.client, *args, **kwargs), owner.run)

        return call


class AsyncRows(AsyncIterator[QueryRow]):
    """The rows of an answer as they come (see `RowStream`).

    Attributes:
        rows: The client's own stream; once it has ended it says what became of every node.
    """

    def __init__(self, rows: RowStream, run: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self.rows = rows
        self._each = iter(rows)
        self._run = run

    async def __anext__(self) -> QueryRow:
        row: QueryRow | None = await self._run(functools.partial(next, self._each, None))
        if row is None:
            raise StopAsyncIteration
        return row

    async def answer(self) -> QueryAnswer:
        """Wait for all of it (see `RowStream.answer`)."""
        answer: QueryAnswer = await self._run(self.rows.answer)
        return answer

    def close(self) -> None:
        """Stop asking; the nodes that are asked stop too."""
        self.rows.close()


class _Asked(Generic[P]):
    """The call that asks for rows elsewhere."""

    def __init__(self, call: Callable[Concatenate[Client, P], RowStream]) -> None:
        self._call = call

    def __get__(self, owner: "AsyncClient", kind: "type[AsyncClient]") -> Callable[P, AsyncRows]:
        @functools.wraps(self._call)
        def call(*args: P.args, **kwargs: P.kwargs) -> AsyncRows:
            return AsyncRows(self._call(owner.client, *args, **kwargs), owner.run)

        return call


class AsyncClient:
    """Talks to one node; the calls, their arguments and errors are those of `Client`.

    Callbacks such as `progress` are called in the thread of the call.

    Attributes:
        client: The client whose calls are made.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="yidao-client")

    @classmethod
    def open(
        cls,
        socket_path: Path | str,
        *,
        timeout_seconds: float = 600.0,
        token: str = "",
        retries: Retries = DEFAULT_RETRIES,
    ) -> Self:
        """Connect to the node whose socket this is (see `Client.open`)."""
        client = Client.open(
            socket_path, timeout_seconds=timeout_seconds, token=token, retries=retries
        )
        return cls(client)

    def with_token(self, token: str, *, source: str = "") -> Self:
        """Give a client of one session over the same connection (see `Client.with_token`)."""
        return type(self)(self.client.with_token(token, source=source))

    def with_purpose(self, purpose: str) -> Self:
        """Give a client that says what for it reads (see `Client.with_purpose`)."""
        return type(self)(self.client.with_purpose(purpose))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self.client.close()
        self._threads.shutdown(wait=False)

    async def run(self, call: Callable[[], T]) -> T:
        """Run what blocks in a thread of this client."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    # Who acts.
    sign_in = _Awaited(Client.sign_in)
    sign_out = _Awaited(Client.sign_out)
    who_am_i = _Awaited(Client.who_am_i)
    change_password = _Awaited(Client.change_password)
    put_user = _Awaited(Client.put_user)
    unlock_user = _Awaited(Client.unlock_user)
    users = _Awaited(Client.users)
    audit = _Awaited(Client.audit)
    register_key = _Awaited(Client.register_key)
    remove_key = _Awaited(Client.remove_key)
    give_token = _Awaited(Client.give_token)
    tokens = _Awaited(Client.tokens)
    revoke_token = _Awaited(Client.revoke_token)
    requests = _Awaited(Client.requests)
    decide_request = _Awaited(Client.decide_request)
    field_policy = _Awaited(Client.field_policy)
    set_field_policy = _Awaited(Client.set_field_policy)

    # Standards and units.
    publish_pack = _Awaited(Client.publish_pack)
    packs = _Awaited(Client.packs)
    pack = _Awaited(Client.pack)
    units = _Iterated(Client.units)
    unit_page = _Awaited(Client.unit_page)

    # Returns.
    submit = _Awaited(Client.submit)
    validate = _Awaited(Client.validate)
    returns = _Awaited(Client.returns)
    review = _Awaited(Client.review)
    count_reviewable = _Awaited(Client.count_reviewable)
    review_all = _Awaited(Client.review_all)
    roll_up = _Awaited(Client.roll_up)
    withdraw = _Awaited(Client.withdraw)
    due = _Awaited(Client.due)
    missing = _Awaited(Client.missing)
    break_down = _Awaited(Client.break_down)
    receipt = _Awaited(Client.receipt)

    # What is signed off.
    propose_policy = _Awaited(Client.propose_policy)
    confirm_policy = _Awaited(Client.confirm_policy)
    file_policy = _Awaited(Client.file_policy)
    demand_signoff = _Awaited(Client.demand_signoff)
    signoff = _Awaited(Client.signoff)
    prepare_signoff = _Awaited(Client.prepare_signoff)
    submit_signoff = _Awaited(Client.submit_signoff)
    unsigned = _Awaited(Client.unsigned)

    # The catalog.
    issue_code = _Awaited(Client.issue_code)
    save_draft = _Awaited(Client.save_draft)
    draft_from_form = _Awaited(Client.draft_from_form)
    submit_entry = _Awaited(Client.submit_entry)
    review_entry = _Awaited(Client.review_entry)
    send_back_entry = _Awaited(Client.send_back_entry)
    publish_entry = _Awaited(Client.publish_entry)
    withdraw_entry = _Awaited(Client.withdraw_entry)
    entry = _Awaited(Client.entry)
    working_copy = _Awaited(Client.working_copy)
    working_copies = _Iterated(Client.working_copies)
    search_catalog = _Awaited(Client.search_catalog)
    export_dcat = _Awaited(Client.export_dcat)

    # Directives.
    issue = _Awaited(Client.issue)
    report = _Awaited(Client.report)
    directives = _Awaited(Client.directives)
    tree = _Awaited(Client.tree)

    # The node.
    status = _Awaited(Client.status)
    list_tree = _Awaited(Client.list_tree)
    add_child = _Awaited(Client.add_child)
    revoke_child = _Awaited(Client.revoke_child)
    add_child_code = _Awaited(Client.add_child_code)
    open_requests = _Awaited(Client.open_requests)
    decide_join = _Awaited(Client.decide_join)
    ask_reenrolment = _Awaited(Client.ask_reenrolment)
    hand_over_units = _Awaited(Client.hand_over_units)
    export_evidence = _Awaited(Client.export_evidence)
    export_return_evidence = _Awaited(Client.export_return_evidence)
    rebuild = _Awaited(Client.rebuild)
    verify_store = _Awaited(Client.verify_store)
    incidents = _Awaited(Client.incidents)
    open_epoch = _Awaited(Client.open_epoch)
    settle_incidents = _Awaited(Client.settle_incidents)
    release_node = _Awaited(Client.release_node)
    export_bundle = _Awaited(Client.export_bundle)
    import_bundle = _Awaited(Client.import_bundle)
    root_list = _Awaited(Client.root_list)
    publish_root_list = _Awaited(Client.publish_root_list)
    parts = _Awaited(Client.parts)
    part = _Awaited(Client.part)
    redact = _Awaited(Client.redact)
    prune = _Awaited(Client.prune)
    list_keys = _Awaited(Client.list_keys)
    prepare_keys = _Awaited(Client.prepare_keys)
    activate_keys = _Awaited(Client.activate_keys)
    taint_keys = _Awaited(Client.taint_keys)
    revoke_keys = _Awaited(Client.revoke_keys)

    # Rows elsewhere.
    query_rows = _Asked(Client.query_rows)

    # What happens.
    follow = _Followed(Client.follow)

    # What a program writes of its own.
    publish = _Awaited(Client.publish)
    publisher = _Published(Client.publisher)
