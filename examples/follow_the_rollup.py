"""Follow the totals: `python examples/follow_the_rollup.py FOLDER FORM PERIOD`.

A line is printed now, and again whenever they have changed. A fourth argument
says after how many lines to end; it follows for ever otherwise.
"""

import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from yidao.node.client import Client, RollUp


def describe(seen: RollUp) -> str:
    """Counts, sums that are not zero, and how long the journals were that all of it rests on."""
    sums = seen.accepted.fields if seen.accepted.returns else seen.submitted.fields
    figures = " ".join(f"{name}={value}" for name, value in sorted(sums.items()) if float(value))
    rests_on = sum(frontier.size for frontier in seen.frontiers)
    counts = f"{seen.submitted.returns} submitted, {seen.accepted.returns} accepted"
    return f"{counts}; {figures or 'nothing yet'}; rests on {rests_on} records"


def changes(client: Client, form: str, period: str) -> Iterator[str]:
    """Give the totals now, and again each time that they are others."""
    # The essential part.
    last = None
    for _ in chain([None], client.follow(forms=[form], periods=[period])):
        now = describe(client.roll_up(pack="energy", form=form, period=period))
        if now != last:
            yield now
        last = now


def main(folder: Path, form: str, period: str, lines: int | None = None) -> None:
    """Print each change of the totals."""
    with Client.open(folder / "local.sock") as client:
        for line in islice(changes(client, form, period), lines):
            print(line, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], *map(int, sys.argv[4:]))
