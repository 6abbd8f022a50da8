"""The local API of reporting."""

from dataclasses import replace
from datetime import date
from typing import Any

import grpc.aio

from yidao.api.local.v1 import local_pb2, reporting_pb2, reporting_pb2_grpc
from yidao.node.access.caller import Caller, current_caller
from yidao.node.access.fieldpolicy import FieldReader
from yidao.node.access.fields import Asker
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.errors import DateInvalid
from yidao.node.affairs.reporting import breakdown, owed, receipts, review
from yidao.node.affairs.reporting.commands import RowResult, Submitted
from yidao.node.affairs.reporting.judging import RowIn
from yidao.node.affairs.reporting.queries import (
    JournalFrontier,
    ReturnFilter,
    ReturnRow,
    RollUp,
    Totals,
    list_returns,
    roll_up,
)
from yidao.node.affairs.reporting.records import FaultNote
from yidao.node.affairs.reporting.rules import State
from yidao.node.affairs.reporting.showing import Showing
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.api.errors import answered
from yidao.node.api.workers import Workers, noted
from yidao.node.workdays import is_workday

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
        """List versions of returns, as the caller may see them."""
        caller = current_caller()
        fields = self._affairs.access.fields
        response, reader = await self._workers.read(lambda: self._list(request, caller))
        await noted(fields.shown(caller, "ReportingService/ListReturns", reader))
        return response

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
            dry_run=request.dry_run,
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

    @answered
    async def Withdraw(
        self, request: reporting_pb2.WithdrawRequest, context: Context
    ) -> reporting_pb2.WithdrawResponse:
        """Take back what waits for a verdict."""
        done = await self._workers.write(
            lambda: self._affairs.withdrawal.withdraw(
                request.actor, tuple(request.record_ids), request.reason
            )
        )
        return reporting_pb2.WithdrawResponse(withdrawn=done.withdrawn, position=done.position)

    @answered
    async def ListDue(
        self, request: reporting_pb2.ListDueRequest, context: Context
    ) -> reporting_pb2.ListDueResponse:
        """List what the units of this node owe."""
        return await self._workers.read(lambda: self._due(request))

    @answered
    async def ListMissing(
        self, request: reporting_pb2.ListMissingRequest, context: Context
    ) -> reporting_pb2.ListMissingResponse:
        """List who has not reported."""
        return await self._workers.read(lambda: self._missing(request))

    @answered
    async def BreakDown(
        self, request: reporting_pb2.BreakDownRequest, context: Context
    ) -> reporting_pb2.BreakDownResponse:
        """Take a roll-up apart."""
        wanted = breakdown.Wanted(
            pack=request.pack,
            form=request.form,
            period=request.period,
            by=request.by,
            scope=request.scope,
            path=request.path,
            page=owed.Page(after=request.after, limit=request.limit),
        )
        desk = self._affairs.desk
        found = await self._workers.read(lambda: breakdown.break_down(desk, wanted))
        return reporting_pb2.BreakDownResponse(
            rows=[_share(each) for each in found.rows], next=found.next, position=found.position
        )

    @answered
    async def GetReceipt(
        self, request: reporting_pb2.ReceiptRequest, context: Context
    ) -> reporting_pb2.ReceiptResponse:
        """Give what a printed receipt shows."""
        caller = current_caller()
        fields = self._affairs.access.fields
        found, reader = await self._workers.read(lambda: self._receipt(request, caller))
        await noted(fields.shown(caller, "ReportingService/GetReceipt", reader))
        return reporting_pb2.ReceiptResponse(receipt=_receipt(found))

    def _due(self, request: reporting_pb2.ListDueRequest) -> reporting_pb2.ListDueResponse:
        desk = self._affairs.desk
        with desk.read() as conn:
            rows, following = owed.list_due(
                conn,
                desk.identity.node_id,
                _day(request.on) if request.on else desk.today(),
                is_workday,
                of_unit=request.unit,
                page=owed.Page(after=request.after, limit=request.limit),
            )
        return reporting_pb2.ListDueResponse(due=[_owed(row) for row in rows], next=following)

    def _missing(
        self, request: reporting_pb2.ListMissingRequest
    ) -> reporting_pb2.ListMissingResponse:
        page = owed.Page(after=request.after, limit=request.limit)
        with self._affairs.desk.read() as conn:
            found = owed.list_missing(conn, request.pack, request.form, request.period, page)
        return reporting_pb2.ListMissingResponse(
            missing=[_missing(row) for row in found.missing],
            next=found.next,
            units=found.units,
            reported=found.reported,
        )

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

    def _receipt(
        self, request: reporting_pb2.ReceiptRequest, caller: Caller
    ) -> tuple[receipts.Receipt, FieldReader]:
        desk = self._affairs.desk
        reader = self._affairs.access.fields.reader(Asker.of(caller))
        found = receipts.receipt(desk, record_id=request.record_id, code=request.code)
        with desk.read() as conn:
            about = Showing(packs_in_force(conn), reader).row(found.about)
        return replace(found, about=about), reader

    def _list(
        self, request: reporting_pb2.ListReturnsRequest, caller: Caller
    ) -> tuple[reporting_pb2.ListReturnsResponse, FieldReader]:
        wanted = ReturnFilter(
            form=request.form,
            period=request.period,
            unit=request.unit,
            state=request.state,
            after=request.after,
            limit=request.limit,
        )
        desk = self._affairs.desk
        waits = review.waits_here(desk, State.SUBMITTED, State.DOUBTFUL) if request.waiting else ()
        reader = self._affairs.access.fields.reader(Asker.of(caller))
        with desk.read() as conn:
            rows, following = list_returns(conn, wanted, waits)
            showing = Showing(packs_in_force(conn), reader)
            returns = [_return(showing.row(row)) for row in rows]
        return reporting_pb2.ListReturnsResponse(returns=returns, next=following), reader


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
        pack=row.pack,
        created_ms=row.created_ms,
        withdrawn_by=row.withdrawn_by,
        withdrawn_reason=row.withdrawn_reason,
        unit_name=row.unit_name,
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
        frontiers=[_frontier(each) for each in found.frontiers],
        position=found.position,
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise DateInvalid(field="on") from None


def _owed(row: owed.Owed) -> reporting_pb2.Due:
    return reporting_pb2.Due(
        pack=row.pack,
        form=row.form,
        period=row.period,
        unit=row.unit,
        unit_name=row.unit_name,
        due=row.due.isoformat(),
        days_left=row.days_left,
        state=row.state,
        record_id=row.record_id,
    )


def _missing(row: owed.MissingUnit) -> reporting_pb2.Missing:
    return reporting_pb2.Missing(
        unit=row.unit,
        unit_name=row.unit_name,
        region_code=row.region_code,
        origin_path=row.origin_path,
        state=row.state,
    )


def _share(row: breakdown.Share) -> reporting_pb2.BreakDownRow:
    return reporting_pb2.BreakDownRow(key=row.key, title=row.title, totals=_totals(row.totals))


def _receipt(found: receipts.Receipt) -> reporting_pb2.Receipt:
    return reporting_pb2.Receipt(
        code=found.code,
        about=_return(found.about),
        unit_name=found.unit_name,
        leaf_sha256=found.leaf_sha256,
        frontier=_frontier(found.frontier),
        seq=found.seq,
        created_ms=found.created_ms,
        held_by=found.held_by,
    )


def _frontier(each: JournalFrontier) -> local_pb2.Frontier:
    return local_pb2.Frontier(origin=each.origin, size=each.size, root=each.root)
