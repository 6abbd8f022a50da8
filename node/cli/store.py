"""`yidao store`: rebuild the projections, verify what is stored."""

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, told_errors
from yidao.node.cli.speech import say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    store = typer.Typer(help=say("本地库", "The local store"), no_args_is_help=True)
    app.add_typer(store, name="store")

    @store.command(
        help=say(
            "清空各投影表并从日志重算, 结果必须相同",
            "Empty the projections and fold the journals again; the tables must be equal",
        )
    )
    def rebuild(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                report = client.rebuild()
            tables = [
                {"table": each.table, "rows": each.rows, "equal": each.equal}
                for each in report.tables
            ]
            verdict = say("相同", "equal") if report.equal else say("不同!", "DIFFERENT!")
            answer(
                as_json,
                {"equal": report.equal, "tables": tables},
                say(f"重算 {len(tables)} 张表: {verdict}", f"{len(tables)} tables: {verdict}"),
            )
            if not report.equal:
                raise typer.Exit(Exit.PARTLY)

    @store.command(
        help=say(
            "逐段重算根和摘要, 指出被改动的记录",
            "Recompute every root and digest, name what was changed",
        )
    )
    def verify(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                report = client.verify_store()
            problems = [{"code": each.code, **each.params} for each in report.problems]
            text = say(f"已核对 {report.records} 条记录", f"{report.records} records verified")
            lines = [text, *(str(problem) for problem in problems)]
            answer(as_json, {"records": report.records, "problems": problems}, "\n".join(lines))
            if problems:
                raise typer.Exit(Exit.PARTLY)
