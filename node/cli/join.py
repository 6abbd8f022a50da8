"""`yidao join`: become a node of the tree, by the bundle that the parent made."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Json, answer, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say("用上级给的加入包加入网络", "Join the network by the bundle from the parent")
    )
    def join(
        bundle: Annotated[Path, typer.Argument(help=say("加入包", "The join bundle"))],
        data: Annotated[Path, typer.Option("--data", "-d", help=say("数据目录", "Data folder"))],
        listen: Annotated[
            str, typer.Option(help=say("下级链路的监听地址", "Where links of children arrive"))
        ] = "127.0.0.1:7350",
        join_listen: Annotated[
            str, typer.Option(help=say("加入服务的监听地址", "Where new children join"))
        ] = "127.0.0.1:7351",
        parent: Annotated[
            str | None,
            typer.Option(
                help=say(
                    "上级链路地址 (默认取自加入包)",
                    "The parent's link address, if not the bundle's",
                )
            ),
        ] = None,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.setup import join_network

            settings = {"listen": listen, "join_listen": join_listen}
            if parent is not None:
                settings["parent_address"] = parent
            identity = join_network(data, bundle, settings)
            answer(
                as_json,
                {
                    "network": identity.network,
                    "node_id": identity.node_id,
                    "path": str(identity.path),
                },
                say(
                    f"已加入: {identity.path}\n下一步: yidao run --data {data}",
                    f"Joined as {identity.path}\nNext: yidao run --data {data}",
                ),
            )
