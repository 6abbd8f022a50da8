"""What the campaigns found, in numbers: `build/faults.json`.

A campaign calls `record` once a run. Numbers of one name add up over runs, so that a
long campaign may be run in slices; texts are of the newest run. `make clean` begins anew.
"""

import fcntl
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

REPORT: Final = Path(__file__).parents[2] / "build" / "faults.json"

#: Says how far a long campaign is, to whoever waits for it.
Tell = Callable[[str], None]
Entry = dict[str, int | float | str]


def record(name: str, **counts: float | str) -> None:
    """Add what one run of a campaign counted.

    Args:
        name: Of the campaign, with the number of its test: `R4 power-loss copies`.
        counts: Such as injected, acked, lost, copies, flips; texts say how it was run.
    """
    REPORT.parent.mkdir(exist_ok=True)
    # Several processes test at once.
    with REPORT.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        kept: dict[str, Entry] = json.loads(text) if text else {}
        entry = kept.setdefault(name, {"runs": 0})
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        for key, value in {"runs": 1, **counts, "newest": today}.items():
            before = entry.get(key)
            if isinstance(value, str) or isinstance(before, str) or before is None:
                entry[key] = value
            else:
                entry[key] = before + value
        file.seek(0)
        file.truncate()
        file.write(json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False) + "\n")
