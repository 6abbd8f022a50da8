"""`yidao bundle`: carry what a link would carry, as a file, to a neighbour without a line."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    bundle = typer.Typer(
        help=say("无线路时以文件传递", "Exchange by files where there is no line"),
        no_args_is_help=True,
    )
    app.add_typer(bundle, name="bundle")

    @bundle.command(
        name="export",
        help=say("打包待送上级或某下级的一切", "Pack what waits for the parent or a child"),
    )
    def export(
        data: Data,
        path: Annotated[str, typer.Argument(help=say("上级或下级的路径", "Its path"))],
        out: Annotated[Path, typer.Option("--out", "-o", help=say("写到此文件", "Write here"))],
        max_mib: Annotated[
            int, typer.Option("--max-mib", min=1, max=64, help=say("约多大为止", "About how much"))
        ] = 32,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import write_file

            with connect(data) as client:
                packed = client.export_bundle(path, max_bytes=max_mib * 1024 * 1024)
            write_file(out, packed.file)
            facts = {
                "file": str(out),
                "bytes": len(packed.file),
                "records": packed.records,
                "left": packed.left,
            }
            more = say(
                f"\n还有 {packed.left} 条未装下, 对方导入并回传后再打包",
                f"\n{packed.left} did not fit: pack again once the other side's bundle is back",
            )
            text = say(
                f"{out}: {packed.records} 条, 已加密, 只有 {path} 能打开",
                f"{out}: {packed.records} records, encrypted: only {path} can open it",
            )
            answer(as_json, facts, text + (more if packed.left else ""))

    @bundle.command(
        name="import", help=say("导入上级或下级的包", "Take in a bundle of the parent or a child")
    )
    def import_(
        data: Data,
        file: Annotated[Path, typer.Argument(help=say("文件", "The file"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import read_file

            with connect(data) as client:
                taken = client.import_bundle(read_file(file))
            facts = {
                "path": taken.path,
                "created_ms": taken.created_ms,
                "records": taken.records,
                "duplicates": taken.duplicates,
                "receipts": taken.receipts,
                "refused": list(taken.refused),
                "position": taken.position,
            }
            made = datetime.fromtimestamp(taken.created_ms / 1000, UTC).astimezone()
            text = say(
                f"{taken.path} 于 {made:%Y-%m-%d %H:%M} 打的包: 新 {taken.records} 条, "
                f"已有 {taken.duplicates} 条, 回执 {taken.receipts} 份, "
                f"拒收日志 {len(taken.refused)} 个",
                f"Bundle of {taken.path}, {made:%Y-%m-%d %H:%M}: {taken.records} new records, "
                f"{taken.duplicates} known, {taken.receipts} receipts, "
                f"{len(taken.refused)} journals refused",
            )
            answer(as_json, facts, text)
            if taken.refused:
                raise typer.Exit(Exit.PARTLY)
