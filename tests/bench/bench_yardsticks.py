"""The yardsticks by themselves, without targets: what this machine and the peers reach today.

Yidao's own rows measure them again, in turn with Yidao.
"""

from collections.abc import Callable

import pytest

from tests.bench import ceiling, echo, peers
from tests.bench.rows import LEAST_RUNS, Row, Rows

RECORDS = 50_000
# Each record is fsynced twice over, so these take as long as ten times as many.
FSYNCED = 5_000
SINGLES = 500
Figure = Callable[[], float]


def add(rows: Rows, name: str, unit: str, figure: Figure, note: str) -> None:
    """Measure a row without a yardstick."""
    runs = tuple(figure() for _ in range(LEAST_RUNS))
    rows.add(Row(name=name, unit=unit, runs=runs, note=note))


def add_latency(rows: Rows, name: str, latency: Callable[[int], list[float]], note: str) -> None:
    """Measure p50 and p99 of single records."""
    took = [sorted(latency(SINGLES)) for _ in range(LEAST_RUNS)]
    for label, part in (("p50", 0.5), ("p99", 0.99)):
        runs = tuple(each[int(part * (SINGLES - 1))] * 1_000 for each in took)
        rows.add(Row(name=f"{name} latency {label}", unit="ms", runs=runs, note=note))


def test_yardstick_ceiling(rows: Rows) -> None:
    """Bare parts, wired together."""
    add(rows, "ceiling live", "records/s", lambda: ceiling.live(RECORDS), ceiling.NOTE)
    add(rows, "ceiling catching up", "records/s", lambda: ceiling.catch_up(RECORDS), ceiling.NOTE)
    add_latency(rows, "ceiling", ceiling.latency, ceiling.NOTE)


def test_yardstick_echo(rows: Rows) -> None:
    """GRPC alone."""
    add(rows, "bare echo, 200 streams", "messages/s", lambda: echo.echo(200, 2), echo.NOTE)


@pytest.mark.parametrize(
    ("name", "find", "records"),
    [
        ("NATS of PATH", peers.nats_on_path, RECORDS),
        ("NATS 2.14", lambda: peers.nats_of_wheel(always=False), RECORDS),
        ("NATS 2.14 always", lambda: peers.nats_of_wheel(always=True), FSYNCED),
        ("PostgreSQL", peers.postgresql, RECORDS),
    ],
)
def test_yardstick_peer(
    rows: Rows, name: str, find: Callable[[], peers.Peer | None], records: int
) -> None:
    """Another system moves the same records."""
    peer = find()
    if peer is None:
        rows.add_missing(f"{name} live", "records/s", "not installed here")
        return
    add(rows, f"{name} live", "records/s", lambda: peer.live(records), peer.note)
    add(rows, f"{name} drain", "records/s", lambda: peer.drain(records), peer.note)
    add_latency(rows, name, peer.latency, peer.note)


def test_yardstick_one_by_one(rows: Rows) -> None:
    """A client that waits for each acknowledgement, where each record is fsynced."""
    name, peer = "NATS 2.14 always, one by one", peers.nats_of_wheel(always=True)
    if peer is None:
        rows.add_missing(name, "records/s", "not installed here")
        return
    add(rows, name, "records/s", peer.one_by_one, peer.note)
