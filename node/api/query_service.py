"""The local API of live questions."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import grpc.aio

from yidao.api.local.v1 import query_pb2, query_pb2_grpc
from yidao.catalog.selection.columns import Cell, Column
from yidao.catalog.selection.question import RowsQuestion
from yidao.node.access.caller import current_caller
from yidao.node.access.fields import Asker
from yidao.node.affairs.sharing.errors import ScopeInvalid
from yidao.node.affairs.sharing.gathering import Gathering, Request
from yidao.node.affairs.sharing.results import End, NodeFate, Rows
from yidao.node.affairs.sharing.targets import Scope
from yidao.node.api.errors import answered_stream
from yidao.sync.errors import PathInvalid
from yidao.sync.ids import Path

DEFAULT_DEADLINE_MS = 10_000

Context = grpc.aio.ServicerContext[Any, Any]


class QueryServicer(query_pb2_grpc.QueryServiceServicer):
    """Serves `QueryService`."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering

    @answered_stream
    async def QueryRows(
        self, request: query_pb2.QueryRowsRequest, context: Context
    ) -> AsyncIterator[query_pb2.QueryRowsResponse]:
        """Give the rows as they come, then what became of every node that was asked."""
        reader = replace(
            Asker.of(current_caller()), sees_all=False, purpose=request.question.purpose
        )
        async with aclosing(self._gathering.ask(_request(request, reader))) as pieces:
            async for piece in pieces:
                if isinstance(piece, Rows):
                    yield query_pb2.QueryRowsResponse(page=_page(piece))
                else:
                    yield query_pb2.QueryRowsResponse(end=_end(piece))


def _request(request: query_pb2.QueryRowsRequest, reader: Asker) -> Request:
    asked = request.question
    # A code begins with digits, a form with the name of its pack.
    pack, slash, form = asked.resource.partition("/")
    by_form = bool(slash) and pack[:1].isalpha()
    question = RowsQuestion.make(
        resource="" if by_form else asked.resource,
        pack=pack if by_form else "",
        form=form if by_form else "",
        where=asked.where,
        select=asked.select,
        aggregate=asked.aggregate,
        by=asked.by,
        order=asked.order,
        limit=asked.limit,
    )
    return Request(
        actor=request.actor,
        question=question,
        scope=Scope(of=_path(asked.of), under=_path(asked.under)),
        purpose=asked.purpose,
        reader=reader,
        seconds=(request.deadline_ms or DEFAULT_DEADLINE_MS) / 1000,
        live_only=request.live_only,
    )


def _path(text: str) -> Path | None:
    try:
        return Path.parse(text) if text else None
    except PathInvalid:
        raise ScopeInvalid(path=text[:128]) from None


def _page(rows: Rows) -> query_pb2.RowsPage:
    return query_pb2.RowsPage(
        columns=[_column(each) for each in rows.columns],
        rows=[
            query_pb2.AnswerRow(
                cells=[_cell(cell) for cell in line.cells], path=line.path, cached=line.cached
            )
            for line in rows.lines
        ],
    )


def _column(source: Column) -> query_pb2.AnswerColumn:
    return query_pb2.AnswerColumn(
        name=source.name, kind=source.kind.value, scale=source.scale, masked=source.masked
    )


def _cell(cell: Cell) -> query_pb2.AnswerCell:
    if isinstance(cell, bool):
        return query_pb2.AnswerCell(boolean=cell)
    if isinstance(cell, int):
        return query_pb2.AnswerCell(integer=cell)
    return query_pb2.AnswerCell() if cell is None else query_pb2.AnswerCell(text=cell)


def _end(end: End) -> query_pb2.QueryEnd:
    return query_pb2.QueryEnd(nodes=[_node(each) for each in end.nodes], complete=end.complete)


def _node(fate: NodeFate) -> query_pb2.NodeAnswer:
    return query_pb2.NodeAnswer(
        path=str(fate.path),
        state=fate.fate.value,
        code=fate.code,
        params=dict(fate.params),
        rows=fate.rows,
        cut=fate.cut,
        as_of_ms=fate.as_of_ms,
        cached=fate.cached,
        resource=fate.resource,
        took_ms=fate.took_ms,
    )
