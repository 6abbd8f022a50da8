"""kill -9 of any one daemon during an import: it starts again, and all ends as it must."""

import threading
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from yidao.api.errors import YidaoError
from yidao.catalog.pack.loader import load_pack
from yidao.node.demo import reporting, samples
from yidao.node.demo.nation import Nation
from yidao.node.demo.tree import DemoNode, wait_until
from yidao.node.importing import Importer, ImportReport
from yidao.node.intake.sheets import SheetRows, write_rows

UNITS = 100
ROWS = UNITS * (1 + 2 * len(samples.PERIODS))
# One of the three wrong rows stands among the first hundred units.
REFUSED = 1

Oracle = Callable[[Path], dict[str, Any]]
RETURNS = ROWS - UNITS - REFUSED

pytestmark = pytest.mark.e2e


@pytest.fixture
def nation(tmp_path: Path) -> Iterator[Nation]:
    """Six daemons, joined and with the standard."""
    made = Nation(tmp_path)
    try:
        made.found(lambda _place: None)
        reporting.publish_standards(made)
        yield made
    finally:
        made.stop()


def _workbook(path: Path) -> Path:
    """The first hundred sample units, sheet by sheet."""
    pack = load_pack((files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes())
    units = {row.cells["uscc"] for row in list(samples.institutions())[:UNITS]}
    sheets = []
    for form_id, rows in (
        ("institution", samples.institutions()),
        ("profile", samples.profiles()),
        ("consumption", samples.consumptions()),
    ):
        chosen = [row.cells for row in rows if row.cells["uscc"] in units]
        used = {name for cells in chosen for name in cells}
        form = pack.forms[form_id]
        sheets.append(
            SheetRows(
                title=form_id,
                note="样例 sample",
                form=form,
                fields=[name for name in form.fields if name in used],
                rows=chosen,
            )
        )
    write_rows(path, sheets)
    return path


def _take(nation: Nation, workbook: Path, killer: "_Killer | None" = None) -> ImportReport:
    node = nation["agency_b"]
    with node.client() as client:
        importer = Importer(
            client=client,
            pack_id="energy",
            actor=f"{reporting.CLERK}@{node.path}",
            today=date(2026, 4, 1),
        )
        return importer.take(workbook, None if killer is None else killer.progress)


class _Killer:
    """Kills one daemon a moment after the first rows were taken, while the import goes on."""

    def __init__(self, victim: DemoNode) -> None:
        self.victim = victim
        self.process = victim.process
        self._timer = threading.Timer(0.1, victim.kill)

    def progress(self, _done: int, _total: int | None) -> None:
        if not self._timer.ident:
            self._timer.start()

    def wait(self) -> None:
        """Wait until the process is gone, and see that it was killed."""
        self._timer.join(10)
        assert self.process is not None
        assert self.process.wait(10) == -9


@pytest.mark.parametrize("victim", ["agency_b", "county", "city", "province", "nation"])
def test_a_killed_tier_changes_no_figure(
    nation: Nation, tmp_path: Path, ask_oracle: Oracle, victim: str
) -> None:
    """Nothing is lost and nothing counted twice, whichever tier dies during the import."""
    workbook = _workbook(tmp_path / "rows.xlsx")
    killer = _Killer(nation[victim])
    if victim == "agency_b":
        with pytest.raises(YidaoError):
            _take(nation, workbook, killer)
    else:
        _take(nation, workbook, killer)
    killer.wait()
    nation[victim].start()

    # Once more for the agency, whose import was cut off; for the others it changes nothing.
    again = _take(nation, workbook)
    assert again.rows == ROWS
    assert again.unchanged + again.submitted + len(again.refused) == ROWS
    assert victim == "agency_b" or again.unchanged == ROWS

    reporting.wait_for_submissions(nation, RETURNS)
    assert reporting.accept_everything(nation) == RETURNS
    reporting.wait_for_acceptances(nation)
    wait_until("nothing is missing", lambda: ask_oracle(tmp_path)["missing"] == [])

    oracle = ask_oracle(tmp_path)
    assert oracle["faults"] == []
    assert oracle["duplicated"] == 0
    assert (oracle["returns_submitted"], oracle["returns_accepted"]) == (RETURNS, RETURNS)
    for office in nation.offices:
        with office.client() as client:
            for cell, sums in oracle["totals"].items():
                form, period = cell.split()
                seen = client.roll_up(pack="energy", form=form, period=period).accepted
                assert seen.returns == int(sums["returns"]), (office.path, cell)
                summed = {n: Decimal(v) for n, v in sums.items() if n in seen.fields}
                assert summed
                assert {n: Decimal(seen.fields[n]) for n in summed} == summed
