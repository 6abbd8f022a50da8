"""`yidao directive`: issue, pass on, acknowledge (签收), report progress, see the tree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import TreeNode

Actor = Annotated[str, typer.Option(help=say("经办人, 如 li@/33", "Who, such as li@/33"))]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    directive = typer.Typer(help=say("指令下行", "Directives"), no_args_is_help=True)
    app.add_typer(directive, name="directive")

    @directive.command(help=say("下达指令", "Issue a directive"))
    def issue(
        data: Data,
        actor: Actor,
        number: Annotated[str, typer.Option(help=say("文号", "Document number"))],
        title: Annotated[str, typer.Option(help=say("标题", "Title"))],
        to: Annotated[list[str], typer.Option(help=say("目标节点路径", "Paths of the targets"))],
        body: Annotated[str, typer.Option(help=say("正文", "Text"))] = "",
        due: Annotated[str, typer.Option(help=say("期限, 如 2026-12-31", "Due date"))] = "",
        targets: Annotated[
            Path | None,
            typer.Option(help=say("指标文件 (JSON 数组)", "Energy targets, a JSON array")),
        ] = None,
        passes_on: Annotated[
            str, typer.Option(help=say("所转发的上级指令", "The directive passed on"))
        ] = "",
        expires: Annotated[
            str, typer.Option(help=say("最后有效日, 此后不再执行", "Last day on which it counts"))
        ] = "",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.targets import read_targets

            with connect(data) as client:
                issued = client.issue(
                    actor=actor,
                    number=number,
                    title=title,
                    body=body,
                    targets=to,
                    due=due,
                    energy_targets=read_targets(targets) if targets else (),
                    parent_directive=passes_on,
                    expires=expires,
                )
            answer(
                as_json,
                {"directive": issued.directive, "position": issued.position.position},
                say(f"已下达: {issued.directive}", f"Issued: {issued.directive}"),
            )

    @directive.command(help=say("签收、报告进度或办结", "Acknowledge, report progress, complete"))
    def report(
        data: Data,
        directive: Annotated[str, typer.Argument(help=say("指令", "The directive"))],
        state: Annotated[
            str, typer.Argument(help="acknowledged (签收) | progressed (进展) | completed (办结)")
        ],
        actor: Actor,
        percent: Annotated[
            int, typer.Option(min=0, max=100, help=say("完成百分比", "Percent done"))
        ] = 0,
        note: Annotated[str, typer.Option(help=say("说明", "Note"))] = "",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                placed = client.report(
                    actor=actor, directive=directive, state=state, percent=percent, note=note
                )
            answer(
                as_json,
                {"position": placed.position},
                say(f"已记录, 位置 {placed.position}", f"Recorded at {placed.position}"),
            )

    @directive.command("list", help=say("列出指令", "List directives"))
    def list_directives(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = client.directives()
            rows = [[d.directive, d.number, d.title, d.state, d.due or "-"] for d in found]
            columns = [
                say("指令", "directive"),
                say("文号", "number"),
                say("标题", "title"),
                say("状态", "state"),
                say("期限", "due"),
            ]
            plain = [
                {
                    "directive": d.directive,
                    "number": d.number,
                    "title": d.title,
                    "state": d.state,
                    "due": d.due,
                    "expires": d.expires,
                    "targets": list(d.targets),
                }
                for d in found
            ]
            answer(as_json, {"directives": plain}, table(columns, rows))

    @directive.command(help=say("指令的办理树", "The status tree of a directive"))
    def tree(
        data: Data,
        directive: Annotated[str, typer.Argument(help=say("指令", "The directive"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                targets = client.tree(directive)
            answer(
                as_json,
                {"targets": [tree_facts(target) for target in targets]},
                "\n".join(line for target in targets for line in tree_lines(target)),
            )


def tree_facts(node: "TreeNode") -> dict[str, object]:
    """A branch of the tree as plain values."""
    return {
        "path": node.path,
        "state": node.state,
        "actor": node.actor,
        "percent": node.percent,
        "note": node.note,
        "passed_on": [tree_facts(below) for below in node.passed_on],
    }


def tree_lines(node: "TreeNode", depth: int = 0) -> list[str]:
    """A branch of the tree for people."""
    state = _STATES.get(node.state, node.state)
    line = "  " * depth + f"{node.path}: {state}"
    if node.percent:
        line += f" {node.percent}%"
    if node.actor:
        line += f"  {node.actor}"
    below = [line for child in node.passed_on for line in tree_lines(child, depth + 1)]
    return [line, *below]


_STATES = {
    "waiting": say("未送达", "waiting"),
    "delivered": say("已送达", "delivered"),
    "acknowledged": say("已签收", "acknowledged"),
    "progressed": say("办理中", "in progress"),
    "completed": say("已办结", "completed"),
}
