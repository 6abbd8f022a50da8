"""Calls that ask for rows where they are."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import grpc

from yidao.api.local.v1 import query_pb2, query_pb2_grpc
from yidao.node.client.calls import Calls
from yidao.node.client.errors import error_of
from yidao.node.client.query_values import (
    QueryAnswer,
    QueryColumn,
    QueryNode,
    QueryRow,
    node_of,
    row_of,
)

_GRACE_SECONDS = 5.0


class RowStream:
    """The rows of an answer, as they come; afterwards, what became of every node.

    Iterate over it once. Close it, or use it in a `with`, to stop early: the
    nodes that are asked then stop too.

    Attributes:
        columns: Of the rows; empty until the first row has come.
        nodes: How each node answered; empty until all rows have come.
        complete: Every node answered live, and nothing was left out.
    """

    def __init__(self, call: Any, socket: str, seconds: float) -> None:
        self._call = call
        self._socket = socket
        self._seconds = seconds
        self.columns: tuple[QueryColumn, ...] = ()
        self.nodes: tuple[QueryNode, ...] = ()
        self.complete = False

    def __iter__(self) -> Iterator[QueryRow]:
        try:
            for answer in self._call:
                yield from self._take(answer)
        except grpc.RpcError as failure:
            raise error_of(failure, self._socket, self._seconds) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rows(self) -> tuple[QueryRow, ...]:
        """Wait for all rows."""
        return tuple(self)

    def answer(self) -> QueryAnswer:
        """Wait for all rows, and give them with what became of every node; also as a table."""
        rows = self.rows()
        return QueryAnswer(
            columns=self.columns, rows=rows, nodes=self.nodes, complete=self.complete
        )

    def close(self) -> None:
        """Stop asking."""
        self._call.cancel()

    def _take(self, answer: query_pb2.QueryRowsResponse) -> Iterator[QueryRow]:
        if answer.HasField("end"):
            self.nodes = tuple(node_of(each) for each in answer.end.nodes)
            self.complete = answer.end.complete
            return
        self.columns = tuple(
            QueryColumn(name=each.name, kind=each.kind, scale=each.scale, masked=each.masked)
            for each in answer.page.columns
        )
        for row in answer.page.rows:
            yield row_of(row, self.columns)


class QueryCalls(Calls):
    """What a client asks of rows elsewhere."""

    @property
    def _query(self) -> query_pb2_grpc.QueryServiceStub:
        return self._stub(query_pb2_grpc.QueryServiceStub)

    def query_rows(  # noqa: PLR0913 (the members of a question, each by name)
        self,
        resource: str,
        *,
        actor: str,
        of: str = "",
        under: str = "",
        where: str = "",
        select: Sequence[str] = (),
        aggregate: Sequence[str] = (),
        by: Sequence[str] = (),
        order: Sequence[str] = (),
        limit: int = 0,
        purpose: str = "",
        deadline_seconds: float = 10.0,
        live_only: bool = False,
    ) -> RowStream:
        """Ask the owners of a resource for its rows.

        Args:
            resource: A code, or pack and form (`energy/consumption`).
            actor: Who asks.
            of: Exactly this node.
            under: Every node at or below this path that owns such a resource.
            where: `elec_kwh > 1000 and period = '2025-Q3'`.
            select: Columns; all by default.
            aggregate: `count`, `sum elec_kwh`, `min …`, `max …`, `avg …`.
            by: Columns to group by.
            order: Columns, `-elec_kwh` for descending; of groups also `-sum elec_kwh`.
            limit: Rows or groups, 1,000 by default, at most 10,000.
            purpose: What it is for.
            deadline_seconds: When the answer is complete, at most 60.
            live_only: No older figures for nodes that do not answer.
        """
        request = query_pb2.QueryRowsRequest(
            actor=actor,
            question=query_pb2.RowsQuestion(
                resource=resource,
                of=of,
                under=under,
                where=where,
                select=select,
                aggregate=aggregate,
                by=by,
                order=order,
                limit=limit,
                purpose=purpose,
            ),
            deadline_ms=max(int(deadline_seconds * 1000), 1),
            live_only=live_only,
        )
        # The node keeps the deadline; this is for a node that hangs.
        seconds = deadline_seconds + _GRACE_SECONDS
        call = self._query.QueryRows(request, timeout=seconds, metadata=self._metadata)
        return RowStream(call, self._socket, seconds)
