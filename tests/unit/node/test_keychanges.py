"""The four steps of a change of keys, each of them cut short where it hurts most."""

import asyncio
import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest

from yidao.node.errors import KeyTainted
from yidao.node.keychanges import (
    KeyChanges,
    KeyChangeUnwitnessed,
    KeysNotPrepared,
    KeysUnknown,
    settled,
)
from yidao.node.keys import FIRST_EPOCH, Identity, KeyFolder, key_names
from yidao.node.store.errors import EpochNotLive
from yidao.node.store.store import Store
from yidao.node.store.values import Draft
from yidao.sync.enrolment import Enrolment
from yidao.sync.epoch import Cause
from yidao.sync.ids import Lane, NetworkId, NodeId, Path
from yidao.sync.suite import ED25519_SHA256, Ed25519Signer

OPERATOR = "admin@/33"
NOW_MS = 1_790_000_000_000


class Cut(Exception):
    """The process ended here."""


class Machine:
    """A node's folder and store, which can be started again."""

    def __init__(self, data: FilePath) -> None:
        self.data = data
        self.folder = KeyFolder.create(data)
        self._bytes = itertools.count(1)
        journal, cosign = key_names(FIRST_EPOCH)
        self.folder.write_identity(
            Identity(
                network=NetworkId(bytes(range(16))),
                node_id=NodeId(hashlib.sha256(b"sample province").digest()[:16]),
                path=Path.parse("/33"),
                epoch=FIRST_EPOCH,
                suite=ED25519_SHA256,
                journal=self.folder.write_signer(journal, self.random(32)),
                cosign=self.folder.write_signer(cosign, self.random(32)),
            )
        )
        root = [Ed25519Signer(hashlib.sha256(name).digest()) for name in (b"journal", b"cosign")]
        self.root = Enrolment(
            node_id=NodeId(hashlib.sha256(b"sample root").digest()[:16]),
            path=Path(),
            journal_key=root[0].public_key,
            cosign_key=root[1].public_key,
        )
        self.told = 0
        self.store: Store
        self.start()

    def random(self, size: int) -> bytes:
        return hashlib.sha512(next(self._bytes).to_bytes(8)).digest()[:size]

    def start(self) -> None:
        """Start as a daemon does."""
        url = f"sqlite:///{self.data}/store.db"
        self.store = Store.open(url, clock_ms=lambda: NOW_MS, random=self.random)
        self.store.bind(settled(self.store, self.folder), (self.root,))
        self.store.start()
        self.changes = KeyChanges(self.store, self.folder, self.random, self.tell)

    def restart(self) -> None:
        self.store.close()
        self.start()

    async def tell(self) -> None:
        self.told += 1

    def states(self) -> dict[str, str]:
        return {pair.keys: pair.state.value for pair in self.changes.pairs()}

    def write(self, name: str) -> str:
        """Append a record and say in which epoch."""
        draft = Draft(
            record_id=hashlib.sha256(name.encode()).digest()[:16],
            kind="test.thing.made",
            actor=OPERATOR,
            object_id="thing/1",
            object_version=1,
            created_ms=NOW_MS,
        )
        return self.store.run(lambda tx: tx.append("up:15", [draft]))[0].journal.epoch

    def rotate(self) -> None:
        asyncio.run(self.changes.prepare())
        asyncio.run(self.changes.activate(operator=OPERATOR))

    def parent_holds_all(self) -> None:
        peer = self.store.enrolled_at(Path())
        assert peer is not None
        last = self.store.last_position()
        self.store.run(lambda tx: tx.peer_acked(peer, Lane.CONTROL, last))


@pytest.fixture
def machine(tmp_path: FilePath) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.store.close()


def test_the_four_steps(machine: Machine) -> None:
    """Nothing changes, then everything is signed anew; the old pair is marked, then gone."""
    prepared = asyncio.run(machine.changes.prepare())
    assert asyncio.run(machine.changes.prepare()) == prepared
    assert machine.states() == {"1": "active", "2": "prepared"}
    assert machine.write("a") == "1"
    active = asyncio.run(machine.changes.activate(operator=OPERATOR))
    assert (active.journal_key, active.witnessed, machine.told) == (prepared.journal_key, False, 1)
    assert machine.write("b") == "2"
    assert machine.states() == {"1": "retired", "2": "active"}
    asyncio.run(machine.changes.taint("1"))
    with pytest.raises(KeyTainted):
        machine.folder.load_epoch(machine.store.identity, "1", "1")
    with pytest.raises(KeyChangeUnwitnessed):
        asyncio.run(machine.changes.revoke("1"))
    machine.parent_holds_all()
    asyncio.run(machine.changes.revoke("1"))
    assert machine.states() == {"1": "revoked", "2": "active"}
    assert not any(machine.folder.has(name) for name in key_names("1"))
    # Each of the last two again changes nothing.
    asyncio.run(machine.changes.revoke("1"))
    machine.restart()
    assert machine.write("c") == "2"
    opened = [r for r in machine.store.records(0, 99) if r.header.kind == "node.epoch.opened"]
    assert {record.header.actor for record in opened} == {OPERATOR}
    assert machine.store.scrub().faults == ()


