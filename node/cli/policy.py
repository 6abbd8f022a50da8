"""`yidao policy`: which sensitive fields are shown to whom, and what for."""

from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import FieldPolicy, FieldRule

Rules = Annotated[
    list[str],
    typer.Option(
        "--rule",
        help=say(
            "一行规则, 按次序: '等级 谁 结果 [用途含有]', 如 '3 role:reviewer show 审核'",
            "One line, in order: 'GRADE WHO OUTCOME [PURPOSE]', as '3 role:reviewer show audit'",
        ),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    policy = typer.Typer(help=say("敏感字段规则", "Who sees what"), no_args_is_help=True)
    app.add_typer(policy, name="policy")

    @policy.command(help=say("当前规则", "The policy in force"))
    def show(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                _tell(client.field_policy(), as_json)

    @policy.command("set", help=say("换成这些规则 (须两人)", "Replace it; takes two"))
    def set_policy(data: Data, rule: Rules, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                _tell(client.set_field_policy([_rule(each) for each in rule], actor=""), as_json)


def _rule(text: str) -> "FieldRule":
    from yidao.node.client import FieldRule

    pieces = text.split(maxsplit=3)
    if len(pieces) < 3 or not pieces[0].isdecimal():
        raise typer.BadParameter(text, param_hint="--rule")
    return FieldRule(
        grade=min(int(pieces[0]), 99),
        who=pieces[1],
        outcome=pieces[2],
        purpose=pieces[3] if len(pieces) > 3 else "",
    )


def _tell(policy: "FieldPolicy", as_json: bool) -> None:
    columns = [
        say("等级", "grade"),
        say("谁", "who"),
        say("结果", "outcome"),
        say("用途含有", "purpose"),
    ]
    rows = [[str(each.grade), each.who, each.outcome, each.purpose] for each in policy.rules]
    answer(
        as_json,
        {
            "rules": [
                {
                    "grade": each.grade,
                    "who": each.who,
                    "outcome": each.outcome,
                    "purpose": each.purpose,
                }
                for each in policy.rules
            ],
            "set_by": policy.set_by,
            "set_ms": policy.set_ms,
        },
        table(columns, rows),
    )
