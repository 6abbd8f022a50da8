"""Calls about what happens at a node, as it happens."""

from collections.abc import Callable, Sequence
from functools import partial

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import follow_pb2, follow_pb2_grpc
from yidao.node.client.calls import Calls
from yidao.node.client.cursors import Cursor, Mark
from yidao.node.client.following import Following


class FollowCalls(Calls):
    """What a client asks of the record as it grows."""

    def follow(  # noqa: PLR0913 (what to follow, each by name)
        self,
        *,
        cursor: Cursor | None = None,
        after: Mark | None = None,
        kinds: Sequence[str] = (),
        forms: Sequence[str] = (),
        periods: Sequence[str] = (),
        units: Sequence[str] = (),
        object_prefix: str = "",
        local_too: bool = False,
        until_now: bool = False,
        on_wait: Callable[[YidaoError, float], None] | None = None,
    ) -> Following:
        """Give records in store order, those that are here and then each new one.

        The loop's next turn says that the event was handled; then the cursor moves.
        If the node stops or is not there yet, it is waited for, however long.

            for event in client.follow(cursor=FileCursor(path), forms=["consumption"]):
                handle(event)

        Args:
            cursor: Where to go on, and where to keep how far it went.
            after: Where to go on without a cursor; from the first record otherwise.
            kinds: `reporting.return.accepted`, or all below a name: `reporting.`.
            forms: As `consumption`; empty, as with the next four, matches all.
            periods: As `2025-Q2`.
            units: Codes of 18 characters.
            object_prefix: As `return/energy/`.
            local_too: Also what stays at this node; without its payload.
            until_now: End once everything was given that is here at the start.
            on_wait: Told why and how many seconds it waits for the node.

        Raises:
            ClientError: While iterating; CURSOR_OF_ANOTHER_STORE and
                CURSOR_AHEAD_OF_STORE say that the cursor does not fit this store.
        """
        request = follow_pb2.FollowRequest(
            filter=follow_pb2.FollowFilter(
                kinds=kinds,
                forms=forms,
                periods=periods,
                units=units,
                object_prefix=object_prefix,
                local_too=local_too,
            ),
            until_now=until_now,
        )
        stub = self._stub(follow_pb2_grpc.FollowServiceStub)
        call = partial(stub.Follow, metadata=self._metadata)
        mark = cursor.load() if cursor is not None else after
        return Following(call, request, self._socket, mark, cursor, on_wait)
