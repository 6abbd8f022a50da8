"""Makes what is kept of a release: its stores, and what its nodes said to each other.

    python -m tests.upgrade.make_release FOLDER

Run once a release, by that release; what it made is never made again. Three tiers of
stores with fixed keys, clock and random numbers: `nation`, `province`, `city`, each a
compressed SQLite file, and `wire.json` with every frame that was carried between them and
one control message of each kind, as hexadecimal text.
"""

import gzip
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.contract.conftest import Tree, carry
from tests.unit.sync.test_wire import CONTROL
from yidao.sync.message import Frame
from yidao.sync.wire import encode_control, encode_frame

#: Where the nodes stand; the names are those of the files.
PLACES = {"nation": "/", "province": "/33", "city": "/33/3301"}
RECORDS = 60


def make(folder: Path) -> None:
    """Write the files."""
    folder.mkdir(parents=True)
    frames: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        names = iter(PLACES)
        tree = Tree(lambda: f"sqlite:///{scratch}/{next(names)}.db")
        nation = tree.node("/")
        province = tree.node("/33", nation)
        city = tree.node("/33/3301", province)
        for source, target in ((nation, province), (province, city)):
            _carry(source, target, frames)
        for first in range(0, RECORDS, 20):
            drafts = [city.draft(f"{n}", b'{"n": %d}' % n) for n in range(first, first + 20)]
            city.append("up:15", *drafts, city.waiting(f"waits {first}"))
        nation.append("down", nation.draft("an edict"))
        for source, target in (
            (city, province),
            (province, nation),
            (nation, province),
            (province, city),
        ):
            _carry(source, target, frames)
        tree.close()
        for name in PLACES:
            data = (Path(scratch) / f"{name}.db").read_bytes()
            (folder / f"{name}.db.gz").write_bytes(gzip.compress(data, mtime=0))
    control = {name: encode_control(message).hex() for name, message in CONTROL.items()}
    text = json.dumps({"frames": frames, "control": control}, indent=1)
    (folder / "wire.json").write_text(text + "\n")


def _carry(source: Any, target: Any, frames: list[str]) -> None:
    """Carry what the target has not yet, and keep the frames."""
    ingest = target.store.run

    def run(job: Any) -> Any:
        frame = next((each for each in job.__defaults__ or () if isinstance(each, Frame)), None)
        if frame is not None:
            frames.append(encode_frame(frame).hex())
        return ingest(job)

    target.store.run = run
    try:
        carry(source, target)
    finally:
        del target.store.run


if __name__ == "__main__":
    make(Path(sys.argv[1]))
