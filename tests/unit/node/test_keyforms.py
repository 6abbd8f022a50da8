"""Key files of all suites come back as they were written; a file of another kind is refused."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from yidao.node.errors import KeyFileMalformed
from yidao.node.keys import (
    COSIGN_KEY,
    COSIGN_PQ_KEY,
    JOURNAL_KEY,
    STANDARD_KEYS,
    Identity,
    KeyFolder,
    KeyKinds,
)
from yidao.node.keys.forms import read_sm2_pem, sm2_pem
from yidao.sync import sm2
from yidao.sync.ids import NetworkId, NodeId
from yidao.sync.ids import Path as TreePath
from yidao.sync.sealing import seal
from yidao.sync.suite import ED25519_SHA256, ML_DSA_44, SM2_SM3, verify

PRIVATE, PUBLIC = sm2.generate()
KINDS = {
    "suite 1": STANDARD_KEYS,
    "suite 3": KeyKinds(suite=SM2_SM3),
    "suite 3 with a second cosigning key": KeyKinds(suite=SM2_SM3, pq=True),
    "suite 1 with a second cosigning key": KeyKinds(pq=True),
}


def random(size: int) -> bytes:
    return hashlib.shake_256(b"sample randomness").digest(size)


def made(folder: KeyFolder, kinds: KeyKinds) -> Identity:
    """An identity with new keys, written as founding and joining write it."""
    identity = Identity(
        network=NetworkId(bytes(16)),
        node_id=NodeId(b"n" * 16),
        path=TreePath.parse("/33"),
        epoch="1",
        suite=kinds.suite,
        journal=folder.make_signer(JOURNAL_KEY, kinds.suite, random),
        cosign=folder.make_signer(COSIGN_KEY, kinds.suite, lambda n: random(n + 1)[1:]),
        cosign_pq=folder.make_pq_signer(random) if kinds.pq else None,
    )
    folder.write_identity(identity)
    return identity


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS.keys())
def test_an_identity_comes_back_with_its_suite(kinds: KeyKinds, tmp_path: Path) -> None:
    """The same keys, that sign and open as before; every file for its owner alone."""
    folder = KeyFolder.create(tmp_path)
    identity, loaded = made(folder, kinds), folder.load_identity()
    assert loaded.suite == kinds.suite
    for name in ("journal", "cosign"):
        signer = getattr(loaded, name)
        assert signer.public_key == getattr(identity, name).public_key
        verify(kinds.suite, signer.public_key, signer.sign(b"sample"), b"sample")
    assert (loaded.cosign_pq is not None) == kinds.pq
    if loaded.cosign_pq is not None:
        signer = loaded.cosign_pq
        verify(ML_DSA_44, signer.public_key, signer.sign(b"sample"), b"sample")
    sealed = seal(kinds.suite, loaded.cosign.public_key, b"name", b"text", random)
    assert folder.load_box_key().open(b"name", sealed) == b"text"
    assert {file.stat().st_mode & 0o777 for file in folder.path.iterdir()} == {0o600}


def test_a_file_of_sm2_is_what_openssl_reads(tmp_path: Path) -> None:
    """The standard form: another program finds the same curve and the same public key."""
    openssl = shutil.which("openssl")
    assert openssl is not None
    file = tmp_path / "sample.key"
    file.write_bytes(sm2_pem(PRIVATE, PUBLIC))
    told = subprocess.run(
        [openssl, "pkey", "-in", str(file), "-noout", "-text"], capture_output=True, check=True
    ).stdout.decode()
    assert "SM2" in told
    assert PUBLIC[-8:].hex(":") in "".join(told.split())


def test_one_key_has_one_file() -> None:
    """Whatever differs in a byte is no file of ours."""
    good = sm2_pem(PRIVATE, PUBLIC)
    assert read_sm2_pem(good) == (PRIVATE, PUBLIC)
    for wrong in (b"", good[:-1], good + b"\n", good.replace(b"\n", b"\r\n"), good.lower()):
        assert read_sm2_pem(wrong) is None
    for at in range(28, len(good) - 26, 7):
        changed = good[:at] + (b"A" if good[at : at + 1] != b"A" else b"B") + good[at + 1 :]
        halves = read_sm2_pem(changed)
        assert halves is None or halves != (PRIVATE, PUBLIC)


ANOTHER: dict[str, Callable[[KeyFolder], None]] = {
    "halves of two keys": lambda folder: folder.replace(
        JOURNAL_KEY, sm2_pem(PRIVATE, sm2.generate()[1])
    ),
    "a key of suite 1": lambda folder: folder.replace(JOURNAL_KEY, _ed25519_file(folder)),
    "no PEM": lambda folder: folder.replace(COSIGN_KEY, b"sample"),
    "a second key of SM2": lambda folder: folder.replace(COSIGN_PQ_KEY, sm2_pem(PRIVATE, PUBLIC)),
}


def _ed25519_file(folder: KeyFolder) -> bytes:
    folder.write_signer("other.key", random(32))
    return folder.read("other.key")


@pytest.mark.parametrize("exchange", ANOTHER.values(), ids=ANOTHER.keys())
def test_a_key_file_of_another_kind_is_refused(
    exchange: Callable[[KeyFolder], None], tmp_path: Path
) -> None:
    """By its name, and without a word of what is in it."""
    folder = KeyFolder.create(tmp_path)
    made(folder, KeyKinds(suite=SM2_SM3, pq=True))
    exchange(folder)
    with pytest.raises(KeyFileMalformed):
        folder.load_identity()


def test_an_identity_names_a_suite_of_journals(tmp_path: Path) -> None:
    """The suite of second cosignatures, or an unknown one, is none."""
    folder = KeyFolder.create(tmp_path)
    made(folder, STANDARD_KEYS)
    text = folder.read("identity.json")
    assert f'"suite": {ED25519_SHA256}'.encode() in text
    for number in (b"4", b"2", b'"1"', b"true"):
        folder.replace("identity.json", text.replace(b'"suite": 1', b'"suite": ' + number))
        with pytest.raises(KeyFileMalformed):
            folder.load_identity()
