"""The local API of reporting."""

from typing import Any

import grpc.aio

from yidao.api.local.v1 import local_pb2, reporting_pb2, reporting_pb2_grpc
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.reporting import review
from yidao.node.affairs.reporting.commands import RowResult, Submitted
from yidao.node.affairs.reporting.judging import RowIn
from yidao.node.affairs.reporting.queries import (
    ReturnFilter,
    ReturnRow,
    RollUp,
    Totals,
    list_returns,
    roll_up,
)
from yidao.node.affairs.reporting.records import FaultNote
from yidao.node.api.errors import answered
from yidao.node.api.workers import Workers

Context = grpc.aio.ServicerContext[Any, Any]


class ReportingServicer(reporting_pb2_grpc.ReportingServiceServicer):
    """Serves `ReportingService`."""

    def __init__(self, affairs: Affairs, workers: Workers) -> None:
        self._affairs = affairs
        self._workers = workers

    @answered
    async def Submit(
        self, request: reporting_pb2.SubmitRequest, context: Context
    ) -> reporting_pb2.SubmitResponse:
        """Judge rows and append them."""
        done = await self._workers.write(lambda: self._submit(request))
        return reporting_pb2.SubmitResponse(
            results=[_result(row) for row in done.results], position=done.position
        )

    @answered
    async def ListReturns(
        self, request: reporting_pb2.ListReturnsRequest, context: Context
    ) -> reporting_pb2.ListReturnsResponse:
        """List versions of returns."""
        return await self._workers.read(lambda: self._list(request))

    @answered
    async def Review(
        self, request: reporting_pb2.ReviewRequest, context: Context
    ) -> reporting_pb2.ReviewResponse:
        """Accept or return."""
        choice = review.Choice(
            record_ids=tuple(request.record_ids),
            form=request.form,
            period=request.period,
            limit=request.limit or review.DEFAULT_LIMIT,
        )
        done = await self._workers.write(
            lambda: self._affairs.review.review(
                request.actor, choice, request.decision, request.reason
            )
        )
        return reporting_pb2.ReviewResponse(
            reviewed=done.reviewed, left=done.left, position=done.position
        )

    @answered
    async def RollUp(
        self, request: reporting_pb2.RollUpRequest, context: Context
    ) -> reporting_pb2.RollUpResponse:
        """Give totals with their frontiers."""
        desk = self._affairs.desk
        found = await self._workers.read(
            lambda: roll_up(desk, request.pack, request.form, request.period)
        )
        return _roll_up(found)

    def _submit(self, request: reporting_pb2.SubmitRequest) -> Submitted:
        rows = [
            RowIn(
                row=row.row,
                form=row.form,
                period=row.period,
                payload=row.payload,
                attachment=row.attachment,
                causes=tuple(row.causes),
                key=row.key,
            )
            for row in request.rows
        ]
        return self._affairs.submission.submit(
            request.pack, request.actor, rows, dry_run=request.dry_run
        )

    def _list(self, request: reporting_pb2.ListReturnsRequest) -> reporting_pb2.ListReturnsResponse:
        wanted = ReturnFilter(
            form=request.form,
            period=request.period,
            unit=request.unit,
            state=request.state,
            after=request.after,
            limit=request.limit,
        )
        with self._affairs.desk.read() as conn:
            rows, following = list_returns(conn, wanted)
        return reporting_pb2.ListReturnsResponse(
            returns=[_return(row) for row in rows], next=following
        )


def _fault(note: FaultNote) -> reporting_pb2.Fault:
    return reporting_pb2.Fault(
        field=note.field,
        rule=note.rule,
        code=note.code,
        severity=note.severity,
        zh=note.zh,
        en=note.en,
    )


def _result(row: RowResult) -> reporting_pb2.RowResult:
    return reporting_pb2.RowResult(
        row=row.row,
        outcome=row.outcome.value,
        faults=[_fault(note) for note in row.faults],
        record_id=row.record_id,
        version=row.version,
        repeat=row.repeat,
    )


def _return(row: ReturnRow) -> reporting_pb2.Return:
    return reporting_pb2.Return(
        key=row.key,
        form=row.form,
        period=row.period,
        unit=row.unit,
        version=row.version,
        state=row.state,
        record_id=row.record_id,
        pack_version=row.pack_version,
        origin_path=row.origin_path,
        submitted_by=row.submitted_by,
        reviewed_by=row.reviewed_by,
        reason=row.reason,
        faults=[_fault(note) for note in row.faults],
        payload=row.payload,
    )


def _totals(totals: Totals) -> reporting_pb2.Totals:
    return reporting_pb2.Totals(
        returns=totals.returns,
        summed=totals.summed,
        fields=totals.fields,
        indicators=totals.indicators,
    )


def _roll_up(found: RollUp) -> reporting_pb2.RollUpResponse:
    return reporting_pb2.RollUpResponse(
        submitted=_totals(found.submitted),
        accepted=_totals(found.accepted),
        frontiers=[
            local_pb2.Frontier(origin=each.origin, size=each.size, root=each.root)
            for each in found.frontiers
        ],
        position=found.position,
    )
