"""`yidao import`: hand in the rows of a workbook or table, with progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.node.importing import ImportReport, Progress


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        "import",
        help=say(
            "导入 XLSX/CSV; 错行逐条说明, 其余照常; 可重复运行",
            "Import XLSX/CSV; wrong rows are explained, the rest goes on; safe to run again",
        ),
    )
    def import_rows(
        data: Data,
        file: Annotated[Path, typer.Argument(help=say("文件", "The file"))],
        actor: Annotated[str, typer.Option(help=say("填报人", "Who, such as zhao@/33"))],
        pack: Annotated[str, typer.Option(help=say("标准", "Pack"))] = "energy",
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help=say("只检查, 不入库", "Check only, keep nothing"))
        ] = False,
        annotated: Annotated[
            Path | None,
            typer.Option(
                "--annotated",
                help=say(
                    "有错行时, 把错误写回单元格, 另存为此 XLSX",
                    "If rows are refused, write the file here with the reasons in its cells (XLSX)",
                ),
            ),
        ] = None,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from datetime import UTC, datetime

            from yidao.node.cli.connection import connect
            from yidao.node.importing import Importer

            today = datetime.now(UTC).date()
            with connect(data) as client, progress_bar(shown=not as_json) as progress:
                importer = Importer(
                    client=client, pack_id=pack, actor=actor, today=today, dry_run=dry_run
                )
                report = importer.take(file, progress)
            marked = annotated if report.refused else None
            if marked is not None:
                write_marked(file, marked, report)
            answer(as_json, facts(report, marked), "\n".join(lines(report, marked)))
            if report.refused:
                raise typer.Exit(Exit.PARTLY)


@contextmanager
def progress_bar(*, shown: bool) -> Iterator["Progress"]:
    """A bar on standard error that follows the rows."""
    if not shown:
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (say("导入", "import"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def write_marked(file: Path, out: Path, report: "ImportReport") -> None:
    """Write the clerk's own file with the reasons in the cells that were refused."""
    from yidao.node.cli.files import read_file, write_file
    from yidao.node.intake.annotate import annotate

    write_file(out, annotate(read_file(file), report.refused, LANGUAGE))


def facts(report: "ImportReport", marked: Path | None = None) -> dict[str, object]:
    """The report as plain values; `annotated` is where the marked copy is."""
    return {
        "annotated": None if marked is None else str(marked),
        "rows": report.rows,
        "submitted": report.submitted,
        "unchanged": report.unchanged,
        "refused": [
            {
                "sheet": row.sheet,
                "row": row.row_number,
                "faults": [
                    {
                        "column": fault.column,
                        "field": fault.field,
                        "rule": fault.rule,
                        "code": fault.code,
                        "zh": fault.text.zh,
                        "en": fault.text.en,
                    }
                    for fault in row.faults
                ],
            }
            for row in report.refused
        ],
    }


def lines(report: "ImportReport", marked: Path | None = None) -> list[str]:
    """The report for people: what was refused is said in both languages."""
    shown = [
        say(
            f"{report.rows} 行: 收 {report.submitted}, 未变 {report.unchanged}, "
            f"拒 {len(report.refused)}",
            f"{report.rows} rows: {report.submitted} taken, {report.unchanged} unchanged, "
            f"{len(report.refused)} refused",
        )
    ]
    for row in report.refused:
        for fault in row.faults:
            where = f"{row.sheet}!{row.row_number} {fault.field} {fault.rule or fault.code}"
            shown.append(f"  {where}: {fault.text.zh} / {fault.text.en}")
    if marked is not None:
        shown.append(
            say(
                f"错误已写回单元格: {marked}; 改正后再导入",
                f"The reasons stand in the cells of {marked}: correct it and import it again",
            )
        )
    return shown
