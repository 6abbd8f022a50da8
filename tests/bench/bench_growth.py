"""What a long history costs: the same work on a young store and on an old one, in turn.

`YIDAO_BENCH_RECORDS` is how many records the old store gets (10,000,000, which takes 10 GB
and its time; a smaller one stands in the row's name), `YIDAO_BENCH_WAITING` how many wait
for the parent that is away.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench.country import Country, resident_mebibytes
from tests.bench.rows import Row, Rows, at_most
from yidao.node.store.values import Draft
from yidao.sync.ids import CHANCE_BYTES, Lane, new_record_id

YOUNG, OLD, WAITING = 10_000, 10_000_000, 1_000_000
RUNS, COMMITS, BATCH = 7, 4, 500
PAGE, PROOFS, RESUMED = 1_000, 20, 5_000
FRAME_BYTES = 256 * 1024
MIB_A_100_000 = 2.0


def test_growth(rows: Rows, new_node: Callable[..., Any]) -> None:
    """10,000 records against as many as were asked for, step by step of ten times as many."""
    most = int(os.environ.get("YIDAO_BENCH_RECORDS", OLD))
    young, old, parent = new_node("/33"), new_node("/33"), new_node("/")
    for node in (young, old):
        node.start()
    _grow(young, YOUNG)
    size = YOUNG * 10
    while True:
        seconds = _grow(old, size)
        _measure(rows, young, old, parent, f"{size:,} records")
        print(f"{size:,} records: {seconds:.0f} s to get there")
        if size >= most:
            break
        size = min(size * 10, most)
    _start(rows, old, size)


def _in_time(drafts: Sequence[Draft]) -> list[Draft]:
    """Give the ids that a node mints: by the time, so that their index grows at its end."""
    now_ms = time.time_ns() // 1_000_000
    return [
        replace(draft, record_id=new_record_id(now_ms, os.urandom(CHANCE_BYTES)))
        for draft in drafts
    ]


def _grow(node: Any, size: int) -> float:
    # In the commits that are measured: what a record costs goes by the segment that it lies in.
    started = time.perf_counter()
    tenth = 0
    while (there := node.store.last_position()) < size:
        node.append(_in_time(node.drafts(BATCH)))
        if there * 10 // size > tenth:
            tenth = there * 10 // size
            print(f"{there:,} of {size:,} records", flush=True)
    return time.perf_counter() - started


def _measure(rows: Rows, young: Any, old: Any, parent: Any, name: str) -> None:
    """Do each thing on both stores in turn."""
    for what, work in (
        ("append", _append),
        ("resume", lambda node: _resume(node, parent)),
        ("page", _page),
        ("evidence", _evidence),
    ):
        pairs = [(work(old), work(young)) for _ in range(RUNS)]
        rows.add(
            Row(
                name=f"growth, {what} at {name}",
                unit="µs/record",
                runs=tuple(mine * 1e6 for mine, _ in pairs),
                ratios=tuple(mine / yours for mine, yours in pairs),
                yardstick=f"a store of {YOUNG:,} records",
                target=at_most(1.2),
                note=f"commits of {BATCH}, frames of {FRAME_BYTES // 1024} KiB, pages of {PAGE}",
            )
        )
    proofs = sorted(seconds for _ in range(10) for seconds in _proofs(old))
    rows.add(
        Row(
            name=f"growth, proof p99 at {name}",
            unit="ms",
            runs=(proofs[int(len(proofs) * 0.99)] * 1_000,),
            target=at_most(5, of="value"),
            note=f"of {len(proofs)} proofs; median {statistics.median(proofs) * 1_000:.2f} ms",
        )
    )


def _append(node: Any) -> float:
    drafts = [_in_time(node.drafts(BATCH)) for _ in range(COMMITS)]
    started = time.perf_counter()
    for batch in drafts:
        node.append(batch)
    return (time.perf_counter() - started) / COMMITS / BATCH


def _resume(node: Any, parent: Any) -> float:
    """What a child reads when its parent comes back that lacks the newest records."""
    last = node.store.last_position()
    started = time.perf_counter()
    node.store.told(parent.peer)
    scanned, records = last - RESUMED, 0
    while scanned < last:
        items, scanned = node.store.read_lane(parent.peer, Lane.BULK, scanned, last, FRAME_BYTES)
        records += sum(len(item.seal.headers) for item in items)
    # The segment in which the newest ones begin is left out.
    assert records >= RESUMED - BATCH
    return (time.perf_counter() - started) / records


def _page(node: Any) -> float:
    """Pages from places all over the history."""
    last = node.store.last_position()
    started = time.perf_counter()
    read = 0
    for part in range(5):
        read += len(node.store.records(last * part // 6, PAGE))
    return (time.perf_counter() - started) / read


def _evidence(node: Any) -> float:
    return statistics.median(_proofs(node))


def _proofs(node: Any) -> Iterator[float]:
    last = node.store.last_position()
    for part in range(PROOFS):
        position = 2 + (last - 3) * part // PROOFS
        started = time.perf_counter()
        node.store.prove(position)
        yield time.perf_counter() - started


def _start(rows: Rows, node: Any, size: int) -> None:
    """Close the store and open it again."""
    runs = [node.restart() for _ in range(5)]
    rows.add(
        Row(
            name=f"growth, start-up at {size:,} records",
            unit="s",
            runs=tuple(runs),
            target=at_most(5, of="value"),
            note="the store alone: opened, bound, its writer started",
        )
    )


def test_memory(rows: Rows, tmp_path: Path) -> None:
    """A daemon takes in records that its parent, who is away, does not fetch."""
    waiting = int(os.environ.get("YIDAO_BENCH_WAITING", WAITING))
    country = Country(tmp_path, 1)
    try:
        country.publish()
        county = country.counties[0]
        country.city.stop()
        clerk = country.clerk(county, "units", 0, waiting, 2_847)
        clerk.go()
        sizes = []
        while clerk.is_busy:
            time.sleep(1)
            assert county.process is not None
            with county.client() as client:
                records = client.status().records
            sizes.append((records, resident_mebibytes(county.process.pid)))
        assert clerk.taken() == waiting
    finally:
        country.stop()
    # The first half fills caches that have a bound.
    half = [each for each in sizes if each[0] > waiting / 2]
    slope = statistics.linear_regression(*zip(*half, strict=True)).slope
    rows.add(
        Row(
            name=f"memory while {waiting:,} records wait",
            unit="MiB/100,000 records",
            runs=(slope * 100_000,),
            target=at_most(MIB_A_100_000, of="value"),
            note=f"slope over the second half; {half[0][1]:.0f} to {half[-1][1]:.0f} MiB resident",
        )
    )
