"""The local API of directives."""

from typing import Any

import grpc.aio

from yidao.api.local.v1 import directives_pb2, directives_pb2_grpc
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.directives.commands import issue, report
from yidao.node.affairs.directives.queries import (
    DirectiveRow,
    TreeNode,
    list_directives,
    status_tree,
)
from yidao.node.affairs.directives.rules import Directive, EnergyTarget
from yidao.node.api.errors import answered
from yidao.node.api.standards_service import position_message
from yidao.node.api.workers import Workers

Context = grpc.aio.ServicerContext[Any, Any]


class DirectivesServicer(directives_pb2_grpc.DirectivesServiceServicer):
    """Serves `DirectivesService`."""

    def __init__(self, desk: Desk, workers: Workers) -> None:
        self._desk = desk
        self._workers = workers

    @answered
    async def Issue(
        self, request: directives_pb2.IssueRequest, context: Context
    ) -> directives_pb2.IssueResponse:
        """Issue a directive, or pass one on."""
        issued = await self._workers.write(
            lambda: issue(self._desk, request.actor, _content(request))
        )
        return directives_pb2.IssueResponse(
            directive=issued.directive, position=position_message(issued.placed)
        )

    @answered
    async def Report(
        self, request: directives_pb2.ReportRequest, context: Context
    ) -> directives_pb2.ReportResponse:
        """Report this node's state."""
        placed = await self._workers.write(
            lambda: report(
                self._desk,
                request.actor,
                request.directive,
                request.state,
                percent=request.percent,
                note=request.note,
            )
        )
        return directives_pb2.ReportResponse(position=position_message(placed))

    @answered
    async def ListDirectives(
        self, request: directives_pb2.ListDirectivesRequest, context: Context
    ) -> directives_pb2.ListDirectivesResponse:
        """List this node's directives."""
        rows = await self._workers.read(self._list)
        return directives_pb2.ListDirectivesResponse(directives=[_directive(row) for row in rows])

    @answered
    async def Tree(
        self, request: directives_pb2.TreeRequest, context: Context
    ) -> directives_pb2.TreeResponse:
        """Give the status tree of a directive."""
        nodes = await self._workers.read(lambda: self._tree(request.directive))
        return directives_pb2.TreeResponse(targets=[_node(node) for node in nodes])

    def _list(self) -> tuple[DirectiveRow, ...]:
        with self._desk.read() as conn:
            return list_directives(conn, self._desk)

    def _tree(self, directive: str) -> tuple[TreeNode, ...]:
        with self._desk.read() as conn:
            return status_tree(conn, directive)


def _content(request: directives_pb2.IssueRequest) -> Directive:
    return Directive(
        number=request.number,
        title=request.title,
        body=request.body,
        targets=tuple(request.targets),
        due=request.due,
        parent_directive=request.parent_directive,
        expires=request.expires,
        energy_targets=tuple(
            EnergyTarget(
                target=each.target,
                year=each.year,
                indicator=each.indicator,
                base_year=each.base_year,
                base_value=each.base_value,
                change_percent=each.change_percent,
                cap_value=each.cap_value,
                binding=each.binding,
            )
            for each in request.energy_targets
        ),
    )


def _directive(row: DirectiveRow) -> directives_pb2.Directive:
    content = row.content
    return directives_pb2.Directive(
        directive=row.directive,
        number=content.number,
        title=content.title,
        body=content.body,
        issuer=row.issuer,
        due=content.due,
        targets=content.targets,
        energy_targets=[
            directives_pb2.EnergyTarget(
                target=each.target,
                year=each.year,
                indicator=each.indicator,
                base_year=each.base_year,
                base_value=each.base_value,
                change_percent=each.change_percent,
                cap_value=each.cap_value,
                binding=each.binding,
            )
            for each in content.energy_targets
        ],
        parent_directive=content.parent_directive,
        state=row.state,
        expires=content.expires,
    )


def _node(node: TreeNode) -> directives_pb2.TreeNode:
    return directives_pb2.TreeNode(
        path=node.path,
        directive=node.directive,
        state=node.state,
        actor=node.actor,
        percent=node.percent,
        note=node.note,
        passed_on=[_node(below) for below in node.passed_on],
    )
