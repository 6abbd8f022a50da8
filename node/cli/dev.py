"""`yidao dev`: a sample node for whoever writes a program, in one command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Json, answer, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.demo.sandbox import Sandbox


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "开发沙箱: 一个带样例标准和样例数据的节点, 供试写程序 (全部为样例)",
            "A sandbox for developers: one node with sample standards and sample data",
        )
    )
    def dev(
        data: Annotated[
            Path, typer.Option("--data", "-d", help=say("沙箱目录", "The sandbox's folder"))
        ] = Path("yidao-dev"),
        port: Annotated[
            int,
            typer.Option(min=0, max=65_534, help=say("链路端口; 0 自选", "Link port; 0 = any")),
        ] = 0,
        once: Annotated[
            bool, typer.Option("--once", help=say("备好即退出", "Set up, say so, and end"))
        ] = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            import signal

            from yidao.node.demo.sandbox import Sandbox

            # However it is ended, by `kill` or with its terminal, its daemon ends too.
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.default_int_handler)
            sandbox = Sandbox(data, port)
            if sandbox.runs_already():
                _tell(sandbox, as_json)
                return
            try:
                sandbox.start()
                _tell(sandbox, as_json)
                if not once:
                    sandbox.wait()
            except KeyboardInterrupt:
                typer.echo(say("沙箱停止", "The sandbox stops"), err=True)
            finally:
                sandbox.stop()


def _tell(sandbox: "Sandbox", as_json: bool) -> None:
    import sys

    from yidao.node.demo.samples import SEED
    from yidao.node.demo.sandbox import ACTOR, PERIOD, UNITS, snippet

    program = snippet(sandbox.socket)
    folder = sandbox.node.folder
    answer(
        as_json,
        {
            "socket": sandbox.socket,
            "data": folder,
            "actor": ACTOR,
            "seed": SEED,
            "sample": True,
            "units": UNITS,
            "snippet": program,
        },
        say(
            f"样例沙箱已就绪: 全部为样例数据 (种子 {SEED}), 请勿填入真实数据.\n"
            f"本地接口: {sandbox.socket}\n"
            f"已有 {UNITS} 个样例单位及其 {PERIOD} 的报表 (已提交; 审核由上级节点进行).\n\n"
            f"{program}\n"
            f"再看: yidao status -d {folder} · yidao return list -d {folder} · yidao errors\n"
            "从头到尾的教程: docs/integrator.zh-CN.md\n"
            "Ctrl-C 停止; 再次运行则继续使用.",
            f"The sandbox is ready: all of it is sample data (seed {SEED}); put no real data in.\n"
            f"Local API: {sandbox.socket}\n"
            f"{UNITS} sample units with returns of {PERIOD} are in "
            "(submitted; a node above would accept them).\n\n"
            f"{program}\n"
            f"Next: yidao status -d {folder} · yidao return list -d {folder} · yidao errors\n"
            "The way from here on: docs/integrator.md\n"
            "Ctrl-C stops it; run it again to go on.",
        ),
    )
    sys.stdout.flush()
