"""`yidao init`: found a network, with this node as its root."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Json, answer, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "建立一个新网络, 本节点为根 (国家级). 下级节点用 `yidao join` 加入",
            "Found a new network with this node as its root. Nodes below use `yidao join`",
        )
    )
    def init(
        data: Annotated[Path, typer.Option("--data", "-d", help=say("数据目录", "Data folder"))],
        listen: Annotated[
            str, typer.Option(help=say("下级链路的监听地址", "Where links of children arrive"))
        ] = "127.0.0.1:7350",
        join_listen: Annotated[
            str, typer.Option(help=say("加入服务的监听地址", "Where new children join"))
        ] = "127.0.0.1:7351",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.setup import found

            identity = found(data, {"listen": listen, "join_listen": join_listen})
            answer(
                as_json,
                {"network": identity.network, "node_id": identity.node_id, "path": "/"},
                say(
                    f"网络已建立: {identity.network.hex()}\n根证书: {data / 'keys' / 'root.pem'}\n"
                    f"下一步: yidao run --data {data}",
                    f"Network founded: {identity.network.hex()}\n"
                    f"Root certificate: {data / 'keys' / 'root.pem'}\n"
                    f"Next: yidao run --data {data}",
                ),
            )
