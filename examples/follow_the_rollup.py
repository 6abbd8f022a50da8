"""Follow the totals: `python examples/follow_the_rollup.py FOLDER FORM PERIOD`.

A fourth argument says how often to look, once a second; 60 times otherwise.
A line is printed whenever something has changed.
"""

import sys
import time
from pathlib import Path

from yidao.node.client import Client, RollUp


def describe(seen: RollUp) -> str:
    """Counts, sums that are not zero, and how long the journals were that all of it rests on."""
    sums = seen.accepted.fields if seen.accepted.returns else seen.submitted.fields
    figures = " ".join(f"{name}={value}" for name, value in sorted(sums.items()) if float(value))
    rests_on = sum(frontier.size for frontier in seen.frontiers)
    counts = f"{seen.submitted.returns} submitted, {seen.accepted.returns} accepted"
    return f"{counts}; {figures or 'nothing yet'}; rests on {rests_on} records"


def main(folder: Path, form: str, period: str, looks: int = 60) -> None:
    """Print the totals now, and again each time that they have changed."""
    said = ""
    with Client.open(folder / "local.sock") as client:
        for look in range(looks):
            if look:
                time.sleep(1)
            now = describe(client.roll_up(pack="energy", form=form, period=period))
            if now != said:
                print(now, flush=True)
                said = now


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], *map(int, sys.argv[4:]))
