"""`yidao join`: become a node of the tree, by a bundle or a code that the parent made."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.init import (
    Begun,
    JoinListen,
    Keys,
    Listen,
    Name,
    Pq,
    Proxy,
    SuiteName,
    begin,
)
from yidao.node.cli.output import Data, Json, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.sync.approval import Claim

# Soon at first, for whoever has the operator on the phone.
_FIRST_WAIT_SECONDS = 2.0
_LONGEST_WAIT_SECONDS = 30.0


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "用上级给的加入包或加入码加入网络. 须上级批准时会等待; 可中断, 再运行则继续同一申请",
            "Join the network by the bundle or the code from the parent. Where an operator must "
            "approve, it waits; stop it and run it again, and the same request goes on",
        )
    )
    def join(
        data: Data,
        bundle: Annotated[
            Path | None, typer.Argument(help=say("加入包", "The join bundle"))
        ] = None,
        code: Annotated[
            str | None,
            typer.Option(help=say("加入码; - 表示从键盘输入", "The join code; - to type it in")),
        ] = None,
        name: Name = None,
        listen: Listen = None,
        join_listen: JoinListen = None,
        parent: Annotated[
            str | None,
            typer.Option(
                help=say(
                    "用加入码时: 上级的加入地址. 用加入包时: 上级链路地址 (默认取自加入包)",
                    "With a code: where the parent's join service is. With a bundle: the "
                    "parent's link address, if not the bundle's",
                )
            ),
        ] = None,
        proxy: Proxy = None,
        suite: SuiteName = "std",
        pq: Pq = False,
        wait: Annotated[
            bool,
            typer.Option(
                "--wait/--no-wait", help=say("等待批准", "Wait where an operator must approve")
            ),
        ] = True,
        as_json: Json = False,
    ) -> None:
        if (bundle is None) == (code is None) or (code is not None and parent is None):
            raise typer.BadParameter(
                say("给出加入包, 或 --code 与 --parent", "a bundle, or --code with --parent")
            )
        if code == "-":
            code = typer.prompt(say("加入码", "Join code"), err=True)
        told = {
            "bundle": None if bundle is None else str(bundle),
            "code": code,
            "join_address": parent if code else None,
            "office_name": name,
            "listen": listen,
            "proxy": proxy,
            "parent_address": None if code else parent,
        }
        with told_errors(as_json):
            how = Begun(
                join_listen=join_listen,
                keys=Keys(suite, pq),
                pause=_Waiting().pause if wait else None,
            )
            begin(data, told, how, as_json=as_json)


class _Waiting:
    """Tells the person who waits what for, once, and asks ever less often."""

    def __init__(self) -> None:
        self._seconds = _FIRST_WAIT_SECONDS
        self._is_told = False

    async def pause(self, claim: "Claim") -> datetime:
        """Wait a while and return the time then."""
        from yidao.node.clock import system_clock_ms, utc

        if not self._is_told:
            self._is_told = True
            sys.stderr.write(
                say(
                    f"等待批准: {claim.path}, 申请 {claim.claim_id}\n"
                    f"请电话核对指纹: {claim.fingerprint}\n"
                    "可中断, 再运行同一命令即继续\n",
                    f"Waiting for approval: {claim.path}, request {claim.claim_id}\n"
                    f"Compare by phone: {claim.fingerprint}\n"
                    "You may stop this; the same command goes on\n",
                )
            )
        await asyncio.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.5, _LONGEST_WAIT_SECONDS)
        return utc(system_clock_ms())
