"""`yidao child add`: make the bundle with which one child joins."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

# A year: the secret of a bundle must end some day.
_MAX_HOURS = 8_760


def register(app: typer.Typer) -> None:
    """Add the verb."""
    child = typer.Typer(help=say("下级节点", "Nodes below"), no_args_is_help=True)
    app.add_typer(child, name="child")

    @child.command(
        help=say(
            "生成一次性加入包 (内含密钥, 请当面或加密转交)",
            "Make a single-use join bundle; it holds a secret, hand it over in private",
        )
    )
    def add(
        data: Data,
        label: Annotated[
            str, typer.Argument(help=say("下级名称, 如 33", "Label of the child, such as 33"))
        ],
        out: Annotated[
            Path, typer.Option("--out", "-o", help=say("写到此文件 (0600)", "Write to this file"))
        ],
        operator: Annotated[
            str, typer.Option(help=say("经办人, 如 admin@/33", "Operator, such as admin@/33"))
        ],
        hours: Annotated[
            int, typer.Option(min=1, max=_MAX_HOURS, help=say("有效小时数", "Hours it is valid"))
        ] = 24,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import write_file

            with connect(data) as client:
                bundle = client.add_child(label, ttl_seconds=hours * 3600, operator=operator)
            write_file(out, bundle, mode=0o600)
            answer(
                as_json,
                {"bundle": str(out), "label": label, "hours": hours},
                say(
                    f"加入包: {out} ({hours} 小时内有效, 只能用一次)\n"
                    f"在下级机器上: yidao join {out.name} --data 目录",
                    f"Join bundle: {out} (valid for {hours} h, once)\n"
                    f"On the child's machine: yidao join {out.name} --data FOLDER",
                ),
            )
