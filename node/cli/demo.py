"""`yidao demo`: a whole tree of real daemons doing the job."""

import time
from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Exit, Json, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "演示: 国家、省、市、县和两个机关, 六个真实节点 (样例数据)",
            "Six real daemons, nation to agencies, do the job on sample data",
        )
    )
    def demo(
        keep: Annotated[
            bool, typer.Option("--keep", help=say("结束后保持运行", "Leave the tree up"))
        ] = False,
        folder: Annotated[
            Path | None, typer.Option(help=say("工作目录", "Where to work (a new folder)"))
        ] = None,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.files import make_folder
            from yidao.node.cli.imports import progress_bar
            from yidao.node.demo.show import run_demo, sum_up

            if folder is not None:
                make_folder(folder)
            started = time.monotonic()

            def tell(zh: str, en: str) -> None:
                if not as_json:
                    typer.echo(f"[{time.monotonic() - started:5.1f} s] {say(zh, en)}")

            facts = run_demo(
                folder=folder,
                keep=keep,
                tell=tell,
                bar=lambda: progress_bar(shown=not as_json),
            )
            typer.echo(sum_up(facts))
            if short := facts.shortfalls():
                typer.echo(say("未达到: ", "short: ") + ", ".join(short), err=True)
                raise typer.Exit(Exit.PARTLY)
            tell(
                "全部达到. 再看: yidao demo --keep, yidao status --data 目录",
                "All shown. Look further: yidao demo --keep, yidao status --data FOLDER",
            )
