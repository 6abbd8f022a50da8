"""`yidao form`: the workbook of a form, ready to be filled in and imported."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.owed import MAX_ROWS
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.catalog.pack.model import Form
    from yidao.node.client import Client


def register(app: typer.Typer) -> None:
    """Add the verb."""
    forms = typer.Typer(help=say("表式", "Forms"), no_args_is_help=True)
    app.add_typer(forms, name="form")

    @forms.command(
        help=say(
            "下载填报模板 (XLSX); 给出报告期时预填未报的单位",
            "Write a template (XLSX); with a period, units that have not reported stand in it",
        )
    )
    def template(
        data: Data,
        pack: Annotated[str, typer.Argument(help=say("标准, 如 energy", "Pack, such as energy"))],
        form: Annotated[str, typer.Argument(help=say("表, 如 consumption", "Form"))],
        out: Annotated[Path, typer.Option("--out", "-o", help=say("写到此文件", "Write here"))],
        period: Annotated[str, typer.Option(help=say("报告期", "Period"))] = "",
        empty: Annotated[
            bool, typer.Option("--empty", help=say("不预填单位", "Fill in no units"))
        ] = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from datetime import UTC, datetime

            from yidao.catalog.calendar import Period
            from yidao.catalog.pack.loader import load_pack
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import write_file
            from yidao.node.intake.template import form_workbook

            day = Period.parse(period).first_day if period else datetime.now(UTC).date()
            with connect(data) as client:
                standard = load_pack(client.pack(pack, on=day.isoformat()))
                wanted = standard.form(form)
                units = [] if empty or not period else list(_units(client, pack, wanted, period))
            book = form_workbook(standard, form, period=period, units=units, language=LANGUAGE)
            write_file(out, book)
            answer(
                as_json,
                {"file": str(out), "pack_version": standard.version, "units": len(units)},
                say(
                    f"模板: {out} ({standard.version} 版, 预填 {len(units)} 个单位)",
                    f"Template: {out} (version {standard.version}, {len(units)} units filled in)",
                ),
            )


def _units(client: "Client", pack: str, form: "Form", period: str) -> Iterator[tuple[str, str]]:
    """Units of this node that have not reported; all of them for a form that stays here."""
    own = client.status().path
    if form.stays_local:
        yield from ((each.unit, each.name) for each in client.units() if each.origin_path == own)
        return
    after = ""
    while True:
        page = client.missing(pack=pack, form=form.id, period=period, after=after, limit=MAX_ROWS)
        yield from ((e.unit, e.unit_name) for e in page.missing if e.origin_path == own)
        after = page.next
        if not after:
            return
