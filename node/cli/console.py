"""`yidao console`: the clerk's desk, in a browser."""

from typing import Annotated

import typer

from yidao.node.cli.output import Data, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say("网页工作台 (前台运行; 只在本机)", "The desk in a browser, on this machine only")
    )
    def console(
        data: Data,
        port: Annotated[int, typer.Option(help=say("端口", "The port"), min=1, max=65_535)] = 7380,
    ) -> None:
        with told_errors(as_json=False):
            from yidao.node.console.app import serve

            serve(data, port=port)
