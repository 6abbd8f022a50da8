"""R53: sealed records that no honest program writes, from above and from below."""

import contextlib
import json
import secrets
from collections.abc import Iterator, Sequence

import pytest

from tests.faults.daemons import Daemon, Pair, rows, wait_until
from tests.faults.report import record
from yidao.node.affairs.catalog import records as catalog
from yidao.node.affairs.directives import records as directives
from yidao.node.client.errors import NodeUnreachable
from yidao.node.keys import KeyFolder
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart

pytestmark = pytest.mark.e2e

DEEP = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
CORES = (
    b"",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    DEEP,
    b'{"number":1e400,"title":NaN}',
    b'{"title":' + b"9" * 100_000 + b"}",
    b'{"title":"a","title":{}}',
    json.dumps({"title": "标" * 30_000, "targets": ["/"] * 5_000}).encode(),
    json.dumps({"number": {}, "title": [], "targets": "/33", "due": -1}).encode(),
)


def test_poison_in_directives_and_in_the_catalogue_stops_nobody(pair: Pair) -> None:
    """It is stored and relayed as evidence; views pass it over, and what follows it counts."""
    pair.start()
    pair.office.submit(rows(1))
    pair.settle()
    down = [*poison(directives.ISSUED), *poison(directives.PASSED_ON)]
    up = [draft for kind in sorted(catalog.STEPS) for draft in poison(kind)]
    up += [draft for kind in sorted(directives.REPORTS) for draft in poison(kind)]
    write(pair.root, directives.DOWN_CHANNEL, down)
    write(pair.office, catalog.UP_CHANNEL, up)
    pair.start()
    with pair.root.client() as client:
        client.issue(actor="sample@/", number="样例1号", title="核对数据", targets=["/33"])
    wait_until("the directive comes", lambda: titles(pair.office) == ["核对数据"])
    with pair.office.client() as client:
        # A search reads every entry that came, and answers.
        client.search_catalog("数据")
    pair.office.submit(rows(3))
    shown: set[str] = set()
    wait_until("both have folded all", lambda: all(is_level(each, shown) for each in pair.both))
    assert "PROJECTION_STALLED" not in shown
    assert pair.healed() == []
    record("R53 poison in directives and catalogue", injected=len(down) + len(up))


def poison(kind: str) -> Iterator[Draft]:
    """Records of a kind whose core is nothing that the kind could be."""
    for number, core in enumerate(CORES):
        for object_id in ("x", f"directive/{'00' * 16}/{number}"):
            yield Draft(
                record_id=secrets.token_bytes(16),
                kind=kind,
                actor="sample@/",
                object_id=object_id,
                object_version=1,
                created_ms=1_750_000_000_000,
                parts=(DraftPart(name="core", body=core),) if core else (),
            )


def write(daemon: Daemon, channel: str, drafts: Sequence[Draft]) -> None:
    """Append with the node's own keys, past every program that would not."""
    url = f"sqlite:///{daemon.folder / 'store.db'}"
    store = Store.open(url, clock_ms=lambda: 1_750_000_000_000, random=secrets.token_bytes)
    with contextlib.closing(store):
        store.bind(KeyFolder(daemon.folder).load_identity())
        store.start()
        store.run(lambda tx: tx.append(channel, drafts))


def titles(daemon: Daemon) -> list[str]:
    """Of the directives that a node knows; none while it does not answer."""
    try:
        with daemon.client() as client:
            return [each.title for each in client.directives()]
    except NodeUnreachable:
        assert daemon.running
        return []


def is_level(daemon: Daemon, shown: set[str]) -> bool:
    """Whether every view has all records; what the node shows to people is noted."""
    status = daemon.status()
    if status is None:
        return False
    shown.update(problem.code for problem in status.problems)
    return status.applied_position == status.last_position
