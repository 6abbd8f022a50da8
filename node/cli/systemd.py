"""`yidao systemd`: a unit file for the init system of the machine."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Data, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "输出 systemd 服务单元 (写入 /etc/systemd/system/yidao.service, 或用 --user)",
            "Print a systemd unit, for /etc/systemd/system/yidao.service or with --user",
        )
    )
    def systemd(
        data: Data,
        console: Annotated[
            bool, typer.Option(help=say("网页控制台的单元", "The unit of the web console"))
        ] = False,
        user: Annotated[
            bool, typer.Option("--user", help=say("用户级单元", "A unit of the user's own"))
        ] = False,
        account: Annotated[
            str, typer.Option(help=say("以此系统账号运行", "Run as this account of the system"))
        ] = "yidao",
    ) -> None:
        with told_errors(as_json=False):
            from yidao.node.systemd import console_unit, node_unit

            make = console_unit if console else node_unit
            program = Path(sys.argv[0]).absolute()
            unit = make(data.absolute(), program=program, account=None if user else account)
            sys.stdout.write(unit)
