"""`yidao run`: the daemon in the foreground."""

import gc
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from yidao.node.cli.output import Data, told_errors
from yidao.node.cli.speech import say

# How long a thread keeps what it computes with while another one waits for it; 5 ms by default,
# most of the time that a record takes from tier to tier.
_SWITCH_SECONDS: Final = 0.0005
# So many new objects before it is looked for cycles among them; 700 by default.
_LOOK_FOR_GARBAGE_AT: Final = 20_000


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(help=say("运行节点 (前台; 日志写到标准错误)", "Run the node in the foreground"))
    def run(
        data: Data,
        log_format: Annotated[
            str | None, typer.Option(help=say("日志格式: json 或 console", "json or console"))
        ] = None,
        log_file: Annotated[
            Path | None,
            typer.Option(
                help=say("日志写到此文件, 按大小轮换", "Log to this file, rotated by size")
            ),
        ] = None,
    ) -> None:
        with told_errors(as_json=False):
            # A seventh of the start went into looking for garbage among what modules are made
            # of. None is, so that it is left out later too: such a look stops a daemon for 0.1 s.
            gc.disable()
            from yidao.node.daemon import serve

            gc.freeze()
            gc.enable()
            # Records of a batch live together: to look among them every 700 finds nothing.
            gc.set_threshold(_LOOK_FOR_GARBAGE_AT)
            # The writer and the event loop hand over to each other all the time.
            sys.setswitchinterval(_SWITCH_SECONDS)
            overrides = {} if log_format is None else {"log_format": log_format}
            if log_file is not None:
                overrides["log_file"] = str(log_file)
            serve(data, overrides)
