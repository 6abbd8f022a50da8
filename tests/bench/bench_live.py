"""Yidao's road beside the yardsticks: live, catching up, through four tiers, one at a time.

Both are measured in turn, run by run. A daemon keeps its store from run to run, as in life;
the yardsticks begin anew each time.
"""

import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.bench import ceiling, echo, peers
from tests.bench.road import BATCH, Road, road, settle
from tests.bench.rows import LEAST_RUNS, Row, Rows, Target, at_least, at_most

RECORDS = 50_000
FSYNCED = 5_000
SINGLES = 500
NOTE = (
    f"CPython {platform.python_version()}, SQLite WAL synchronous=FULL at both ends, mTLS gRPC "
    f"{grpc.__version__}, records of 1 KB with header, salt and commitment, requests of {BATCH}, "
    "signed seals; daemons and publisher are processes of their own"
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """A child and its parent."""
    with road(tmp_path_factory.mktemp("two")) as made:
        made.publish(BATCH)
        settle(made)
        yield made


def in_turn(
    mine: Callable[[], float], yardstick: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Measure both `LEAST_RUNS` times, one after the other."""
    values, ratios = [], []
    for _ in range(LEAST_RUNS):
        values.append(mine())
        ratios.append(values[-1] / yardstick())
    return values, ratios


def add(
    rows: Rows,
    name: str,
    mine: Callable[[], float],
    yardstick: Callable[[], float],
    target: Target | None,
    against: str,
) -> None:
    """Measure a row of records a second."""
    values, ratios = in_turn(mine, yardstick)
    rows.add(
        Row(
            name=name,
            unit="records/s",
            runs=tuple(values),
            ratios=tuple(ratios),
            yardstick=against,
            target=target,
            note=NOTE,
        )
    )


def live_of(made: Road, records: int = RECORDS) -> Callable[[], float]:
    """A run of records, with the road empty before."""

    def run() -> float:
        settle(made)
        return made.publish(records)

    return run


def test_live_against_the_ceiling(rows: Rows, two: Road) -> None:
    """Published, durable at the child, verified and durable at the parent, receipt at the child."""
    ceil = lambda: ceiling.live(RECORDS)  # noqa: E731 - one line says it
    add(rows, "live against the ceiling", live_of(two), ceil, at_least(0.85), ceiling.NOTE)


def test_live_against_nats(rows: Rows, two: Road) -> None:
    """NATS does not fsync by default."""
    for name, peer in (
        ("NATS of PATH", peers.nats_on_path()),
        ("NATS 2.14", peers.nats_of_wheel(always=False)),
    ):
        row = f"live against {name}, which does not fsync"
        if peer is None:
            rows.add_missing(row, "records/s", "not installed here")
        else:
            add(rows, row, live_of(two), peer.live, at_least(1.0), peer.note)


def test_live_against_nats_always(rows: Rows, two: Road) -> None:
    """In batches of 500 and one at a time, against a record and an fsync each."""
    peer = peers.nats_of_wheel(always=True)
    batches, singles = "live in batches against NATS always", "one by one against NATS always"
    if peer is None:
        rows.add_missing(batches, "records/s", "not installed here")
        rows.add_missing(singles, "records/s", "not installed here")
        return
    add(rows, batches, live_of(two), lambda: peer.live(FSYNCED), at_least(20), peer.note)

    def durable_one_by_one() -> float:
        took = two.one_by_one(SINGLES)
        return len(took) / sum(durable for durable, _ in took)

    one_by_one: Callable[[], float] = peer.one_by_one
    add(rows, singles, durable_one_by_one, one_by_one, at_least(1.0), peer.note)


def test_catching_up(rows: Rows, two: Road) -> None:
    """50,000 records wait at the child; from the moment that its link is up."""
    up = lambda: two.catch_up(RECORDS)  # noqa: E731 - one line says it
    ceil = lambda: ceiling.catch_up(RECORDS)  # noqa: E731 - one line says it
    add(rows, "catching up against the ceiling", up, ceil, at_least(0.85), ceiling.NOTE)
    peer = peers.nats_of_wheel(always=False)
    if peer is None:
        rows.add_missing("catching up against NATS 2.14", "records/s", "not installed here")
    else:
        add(rows, "catching up against NATS 2.14", up, peer.drain, at_least(1.2), peer.note)


def test_four_tiers(rows: Rows, two: Road, tmp_path: Path) -> None:
    """From an agency to the nation, durable and verified at each."""
    with road(tmp_path, tiers=4) as four:
        settle(four)

        def through() -> float:
            settle(four)
            return four.through(RECORDS)

        name = "through four tiers against live between two"
        add(rows, name, through, live_of(two), at_least(0.35), f"live between two nodes; {NOTE}")


def test_latency(rows: Rows, two: Road) -> None:
    """One record at a time, from the call to the parent's receipt at the child."""
    peer = peers.nats_of_wheel(always=True)
    found: dict[str, list[float]] = {
        each: [] for each in ("p50", "p99", "commit", "stream", "unary")
    }
    ratios = []
    for _ in range(LEAST_RUNS):
        took = two.one_by_one(SINGLES)
        whole = sorted(durable + receipt for durable, receipt in took)
        found["p50"].append(whole[SINGLES // 2] * 1_000)
        found["p99"].append(whole[int(SINGLES * 0.99)] * 1_000)
        found["commit"].append(sorted(each for _, each in took)[SINGLES // 2] * 1_000)
        found["stream"].append(sorted(each for each, _ in took)[SINGLES // 2] * 1_000)
        found["unary"].append(sorted(two.unary(SINGLES))[SINGLES // 2] * 1_000)
        if peer is not None:
            # From publishing to delivery, both fsynced.
            theirs = sorted(peer.latency(SINGLES))
            ratios.append(found["p50"][-1] / (theirs[SINGLES // 2] * 1_000))
    tail = tuple(p99 / p50 for p99, p50 in zip(found["p99"], found["p50"], strict=True))
    against = "NATS 2.14 is not installed here" if peer is None else peer.note
    call, commit = "from the call to the receipt", "from the answer `durable` to the receipt"
    for name, span, runs, ratio, yardstick, target in (
        ("latency p50", call, found["p50"], tuple(ratios), against, at_most(1.8)),
        ("latency p99", call, found["p99"], tail, "p50", at_most(4)),
        ("latency from the child's commit, p50", commit, found["commit"], (), "", None),
        ("stream until durable, p50", "from the call to the answer", found["stream"], (), "", None),
        ("unary until durable, p50", "from the call to the answer", found["unary"], (), "", None),
    ):
        rows.add(
            Row(
                name=name,
                unit="ms",
                runs=tuple(runs),
                ratios=ratio,
                yardstick=yardstick,
                target=target if ratio else None,
                note=f"one record under way, {span}; {NOTE}",
            )
        )


def test_small_writers(rows: Rows, two: Road) -> None:
    """200 open streams, one record in flight each."""
    streams, seconds = 200, 3.0
    writers = lambda: two.writers(streams, seconds)  # noqa: E731 - one line says it

    def ungrouped() -> float:
        took = two.one_by_one(SINGLES)
        return len(took) / sum(durable for durable, _ in took)

    alone = "one client, one record in flight: a commit each"
    add(rows, "200 writers against one", writers, ungrouped, at_least(4), alone)
    bare = lambda: echo.echo(streams, seconds)  # noqa: E731 - one line says it
    add(rows, "200 writers against a bare echo", writers, bare, at_least(0.7), echo.NOTE)


def test_writer_in_process(rows: Rows, new_node: Callable[..., Any]) -> None:
    """At the writer itself: jobs of one record each that all wait, against one at a time."""
    node = new_node("/")
    node.start()
    node.append(node.drafts(1))

    def grouped() -> float:
        drafts = node.drafts(10_000)
        started = time.perf_counter()
        flying = [
            node.store.submit(lambda tx, one=one: tx.append("up:15", [one])) for one in drafts
        ]
        for each in flying:
            each.result()
        return len(drafts) / (time.perf_counter() - started)

    def ungrouped() -> float:
        drafts = node.drafts(SINGLES)
        started = time.perf_counter()
        for one in drafts:
            node.store.run(lambda tx, one=one: tx.append("up:15", [one]))
        return len(drafts) / (time.perf_counter() - started)

    against = "the same, each waiting for the one before"
    add(rows, "the writer in process, grouped", grouped, ungrouped, at_least(20), against)
