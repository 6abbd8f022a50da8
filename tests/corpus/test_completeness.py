"""Every row of the corpus that a stranger can hand in has a test that bears its number."""

import re
from pathlib import Path

from tests.corpus import test_signatures

HERE = Path(__file__).parent
PAGES = [*HERE.glob("test_*.py"), HERE.parent / "unit/node/link/test_join.py"]

# HTTP/2 and gRPC, protobuf, signatures and notes, certificates and joining.
ROWS = [*range(1, 85)]


def numbers() -> set[int]:
    """The rows that are the name of a case, of a test, or in a test's own words."""
    found = {int(name.split()[0]) for name in test_signatures.ROWS}
    for page in PAGES:
        text = page.read_text("utf-8")
        found.update(int(number) for number in re.findall(r'f?"(\d{1,3}) [^"]', text))
        found.update(int(number) for number in re.findall(r"^def test_(\d+)_", text, re.MULTILINE))
        for words in re.findall(r'^    """[^"]*\(rows? ([^)]+)\)', text, re.MULTILINE):
            found.update(int(number) for number in re.findall(r"\d+", words))
    return found


def test_no_row_is_left_out() -> None:
    """Whoever removes the last case of a row is told."""
    assert sorted(set(ROWS) - numbers()) == []
