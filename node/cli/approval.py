"""`yidao approval`: what takes two administrators, and the second one's word."""

from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from pathlib import Path

    from yidao.node.client import PairRequest

RequestId = Annotated[str, typer.Argument(help=say("申请号", "The request's number"))]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    approval = typer.Typer(
        help=say("须两人办理的事", "What takes two administrators"), no_args_is_help=True
    )
    app.add_typer(approval, name="approval")

    @approval.command("list", help=say("待批准的申请", "What waits for a second one"))
    def list_requests(
        data: Data,
        over_too: Annotated[
            bool, typer.Option("--all", help=say("已了结的也列出", "Those that are over too"))
        ] = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = client.requests(over_too=over_too)
            columns = [
                say("申请号", "request"),
                say("操作", "call"),
                say("内容", "what"),
                say("申请人", "asked by"),
                say("状态", "state"),
            ]
            rows = [[each.id, each.call, each.shown, each.made_by, each.state] for each in found]
            answer(as_json, {"requests": [_facts(each) for each in found]}, table(columns, rows))

    @approval.command(help=say("批准他人的申请", "Approve what another one asks for"))
    def approve(data: Data, request_id: RequestId, as_json: Json = False) -> None:
        with told_errors(as_json):
            _decide(data, request_id, "approve", as_json)

    @approval.command(help=say("拒绝他人的申请", "Refuse what another one asks for"))
    def refuse(data: Data, request_id: RequestId, as_json: Json = False) -> None:
        with told_errors(as_json):
            _decide(data, request_id, "refuse", as_json)


def _decide(data: "Path", request_id: str, decision: str, as_json: bool) -> None:
    from yidao.node.cli.connection import connect

    with connect(data) as client:
        decided = client.decide_request(request_id, decision, actor="")
    told = f"{decided.call} {decided.shown}\n{decided.state}"
    if decided.state == "approved":
        told += "\n" + say(
            f"{decided.made_by} 现在重复原来的命令即可", f"{decided.made_by} now does it again"
        )
    answer(as_json, _facts(decided), told)


def _facts(request: "PairRequest") -> dict[str, object]:
    return {
        "id": request.id,
        "call": request.call,
        "shown": request.shown,
        "made_by": request.made_by,
        "made_ms": request.made_ms,
        "expires_ms": request.expires_ms,
        "state": request.state,
        "decided_by": request.decided_by,
        "approvers": list(request.approvers),
    }
