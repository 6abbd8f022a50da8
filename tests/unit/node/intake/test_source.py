"""Opening a file by what it is."""

import subprocess
import sys


def test_the_spreadsheet_library_loads_only_with_a_workbook() -> None:
    """A daemon that imports nothing does not pay for it."""
    code = (
        "import sys, yidao.node.intake.source, yidao.node.intake.table, yidao.node.intake.payload;"
        "sys.exit('openpyxl' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
