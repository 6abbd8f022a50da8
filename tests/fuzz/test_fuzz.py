"""Decoders that a peer reaches before it is trusted survive whatever they are handed.

`make test` mutates good samples by a fixed seed; `make test-long` runs a campaign
guided by coverage for each target. An input that once broke something stays in
`tests/fuzz/found/<target>/` and is tried first.
"""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

HERE = Path(__file__).parent
MUTATIONS = 400
CAMPAIGN_SECONDS = 300
# Values at which lengths and counts turn over.
EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def mutations(seed: bytes, rng: random.Random) -> Iterator[bytes]:
    """Cut, flip, repeat, insert, and set bytes to edge values, several at a time."""
    for _ in range(MUTATIONS):
        data = bytearray(seed)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data) + 1)
            match rng.randrange(5):
                case 0:
                    del data[at:]
                case 1:
                    data[at : at + 1] = bytes([rng.choice(EDGES)])
                case 2:
                    data[at:at] = rng.randbytes(rng.randint(1, 16))
                case 3:
                    data[at:at] = data[at : at + rng.randint(1, 64)]
                case _:
                    data[at : at + rng.randint(1, 16)] = b""
        yield bytes(data)


#: The part of mutations that may be read, of targets for which it is more than a quarter.
LOOSE = {"question": 0.97, "join-request": 0.97, "proof": 0.6}


def test_what_was_found_once_is_tried_again() -> None:
    """Each folder is that of a target, and holds something."""
    folders = list((HERE / "found").iterdir())
    assert {folder.name for folder in folders} <= TARGETS.keys()
    assert all(any(folder.iterdir()) for folder in folders)


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_sample_is_accepted(name: str) -> None:
    """The samples reach past the first check: what is mutated was good."""
    assert all(TARGETS[name].survives(seed) for seed in TARGETS[name].seeds)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_samples_are_refused_by_a_typed_error_or_read(name: str) -> None:
    """No other exception comes out, and most mutations are noticed.

    `LOOSE`: what holds bytes that are checked later, with the key that they are of.
    """
    target = TARGETS[name]
    for found in sorted((HERE / "found" / name).glob("*")):
        target.survives(found.read_bytes())
    rng = random.Random(name)
    tried = [data for seed in target.seeds for data in mutations(seed, rng)]
    accepted = sum(target.survives(data) for data in tried)
    assert accepted < len(tried) * LOOSE.get(name, 0.25)


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_a_campaign_finds_nothing(name: str) -> None:
    """Five minutes guided by coverage; what was learnt is kept for the next campaign."""
    folder = HERE.parents[1] / "build" / "fuzz" / name
    done = subprocess.run(
        [sys.executable, str(HERE / "campaign.py"), name, str(CAMPAIGN_SECONDS), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert "stat::number_of_executed_units" in done.stderr
