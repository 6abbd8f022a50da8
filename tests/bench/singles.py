"""Publishes single records, in a process of its own, and says what each took.

`one`: one at a time from one client; prints `commit receipt` in seconds for each: from the
call to the answer that says durable, and from there to the receipt of the parent.
`unary`: the same by the call for one request; prints the seconds of each.
`many`: so many streams with one record in flight each; prints records a second.
"""

import asyncio
import sys
import time
from pathlib import Path

import grpc.aio
import uvloop

from tests.bench.publisher import WAIT_SECONDS, body
from yidao.api.local.v1 import records_pb2, records_pb2_grpc
from yidao.node.client import Client, NewRecord
from yidao.node.client.publishing import mint_record_id


def request(actor: str, number: int) -> records_pb2.AppendRequest:
    """One record of 1 KB."""
    record = records_pb2.NewRecord(
        record_id=mint_record_id(),
        kind="app.meter.reading",
        object=f"meter/{number}",
        version=1,
        parts=[records_pb2.NewPart(name="core", body=body(number))],
    )
    return records_pb2.AppendRequest(actor=actor, reach=15, records=[record])


def one(socket: str, actor: str, count: int) -> None:
    """Wait for each record's receipt before the next."""
    with Client.open(socket) as client, client.publisher(actor=actor) as publisher:
        for number in range(count):
            record = NewRecord(kind="app.meter.reading", object=f"m/{number}", body=body(number))
            started = time.perf_counter()
            size = publisher.send([record]).result().size
            durable = time.perf_counter()
            if not publisher.wait_received(size, WAIT_SECONDS):
                raise SystemExit("no receipt in time")
            print(durable - started, time.perf_counter() - durable)


def unary(socket: str, actor: str, count: int) -> None:
    """By the call that is a convenience."""
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        stub = records_pb2_grpc.RecordsServiceStub(channel)
        for number in range(count):
            started = time.perf_counter()
            stub.Publish(request(actor, number))
            print(time.perf_counter() - started)


async def many(socket: str, actor: str, streams: int, seconds: float) -> None:
    """Each stream sends its next record once the one before is durable."""
    done, until = 0, 0.0
    ready = asyncio.Event()

    async def write(channel: grpc.aio.Channel, number: int) -> None:
        nonlocal done
        call = records_pb2_grpc.RecordsServiceStub(channel).Append()
        await call.write(request(actor, number))
        await _answer(call)
        await ready.wait()
        while time.perf_counter() < until:
            await call.write(request(actor, number))
            await _answer(call)
            done += 1
        await call.done_writing()
        call.cancel()

    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        tasks = [asyncio.create_task(write(channel, number)) for number in range(streams)]
        await asyncio.sleep(1.0)
        until = time.perf_counter() + seconds
        ready.set()
        await asyncio.gather(*tasks)
    print(done / seconds)


async def _answer(call: "grpc.aio.StreamStreamCall[object, records_pb2.AppendResponse]") -> None:
    """Read until the answer that is no word of a receipt."""
    while True:
        response = await call.read()
        assert isinstance(response, records_pb2.AppendResponse), "the stream ended"
        assert not response.error.code, response.error.code
        if response.positions:
            return


def main() -> None:
    """Take how, socket, path and count (streams and seconds for `many`)."""
    how, socket, path, *rest = sys.argv[1:]
    actor = f"meter@{path}"
    assert Path(socket).is_socket()
    if how == "one":
        one(socket, actor, int(rest[0]))
    elif how == "unary":
        unary(socket, actor, int(rest[0]))
    else:
        uvloop.run(many(socket, actor, int(rest[0]), float(rest[1])))


if __name__ == "__main__":
    main()
