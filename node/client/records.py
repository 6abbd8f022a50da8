"""Calls about records that programs publish."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import Final

from yidao.api.local.v1 import records_pb2_grpc
from yidao.node.client.calls import Calls, Progress
from yidao.node.client.publishing import (
    MAX_IN_FLIGHT,
    NewRecord,
    Published,
    Publisher,
)
from yidao.sync.ids import REACH_ROOT

_BATCH_RECORDS: Final = 500


class RecordsCalls(Calls):
    """What a program writes of its own."""

    def publisher(self, *, actor: str = "", reach: int = REACH_ROOT) -> Publisher:
        """Open a stream over which records are appended, many requests in flight.

        Args:
            actor: `user@path`; a session's own if empty.
            reach: How many tiers up the records go: 15 = to the root, 0 = they stay here.
        """
        stub = self._stub(records_pb2_grpc.RecordsServiceStub)
        return Publisher(
            partial(stub.Append, metadata=self._metadata),
            actor=actor,
            reach=reach,
            socket=self._socket,
        )

    def publish(
        self,
        records: Iterable[NewRecord],
        *,
        actor: str = "",
        reach: int = REACH_ROOT,
        progress: Progress | None = None,
    ) -> int:
        """Append records, however many; return how many are durable: all of them.

        What was stored before an error stays: publish the same records again under their
        own ids, and those are not stored twice.

        Args:
            records: In the order in which they are to stand.
            actor: `user@path`; a session's own if empty.
            reach: How many tiers up they go.
            progress: Told how many are durable.

        Raises:
            ClientError: KIND_NOT_PUBLISHABLE, REACH_INVALID, RECORD_ID_REUSED, and others.
            NodeUnreachable: The node is gone.
        """
        durable = 0
        flying: deque[Future[Published]] = deque()
        with self.publisher(actor=actor, reach=reach) as publisher:
            for batch in _batches(records):
                flying.append(publisher.send(batch))
                while flying and (len(flying) >= MAX_IN_FLIGHT or flying[0].done()):
                    durable += len(flying.popleft().result().positions)
                    if progress is not None:
                        progress(durable)
            for future in flying:
                durable += len(future.result().positions)
        if progress is not None:
            progress(durable)
        return durable


def _batches(records: Iterable[NewRecord]) -> Iterator[list[NewRecord]]:
    rest = iter(records)
    while batch := list(islice(rest, _BATCH_RECORDS)):
        yield batch
