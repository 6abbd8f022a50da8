"""`yidao child requests|approve|reject|reenrol`: people decide who comes in below."""

from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import OpenRequest

Operator = Annotated[
    str, typer.Option(help=say("经办人, 如 admin@/33", "Operator, such as admin@/33"))
]
Request = Annotated[str, typer.Argument(help=say("申请编号 (16 位)", "The request, 16 hex digits"))]
Reason = Annotated[str, typer.Option(help=say("原因 (对方可见)", "Why; the other side reads it"))]


def register_into(child: typer.Typer) -> None:
    """Add the verbs below `yidao child`."""
    _register_list(child)
    _register_decisions(child)
    _register_reenrol(child)


def _register_list(child: typer.Typer) -> None:
    @child.command(
        help=say(
            "列出待批准的加入申请和下级报来的重新登记",
            "What waits for a yes: requests to join, re-enrolments that nodes below ask for",
        )
    )
    def requests(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = client.open_requests()
            answer(
                as_json,
                {"requests": [_facts(each) for each in found]},
                table(
                    (
                        say("申请", "request"),
                        say("位置", "path"),
                        say("指纹 (电话核对)", "fingerprint, compare by phone"),
                        say("状态", "state"),
                        say("说明", "reason"),
                    ),
                    [
                        (each.request, each.path, each.fingerprint, _state(each), each.reason)
                        for each in found
                    ],
                ),
            )


def _register_decisions(child: typer.Typer) -> None:
    @child.command(help=say("批准一个申请", "Approve a request"))
    def approve(data: Data, request: Request, operator: Operator, as_json: Json = False) -> None:
        _decide(data, request, operator, approved=True, reason="", as_json=as_json)

    @child.command(help=say("驳回一个申请", "Reject a request"))
    def reject(
        data: Data, request: Request, operator: Operator, reason: Reason, as_json: Json = False
    ) -> None:
        _decide(data, request, operator, approved=False, reason=reason, as_json=as_json)


def _decide(
    data: Data, request: str, operator: str, *, approved: bool, reason: str, as_json: bool
) -> None:
    with told_errors(as_json):
        from yidao.node.cli.connection import connect

        with connect(data) as client:
            path = client.decide_join(request, approved=approved, operator=operator, reason=reason)
        said = say("已批准", "Approved") if approved else say("已驳回", "Rejected")
        answer(as_json, {"request": request, "path": path, "approved": approved}, f"{said}: {path}")


def _register_reenrol(child: typer.Typer) -> None:
    @child.command(
        help=say(
            "原节点已撤销的位置: 请上一级批准由正在申请的新节点接替",
            "Where a node was revoked: ask the tier above to let the one that waits take its place",
        )
    )
    def reenrol(
        data: Data,
        label: Annotated[
            str, typer.Argument(help=say("下级名称, 如 33", "Label of the child, such as 33"))
        ],
        operator: Operator,
        reason: Annotated[
            str, typer.Option(help=say("原节点为何停用", "What became of the former node"))
        ],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                asked = client.ask_reenrolment(label, reason=reason, operator=operator)
            who = asked.decider
            answer(
                as_json,
                {"request": asked.request, "fingerprint": asked.fingerprint, "decider": who},
                say(
                    f"已报请 {who} 批准: yidao child approve {asked.request}\n"
                    f"指纹: {asked.fingerprint}",
                    f"Asked {who}: yidao child approve {asked.request}\n"
                    f"Fingerprint: {asked.fingerprint}",
                ),
            )


def _state(found: "OpenRequest") -> str:
    if found.kind == "reenrolment":
        return say(f"下级请求重新登记 ({found.operator})", f"re-enrolment, by {found.operator}")
    if found.state == "above":
        asked = say("等待上一级批准", "waits for the tier above")
        return (
            asked if found.asked else say("须报上一级: child reenrol", "ask above: child reenrol")
        )
    return {
        "waiting": say("待批准", "waits"),
        "approved": say("已批准, 等待对方", "approved, the child comes again"),
    }.get(found.state, found.state)


def _facts(found: "OpenRequest") -> dict[str, object]:
    return {
        "request": found.request,
        "kind": found.kind,
        "path": found.path,
        "node_id": found.node_id,
        "fingerprint": found.fingerprint,
        "state": found.state,
        "asked": found.asked,
        "asked_ms": found.asked_ms,
        "expires_ms": found.expires_ms,
        "reason": found.reason,
        "operator": found.operator,
    }
