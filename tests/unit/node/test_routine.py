"""The jobs that every node has do what their names say, on a real store."""

import asyncio
import io
import secrets
from pathlib import Path as FilePath
from types import SimpleNamespace

import orjson
import pytest

from yidao.node.config import load_settings
from yidao.node.jobs import Job
from yidao.node.keys import Identity
from yidao.node.logging import configure
from yidao.node.routine import routine_jobs
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

NOW_MS = 1_795_140_000_000


@pytest.fixture
def store(tmp_path: FilePath):
    identity = Identity(
        network=NetworkId(bytes(16)),
        node_id=NodeId(bytes(range(16))),
        path=Path.parse("/"),
        epoch="1",
        suite=ED25519_SHA256,
        journal=Ed25519Signer(bytes(32)),
        cosign=Ed25519Signer(bytes([1]) * 32),
    )
    opened = Store.open(
        f"sqlite:///{tmp_path}/store.db", clock_ms=lambda: NOW_MS, random=secrets.token_bytes
    )
    opened.bind(identity)
    opened.start()
    yield opened
    opened.close()


def job(store: Store, name: str, folder: FilePath, links: int = 0) -> Job:
    hub = SimpleNamespace(connected=lambda: iter(range(links)))
    server = SimpleNamespace(recheck=None)
    settings = load_settings(None, {}, data_dir=folder)
    [found] = [each for each in routine_jobs(store, hub, server, settings) if each.name == name]
    return found


def write(store: Store) -> None:
    draft = Draft(
        record_id=bytes([7]) * 16,
        kind="sample.note.written",
        actor="sample@/",
        object_id="note/1",
        object_version=1,
        created_ms=NOW_MS,
        parts=(DraftPart(name="core", body=b"x" * 100_000),),
    )
    store.run(lambda tx: tx.append("up:15", [draft]))


def test_the_health_snapshot_says_how_the_node_is(store: Store, tmp_path: FilePath) -> None:
    """One line with position, links and the codes of open problems, each code once."""
    write(store)
    for name in ("a", "b"):
        store.run(lambda tx, name=name: tx.raise_problem("SAMPLE_TROUBLE", what=name))
    lines = io.StringIO()
    configure(format="json", stream=lines)
    try:
        asyncio.run(job(store, "health", tmp_path, links=3).run())
    finally:
        configure()
    [line] = [orjson.loads(text) for text in lines.getvalue().splitlines()]
    assert line["event"] == "node.health.recorded"
    assert (line["position"], line["links"]) == (store.last_position(), 3)
    assert (line["problems"], line["codes"]) == (len(store.problems()), "SAMPLE_TROUBLE")
    assert line["problems"] >= 1


def test_the_log_is_checkpointed_by_the_writer_alone(store: Store, tmp_path: FilePath) -> None:
    """The job queues behind what is being written, and leaves the write-ahead log empty."""
    write(store)
    log = tmp_path / "store.db-wal"
    assert log.stat().st_size > 100_000
    writer = store._running()
    errands: list[object] = []
    queue = writer.errand

    def watched(work):
        errands.append(work)
        return queue(work)

    writer.errand = watched
    asyncio.run(job(store, "wal-checkpoint", tmp_path).run())
    assert len(errands) == 1
    assert log.stat().st_size == 0
