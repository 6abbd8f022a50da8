"""Publishes records of 1 KB at a node, in a process of its own.

Prints the seconds it took, and when it began, by the clock that all processes share.
"""

import secrets
import sys
import time

from yidao.node.client import Client, NewRecord
from yidao.node.client.publishing import mint_record_id

BODY_BYTES = 1024
WAIT_SECONDS = 300.0


def body(number: int) -> bytes:
    """A reading of 1 KB whose bytes do not repeat."""
    start = b'{"reading": %d, "sample": "' % number
    return start + secrets.token_hex((BODY_BYTES - len(start) - 2) // 2).encode() + b'"}'


def main() -> None:
    """Take socket, path, count, batch and `received` or `durable` from the command line."""
    socket, path, count, batch, until = sys.argv[1:]
    records = [
        NewRecord(
            kind="app.meter.reading",
            object=f"meter/{number}",
            body=body(number),
            record_id=mint_record_id(),
        )
        for number in range(int(count))
    ]
    size = int(batch)
    with Client.open(socket) as client, client.publisher(actor=f"meter@{path}") as publisher:
        started = time.monotonic()
        flying = [publisher.send(records[at : at + size]) for at in range(0, len(records), size)]
        last = flying[-1].result().size
        for each in flying:
            each.result()
        if until == "received" and not publisher.wait_received(last, WAIT_SECONDS):
            raise SystemExit("no receipt in time")
        print(time.monotonic() - started)
        print(started)


if __name__ == "__main__":
    main()
