"""What commands print for people."""

import pytest

from yidao.node.cli.output import table


def test_nothing_of_a_table_is_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where nobody told how wide the terminal is, or where it is too narrow."""
    cells = [f"cell-{number:02}-样例" for number in range(30)]
    table([f"column-{number}" for number in range(30)], [cells])()
    shown = capsys.readouterr().out
    assert all(cell in shown for cell in cells)
    assert len(shown.splitlines()) == 2
