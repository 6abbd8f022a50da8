"""One daemon's part of appending to a store, as a program: several of them share a database.

    python -m tests.bench.appending URL BATCHES BATCH

Opens the store, says `ready`, waits for a line, appends, and says `done` once all is durable.
"""

import hashlib
import secrets
import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from tests.bench.processes import await_go
from yidao.node.clock import system_clock_ms
from yidao.node.keys import Identity
from yidao.node.logging import configure
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart, Ticket
from yidao.sync.ids import CHANCE_BYTES, NetworkId, NodeId, Path, new_record_id
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

#: Batches under way at once: the next ones are on their way while one is being committed.
WINDOW = 4
#: With what stands around it a record of 1 KB.
CORE_BYTES = 774
CHANNEL = "up:15"


def identity_of(path: str) -> Identity:
    """Give an identity whose keys follow from its path."""
    seed = hashlib.sha256(path.encode()).digest()
    return Identity(
        network=NetworkId(bytes(range(16))),
        node_id=NodeId(seed[:16]),
        path=Path.parse(path),
        epoch="1",
        suite=ED25519_SHA256,
        journal=Ed25519Signer(seed),
        cosign=Ed25519Signer(hashlib.sha256(seed).digest()),
        boxes=(),
    )


def opened(url: str, path: str) -> Store:
    """Open a store and start it alone."""
    store = Store.open(url, clock_ms=system_clock_ms, random=secrets.token_bytes)
    store.bind(identity_of(path))
    store.start()
    return store


def batches_of(count: int, batch: int) -> list[list[Draft]]:
    """Give batches of new records, with ids that begin with their time."""
    now_ms = system_clock_ms()
    return [
        [
            Draft(
                record_id=new_record_id(now_ms, secrets.token_bytes(CHANCE_BYTES)),
                kind="test.thing.made",
                actor="sample@/",
                object_id=f"thing/{number}",
                object_version=1,
                created_ms=now_ms,
                parts=(DraftPart(name="core", body=secrets.token_bytes(CORE_BYTES)),),
            )
            for number in range(batch)
        ]
        for _ in range(count)
    ]


def append_all(store: Store, batches: Sequence[Sequence[Draft]]) -> None:
    """Append batches of records, a few of them under way at once."""
    under_way: deque[Future[list[Ticket]]] = deque()
    for drafts in batches:
        under_way.append(store.append_later(CHANNEL, drafts, list))
        if len(under_way) == WINDOW:
            under_way.popleft().result()
    while under_way:
        under_way.popleft().result()


def main() -> None:
    """Run."""
    # Standard output is for what the bench waits for.
    configure(level="warning", format="console")
    url, count, batch = sys.argv[1:]
    store = opened(url, "/")
    batches = batches_of(int(count), int(batch))
    await_go()
    append_all(store, batches)
    print("done", flush=True)
    store.close()


if __name__ == "__main__":
    main()
