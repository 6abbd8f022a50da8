"""`yidao console`: the clerk's desk, in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Data, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "网页工作台 (前台运行; 节点的一个客户端)",
            "Serve the desk to browsers, a client of the node",
        )
    )
    def console(
        data: Data,
        port: Annotated[
            int, typer.Option(help=say("本机端口", "The port on this machine"), min=1, max=65_535)
        ] = 7380,
        host: Annotated[
            list[str] | None,
            typer.Option(help=say("允许的其他主机名, 可多次", "Another host name, repeatable")),
        ] = None,
        certificate: Annotated[
            Path | None, typer.Option(help=say("TLS 证书链 (PEM)", "TLS certificate chain, PEM"))
        ] = None,
        key: Annotated[
            Path | None, typer.Option(help=say("TLS 私钥 (PEM)", "TLS private key, PEM"))
        ] = None,
    ) -> None:
        with told_errors(as_json=False):
            from yidao.node.console.app import serve
            from yidao.node.web.serve import Listen

            listen = Listen(host="127.0.0.1", port=port, certificate=certificate, key=key)
            serve(data, listen, names=host or ())
