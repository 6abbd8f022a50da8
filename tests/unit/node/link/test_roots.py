"""A node's own copy of the root list, and the keys of holders."""

import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path as FilePath

import pytest

from yidao.node.datadir import prepare
from yidao.node.holders import HolderKeyWrong, lock_holder, open_holder
from yidao.node.keys import ROOT_CERTIFICATE, ROOT_LIST, ROOT_STATEMENT, KeyFolder
from yidao.node.link.founding import found_network
from yidao.node.link.roots import Roots
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
