"""Hand one sample return in at a node: `python examples/publish_a_return.py FOLDER USER@PATH`.

The unit and its figures are samples (样例). The node must know the energy standard.
"""

import sys
from pathlib import Path

from yidao.catalog.codes import sample_uscc
from yidao.node.client import Client, Row

UNIT = sample_uscc(7, "330106")
ENTRY = {"uscc": UNIT, "name": "样例单位0007", "region_code": "330106", "inst_type": "01"}
SIZE = {"uscc": UNIT, "period": "2025-Q2", "floor_area": "5000.00", "energy_users": 100}


def main(folder: Path, actor: str) -> int:
    """Hand the rows in and print what became of each; gives 1 if one was refused."""
    # The essential part.
    rows = [
        Row.of("institution", {**ENTRY, "reg_status": "1"}, key="erp-unit-0007"),
        Row.of("profile", SIZE, period="2025-Q2", key="erp-2025-0007", row=2),
    ]
    with Client.open(folder / "local.sock") as client:
        # A unit must be registered before it can report, so that is a call of its own.
        results = [client.submit("energy", [row], actor=actor).results[0] for row in rows]

    for result in results:
        print(result.row, result.outcome, [fault.zh for fault in result.faults])
    return int(any(result.outcome == "refused" for result in results))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
