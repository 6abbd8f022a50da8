"""The ceiling: what the bare parts reach when they are wired together, and nothing else is done.

    producer --unix socket--> child --mTLS gRPC stream--> parent
                              seals, commits, sends       verifies, commits, acknowledges

Each of the three is a process. A batch is one Merkle step, one signature, one row and one gRPC
message; neither side does anything further with it before its commit returned. Records are
found again by their sequence number. What a product adds is left out: identities,
authorisation, validation, record ids, lanes, receipts that an outsider could check.
"""

import asyncio
import json
import os
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import cryptography
import grpc
import uvloop

from tests.bench.bare_parts import (
    ACKNOWLEDGEMENT,
    AUTOCHECKPOINT_PAGES,
    RECORD_BYTES,
    Store,
    credentials,
    write_credentials,
)
from tests.bench.processes import LONGEST_SECONDS, await_go, line_of, started, tell

BATCH: Final = 500
# Batches under way; 1 costs 40 %, and beyond 8 nothing is gained.
WINDOW: Final = 16
METHOD: Final = ("ceiling", "Relay")
NOTE: Final = (
    f"bare parts: CPython {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version} WAL, "
    f"synchronous=FULL, wal_autocheckpoint {AUTOCHECKPOINT_PAGES} on both sides, SHA-256 Merkle, "
    f"Ed25519 (cryptography {cryptography.__version__}), mTLS gRPC {grpc.__version__} with uvloop, "
    f"records of {RECORD_BYTES} B, batches of {BATCH} as one row and one message"
)


def live(records: int = 50_000, batch: int = BATCH) -> float:
    """Records a second from the first one published to the last one's receipt at the producer.

    They become durable at the child, then verified and durable at the parent, while the
    producer publishes as fast as the child takes them. `records` is a multiple of `batch`.
    """
    with tempfile.TemporaryDirectory(prefix="yidao-ceiling-") as folder:
        return records / measure(Path(folder), "live", records, batch)[0]


def catch_up(records: int = 50_000, batch: int = BATCH) -> float:
    """Records a second from the child's dial to its last acknowledgement.

    They wait at the child, sealed and durable. `records` is a multiple of `batch`.
    """
    with tempfile.TemporaryDirectory(prefix="yidao-ceiling-") as folder:
        return records / measure(Path(folder), "catch-up", records, batch)[0]


def latency(count: int = 500) -> list[float]:
    """Seconds from before the child's commit of one record to its acknowledgement at the child.

    One record is under way at a time; two fsyncs and one round trip are in each figure.
    """
    with tempfile.TemporaryDirectory(prefix="yidao-ceiling-") as folder:
        return measure(Path(folder), "latency", count, 1)


def measure(folder: Path, mode: str, records: int, batch: int) -> list[float]:
    """Measure once, with stores `child.db` and `parent.db` in this folder.

    Returns:
        The seconds that all records took; in the mode `latency` those of each.
    """
    assert records % batch == 0, "the last batch is full, too"
    write_credentials(folder)
    arguments = (str(folder), mode, str(records), str(batch))
    with started(__name__, "parent", *arguments) as parent_process:
        port = line_of(parent_process)
        with started(__name__, "child", *arguments, port) as child_process:
            line_of(child_process)
            if mode == "catch-up":
                tell(child_process)
                return [float(line_of(child_process))]
            with started(__name__, "producer", *arguments) as producer_process:
                line_of(producer_process)
                tell(producer_process)
                seconds = float(line_of(producer_process))
                figures: list[float] = json.loads(line_of(child_process))
                return figures if mode == "latency" else [seconds]


async def parent(folder: Path) -> None:
    """Verify, commit and acknowledge until ended."""
    store = Store(folder / "parent.db")

    async def relay(
        requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        async for message in requests:
            yield store.receive(message)

    server = grpc.aio.server()
    handlers = {METHOD[1]: grpc.stream_stream_rpc_method_handler(relay)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(METHOD[0], handlers),))
    authority, certificate, key = credentials(folder, "parent")
    secure = grpc.ssl_server_credentials([(key, certificate)], authority, True)
    port = server.add_secure_port("127.0.0.1:0", secure)
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination(LONGEST_SECONDS)


