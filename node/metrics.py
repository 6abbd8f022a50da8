"""Figures for Prometheus, read when they are asked for and never kept.

Served by a thread of its own, so that a slow scraper holds nothing up. Every label
has few values: a peer is the parent or a direct child, a problem goes by its code.
Names and units follow https://prometheus.io/docs/practices/naming/.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import (
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from yidao.api.local.v1 import node_pb2
from yidao.node.clock import system_clock_ms
from yidao.node.errors import NodeError
from yidao.node.store.committimes import CommitTimes

Status = Callable[[], node_pb2.StatusResponse]


class MetricsPortTaken(NodeError):
    """The address of the metrics is in use or may not be used (params: address)."""

    code = "METRICS_PORT_TAKEN"


class NodeCollector(Collector):
    """What a node says of itself, as metrics.

    Args:
        status: Gives the node's status; called in the server's threads.
        times: How long commits took.
        data: The data folder, for the room that is left.
        clock_ms: Unix milliseconds.
    """

    def __init__(
        self, status: Status, times: CommitTimes, data: Path, clock_ms: Callable[[], int]
    ) -> None:
        self._status = status
        self._times = times
        self._data = data
        self._clock_ms = clock_ms

    def collect(self) -> Iterator[Metric]:
        """Give every figure once."""
        status = self._status()
        kind = "test" if status.test_network else "real"
        about = {"version": status.version, "path": status.path, "network_kind": kind}
        yield InfoMetricFamily("yidao_node", "What this node is.", value=about)
        for name, text, value in self._figures(status):
            yield GaugeMetricFamily(name, text, value=value)
        yield from _links(status)
        ending = GaugeMetricFamily(
            "yidao_expiry_seconds", "Until something ends, the first of its kind.", labels=["kind"]
        )
        first = {each.kind: each.until_ms for each in reversed(status.expiries)}
        for kind, until_ms in sorted(first.items()):
            ending.add_metric([kind], (until_ms - self._clock_ms()) / 1000)
        yield ending
        yield HistogramMetricFamily(
            "yidao_commit_seconds",
            "How long commits took, with their fsync.",
            buckets=self._times.buckets(),
            sum_value=self._times.sum_seconds,
        )
        problems = GaugeMetricFamily("yidao_problems", "Open problems.", labels=["code"])
        for code, count in sorted(Counter(each.code for each in status.problems).items()):
            problems.add_metric([code], count)
        yield problems

    def _figures(self, status: node_pb2.StatusResponse) -> tuple[tuple[str, str, float], ...]:
        behind = max(status.last_position - status.applied_position, 0)
        left = (status.certificate_until_ms - self._clock_ms()) / 1000
        missing = max(status.receipts_expected - status.receipts_current, 0)
        free = shutil.disk_usage(self._data).free
        return (
            ("yidao_store_position", "Number of the last record committed.", status.last_position),
            ("yidao_store_records", "Records held, own and foreign.", status.records),
            ("yidao_projection_lag_records", "Records committed and not folded yet.", behind),
            ("yidao_receipts_missing", "Own journals that lack the parent's receipt.", missing),
            ("yidao_certificate_expiry_seconds", "Until the certificate ends.", left),
            ("yidao_disk_free_bytes", "Room left where the store lies.", free),
        )


def _links(status: node_pb2.StatusResponse) -> tuple[Metric, ...]:
    labels = ["peer", "role"]
    connected = GaugeMetricFamily(
        "yidao_link_connected", "1 while records can flow, else 0.", labels=labels
    )
    lag = GaugeMetricFamily(
        "yidao_link_lag_records", "Records that wait for the peer.", labels=labels
    )
    seen = GaugeMetricFamily(
        "yidao_link_last_seen_timestamp_seconds",
        "When the peer was heard of last; 0 if never since the start.",
        labels=labels,
    )
    for peer in status.peers:
        names = [peer.path, peer.role]
        connected.add_metric(names, float(peer.state == "connected"))
        lag.add_metric(names, peer.lag)
        seen.add_metric(names, peer.last_seen_ms / 1000)
    return connected, lag, seen


@contextmanager
def served(address: str, data: Path, status: Status, times: CommitTimes) -> Iterator[None]:
    """Serve the metrics of a node at `host:port` while the context is open.

    Raises:
        MetricsPortTaken: Nothing can listen there.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(NodeCollector(status, times, data, system_clock_ms))
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError:
        raise MetricsPortTaken(address=address) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
