"""`yidao join`: become a node of the tree, by the bundle that the parent made."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.init import JoinListen, Keys, Listen, Name, Pq, Proxy, SuiteName, begin
from yidao.node.cli.output import Data, Json, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say("用上级给的加入包加入网络", "Join the network by the bundle from the parent")
    )
    def join(
        bundle: Annotated[Path, typer.Argument(help=say("加入包", "The join bundle"))],
        data: Data,
        name: Name = None,
        listen: Listen = None,
        join_listen: JoinListen = None,
        parent: Annotated[
            str | None,
            typer.Option(
                help=say(
                    "上级链路地址 (默认取自加入包)",
                    "The parent's link address, if not the bundle's",
                )
            ),
        ] = None,
        proxy: Proxy = None,
        suite: SuiteName = "std",
        pq: Pq = False,
        as_json: Json = False,
    ) -> None:
        told = {
            "bundle": str(bundle),
            "office_name": name,
            "listen": listen,
            "proxy": proxy,
            "parent_address": parent,
        }
        with told_errors(as_json):
            begin(data, told, join_listen, Keys(suite, pq), as_json=as_json)
