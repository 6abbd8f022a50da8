"""A store whose process is killed in the middle of writing."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.sync.ids import NetworkId, NodeId
from yidao.sync.ids import Path as NodePath
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

# Appends from four threads for ever, and says each position once it is told it.
WRITER = """
import os, sys, threading
from yidao.node.keys import Identity
from yidao.node.store.store import Store
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.suite import Ed25519Signer

url, start = sys.argv[1], int(sys.argv[2])
store = Store.open(url, clock_ms=lambda: 1_000, random=os.urandom)
store.bind(Identity(network=NetworkId(bytes(16)), node_id=NodeId(b"n" * 16), path=Path(),
                    epoch="1", suite=1, journal=Ed25519Signer(b"j" * 32),
                    cosign=Ed25519Signer(b"c" * 32)))
store.start()

def write(lane):
    number = 0
    while True:
        number += 1
        record_id = (start * 10**9 + lane * 10**6 + number).to_bytes(16)
        draft = Draft(record_id=record_id, kind="test.thing.made", actor="sample@/",
                      object_id="thing/x", object_version=1, created_ms=1,
                      parts=(DraftPart(name="core", body=os.urandom(900)),))
        channel = ("up:15", "local")[lane % 2]
        ticket = store.submit(lambda tx: tx.append(channel, [draft])[0]).result()
        os.write(1, f"{record_id.hex()} {ticket.position}\\n".encode())

for lane in range(4):
    threading.Thread(target=write, args=(lane,)).start()
"""


def reopen(url: str) -> Store:
    """Open the store that a killed process left."""
    store = Store.open(url, clock_ms=lambda: 1_000, random=os.urandom)
    store.bind(
        Identity(
            network=NetworkId(bytes(16)),
            node_id=NodeId(b"n" * 16),
            path=NodePath(),
            epoch="1",
            suite=ED25519_SHA256,
            journal=Ed25519Signer(b"j" * 32),
            cosign=Ed25519Signer(b"c" * 32),
        )
    )
    store.start()
    return store


@pytest.mark.parametrize("seed", range(3))
def test_what_was_answered_is_there_after_kill_9(tmp_path: Path, seed: int) -> None:
    """Killed at a random answer, three times over: every answered position is there and sound."""
    url = f"sqlite:///{tmp_path}/store.db"
    chance = random.Random(seed)
    answered: dict[str, int] = {}
    for start in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(start)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        for _ in range(chance.randint(20, 200)):
            answered.update([_answer(child.stdout.readline())])
        child.send_signal(signal.SIGKILL)
        # What it had still said before the signal came counts as answered.
        answered.update(
            _answer(line)
            for line in child.stdout.read().splitlines(keepends=True)
            if line.endswith(b"\n")
        )
        child.wait()
        child.stdout.close()
        store = reopen(url)
        try:
            assert len(answered) >= 20
            found = {record_id: store.lookup(bytes.fromhex(record_id)) for record_id in answered}
            assert found == answered, f"seed {seed}"
            report = store.scrub()
            assert report.faults == (), f"seed {seed}"
            assert report.records == store.last_position()
        finally:
            store.close()


def _answer(line: bytes) -> tuple[str, int]:
    record_id, position = line.split()
    return record_id.decode(), int(position)