async def send(
    folder: Path, port: str, messages: AsyncIterator[bytes], heard: Callable[[bytes], None]
) -> None:
    """Send batches over a new link, `WINDOW` at a time, until all are acknowledged."""
    authority, certificate, key = credentials(folder, "child")
    secure = grpc.ssl_channel_credentials(authority, key, certificate)
    window = asyncio.Semaphore(WINDOW)
    async with grpc.aio.secure_channel(f"localhost:{port}", secure) as channel:
        call = channel.stream_stream("/" + "/".join(METHOD))()

        async def listen() -> None:
            async for acknowledgement in call:
                heard(acknowledgement)
                window.release()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen())
            async for message in messages:
                await window.acquire()
                await call.write(message)
            await call.done_writing()


async def child(folder: Path, mode: str, records: int, batch: int, port: str) -> None:
    """Send what waits or, as it comes, what a producer publishes."""
    store = Store(folder / "child.db")
    heard: list[bytes] = []
    if mode == "catch-up":
        for first in range(0, records, batch):
            store.seal(body_of(first, batch))

        async def waiting() -> AsyncIterator[bytes]:
            for message in store.messages():
                yield message

        await_go()
        start = time.perf_counter()
        await send(folder, port, waiting(), heard.append)
        print(time.perf_counter() - start, flush=True)
    else:
        reader, writer = await accept(folder / "producer", batch)
        began: list[float] = []
        took: list[float] = []

        async def published() -> AsyncIterator[bytes]:
            for _ in range(records // batch):
                body = await reader.readexactly(batch * RECORD_BYTES)
                began.append(time.perf_counter())
                yield store.seal(body)

        def confirm(acknowledgement: bytes) -> None:
            took.append(time.perf_counter() - began[len(took)])
            writer.write(acknowledgement)
            heard.append(acknowledgement)

        await send(folder, port, published(), confirm)
        print(json.dumps(took), flush=True)
    assert heard[-1] == store.acknowledgement(), "the sides hold other records"


async def accept(path: Path, batch: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Wait for the producer on a unix socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        print("ready", flush=True)
        line, _ = await asyncio.get_running_loop().sock_accept(listener)
    return await asyncio.open_connection(sock=line, limit=2 * batch * RECORD_BYTES)


def producer(folder: Path, mode: str, records: int, batch: int) -> None:
    """Publish, and wait for the receipt of all records, or in the mode `latency` of each."""
    bodies = [body_of(first, batch) for first in range(0, records, batch)]
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(LONGEST_SECONDS)
        line.connect(str(folder / "producer"))
        await_go()
        start = time.perf_counter()
        for body in bodies:
            line.sendall(body)
            if mode == "latency":
                await_receipt(line)
        if mode == "live":
            for _ in bodies:
                await_receipt(line)
        print(time.perf_counter() - start, flush=True)


def await_receipt(line: socket.socket) -> None:
    """Wait for one receipt."""
    assert len(line.recv(ACKNOWLEDGEMENT.size, socket.MSG_WAITALL)) == ACKNOWLEDGEMENT.size


def body_of(first: int, count: int) -> bytes:
    """Records that differ from each other and do not compress."""
    return b"".join(
        number.to_bytes(8) + os.urandom(RECORD_BYTES - 8) for number in range(first, first + count)
    )


def main() -> None:
    """Be one of the three processes."""
    role, path, mode, records, batch, *port = sys.argv[1:]
    folder, numbers = Path(path), (int(records), int(batch))
    if role == "producer":
        producer(folder, mode, *numbers)
        return
    work = parent(folder) if role == "parent" else child(folder, mode, *numbers, *port)
    uvloop.run(asyncio.wait_for(work, LONGEST_SECONDS))


if __name__ == "__main__":
    main()
