"""`yidao sample`: a small workbook of sample rows, to try an import with."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Json, answer, told_errors
from yidao.node.cli.speech import say

# As many as `yidao.node.demo.samples` makes; a test compares.
MAX_UNITS = 500


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "写一个样例工作簿 (名录、规模、能耗, 2025-Q2), 供试导入",
            "Write a sample workbook (units, sizes, returns of 2025-Q2) to try an import with",
        )
    )
    def sample(
        file: Annotated[Path, typer.Argument(help=say("新文件 (.xlsx)", "A new file (.xlsx)"))],
        units: Annotated[
            int, typer.Option(min=1, max=MAX_UNITS, help=say("单位数", "How many units"))
        ] = 20,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from tempfile import TemporaryDirectory

            from yidao.node.cli.files import write_file

            # Made elsewhere first: a file that is there already must stay as it is.
            with TemporaryDirectory(prefix="yidao-") as folder:
                made = Path(folder) / "sample.xlsx"
                rows = write_workbook(made, units)
                write_file(file, made.read_bytes())
            answer(
                as_json,
                {"file": str(file), "units": units, "rows": rows},
                say(
                    f"样例工作簿: {file} ({units} 个单位, {rows} 行)",
                    f"Sample workbook: {file} ({units} units, {rows} rows)",
                ),
            )


def write_workbook(path: Path, units: int) -> int:
    """Write registry rows, sizes and returns of the first sample units; all of them are right.

    Args:
        path: The .xlsx to write.
        units: 1 to `MAX_UNITS`.

    Returns:
        The number of rows.
    """
    from importlib.resources import files
    from itertools import islice

    from yidao.catalog.pack.loader import load_pack
    from yidao.node.demo import samples
    from yidao.node.intake.sheets import SheetRows, write_rows

    pack = load_pack((files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes())
    note = f"样例数据 sample data (种子 seed {samples.SEED})"
    sheets = []
    # Rows come period by period; those that are wrong on purpose are of later ones than the first.
    for rows in (samples.institutions(), samples.profiles(), samples.consumptions()):
        chosen = list(islice(rows, units))
        form = pack.form(chosen[0].form_id)
        used = {name for row in chosen for name in row.cells}
        sheets.append(
            SheetRows(
                title=form.title.zh,
                note=note,
                form=form,
                fields=[name for name in form.fields if name in used],
                rows=[row.cells for row in chosen],
            )
        )
    write_rows(path, sheets)
    return units * len(sheets)
