"""kill -9 of any one daemon during an import: it starts again, and all ends as it must."""

import signal
import threading
from collections.abc import Callable, Iterator
from datetime import date
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

# So many institutions are imported while one daemon dies.
UNITS = 50
ROWS = UNITS * (1 + 2 * len(samples.PERIODS))
VICTIMS = ("agency_b", "county", "city", "province", "nation")

Oracle = Callable[[Path], dict[str, Any]]
Compare = Callable[[DemoNode, dict[str, dict[str, str]]], None]

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


def _workbook(path: Path, first: int) -> Path:
    """The sample units from the `first` on, sheet by sheet."""
    pack = load_pack((files("yidao.catalog") / "packs" / "energy-2022.yaml").read_bytes())
    chosen_units = list(samples.institutions())[first : first + UNITS]
    units = {row.cells["uscc"] for row in chosen_units}
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


def _wrong(first: int) -> int:
    """How many returns of the units from the `first` on are wrong on purpose."""
    return sum(first < each.unit <= first + UNITS for each in samples.WRONG)


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
    """Kills one daemon when the first half of the rows was taken and the next are on their way.

    A moment later than the answer to a batch: the agency is then judging the
    next one, the others are receiving what was taken.
    """

    def __init__(self, victim: DemoNode) -> None:
        self.process = victim.process
        self.killed_at_row: int | None = None
        self._done = 0
        self._victim = victim
        self._timer = threading.Timer(0.05, self._kill)

    def progress(self, done: int, _total: int | None) -> None:
        self._done = done
        if done >= ROWS // 2 and not self._timer.ident:
            self._timer.start()

    def check(self) -> None:
        """See that the process was killed, and that rows were still to come."""
        self._timer.join(10)
        assert self.process is not None
        assert self.process.wait(10) == -signal.SIGKILL
        assert self.killed_at_row is not None
        assert self.killed_at_row < ROWS

    def _kill(self) -> None:
        self.killed_at_row = self._done
        self._victim.kill()


def test_a_killed_tier_changes_no_figure(
    nation: Nation, tmp_path: Path, ask_oracle: Oracle, assert_totals: Compare
) -> None:
    """Nothing is lost and nothing counted twice, whichever tier dies during an import."""
    returns = 0
    for number, victim in enumerate(VICTIMS):
        workbook = _workbook(tmp_path / f"{victim}.xlsx", number * UNITS)
        killer = _Killer(nation[victim])
        if victim == "agency_b":
            with pytest.raises(YidaoError):
                _take(nation, workbook, killer)
        else:
            _take(nation, workbook, killer)
        killer.check()
        nation[victim].start()

        # Once more for the agency, whose import was cut off; for the others it changes nothing.
        again = _take(nation, workbook)
        assert again.rows == ROWS
        assert again.unchanged + again.submitted + len(again.refused) == ROWS
        assert victim == "agency_b" or again.unchanged == ROWS
        returns += ROWS - UNITS - _wrong(number * UNITS)
        reporting.wait_for_submissions(nation, returns)

    assert reporting.accept_everything(nation) == returns
    reporting.wait_for_acceptances(nation)
    wait_until("nothing is missing", lambda: ask_oracle(tmp_path)["missing"] == [])

    oracle = ask_oracle(tmp_path)
    assert oracle["faults"] == []
    assert oracle["duplicated"] == 0
    assert (oracle["returns_submitted"], oracle["returns_accepted"]) == (returns, returns)
    for office in nation.offices:
        assert_totals(office, oracle["totals"])
