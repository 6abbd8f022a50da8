"""`yidao return break-down`: a roll-up taken apart, with bars to compare its rows by."""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final

import typer

from yidao.node.cli.output import Data, Json, answer, table, told_errors
from yidao.node.cli.owed import After, Form, Limit, Pack, Period
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import BreakDownRow

_BAR: Final = 30


def register(returns: typer.Typer) -> None:
    """Add `return break-down`."""

    @returns.command(
        "break-down",
        help=say(
            "把汇总分解到下级、地区、类型或单位, 各行之和即汇总",
            "Take totals apart; the rows add up to the roll-up",
        ),
    )
    def break_down(
        data: Data,
        form: Form,
        period: Period,
        by: Annotated[str, typer.Option(help="child | region | inst_type | unit")] = "child",
        scope: Annotated[str, typer.Option(help="submitted | accepted")] = "accepted",
        path: Annotated[
            str, typer.Option(help=say("只看此节点及以下", "Only this node and below"))
        ] = "",
        field: Annotated[
            str, typer.Option(help=say("按此栏目画条", "Draw bars of this field"))
        ] = "",
        pack: Pack = "energy",
        after: After = "",
        limit: Limit = 200,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                page = client.break_down(
                    pack=pack,
                    form=form,
                    period=period,
                    by=by,
                    scope=scope,
                    path=path,
                    after=after,
                    limit=limit,
                )
            shown = field or next(iter(_sums(page.rows)), "")
            columns = [say("键", "key"), say("名称", "title"), say("报表数", "returns")]
            columns += [shown, ""] if shown else []
            facts = {
                "rows": [asdict(row) for row in page.rows],
                "next": page.next,
                "position": page.position,
            }
            answer(as_json, facts, table(columns, _rows(page.rows, shown)))


def _sums(rows: Sequence["BreakDownRow"]) -> list[str]:
    """Names of the fields that are sums: counts of codes bear a `=`."""
    return [name for name in (rows[0].totals.fields if rows else ()) if "=" not in name]


def _rows(rows: Sequence["BreakDownRow"], shown: str) -> list[list[str]]:
    figures = [_figure(row.totals.fields.get(shown, "0")) for row in rows]
    largest = max(figures, default=Decimal(0))
    lines = []
    for row, figure in zip(rows, figures, strict=True):
        line = [row.key, row.title, str(row.totals.returns)]
        if shown:
            part = int(_BAR * figure / largest) if largest > 0 and figure > 0 else 0
            line += [row.totals.fields.get(shown, "-"), "█" * part]
        lines.append(line)
    return lines


def _figure(text: str) -> Decimal:
    """A field of dates or words has no length."""
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal(0)
