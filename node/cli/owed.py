"""`yidao return due` and `missing`: who owes what, for the clerk and for the reviewer."""

from dataclasses import asdict
from typing import Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.speech import say

#: What the node gives in one page at most.
MAX_ROWS = 1_000
Pack = Annotated[str, typer.Option(help=say("标准", "Pack"))]
Form = Annotated[str, typer.Option(help=say("表", "Form, such as consumption"))]
Period = Annotated[str, typer.Option(help=say("报告期, 如 2025-Q2", "Period, such as 2025-Q2"))]
After = Annotated[str, typer.Option(help=say("上一页的 next", "`next` of the page before"))]
Limit = Annotated[int, typer.Option(min=1, max=MAX_ROWS, help=say("最多条数", "At most"))]


def register_due(returns: typer.Typer) -> None:
    """Add `return due`."""

    @returns.command(help=say("本节点各单位应报未报的报表", "What the units of this node owe"))
    def due(
        data: Data,
        unit: Annotated[str, typer.Option(help=say("单位代码", "Unit code"))] = "",
        on: Annotated[
            str, typer.Option(help=say("以此日为准 (默认今天)", "Seen from this day, else today"))
        ] = "",
        after: After = "",
        limit: Limit = 200,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                page = client.due(unit=unit, on=on, after=after, limit=limit)
            shown = [
                [
                    each.due,
                    str(each.days_left),
                    each.form,
                    each.period,
                    each.unit,
                    each.unit_name,
                    each.state,
                ]
                for each in page.due
            ]
            columns = [
                say("截止", "due"),
                say("剩余天数", "days left"),
                say("表", "form"),
                say("报告期", "period"),
                say("单位", "unit"),
                say("名称", "name"),
                say("状态", "state"),
            ]
            rows = [asdict(each) for each in page.due]
            answer(as_json, {"due": rows, "next": page.next}, table(columns, shown))


def register_missing(returns: typer.Typer) -> None:
    """Add `return missing`."""

    @returns.command(help=say("本节点及下级未报的单位", "Units here and below that did not report"))
    def missing(
        data: Data,
        form: Form,
        period: Period,
        pack: Pack = "energy",
        after: After = "",
        limit: Limit = 200,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                page = client.missing(pack=pack, form=form, period=period, after=after, limit=limit)
            columns = [
                say("单位", "unit"),
                say("名称", "name"),
                say("区划", "region"),
                say("节点", "node"),
                say("状态", "state"),
            ]
            shown = [
                [each.unit, each.unit_name, each.region_code, each.origin_path, each.state]
                for each in page.missing
            ]

            def text() -> None:
                typer.echo(
                    say(
                        f"{page.units} 个单位, 已报 {page.reported}, "
                        f"未报 {page.units - page.reported}",
                        f"{page.units} units: {page.reported} reported, "
                        f"{page.units - page.reported} did not",
                    )
                )
                table(columns, shown)()

            facts = {
                "missing": [asdict(each) for each in page.missing],
                "next": page.next,
                "units": page.units,
                "reported": page.reported,
            }
            answer(as_json, facts, text)
