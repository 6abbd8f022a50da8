"""Bad lines between real daemons: nothing acknowledged is lost, twice, or out of order."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.faults import network
from tests.faults.daemons import Pair
from tests.faults.links import DOWN, PARENT_ADDRESS, UP, Proxy, Space, lacks
from tests.faults.network import Field, spread

pytestmark = pytest.mark.e2e

# A test cannot wait as an office can: see `Hub._limits` for what follows of it.
_HASTE: Final = {
    "YIDAO_KEEPALIVE_SECONDS": "1",
    "YIDAO_KEEPALIVE_TIMEOUT_SECONDS": "1",
    "YIDAO_BACKOFF_MIN_SECONDS": "0.05",
    "YIDAO_BACKOFF_MAX_SECONDS": "0.1",
}
# As offices run.
_PATIENCE: Final = {
    "YIDAO_KEEPALIVE_SECONDS": "30",
    "YIDAO_KEEPALIVE_TIMEOUT_SECONDS": "10",
}
# What a new connection carries before its first record is acknowledged, a little less.
_STREAM_BYTES: Final = {UP: 6_500, DOWN: 5_500}


@contextmanager
def stand(pair: Pair, settings: Mapping[str, str]) -> Iterator[Field]:
    """Let a parent and its child stand in namespaces, where there are some, and start."""
    root, office = pair.both
    for daemon in pair.both:
        daemon.settings.update(settings)
    with ExitStack() as stack:
        if lacks():
            space, namespace, address = None, "", ("127.0.0.1", root.link_port)
        else:
            space = stack.enter_context(Space())
            namespace, address = space.parent, (PARENT_ADDRESS, root.link_port)
            for daemon, name in ((root, space.parent), (office, space.child)):
                daemon.before = [("tests.faults.links:enter", name)]
            root.settings["YIDAO_LISTEN"] = f"{PARENT_ADDRESS}:{root.link_port}"
        proxy = stack.enter_context(Proxy(address, namespace))
        direct = f"{address[0]}:{address[1]}"
        office.settings["YIDAO_PARENT_ADDRESS"] = direct if space else proxy.address
        stack.callback(pair.kill)
        pair.start()
        yield Field(pair, space, proxy)


@pytest.fixture
def here(pair: Pair) -> Iterator[Field]:
    """A parent and its child that notice within seconds what is wrong."""
    with stand(pair, _HASTE) as made:
        yield made


@pytest.fixture
def as_offices_run(pair: Pair) -> Iterator[Field]:
    """A parent and its child with the times of real offices."""
    with stand(pair, _PATIENCE) as made:
        yield made


def test_lines_of_every_kind(here: Field, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """A parent and its child go through every bad line in turn; in the end both hold the same."""
    draw = random.Random(16)
    cuts = {way: spread(size, 10, draw) for way, size in _STREAM_BYTES.items()}
    phases: dict[str, Callable[[], object]] = {
        "R16": lambda: network.bad_line(here, 10),
        "R17": lambda: network.killed(here, 6),
        "R18": lambda: network.reset(here, 4),
        "R59 partition": lambda: network.partition(here, 1),
        "R71 black hole": lambda: network.black_hole(here),
        "R71 64 kbit/s": lambda: network.slow(here, 4, 3),
        "through the proxy": here.dial_through_proxy,
        "R59 half open": lambda: network.half_open(here),
        "R59 stopped": lambda: network.stopped(here),
        "R19": lambda: network.cut_everywhere(here, cuts),
        "R45": lambda: network.away(here, 300, 100),
    }
    for name, phase in phases.items():
        with subtests.test(name):
            phase()
    network.ends_clean(here, tmp_path / "control")


@pytest.mark.long
def test_a_bad_line_for_ten_minutes(here: Field, tmp_path: Path) -> None:
    """R16 as it is written."""
    network.bad_line(here, 600, seconds=600)
    network.ends_clean(here, tmp_path / "control")


@pytest.mark.long
def test_a_line_that_is_killed_five_hundred_times(here: Field, tmp_path: Path) -> None:
    """R17 and R18 as they are written."""
    network.killed(here, 500)
    network.reset(here, 200)
    network.ends_clean(here, tmp_path / "control")


@pytest.mark.long
@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_line_that_is_cut_after_every_byte(here: Field, tmp_path: Path, direction: str) -> None:
    """R19: handshake, hello, resume and records, and the cut after each of their bytes."""
    here.dial_through_proxy()
    network.cut_everywhere(here, {direction: list(range(1, _STREAM_BYTES[direction] + 1_500))})
    network.ends_clean(here, tmp_path / "control")


@pytest.mark.long
def test_lines_that_part_again_and_again(here: Field, tmp_path: Path) -> None:
    """R59: each direction, black holes, half open lines and a parent that stands still."""
    for _ in range(20):
        network.partition(here, 1)
        network.black_hole(here)
    here.dial_through_proxy()
    for _ in range(20):
        network.half_open(here)
        network.stopped(here)
    network.ends_clean(here, tmp_path / "control")


@pytest.mark.long
def test_a_slow_line_with_the_times_of_offices(as_offices_run: Field, tmp_path: Path) -> None:
    """R71: a backlog of many batches goes through 64 kbit/s without a lost line."""
    here = as_offices_run
    # Its first dial may have come before its parent's port was open.
    before = network.losses(here.pair.office)
    network.slow(here, 10, 150)
    assert network.losses(here.pair.office) == before
    network.ends_clean(here, tmp_path / "control")


@pytest.mark.long
def test_a_parent_that_is_away_for_long(here: Field, tmp_path: Path) -> None:
    """R45: memory does not grow with what waits, once the writer's page cache of 64 MB is full."""
    memory = network.away(here, 120_000, 500)
    late = memory[len(memory) * 3 // 4 :]
    grown_kib = sum(late[-10:]) / 10 - sum(late[:10]) / 10
    assert grown_kib < 4_096, memory
    network.ends_clean(here, tmp_path / "control")
