"""The sample workbook of the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from yidao.node.cli.commands import app
from yidao.node.cli.sample import MAX_UNITS, write_workbook
from yidao.node.demo.samples import PERIODS, UNITS, WRONG


def test_it_offers_as_many_units_as_there_are() -> None:
    """The command says its limit without loading the sample; the two agree."""
    assert MAX_UNITS == UNITS


def test_no_row_of_its_period_is_wrong_on_purpose() -> None:
    """Whoever tries an import with it sees every row taken."""
    assert all(row.period != PERIODS[0] for row in WRONG)


def test_it_leaves_a_file_that_is_there_as_it_is(tmp_path: Path) -> None:
    """The second time ends as a file that cannot be written, and the first stays."""
    file = tmp_path / "sample.xlsx"
    first = CliRunner().invoke(app, ["sample", str(file), "--units", "2"])
    assert first.exit_code == 0
    held = file.read_bytes()
    again = CliRunner().invoke(app, ["sample", str(file), "--units", "3"])
    assert again.exit_code == 2
    assert file.read_bytes() == held


def test_the_same_units_give_the_same_bytes(tmp_path: Path) -> None:
    """Made by rule from a fixed seed: three rows a unit, every time equal."""
    assert write_workbook(tmp_path / "a", 3) == 9
    write_workbook(tmp_path / "b", 3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("units", ["0", str(MAX_UNITS + 1), "many"])
def test_a_number_of_units_that_it_has_not_is_refused(tmp_path: Path, units: str) -> None:
    """Exit 2, and nothing is written."""
    file = tmp_path / "sample.xlsx"
    assert CliRunner().invoke(app, ["sample", str(file), "--units", units]).exit_code == 2
    assert not file.exists()
