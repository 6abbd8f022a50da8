"""The table of `make bench`: one row for each thing that is measured, with its target.

A row is made of runs (at least `LEAST_RUNS`, else it says so) and, where it has a yardstick,
of one ratio a run: what was measured divided by the yardstick that was measured in turn
with it. Its figures are medians. Rows are kept in `build/bench.json` as they come, so that
a call that measures some rows leaves the others as they were, with the day of theirs.
"""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

REPORT: Final = Path(__file__).parents[2] / "build" / "bench.json"
LEAST_RUNS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a row has to reach.

    Attributes:
        limit: The figure.
        sense: `least` if more is better, `most` if less is.
        of: Whether it is the median ratio or the median value that counts.
    """

    limit: float
    sense: Literal["least", "most"]
    of: Literal["ratio", "value"] = "ratio"

    def reached(self, row: "Row") -> bool:
        """Whether a row reaches it."""
        figure = row.ratio if self.of == "ratio" else row.value
        assert figure is not None, "a target of ratios needs ratios"
        return figure >= self.limit if self.sense == "least" else figure <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.sense == "least" else "<="
        return f"{sign} {self.limit:g}{' x' if self.of == 'ratio' else ''}"


def at_least(limit: float, of: Literal["ratio", "value"] = "ratio") -> Target:
    """More is better."""
    return Target(limit=limit, sense="least", of=of)


def at_most(limit: float, of: Literal["ratio", "value"] = "ratio") -> Target:
    """Less is better."""
    return Target(limit=limit, sense="most", of=of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        name: Unique, such as `live against the ceiling`.
        unit: Of the value, such as `records/s`.
        runs: The value of each run.
        ratios: Of each run to the yardstick of that run; empty if there is none.
        yardstick: What the ratio is to.
        target: None if the row only tells.
        note: Versions, batch sizes, durability: what nobody should have to guess.
    """

    name: str
    unit: str
    runs: tuple[float, ...]
    ratios: tuple[float, ...] = ()
    yardstick: str = ""
    target: Target | None = None
    note: str = ""

    @property
    def value(self) -> float:
        """The median of the runs."""
        return statistics.median(self.runs)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios."""
        return statistics.median(self.ratios) if self.ratios else None

    def as_json(self) -> dict[str, object]:
        """What stands in the report."""
        return {
            "value": _rounded(self.value),
            "unit": self.unit,
            "ratio": None if self.ratio is None else _rounded(self.ratio),
            "yardstick": self.yardstick,
            "target": None if self.target is None else str(self.target),
            "reached": None if self.target is None else self.target.reached(self),
            "runs": [_rounded(run) for run in self.runs],
            "ratios": [_rounded(ratio) for ratio in self.ratios],
            "note": self.note + ("" if len(self.runs) >= LEAST_RUNS else " (FEWER THAN 5 RUNS)"),
            "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
        }


class Rows:
    """The rows of one call."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, object]] = {}

    def add(self, row: Row) -> None:
        """Keep a row; a target of it that is not reached is shown, and fails nothing."""
        assert row.name not in self.found, f"two rows are called {row.name}"
        self.found[row.name] = row.as_json()

    def add_missing(self, name: str, unit: str, why: str) -> None:
        """Keep a row that could not be measured, such as that of a peer that is not installed."""
        assert name not in self.found, f"two rows are called {name}"
        nothing = dict.fromkeys(("value", "ratio", "target", "reached"))
        self.found[name] = nothing | {"unit": unit, "runs": [], "ratios": [], "note": why}

    def save(self) -> dict[str, dict[str, object]]:
        """Write the report and return all that it holds now."""
        kept = json.loads(REPORT.read_text("utf-8")) if REPORT.exists() else {}
        kept.update(self.found)
        REPORT.parent.mkdir(exist_ok=True)
        text = json.dumps(dict(sorted(kept.items())), indent=2, ensure_ascii=False)
        REPORT.write_text(text + "\n", encoding="utf-8")
        return kept


def lines(rows: dict[str, dict[str, object]]) -> Sequence[str]:
    """Give the table as text, a line for each row."""
    head = ("row", "value", "unit", "ratio", "target", "reached")
    table = [head]
    for name, row in sorted(rows.items()):
        reached = {True: "yes", False: "NO", None: ""}[row["reached"]]  # type: ignore[index]
        value = "not measured" if row["value"] is None else row["value"]
        cells = (value, row["unit"], row["ratio"], row["target"])
        table.append((name, *("" if cell is None else str(cell) for cell in cells), reached))
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]


def _rounded(figure: float) -> float:
    """Four digits that count."""
    return float(f"{figure:.4g}")
