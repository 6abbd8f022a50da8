"""A bare gRPC echo over many open streams: what the calls alone cost that small writers make.

Server and client are processes of their own over a unix socket, both on uvloop. Each stream
has one message under way; a message is a protobuf of 1 KB, parsed and answered as it came.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Final

import grpc
import uvloop
from google.protobuf.wrappers_pb2 import BytesValue

from tests.bench.processes import LONGEST_SECONDS, await_go, line_of, started, tell

MESSAGE_BYTES: Final = 1024
NOTE: Final = (
    f"bare echo: grpc.aio {grpc.__version__} with uvloop, unix socket, no TLS, one channel, "
    f"protobuf messages of {MESSAGE_BYTES} B, one under way on each stream"
)


def echo(streams: int = 200, seconds: float = 3.0) -> float:
    """Messages a second that are answered, over all streams together."""
    with tempfile.TemporaryDirectory(prefix="yidao-echo-") as folder:
        address = f"unix:{folder}/echo"
        with started(__name__, "serve", address) as server:
            line_of(server)
            arguments = (address, str(streams), str(seconds))
            with started(__name__, "call", *arguments) as caller:
                line_of(caller)
                tell(caller)
                return float(line_of(caller))


async def serve(address: str) -> None:
    """Answer until ended."""

    async def answer(
        requests: AsyncIterator[BytesValue], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[BytesValue]:
        async for request in requests:
            yield request

    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(
        answer, BytesValue.FromString, BytesValue.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("echo", {"Echo": handler}),)
    )
    server.add_insecure_port(address)
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination(LONGEST_SECONDS)


async def call(address: str, streams: int, seconds: float) -> None:
    """Open the streams, then send on each as soon as it was answered, for so many seconds."""
    message = BytesValue(value=bytes(range(256)) * (MESSAGE_BYTES // 256))
    async with grpc.aio.insecure_channel(address) as channel:
        method = channel.stream_stream(
            "/echo/Echo", BytesValue.SerializeToString, BytesValue.FromString
        )
        calls = [method() for _ in range(streams)]
        for each in calls:
            await each.write(message)
            await each.read()
        await_go()
        start = time.perf_counter()
        counts = await asyncio.gather(*(_ask(each, message, start + seconds) for each in calls))
        print(sum(counts) / (time.perf_counter() - start), flush=True)


async def _ask(
    stream: grpc.aio.StreamStreamCall[BytesValue, BytesValue], message: BytesValue, end: float
) -> int:
    count = 0
    while time.perf_counter() < end:
        await stream.write(message)
        assert await stream.read() == message
        count += 1
    return count


def main() -> None:
    """Be one of the two processes."""
    role, address, *numbers = sys.argv[1:]
    work = serve(address) if role == "serve" else call(address, int(numbers[0]), float(numbers[1]))
    uvloop.run(asyncio.wait_for(work, LONGEST_SECONDS))


if __name__ == "__main__":
    main()
