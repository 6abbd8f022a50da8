"""`yidao query`: ask for rows where they are, now."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, table, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.node.client import QueryNode, QueryRow, RowStream

Many = list[str]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(help=say("实时查询下级的数据", "Ask nodes below for rows, live"))
    def query(
        data: Data,
        resource: Annotated[
            str,
            typer.Argument(
                help=say(
                    "信息资源代码, 或 标准/表 如 energy/consumption", "Code, or energy/consumption"
                )
            ),
        ],
        actor: Annotated[
            str, typer.Option("--actor", help=say("查询人 user@path", "Who asks, user@path"))
        ],
        of: Annotated[
            str, typer.Option("--of", help=say("只问这个节点", "Exactly this node"))
        ] = "",
        under: Annotated[
            str, typer.Option("--under", help=say("问此节点及其下级", "This node and all below"))
        ] = "",
        where: Annotated[
            Many | None,
            typer.Option("--where", help=say("条件, 如 'elec_kwh > 1000'; 可多个", "Condition")),
        ] = None,
        select: Annotated[
            str, typer.Option("--select", help=say("信息项, 逗号分隔", "Columns, by commas"))
        ] = "",
        count: Annotated[bool, typer.Option("--count", help=say("计数", "Count rows"))] = False,
        sum_: Annotated[
            str, typer.Option("--sum", help=say("求和的信息项", "Columns to add up"))
        ] = "",
        least: Annotated[str, typer.Option("--min", help=say("求最小", "Columns: least"))] = "",
        most: Annotated[str, typer.Option("--max", help=say("求最大", "Columns: greatest"))] = "",
        mean: Annotated[str, typer.Option("--avg", help=say("求平均", "Columns: mean"))] = "",
        by: Annotated[str, typer.Option("--by", help=say("分组", "Columns to group by"))] = "",
        order: Annotated[
            str, typer.Option("--order", help=say("排序, 降序加 -", "Order, - for descending"))
        ] = "",
        limit: Annotated[int, typer.Option("--limit", help=say("最多行数", "Rows at most"))] = 0,
        purpose: Annotated[str, typer.Option("--purpose", help=say("用途", "What it is for"))] = "",
        deadline: Annotated[
            float, typer.Option("--deadline", help=say("时限(秒)", "Seconds until the end"))
        ] = 10.0,
        live: Annotated[
            bool, typer.Option("--live", help=say("不要旧数据", "No older figures"))
        ] = False,
        as_json: Json = False,
    ) -> None:
        measures = [
            *(["count"] if count else []),
            *(
                f"{function} {column}"
                for function, columns in (
                    ("sum", sum_),
                    ("min", least),
                    ("max", most),
                    ("avg", mean),
                )
                for column in _names(columns)
            ),
        ]
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with (
                connect(data) as client,
                client.query_rows(
                    resource,
                    actor=actor,
                    of=of,
                    under=under,
                    where=" and ".join(f"({each})" for each in where or []),
                    select=_names(select),
                    aggregate=measures,
                    by=_names(by),
                    order=_names(order),
                    limit=limit,
                    purpose=purpose,
                    deadline_seconds=deadline,
                    live_only=live,
                ) as stream,
            ):
                rows = stream.rows()
                answer(as_json, _facts(stream, rows), lambda: _show(stream, rows))
            if not stream.complete:
                raise typer.Exit(Exit.PARTLY)


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _facts(stream: "RowStream", rows: "tuple[QueryRow, ...]") -> dict[str, object]:
    return {
        "columns": [{"name": c.name, "kind": c.kind, "masked": c.masked} for c in stream.columns],
        "rows": [{**row.cells, "@path": row.path, "@cached": row.cached} for row in rows],
        "nodes": [
            {
                "path": node.path,
                "state": node.state,
                "code": node.code,
                "params": dict(node.params),
                "rows": node.rows,
                "cut": node.cut,
                "as_of_ms": node.as_of_ms,
                "cached": node.cached,
                "resource": node.resource,
                "took_ms": node.took_ms,
            }
            for node in stream.nodes
        ],
        "complete": stream.complete,
    }


def _show(stream: "RowStream", rows: "tuple[QueryRow, ...]") -> None:
    names = [each.name for each in stream.columns]
    if rows:
        cells = [
            [row.path + (" *" if row.cached else ""), *(_shown(row.cells[n]) for n in names)]
            for row in rows
        ]
        table([say("节点", "node"), *names], cells)()
    for node in stream.nodes:
        typer.echo(_line(node))


def _shown(cell: object) -> str:
    return "-" if cell is None else str(cell)


def _line(node: "QueryNode") -> str:
    line = f"{node.path}: {_STATES.get(node.state, node.state)}  {node.rows} {say('行', 'rows')}"
    if node.cut:
        line += say("（未完）", " (more)")
    if node.cached:
        line += f"  {_CACHED[node.cached]} {_moment(node.as_of_ms)}"
    if node.code:
        from yidao.node.messages import message

        line += f"  {message(node.code, node.params, LANGUAGE).text} [{node.code}]"
    return line


_STATES = {
    "answered": say("已答复", "answered"),
    "late": say("逾时", "late"),
    "unreachable": say("联系不上", "unreachable"),
    "refused": say("拒绝", "refused"),
    "unneeded": say("已够", "not needed"),
}
_CACHED = {
    "held": say("* 本节点所存, 截至", "* held here, as of"),
    "remembered": say("* 上次的答复, 截至", "* last answer, as of"),
}


def _moment(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
