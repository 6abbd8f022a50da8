"""`yidao run`: the daemon in the foreground."""

from typing import Annotated

import typer

from yidao.node.cli.output import Data, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(help=say("运行节点 (前台; 日志写到标准错误)", "Run the node in the foreground"))
    def run(
        data: Data,
        log_format: Annotated[
            str | None, typer.Option(help=say("日志格式: json 或 console", "json or console"))
        ] = None,
    ) -> None:
        with told_errors(as_json=False):
            from yidao.node.daemon import serve

            overrides = {} if log_format is None else {"log_format": log_format}
            serve(data, overrides)
