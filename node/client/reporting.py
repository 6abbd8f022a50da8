"""Calls about returns: hand in, look, review, add up, prove."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from yidao.api.local.v1 import reporting_pb2, reporting_pb2_grpc
from yidao.node.client import convert, reporting_values, values
from yidao.node.client.calls import Calls, Progress

_CALL_ROWS: Final = 500
_CALL_BYTES: Final = 4 * 1024 * 1024
_REVIEW_ROWS: Final = 2_000


class ReportingCalls(Calls):
    """What a client asks of returns."""

    @property
    def _reporting(self) -> reporting_pb2_grpc.ReportingServiceStub:
        return self._stub(reporting_pb2_grpc.ReportingServiceStub)

    def submit(
        self,
        pack: str,
        rows: Iterable[values.Row],
        *,
        actor: str,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> values.Submitted:
        """Hand in rows in their order, in calls of at most 500 rows and 4 MiB.

        A call that fails leaves those before it in place; handing in all rows
        again is right, since equal ones are left alone. A call that was cut off
        is made again by itself, and a row without a `key` may then be `unchanged`
        by what the first try did.

        Args:
            pack: `energy`.
            rows: Any number; read as they are sent.
            actor: `user@path` of this node.
            dry_run: Judge and answer, append nothing.
            progress: Told after each call how many rows are done.
        """
        results: list[values.RowResult] = []
        position = 0
        for chunk in _chunks(rows):
            request = reporting_pb2.SubmitRequest(
                pack=pack, actor=actor, rows=chunk, dry_run=dry_run
            )
            answer = self._call(self._reporting.Submit, request)
            results.extend(convert.row_result(each) for each in answer.results)
            position = answer.position
            if progress is not None:
                progress(len(results))
        return values.Submitted(results=tuple(results), position=position)

    def validate(
        self,
        pack: str,
        rows: Iterable[values.Row],
        *,
        actor: str,
        progress: Progress | None = None,
    ) -> values.Submitted:
        """Have rows judged and nothing appended: `valid`, `unchanged` or `refused` with faults."""
        return self.submit(pack, rows, actor=actor, dry_run=True, progress=progress)

    def returns(
        self,
        *,
        form: str = "",
        period: str = "",
        unit: str = "",
        state: str = "",
        waiting: bool = False,
        after: str = "",
        limit: int = 200,
    ) -> values.ReturnPage:
        """Give one page of versions of returns, at most 1,000; empty filters match all.

        With `waiting`, only what waits for a verdict of this node.
        """
        request = reporting_pb2.ListReturnsRequest(
            form=form,
            period=period,
            unit=unit,
            state=state,
            waiting=waiting,
            after=after,
            limit=limit,
        )
        answer = self._call(self._reporting.ListReturns, request)
        return values.ReturnPage(
            returns=tuple(convert.return_info(each) for each in answer.returns), next=answer.next
        )

    def review(
        self,
        *,
        actor: str,
        decision: str,
        record_ids: Sequence[bytes] = (),
        form: str = "",
        period: str = "",
        reason: str = "",
        limit: int = _REVIEW_ROWS,
    ) -> values.Reviewed:
        """Accept or return what direct children submitted, at most `limit` returns.

        Args:
            actor: `user@path` of this node.
            decision: `accept` or `return`.
            record_ids: These returns; or leave empty and give form, period or both.
            form: With `period`: all that wait of this form.
            period: With `form`: all that wait of this period.
            reason: Required to return.
            limit: At most 10,000.
        """
        request = reporting_pb2.ReviewRequest(
            actor=actor,
            record_ids=record_ids,
            form=form,
            period=period,
            decision=decision,
            reason=reason,
            limit=limit,
        )
        answer = self._call(self._reporting.Review, request)
        return values.Reviewed(reviewed=answer.reviewed, left=answer.left, position=answer.position)

    def count_reviewable(
        self, *, actor: str, decision: str, form: str = "", period: str = ""
    ) -> int:
        """Count what `review_all` would decide of a form, a period or both; nothing is written."""
        # The count is of the choice, not of the verdict: any reason does.
        request = reporting_pb2.ReviewRequest(
            actor=actor, form=form, period=period, decision=decision, reason="-", dry_run=True
        )
        return self._call(self._reporting.Review, request).left

    def review_all(
        self,
        *,
        actor: str,
        decision: str,
        record_ids: Sequence[bytes] = (),
        form: str = "",
        period: str = "",
        reason: str = "",
        progress: Progress | None = None,
    ) -> values.Reviewed:
        """Review until nothing that matches is left; `progress` is told how many are done."""
        done = 0
        while True:
            answer = self.review(
                actor=actor,
                decision=decision,
                record_ids=record_ids,
                form=form,
                period=period,
                reason=reason,
            )
            done += answer.reviewed
            if progress is not None:
                progress(done)
            if answer.left == 0 or answer.reviewed == 0:
                return values.Reviewed(reviewed=done, left=answer.left, position=answer.position)

    def roll_up(self, *, pack: str, form: str, period: str) -> values.RollUp:
        """Give the totals of one form and period, and the frontiers that they come from."""
        request = reporting_pb2.RollUpRequest(pack=pack, form=form, period=period)
        return convert.roll_up(self._call(self._reporting.RollUp, request))

    def withdraw(
        self, *, actor: str, record_ids: Sequence[bytes], reason: str
    ) -> reporting_values.Withdrawn:
        """Take back returns of this node that wait for the verdict: all of them, or none.

        Args:
            actor: `user@path` of this node.
            record_ids: At most 500.
            reason: Why; at most 500 characters.
        """
        request = reporting_pb2.WithdrawRequest(actor=actor, record_ids=record_ids, reason=reason)
        answer = self._call(self._reporting.Withdraw, request)
        return reporting_values.Withdrawn(withdrawn=answer.withdrawn, position=answer.position)

    def due(
        self, *, unit: str = "", on: str = "", after: str = "", limit: int = 200
    ) -> reporting_values.DuePage:
        """Give one page of what units of this node owe, soonest first, at most 1,000.

        Args:
            unit: One institution; empty for all.
            on: ISO day that is looked from; empty for today.
            after: `next` of the page before.
            limit: Rows of the page.
        """
        request = reporting_pb2.ListDueRequest(unit=unit, on=on, after=after, limit=limit)
        answer = self._call(self._reporting.ListDue, request)
        return reporting_values.DuePage(
            due=tuple(reporting_values.due(each) for each in answer.due), next=answer.next
        )

    def missing(
        self, *, pack: str, form: str, period: str, after: str = "", limit: int = 200
    ) -> reporting_values.MissingPage:
        """Give one page of the subtree's units that have not reported, at most 1,000."""
        request = reporting_pb2.ListMissingRequest(
            pack=pack, form=form, period=period, after=after, limit=limit
        )
        answer = self._call(self._reporting.ListMissing, request)
        return reporting_values.MissingPage(
            missing=tuple(reporting_values.missing(each) for each in answer.missing),
            next=answer.next,
            units=answer.units,
            reported=answer.reported,
        )

    def break_down(  # noqa: PLR0913 (what to take apart, how, and which page)
        self,
        *,
        pack: str,
        form: str,
        period: str,
        by: str,
        scope: str = "accepted",
        path: str = "",
        after: str = "",
        limit: int = 200,
    ) -> reporting_values.BreakDownPage:
        """Take a roll-up apart, one page of at most 1,000 rows.

        Args:
            pack: As for `roll_up`.
            form: As for `roll_up`.
            period: As for `roll_up`.
            by: `child`, `region`, `inst_type` or `unit`.
            scope: `submitted` or `accepted`.
            path: Only what came from this node and below it; empty for all.
            after: `next` of the page before.
            limit: Rows of the page.
        """
        request = reporting_pb2.BreakDownRequest(
            pack=pack,
            form=form,
            period=period,
            by=by,
            scope=scope,
            path=path,
            after=after,
            limit=limit,
        )
        answer = self._call(self._reporting.BreakDown, request)
        return reporting_values.BreakDownPage(
            rows=tuple(reporting_values.break_down_row(each) for each in answer.rows),
            next=answer.next,
            position=answer.position,
        )

    def receipt(self, *, record_id: bytes = b"", code: str = "") -> reporting_values.ReturnReceipt:
        """Give what a printed receipt shows, by the record or by the code that stands on it."""
        request = reporting_pb2.ReceiptRequest(record_id=record_id, code=code)
        answer = self._call(self._reporting.GetReceipt, request)
        return reporting_values.receipt(answer.receipt)


def _chunks(rows: Iterable[values.Row]) -> Iterator[list[reporting_pb2.Row]]:
    chunk: list[reporting_pb2.Row] = []
    size_bytes = 0
    for row in rows:
        message = convert.row_message(row)
        row_bytes = message.ByteSize()
        if chunk and (len(chunk) >= _CALL_ROWS or size_bytes + row_bytes > _CALL_BYTES):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(message)
        size_bytes += row_bytes
    if chunk:
        yield chunk
