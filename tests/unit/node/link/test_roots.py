"""A node's own copy of the root list, and the keys of holders."""

import contextlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path as FilePath

import pytest

from yidao.node.datadir import prepare
from yidao.node.holders import HolderKeyWrong, lock_holder, open_holder
from yidao.node.keys import (
    CA_KEY,
    NEXT_CA_KEY,
    NEXT_ROOT,
    ROOT_CERTIFICATE,
    ROOT_LIST,
    ROOT_STATEMENT,
    KeyFolder,
)
from yidao.node.link.founding import found_network
from yidao.node.link.roots import Roots
from yidao.node.rootlists import stage_certificate
from yidao.node.store.store import Store
from yidao.sync.rootlist import RootList, SignedRootList
from yidao.sync.suite import Ed25519Signer
from yidao.sync.trusterrors import RootListUnsigned, SuitesUnverifiable

NOW_MS = 1_790_000_000_000
HOLDER = Ed25519Signer(sha256(b"sample holder").digest())


def test_a_node_begins_with_the_list_of_its_bundle_or_does_not_start(tmp_path: FilePath) -> None:
    """Signed, it counts from then on; unsigned, or with an unknown suite, nothing starts."""
    data = prepare(tmp_path / "node")
    now = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    identity, folder = found_network(data, now=now, random=os.urandom), KeyFolder(data)
    store = Store.open(f"sqlite:///{data}/store.db", clock_ms=lambda: NOW_MS, random=os.urandom)

    def listed(version: int, *suites: int) -> SignedRootList:
        return SignedRootList.of(
            RootList(
                network=identity.network,
                version=version,
                issued_ms=NOW_MS,
                expires_ms=NOW_MS + 1,
                threshold=1,
                holders=(HOLDER.public_key,),
                certificates=(folder.read(ROOT_CERTIFICATE),),
                suites=suites,
            )
        )

    alone = Roots(store, folder).load(identity.network)
    assert (alone.root_list, alone.root_pem) == (b"", folder.read(ROOT_CERTIFICATE))
    folder.replace(ROOT_LIST, listed(3, 1).encode())
    with pytest.raises(RootListUnsigned):
        Roots(store, folder).load(identity.network)
    good = listed(3, 1).sign(HOLDER).encode()
    folder.replace(ROOT_LIST, good)
    anchor = Roots(store, folder).load(identity.network)
    assert (anchor.root_list, anchor.statement) == (good, folder.read(ROOT_STATEMENT))
    # An older file, as out of a backup, takes nothing back: the store's newest is written again.
    folder.replace(ROOT_LIST, listed(2, 1).sign(HOLDER).encode())
    assert Roots(store, folder).load(identity.network).root_list == good
    assert folder.read(ROOT_LIST) == good
    folder.replace(ROOT_LIST, listed(4, 1, 250).sign(HOLDER).encode())
    with pytest.raises(SuitesUnverifiable) as caught:
        Roots(store, folder).load(identity.network)
    assert caught.value.params == {"suites": "250"}
    store.close()


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@pytest.mark.parametrize("start", ["as it was left", "as an older program left it"])
def test_a_root_starts_wherever_the_promotion_was_cut_short(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, steps: int, start: str
) -> None:
    """The key that issues is the one that waited, and nothing waits any more."""
    data = prepare(tmp_path / "node")
    now = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    identity, folder = found_network(data, now=now, random=os.urandom), KeyFolder(data)
    waiting = stage_certificate(folder, identity, NOW_MS)
    key = folder.read(NEXT_CA_KEY)
    content = RootList(
        network=identity.network,
        version=1,
        issued_ms=NOW_MS,
        expires_ms=NOW_MS + 1,
        threshold=1,
        holders=(HOLDER.public_key,),
        certificates=tuple(sorted((folder.read(ROOT_CERTIFICATE), waiting))),
        suites=(1,),
    )
    folder.replace(ROOT_LIST, SignedRootList.of(content).sign(HOLDER).encode())
    store = Store.open(f"sqlite:///{data}/store.db", clock_ms=lambda: NOW_MS, random=os.urandom)
    left = [steps]

    def counted(step: Callable[..., None]) -> Callable[..., None]:
        def run(one: KeyFolder, name: str, *rest: bytes) -> None:
            if name in (CA_KEY, NEXT_CA_KEY, NEXT_ROOT):
                if not left[0]:
                    raise PowerLost
                left[0] -= 1
            step(one, name, *rest)

        return run

    with monkeypatch.context() as patched, contextlib.suppress(PowerLost):
        patched.setattr(KeyFolder, "replace", counted(KeyFolder.replace))
        patched.setattr(KeyFolder, "remove", counted(KeyFolder.remove))
        Roots(store, folder).load(identity.network)
    if start == "as an older program left it" and steps == 1:
        folder.remove(NEXT_CA_KEY)
    Roots(store, folder).load(identity.network)
    assert folder.read(CA_KEY) == key
    assert not folder.has(NEXT_ROOT)
    # What may be left is no other key, and the next one takes its place.
    assert not folder.has(NEXT_CA_KEY) or folder.read(NEXT_CA_KEY) == key
    assert stage_certificate(folder, identity, NOW_MS) != waiting
    assert folder.read(NEXT_CA_KEY) != key
    store.close()


class PowerLost(Exception):
    pass


def test_a_holders_key_opens_with_its_passphrase_alone(tmp_path: FilePath) -> None:
    """The same key comes out; another passphrase, a short one, or no such file is refused."""
    seed, salt = bytes(range(32)), bytes(16)
    data, public = lock_holder(seed, salt, "sample passphrase", "key")
    file = tmp_path / "key"
    file.write_bytes(data)
    file.chmod(0o600)
    assert open_holder(file, "sample passphrase").public_key == public
    with pytest.raises(HolderKeyWrong):
        open_holder(file, "another passphrase")
    with pytest.raises(HolderKeyWrong):
        lock_holder(seed, salt, "too short", "key")
    file.write_bytes(data.partition(b"\n")[2])
    with pytest.raises(HolderKeyWrong):
        open_holder(file, "sample passphrase")
