"""The key folder: what is kept comes back, in full or not at all."""

import contextlib
import os
from pathlib import Path as FilePath

import pytest

from yidao.api.errors import YidaoError
from yidao.node import errors
from yidao.node.datadir import prepare
from yidao.node.keys import COSIGN_KEY, JOURNAL_KEY, Chain, Identity, KeyFolder, key_names
from yidao.sync.ids import NetworkId, NodeId, Path
from yidao.sync.message import EnrolmentProof
from yidao.sync.record import Part
from yidao.sync.sealing import seal


@pytest.fixture
def folder(tmp_path: FilePath) -> KeyFolder:
    """An empty key folder."""
    return KeyFolder.create(prepare(tmp_path / "data"))


def test_identity_comes_back(folder: KeyFolder) -> None:
    """An identity that was written loads with the same signers."""
    identity = Identity(
        network=NetworkId(bytes(range(16))),
        node_id=NodeId(bytes(16)),
        path=Path.parse("/33/3301"),
        epoch="1",
        suite=1,
        journal=folder.write_signer(JOURNAL_KEY, bytes(32)),
        cosign=folder.write_signer(COSIGN_KEY, bytes([1]) * 32),
    )
    folder.write_identity(identity)
    loaded = folder.load_identity()
    assert (identity.network, identity.path) == (loaded.network, loaded.path)
    assert identity.journal.public_key == loaded.journal.public_key
    assert identity.cosign.sign(b"x") == loaded.cosign.sign(b"x")


def test_another_epoch_comes_with_every_key_that_opens_letters(folder: KeyFolder) -> None:
    """A change of keys while the node runs: the new key opens, and so do those before it."""
    identity = Identity(
        network=NetworkId(bytes(range(16))),
        node_id=NodeId(bytes(16)),
        path=Path.parse("/33/3301"),
        epoch="1",
        suite=1,
        journal=folder.write_signer(JOURNAL_KEY, bytes(32)),
        cosign=folder.write_signer(COSIGN_KEY, bytes([1]) * 32),
        boxes=folder.load_box_keys(),
    )
    for number, name in enumerate(key_names("2"), start=2):
        folder.write_signer(name, bytes([number]) * 32)
    fresh = folder.load_epoch(identity, "2", "2")
    for public_key in (identity.cosign.public_key, fresh.cosign.public_key):
        sealed = seal(1, public_key, b"sample", b"letter", os.urandom)
        opened = []
        for box in fresh.boxes:
            with contextlib.suppress(YidaoError):
                opened.append(box.open(b"sample", sealed))
        assert opened == [b"letter"]
    assert len(identity.boxes) == 1


def test_no_identity_yet(folder: KeyFolder) -> None:
    """A folder with keys and no identity holds no node."""
    folder.write_signer(JOURNAL_KEY, bytes(32))
    assert not folder.is_enrolled()
    with pytest.raises(errors.NotEnrolled):
        folder.load_identity()


def test_private_keys_are_standard_files(folder: KeyFolder) -> None:
    """A key is kept as PKCS#8 PEM, which other tools can read."""
    folder.write_signer(JOURNAL_KEY, bytes(32))
    assert folder.read(JOURNAL_KEY).startswith(b"-----BEGIN PRIVATE KEY-----\n")


def test_chain_comes_back(folder: KeyFolder) -> None:
    """A chain is kept byte for byte and may be replaced by a newer one."""
    proof = EnrolmentProof(
        header=b"\x00\xff", core=Part(name="core", salt=bytes(32), body=b"{}"), proof=b"p\n"
    )
    for count in (1, 3):
        chain = Chain(statement=b"statement\n", proofs=(proof,) * count)
        folder.save_chain(chain)
        assert chain == folder.load_chain()


BAD_CHAINS = {
    "no JSON": b"[",
    "a number": b"1",
    "an entry without fields": b"[{}]",
    "a field that is no text": b'[{"header":1,"part":"core","salt":"","body":"","proof":""}]',
    "no base64": b'[{"header":"*","part":"core","salt":"","body":"","proof":""}]',
    "no ASCII": '[{"header":"é","part":"core","salt":"","body":"","proof":""}]'.encode(),
}


@pytest.mark.parametrize("name", BAD_CHAINS)
def test_bad_chain_file(folder: KeyFolder, name: str) -> None:
    """A chain file that was edited or cut off is refused by name."""
    folder.write("root.statement", b"x")
    folder.write("chain.json", BAD_CHAINS[name])
    with pytest.raises(errors.KeyFileMalformed):
        folder.load_chain()


def test_a_write_that_fails_leaves_the_old_file(
    folder: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replacing a file either happens in full or leaves the old content and no litter."""
    folder.write("chain.json", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.FolderNotWritable):
        folder.replace("chain.json", b"new")
    monkeypatch.undo()
    assert folder.read("chain.json") == b"old"
    assert [path.name for path in folder.path.iterdir()] == ["chain.json"]


def test_removing_what_is_not_there(folder: KeyFolder) -> None:
    """Removing is safe to repeat."""
    folder.write("x", b"")
    folder.remove("x")
    folder.remove("x")
    assert not folder.has("x")
