"""`yidao unit`: institutions change hosts."""

from typing import Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    unit = typer.Typer(help=say("单位", "Institutions"), no_args_is_help=True)
    app.add_typer(unit, name="unit")

    @unit.callback()
    def only_verbs() -> None:
        """One verb so far, and it has a name."""

    @unit.command(
        name="hand-over",
        help=say(
            "将单位移交给另一节点 (不可撤回); 对方登记该单位即为接收",
            "Hand institutions over to another node, for good; it takes them by registering them",
        ),
    )
    def hand_over(
        data: Data,
        to: Annotated[str, typer.Option(help=say("接收节点的路径", "Path of who takes them"))],
        actor: Annotated[str, typer.Option(help=say("经办人, 如 li@/33", "Who, such as li@/33"))],
        units: Annotated[
            list[str] | None,
            typer.Argument(help=say("统一社会信用代码", "Codes of the institutions")),
        ] = None,
        everything: Annotated[
            bool, typer.Option("--all", help=say("本节点的全部单位", "All of this node"))
        ] = False,
        reason: Annotated[str, typer.Option(help=say("原因", "Why"))] = "",
        as_json: Json = False,
    ) -> None:
        if everything == bool(units):
            raise typer.BadParameter(say("给出单位, 或 --all", "institutions, or --all"))
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                done = client.hand_over_units(actor=actor, to=to, units=units or (), reason=reason)
            answer(
                as_json,
                {"to": to, "units": list(done)},
                say(f"已移交 {to}: {len(done)} 家", f"Handed over to {to}: {len(done)}"),
            )
