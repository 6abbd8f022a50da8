"""Writes `docs/reliability.md` from what the campaigns counted, `build/faults.json`.

    python -m tests.faults.page

It says what was run, and nothing of what was not: a campaign without a run has no line.
"""

import json
import re
from pathlib import Path
from typing import Final

from tests.faults.report import REPORT, Entry

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN: Final = "<!-- counts: written by `python -m tests.faults.page` -->"
END: Final = "<!-- end of counts -->"


def table(found: dict[str, Entry]) -> str:
    """Give the counts as a table, a line for each campaign."""
    lines = [
        "| campaign | runs | counted | newest |",
        "|---|---|---|---|",
    ]
    for name, entry in sorted(found.items(), key=lambda each: _order(each[0])):
        rest = {key: value for key, value in entry.items() if key not in ("runs", "newest")}
        told = ", ".join(f"{key} {_written(value)}" for key, value in rest.items())
        lines.append(f"| {name} | {entry['runs']} | {told} | {entry.get('newest', '')} |")
    return "\n".join(lines)


def _order(name: str) -> tuple[int, str]:
    """By the number of the test, R4 before R12."""
    number = re.match(r"R(\d+)", name)
    return (999 if number is None else int(number[1]), name)


def _written(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def main() -> None:
    """Put the table between the marks of the page."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = table(json.loads(REPORT.read_text("utf-8")))
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