OUT_OF_ORDER: dict[str, tuple[Callable[[Machine], Any], type[Exception]]] = {
    "activate what is not there": (
        lambda m: m.changes.activate(operator=OPERATOR),
        KeysNotPrepared,
    ),
    "taint the active pair": (lambda m: m.changes.taint("1"), KeysUnknown),
    "taint a pair that never was": (lambda m: m.changes.taint("7"), KeysUnknown),
    "revoke the active pair": (lambda m: m.changes.revoke("1"), KeysUnknown),
}


@pytest.mark.parametrize(("step", "error"), OUT_OF_ORDER.values(), ids=OUT_OF_ORDER)
def test_steps_out_of_order_are_refused(
    machine: Machine, step: Callable[[Machine], Any], error: type[Exception]
) -> None:
    """And nothing has happened."""
    with pytest.raises(error):
        asyncio.run(step(machine))
    assert machine.states() == {"1": "active"}


def fails_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """Let the process end before the n-th call of a method of the key folder."""
    calls, real = itertools.count(1), getattr(KeyFolder, name)

    def cut(self: KeyFolder, *args: Any) -> Any:
        if next(calls) == call:
            raise Cut
        return real(self, *args)

    monkeypatch.setattr(KeyFolder, name, cut)


def prepare(machine: Machine) -> Any:
    return machine.changes.prepare()


def activate(machine: Machine) -> Any:
    asyncio.run(machine.changes.prepare())
    return machine.changes.activate(operator=OPERATOR)


CUTS: dict[str, tuple[str, int, Callable[[Machine], Any], dict[str, str], str]] = {
    "before the first file of the pair": ("write_signer", 1, prepare, {"1": "active"}, "1"),
    "before the second file of the pair": ("write_signer", 2, prepare, {"1": "active"}, "1"),
    "between the commit and the key folder": (
        "switch_identity",
        1,
        activate,
        {"1": "retired", "2": "active"},
        "2",
    ),
}


@pytest.mark.parametrize(("method", "call", "step", "states", "epoch"), CUTS.values(), ids=CUTS)
def test_a_step_that_is_cut_short_leaves_the_old_or_the_new(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    call: int,
    step: Callable[[Machine], Any],
    states: dict[str, str],
    epoch: str,
) -> None:
    """Started again, the node writes under one of them, and the step can be done again."""
    with monkeypatch.context() as broken:
        fails_at(broken, method, call)
        with pytest.raises(Cut):
            asyncio.run(step(machine))
    machine.restart()
    assert machine.states() == states
    assert machine.write("a") == epoch
    machine.rotate()
    assert machine.write("b") == str(int(epoch) + 1)
    machine.restart()
    assert machine.write("c") == str(int(epoch) + 1)


def test_a_commit_that_fails_leaves_the_old_pair(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses in the middle of the transaction: nothing has happened."""
    asyncio.run(machine.changes.prepare())
    with monkeypatch.context() as broken:

        def cut(*_args: object) -> None:
            raise Cut

        broken.setattr("yidao.node.store.epochs._insert", cut)
        with pytest.raises(Cut):
            asyncio.run(machine.changes.activate(operator=OPERATOR))
    assert machine.states() == {"1": "active", "2": "prepared"}
    assert machine.write("a") == "1"
    machine.restart()
    assert machine.write("b") == "1"
    assert machine.told == 0


def test_a_destruction_that_is_cut_short_is_done_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One half is gone and one is left: the pair is still tainted, and goes next time."""
    machine.rotate()
    machine.parent_holds_all()
    asyncio.run(machine.changes.taint("1"))
    with monkeypatch.context() as broken:
        fails_at(broken, "destroy", 2)
        with pytest.raises(Cut):
            asyncio.run(machine.changes.revoke("1"))
    machine.restart()
    assert machine.states() == {"1": "tainted", "2": "active"}
    asyncio.run(machine.changes.revoke("1"))
    assert machine.states() == {"1": "revoked", "2": "active"}


def test_an_old_key_folder_does_not_start(machine: Machine, tmp_path: FilePath) -> None:
    """Restored without the store, it has no keys of the epoch in which the store writes."""
    old = {file.name: file.read_bytes() for file in machine.folder.path.iterdir()}
    machine.rotate()
    for file in machine.folder.path.iterdir():
        file.unlink()
    for name, data in old.items():
        machine.folder.write(name, data)
    machine.store.close()
    with pytest.raises(EpochNotLive):
        machine.start()


def test_an_epoch_that_keeps_its_keys_is_settled_too(machine: Machine) -> None:
    """A restored node goes on under the same pair; its folder follows the store."""
    fresh = replace(machine.store.identity, epoch="2")
    machine.store.run(lambda tx: tx.open_epoch(fresh, Cause.RESTORED, cut=()))
    machine.restart()
    assert machine.store.identity.epoch == "2"
    assert machine.states() == {"1": "active"}
    assert machine.write("a") == "2"
    machine.rotate()
    assert machine.states() == {"1": "retired", "3": "active"}
