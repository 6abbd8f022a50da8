"""`yidao return`: list, withdraw, accept, send back, roll up, and what has a file of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli import breakdown, owed, receipt
from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.node.client import ReturnInfo

Form = Annotated[str, typer.Option(help=say("表", "Form, such as consumption"))]
Period = Annotated[str, typer.Option(help=say("报告期, 如 2025-Q2", "Period, such as 2025-Q2"))]
Actor = Annotated[str, typer.Option(help=say("审核人, 如 wang@/33/3301", "Reviewer"))]

# What the node gives in one page at most.
_MAX_ROWS = 1_000


def register(app: typer.Typer) -> None:
    """Add the verb."""
    returns = typer.Typer(help=say("报表", "Returns"), no_args_is_help=True)
    app.add_typer(returns, name="return")
    owed.register_due(returns)
    owed.register_missing(returns)
    _register_list(returns)
    _register_withdraw(returns)
    receipt.register(returns)
    _register_review(returns)
    _register_rollup(returns)
    breakdown.register(returns)


def _register_list(returns: typer.Typer) -> None:
    @returns.command("list", help=say("列出报表", "List returns"))
    def list_returns(
        data: Data,
        form: Form = "",
        period: Period = "",
        unit: Annotated[str, typer.Option(help=say("单位代码", "Unit code"))] = "",
        state: Annotated[
            str,
            typer.Option(
                help="refused | submitted | doubtful | accepted | returned | withdrawn | "
                "superseded | recorded | revoked"
            ),
        ] = "",
        limit: Annotated[
            int, typer.Option(min=1, max=_MAX_ROWS, help=say("最多条数", "At most"))
        ] = 50,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                page = client.returns(form=form, period=period, unit=unit, state=state, limit=limit)
            rows = [
                {
                    "record_id": r.record_id,
                    "form": r.form,
                    "period": r.period,
                    "unit": r.unit,
                    "version": r.version,
                    "state": r.state,
                    "pack_version": r.pack_version,
                    "origin": r.origin_path,
                    "reviewed_by": r.reviewed_by,
                    "reason": r.reason,
                    "withdrawn_by": r.withdrawn_by,
                    "withdrawn_reason": r.withdrawn_reason,
                    "faults": [
                        {"field": f.field, "rule": f.rule, "code": f.code, "zh": f.zh, "en": f.en}
                        for f in r.faults
                    ],
                }
                for r in page.returns
            ]
            shown = [
                [
                    r.form,
                    r.period,
                    r.unit,
                    f"v{r.version}",
                    r.state,
                    _why(r),
                ]
                for r in page.returns
            ]
            columns = [
                say("表", "form"),
                say("报告期", "period"),
                say("单位", "unit"),
                say("版本", "version"),
                say("状态", "state"),
                say("原因", "reason"),
            ]
            answer(as_json, {"returns": rows, "next": page.next}, table(columns, shown))


def _why(found: "ReturnInfo") -> str:
    """All that was said of a version: the reviewer's reason, every fault, the withdrawal."""
    said = [found.reason, *(f.zh if LANGUAGE == "zh" else f.en for f in found.faults)]
    said.append(found.withdrawn_reason)
    return "; ".join(each for each in said if each)


def _register_withdraw(returns: typer.Typer) -> None:
    @returns.command(help=say("撤回待审核的报表, 说明原因", "Take back what waits for review"))
    def withdraw(
        data: Data,
        actor: Annotated[str, typer.Option(help=say("填报人, 如 li@/33/3301", "Who"))],
        record: Annotated[list[str], typer.Option(help=say("记录号", "Record ids (hex)"))],
        reason: Annotated[str, typer.Option(help=say("原因", "Reason"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.sync.ids import id_from_hex

            record_ids = [id_from_hex(each, "record") for each in record]
            with connect(data) as client:
                done = client.withdraw(actor=actor, record_ids=record_ids, reason=reason)
            answer(
                as_json,
                {"withdrawn": done.withdrawn, "position": done.position},
                say(f"已撤回 {done.withdrawn} 份", f"{done.withdrawn} withdrawn"),
            )


def _register_review(returns: typer.Typer) -> None:
    def review(
        data: Data,
        as_json: bool,
        records: Sequence[str],
        *,
        actor: str,
        decision: str,
        form: str = "",
        period: str = "",
        reason: str = "",
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.sync.ids import id_from_hex

            record_ids = [id_from_hex(each, "record") for each in records]
            with connect(data) as client:
                done = client.review_all(
                    actor=actor,
                    decision=decision,
                    record_ids=record_ids,
                    form=form,
                    period=period,
                    reason=reason,
                )
            answer(
                as_json,
                {"reviewed": done.reviewed, "position": done.position},
                say(f"已审核 {done.reviewed} 份", f"{done.reviewed} reviewed"),
            )

    @returns.command(help=say("接受下级报表 (全部或指定)", "Accept what children submitted"))
    def accept(
        data: Data,
        actor: Actor,
        form: Form = "",
        period: Period = "",
        record: Annotated[
            list[str] | None, typer.Option(help=say("记录号", "Record ids (hex)"))
        ] = None,
        as_json: Json = False,
    ) -> None:
        review(
            data,
            as_json,
            record or (),
            actor=actor,
            form=form,
            period=period,
            decision="accept",
        )

    @returns.command("send-back", help=say("退回报表, 说明原因", "Return a return, with a reason"))
    def send_back(
        data: Data,
        actor: Actor,
        record: Annotated[list[str], typer.Option(help=say("记录号", "Record ids (hex)"))],
        reason: Annotated[str, typer.Option(help=say("原因", "Reason"))],
        as_json: Json = False,
    ) -> None:
        review(
            data,
            as_json,
            record,
            actor=actor,
            decision="return",
            reason=reason,
        )


def _register_rollup(returns: typer.Typer) -> None:
    @returns.command(
        "roll-up", help=say("汇总, 并说明出自哪些日志", "Totals and the journals they rest on")
    )
    def roll_up(
        data: Data,
        form: Form,
        period: Period,
        pack: Annotated[str, typer.Option(help=say("标准", "Pack"))] = "energy",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                totals = client.roll_up(pack=pack, form=form, period=period)
            facts = {
                "submitted": {
                    "returns": totals.submitted.returns,
                    "fields": dict(totals.submitted.fields),
                },
                "accepted": {
                    "returns": totals.accepted.returns,
                    "fields": dict(totals.accepted.fields),
                    "indicators": dict(totals.accepted.indicators),
                },
                "frontiers": [
                    {"origin": f.origin, "size": f.size, "root": f.root} for f in totals.frontiers
                ],
            }
            rows = [
                [name, totals.submitted.fields.get(name, "-"), value]
                for name, value in totals.accepted.fields.items()
            ]
            rows += [[name, "", value] for name, value in totals.accepted.indicators.items()]
            rows.insert(
                0,
                [
                    say("报表数", "returns"),
                    str(totals.submitted.returns),
                    str(totals.accepted.returns),
                ],
            )
            columns = [say("项目", "item"), say("已报", "submitted"), say("已接受", "accepted")]
            answer(as_json, facts, table(columns, rows))
