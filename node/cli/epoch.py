"""`yidao epoch`: go on in a new epoch; let a node in again that was put aside."""

from typing import Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

_OPERATOR = say("经办人, 如 admin@/33", "Operator, such as admin@/33")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    epoch = typer.Typer(
        help=say("纪元: 恢复、分叉、克隆之后", "Epochs: after a restore, a fork, a clone"),
        no_args_is_help=True,
    )
    app.add_typer(epoch, name="epoch")

    @epoch.command(
        name="open",
        help=say(
            "由人决定: 在新纪元中继续签名 (先停掉其他副本)",
            "Decide that this node goes on, in a new epoch; end every other copy first",
        ),
    )
    def open_(
        data: Data,
        operator: Annotated[str, typer.Option(help=_OPERATOR)],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                name = client.open_epoch(operator=operator)
            text = say(
                f"已开启纪元 {name}, 节点继续签名", f"Epoch {name} is open; the node signs again"
            )
            answer(as_json, {"epoch": name}, text)

    @epoch.command(
        help=say(
            "重大事件已看过并处理: 标为了结 (证据仍保留)",
            "Call the incidents settled that were looked at; their proof is kept",
        )
    )
    def settle(
        data: Data,
        operator: Annotated[str, typer.Option(help=_OPERATOR)],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                count = client.settle_incidents(operator=operator)
            text = say(f"已了结 {count} 件", f"{count} settled")
            answer(as_json, {"settled": count}, text)

    @epoch.command(
        help=say(
            "放行因两个进程争用身份而被搁置的下级",
            "Let a child in again that was put aside because two processes spoke as it",
        )
    )
    def release(
        data: Data,
        path: Annotated[str, typer.Argument(help=say("下级路径, 如 /33", "Its path, such as /33"))],
        operator: Annotated[str, typer.Option(help=_OPERATOR)],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                released = client.release_node(path, operator=operator)
            text = (
                say(f"{path} 可以重新连接", f"{path} may connect again")
                if released
                else say(f"{path} 没有被搁置", f"{path} was not put aside")
            )
            answer(as_json, {"path": path, "released": released}, text)
