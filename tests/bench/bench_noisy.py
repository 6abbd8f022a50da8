"""A child that has a hundred times its quota to send, and what its sibling feels of it.

The backlog is made while the parent is away, so that the noisy child's own work, which in
life is another machine's, is no part of what is measured; its sending is. Quiet and noisy
are measured in turn, by stopping the noisy child and starting it.
"""

import time
from pathlib import Path

from tests.bench.publisher import BODY_BYTES
from tests.bench.road import Road, fork, settle
from tests.bench.rows import LEAST_RUNS, Row, Rows, at_most
from yidao.node.demo.tree import wait_until

QUOTA_KIB = 64
TIMES = 100
#: What a run may last at most while the backlog is still beyond the quota so many times.
SECONDS = 10
SINGLES = 300


def p99_ms(calm: Road) -> float:
    """From call to receipt of one record at a time, ms, at the 99th percentile."""
    whole = sorted(durable + receipt for durable, receipt in calm.one_by_one(SINGLES))
    return whole[int(SINGLES * 0.99)] * 1_000


def waiting(noisy: Road) -> int:
    """Records that the noisy child has still to send."""
    with noisy.foot.client() as client:
        return sum(peer.lag for peer in client.status().peers)


def test_noisy_child(rows: Rows, tmp_path: Path) -> None:
    """The sibling's p99 with the noisy child, against that without it."""
    values, ratios = [], []
    with fork(tmp_path, QUOTA_KIB) as (noisy, calm):
        least = QUOTA_KIB * 1024 * TIMES * SECONDS // BODY_BYTES
        noisy.root.stop()
        noisy.publish(least * 2, until="durable")
        noisy.root.start()
        for _ in range(LEAST_RUNS):
            noisy.foot.stop()
            settle(calm)
            calm.one_by_one(SINGLES // 10)
            quiet = p99_ms(calm)
            noisy.foot.start()
            wait_until("the noisy child sends", lambda: _is_sending(noisy), 60)
            began = time.monotonic()
            values.append(p99_ms(calm))
            assert time.monotonic() - began <= SECONDS, "the backlog was for a shorter run"
            assert waiting(noisy) > least, "no hundred times its quota waited to the end"
            ratios.append(values[-1] / quiet)
    rows.add(
        Row(
            name="a sibling of a noisy child, p99",
            unit="ms",
            runs=tuple(values),
            ratios=tuple(ratios),
            yardstick="the same while the noisy child is stopped",
            target=at_most(2),
            note=f"{SINGLES} records one at a time, from call to receipt; quota {QUOTA_KIB} KiB/s, "
            f"{TIMES} times that and more waits at the noisy child; all on one machine",
        )
    )


def _is_sending(noisy: Road) -> bool:
    with noisy.foot.client() as client:
        return all(peer.state == "connected" and peer.lag for peer in client.status().peers)
