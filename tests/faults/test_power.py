"""R4: the power fails at a random moment; what was acknowledged before is on the disk.

Both daemons live on one file system in an image file. They are held for the moment that
it takes to copy the image: the copy is what the disk had then. What only the kernel knew
is not in it.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults import disks, invariants, tracing
from tests.faults.daemons import Load, Nursery, Pair, wait_until
from tests.faults.disks import make_image, mounted
from tests.faults.report import record
from tests.faults.tracing import copy_synced, traced

pytestmark = pytest.mark.e2e
IMAGE_MIB = 96
#: The long campaign is run in slices of so many copies, 1,000 in all.
SLICES, COPIES = 20, 50


class Machine:
    """The machine that both daemons run on, of whose disk copies are made.

    Args:
        pair: It does not run yet.
        image: The file that holds the disk; None if nothing can be mounted here. Then
            strace tells what was written and not synced.
    """

    def __init__(self, pair: Pair, image: Path | None) -> None:
        self.pair = pair
        self._image = image
        self._stack = ExitStack()
        self._outputs: list[Path] = []

    def start(self, *, careless: bool) -> None:
        """Start both; careless ones do not sync what they commit."""
        if self._image is not None:
            # What was copied here is on the disk before anything happens.
            subprocess.run(["sync", "--file-system", self.pair.folder], check=True)
        shims = ["careless"] if careless else []
        for each in self.pair.both:
            if self._image is None:
                trace = traced(each, starting=True, shims=shims)
                self._outputs.append(self._stack.enter_context(trace))
            else:
                each.begin(shims=shims)
        self.pair.start()

    def stop(self) -> None:
        """Kill both."""
        self.pair.kill()
        self._stack.close()

    @contextmanager
    def cut(self, folder: Path) -> Iterator[tuple[Path, Path]]:
        """Cut the power, as a copy sees it: gives the folders of root and office then."""
        if self._image is None:
            homes = folder / "root", folder / "office"
            with self._held():
                for each, home, output in zip(self.pair.both, homes, self._outputs, strict=True):
                    copy_synced(each.folder, home, output)
            yield homes
            for home in homes:
                shutil.rmtree(home)
            return
        image = folder / "copy.img"
        with self._held():
            subprocess.run(["cp", "--sparse=always", self._image, image], check=True)
        with mounted(image, folder / "copy") as there:
            yield there / "n" / "root", there / "n" / "office"
        image.unlink()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Let both daemons stand still."""
        for each in self.pair.both:
            os.kill(each.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in self.pair.both:
                os.kill(each.pid, signal.SIGCONT)


@pytest.fixture(params=["image", "traced"])
def machine(
    request: pytest.FixtureRequest, nursery: Nursery, pattern: Pair, tmp_path: Path
) -> Iterator[Machine]:
    """Two daemons that do not run yet, on a disk that can be copied; each way where it works."""
    why_not = disks.why_not() if request.param == "image" else tracing.why_not()
    if why_not:
        pytest.skip(why_not)
    with ExitStack() as stack:
        disk = tmp_path / "disk"
        disk.mkdir()
        image = None
        if request.param == "image":
            image = make_image(tmp_path / "disk.img", mib=IMAGE_MIB)
            stack.enter_context(mounted(image, disk))
        made = Machine(pattern.copy(nursery, disk / "n"), image)
        stack.callback(made.stop)
        yield made


def _campaign(machine: Machine, folder: Path, copies: int, seed: int) -> tuple[int, list[str]]:
    """Cut the power so often under load; gives how many records were lost, and what else."""
    chance = random.Random(seed)
    acked = machine.pair.office.acked
    lost, others = 0, []
    with Load(machine.pair.office, rows_a_call=2, pause_seconds=0.03) as load:
        wait_until("the load runs", lambda: len(acked) > 10)
        for _ in range(copies):
            time.sleep(chance.uniform(0.0, 0.1))
            promised = list(acked)
            with machine.cut(folder) as (root, office), load.paused():
                found = invariants.check([root, office], acked={office: promised})
            gone = [fault for fault in found if fault.startswith("LOST")]
            lost += len(gone)
            others += [fault for fault in found if fault not in gone]
    return lost, others


def _run(machine: Machine, folder: Path, copies: int, seed: int) -> None:
    machine.start(careless=False)
    lost, others = _campaign(machine, folder, copies, seed)
    acked = machine.pair.newly_acked()
    record("R4 power-loss copies", copies=copies, acked=acked, lost=lost)
    assert acked
    assert (lost, others) == (0, [])


@pytest.mark.parametrize("machine", ["image"], indirect=True)
def test_a_power_cut_loses_nothing_acked(machine: Machine, tmp_path: Path) -> None:
    """What was acknowledged before the copy is in it, and both ends agree."""
    _run(machine, tmp_path, 30, 0)


@pytest.mark.long
@pytest.mark.parametrize("part", range(SLICES))
def test_a_thousand_power_cuts_lose_nothing_acked(
    machine: Machine, tmp_path: Path, part: int
) -> None:
    """The same a thousand times, by each of the ways to cut the power."""
    _run(machine, tmp_path, COPIES, part + 1)


@pytest.mark.parametrize("machine", ["image"], indirect=True)
def test_the_cuts_bite(machine: Machine, tmp_path: Path) -> None:
    """The control: daemons that do not sync their commits lose acknowledged records."""
    machine.start(careless=True)
    lost, _ = _campaign(machine, tmp_path, 3, 0)
    assert lost
    record("R4 control: synchronous=NORMAL must lose", copies=3, lost=lost)


@pytest.mark.long
@pytest.mark.parametrize("machine", ["traced"], indirect=True)
def test_the_traced_cuts_bite(machine: Machine, tmp_path: Path) -> None:
    """The same control for the way without a mounted image."""
    machine.start(careless=True)
    lost, _ = _campaign(machine, tmp_path, 3, 0)
    assert lost
