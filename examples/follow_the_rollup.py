"""Follow the totals: `python examples/follow_the_rollup.py FOLDER FORM PERIOD`.

A line is printed whenever a record of that form and period has come. A fourth
argument says after how many lines to end; it follows for ever otherwise.
"""

import sys
from pathlib import Path

from yidao.node.client import Client, RollUp


def describe(seen: RollUp) -> str:
    """Counts, sums that are not zero, and how long the journals were that all of it rests on."""
    sums = seen.accepted.fields if seen.accepted.returns else seen.submitted.fields
    figures = " ".join(f"{name}={value}" for name, value in sorted(sums.items()) if float(value))
    rests_on = sum(frontier.size for frontier in seen.frontiers)
    counts = f"{seen.submitted.returns} submitted, {seen.accepted.returns} accepted"
    return f"{counts}; {figures or 'nothing yet'}; rests on {rests_on} records"


def main(folder: Path, form: str, period: str, lines: int = 0) -> None:
    """Print the totals now, and again each time that something of theirs has come."""
    # The essential part.
    with Client.open(folder / "local.sock") as client:
        print(describe(client.roll_up(pack="energy", form=form, period=period)), flush=True)
        for number, _ in enumerate(client.follow(forms=[form], periods=[period]), 2):
            print(describe(client.roll_up(pack="energy", form=form, period=period)), flush=True)
            if number == lines:
                break


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], *map(int, sys.argv[4:]))
