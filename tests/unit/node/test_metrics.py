"""Metrics: what Prometheus reads, and that it can read it."""

import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from yidao.api.local.v1 import node_pb2
from yidao.node.demo.tree import free_ports
from yidao.node.metrics import MetricsPortTaken, served
from yidao.node.store.committimes import BOUNDS_SECONDS, CommitTimes

STATUS = node_pb2.StatusResponse(
    path="/33",
    version="0.1.0",
    last_position=120,
    applied_position=100,
    records=120,
    receipts_current=3,
    receipts_expected=5,
    test_network=True,
    peers=[
        node_pb2.Peer(path="/", role="parent", state="lost", lag=7, last_seen_ms=1_500),
        node_pb2.Peer(path="/33/3301", role="child", state="connected"),
    ],
    problems=[node_pb2.Problem(code=code) for code in ("SEAL_FORK", "SEAL_FORK", "LINK_REFUSED")],
)
TIMES = CommitTimes()
EXPECTED = {
    ("yidao_store_position",): 120,
    ("yidao_store_records",): 120,
    ("yidao_projection_lag_records",): 20,
    ("yidao_receipts_missing",): 2,
    ("yidao_link_connected", "/", "parent"): 0,
    ("yidao_link_connected", "/33/3301", "child"): 1,
    ("yidao_link_lag_records", "/", "parent"): 7,
    ("yidao_link_last_seen_timestamp_seconds", "/", "parent"): 1.5,
    ("yidao_problems", "SEAL_FORK"): 2,
    ("yidao_problems", "LINK_REFUSED"): 1,
    ("yidao_node_info", "test", "/33", "0.1.0"): 1,
}


def read(address: str) -> dict[tuple[str, ...], float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_prometheus_reads_what_the_node_says(tmp_path: Path) -> None:
    """Each figure under its name, with labels of few values; the process's own beside them."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with served(address, tmp_path, lambda: STATUS, TIMES):
        found = read(address)
    assert {key: found[key] for key in EXPECTED} == EXPECTED
    assert found["yidao_disk_free_bytes",] > 0
    assert found["yidao_certificate_expiry_seconds",] < 0
    assert found["process_resident_memory_bytes",] > 0
    assert {key[0].split("_")[0] for key in found} == {"yidao", "process"}


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """The node says which address; after the end the port is free again."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with served(address, tmp_path, lambda: STATUS, TIMES):
        with (
            pytest.raises(MetricsPortTaken) as taken,
            served(address, tmp_path, lambda: STATUS, TIMES),
        ):
            pass
        assert taken.value.params == {"address": address}
    with served(address, tmp_path, lambda: STATUS, TIMES):
        assert read(address)


def test_commits_are_counted_by_how_long_they_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in every bucket that it fits; one that failed is no commit."""
    moments = iter([0.0, 0.003, 1.0, 1.04, 2.0, 42.0, 50.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments))
    times = CommitTimes()
    for _ in range(3):
        with times.measured():
            pass
    with pytest.raises(OSError, match="disk"), times.measured():
        raise OSError("disk")
    monkeypatch.undo()
    counts = dict(times.buckets())
    assert (counts["0.0025"], counts["0.005"], counts["0.05"]) == (0, 1, 2)
    assert (counts["10.0"], counts["+Inf"]) == (2, 3)
    assert len(counts) == len(BOUNDS_SECONDS) + 1
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with served(address, tmp_path, lambda: STATUS, times):
        found = read(address)
    assert found["yidao_commit_seconds_bucket", "0.05"] == 2
    assert found["yidao_commit_seconds_count",] == 3
    assert found["yidao_commit_seconds_sum",] == pytest.approx(40.043)
