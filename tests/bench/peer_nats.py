"""The peer NATS JetStream: a leaf node's stream, which a stream of the hub has as its source.

Both have file storage. By default nothing is fsynced before it is acknowledged (only every two
minutes); with `sync_interval: always`, which 2.10 and later know, each record is. There is no
TLS, no signature and no Merkle tree.
"""

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.nats_client import UNDER_WAY, NatsClient, NatsError, patience, ready

RECORD_BYTES: Final = 1024
SUBJECT: Final = "in.record"
POLL_SECONDS: Final = 0.002
LEAF: Final = {"name": "IN", "subjects": ["in.>"], "storage": "file"}
HUB: Final = {
    "name": "ALL",
    "storage": "file",
    "sources": [{"name": "IN", "external": {"api": "$JS.leaf.API"}}],
}


class Nats:
    """A server program to measure with. Every call starts both sides on empty folders.

    Args:
        program: The executable.
        always: Whether each record is fsynced before it is acknowledged.
    """

    def __init__(self, program: Path, *, always: bool) -> None:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        self.version = told.stdout.split("v")[-1].strip()
        self.note = (
            f"NATS JetStream {self.version}, leaf stream and hub stream that sources it, files, "
            f"{'sync_interval always' if always else 'NO fsync (only every 2 minutes)'}, no TLS, "
            f"no signatures, {RECORD_BYTES} B, {UNDER_WAY} records under way, each acknowledged"
        )
        self._program = program
        self._always = always

    def live(self, records: int = 50_000) -> float:
        """Records a second from the first one published at the leaf to the last one at the hub."""
        with self._pair() as (leaf, hub):
            _follow(leaf, hub)
            bodies = records_of(records)
            start = time.perf_counter()
            leaf.publish_all(SUBJECT, bodies)
            _await(hub, records + 1)
            return records / (time.perf_counter() - start)

    def drain(self, records: int = 50_000) -> float:
        """Records a second from the creation of the hub's stream until it holds all.

        They wait in the leaf's stream.
        """
        with self._pair() as (leaf, hub):
            leaf.publish_all(SUBJECT, records_of(records))
            start = time.perf_counter()
            hub.request("$JS.API.STREAM.CREATE.ALL", **HUB)
            _await(hub, records)
            return records / (time.perf_counter() - start)

    def one_by_one(self, records: int = 2_000) -> float:
        """Records a second where the client waits for the leaf's acknowledgement of each.

        The clock stops with the last acknowledgement; what goes up meanwhile is not waited for.
        """
        with self._pair() as (leaf, hub):
            _follow(leaf, hub)
            bodies = records_of(records)
            start = time.perf_counter()
            for body in bodies:
                leaf.publish(SUBJECT, body)
                leaf.message()
            taken = time.perf_counter() - start
            _await(hub, records + 1)
            return records / taken

    def latency(self, count: int = 500) -> list[float]:
        """Seconds from publishing one record at the leaf to its delivery by the hub's stream."""
        with self._pair() as (leaf, hub):
            _follow(leaf, hub)
            config = {"deliver_subject": hub.inbox, "ack_policy": "none", "deliver_policy": "new"}
            hub.request("$JS.API.CONSUMER.CREATE.ALL", stream_name="ALL", config=config)
            took = []
            for body in records_of(count):
                start = time.perf_counter()
                leaf.publish(SUBJECT, body)
                assert hub.message() == body
                took.append(time.perf_counter() - start)
                leaf.message()
            return took

    @contextmanager
    def _pair(self) -> Iterator[tuple[NatsClient, NatsClient]]:
        """Start hub and leaf, give a client of each, the leaf's with its stream."""
        with tempfile.TemporaryDirectory(prefix="yidao-nats-") as folder:
            hub_port, leaf_port, link_port = free_ports(3)
            link = f"127.0.0.1:{link_port}"
            hub_link: dict[str, object] = {"listen": link}
            leaf_link: dict[str, object] = {"remotes": [{"url": f"nats://{link}"}]}
            with (
                self._server(Path(folder), "hub", hub_port, hub_link) as hub,
                self._server(Path(folder), "leaf", leaf_port, leaf_link) as leaf,
            ):
                _await_link(hub)
                leaf.request("$JS.API.STREAM.CREATE.IN", **LEAF)
                yield leaf, hub

    @contextmanager
    def _server(
        self, folder: Path, domain: str, port: int, link: dict[str, object]
    ) -> Iterator[NatsClient]:
        jetstream: dict[str, object] = {"store_dir": str(folder / domain), "domain": domain}
        if self._always:
            jetstream["sync_interval"] = "always"
        config = {
            "server_name": domain,
            "listen": f"127.0.0.1:{port}",
            "jetstream": jetstream,
            "leafnodes": link,
        }
        path = folder / f"{domain}.conf"
        path.write_text(json.dumps(config), "utf-8")
        with (folder / f"{domain}.log").open("wb") as log:
            process = subprocess.Popen([self._program, "-c", path], stderr=log)
        try:
            with ready(port) as client:
                yield client
        finally:
            process.kill()
            process.wait()


def records_of(count: int) -> list[bytes]:
    """Records that differ from each other and do not compress."""
    return [number.to_bytes(8) + os.urandom(RECORD_BYTES - 8) for number in range(count)]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _await_link(hub: NatsClient) -> None:
    """Wait until the leaf's JetStream answers at the hub."""
    for _ in patience(0.02):
        try:
            hub.request("$JS.leaf.API.INFO")
        except NatsError:
            continue
        return
    raise TimeoutError("the leaf did not connect")


def _follow(leaf: NatsClient, hub: NatsClient) -> None:
    """Create the hub's stream and see a first record arrive in it."""
    hub.request("$JS.API.STREAM.CREATE.ALL", **HUB)
    leaf.publish_all(SUBJECT, records_of(1))
    _await(hub, 1)


def _await(hub: NatsClient, records: int) -> None:
    """Wait until the hub's stream holds so many records."""
    for _ in patience(POLL_SECONDS):
        state = hub.request("$JS.API.STREAM.INFO.ALL")["state"]
        if state["messages"] >= records:  # type: ignore[index]
            return
    raise TimeoutError("the hub does not hold all records", records)
