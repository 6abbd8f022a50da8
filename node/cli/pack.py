"""`yidao pack`: publish data standards and see which are in force."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    pack = typer.Typer(help=say("数据标准", "Data standards"), no_args_is_help=True)
    app.add_typer(pack, name="pack")

    @pack.command(
        help=say("发布一个标准版本 (仅根节点)", "Publish a version of a standard (root only)")
    )
    def publish(
        data: Data,
        file: Annotated[Path, typer.Argument(help=say("标准文件 (YAML)", "The pack (YAML)"))],
        actor: Annotated[str, typer.Option(help=say("发布人, 如 std@/", "Who, such as std@/"))],
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import read_file

            with connect(data) as client:
                placed = client.publish_pack(read_file(file), actor=actor)
            answer(
                as_json,
                {"position": placed.position, "record_id": placed.record_id},
                say(f"已发布, 位置 {placed.position}", f"Published at position {placed.position}"),
            )

    @pack.command("list", help=say("列出本节点已有的标准", "List the packs this node has"))
    def list_packs(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                packs = client.packs()
            rows = [
                {
                    "id": each.id,
                    "version": each.version,
                    "valid_from": each.valid_from,
                    "valid_to": each.valid_to,
                    "sha256": each.sha256,
                }
                for each in packs
            ]
            shown = [[r["id"], r["version"], r["valid_from"], r["valid_to"] or "-"] for r in rows]
            columns = ["id", say("版本", "version"), say("起", "from"), say("止", "to")]
            answer(as_json, {"packs": rows}, table(columns, [[str(c) for c in r] for r in shown]))
