"""Backups: whole or refused, opened by one secret, unpacked only where nothing is."""

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from yidao.api.errors import YidaoError
from yidao.node.backup import making, sealing
from yidao.node.backup.errors import (
    BackupDamaged,
    BackupLocked,
    BackupOfPostgresql,
    RestoreFolderNotEmpty,
)
from yidao.node.backup.making import make_backup
from yidao.node.backup.restoring import check_file, check_folder, restore
from yidao.node.config import Settings
from yidao.node.keys import KeyFolder
from yidao.node.recovery import marks
from yidao.node.setup import found
from yidao.node.store.store import Store
from yidao.node.store.values import Draft

KEY = X25519PrivateKey.from_private_bytes(bytes(range(32)))
NOW_MS = 1_790_000_000_000


def _lock(key: bytes) -> dict[str, object]:
    return sealing.lock_to(key, KEY.public_key())


UNLOCK = sealing.by_key(KEY)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A founded root with a few records, whose store is open while it is backed up."""
    folder = tmp_path_factory.mktemp("node") / "data"
    identity = found(folder, {})
    store = Store.open(
        f"sqlite:///{folder}/store.db", clock_ms=lambda: NOW_MS, random=lambda n: b"r" * n
    )
    store.bind(identity)
    store.start()
    for number in range(5):
        draft = Draft(
            record_id=bytes([number]) * 16,
            kind="test.thing.made",
            actor="sample@/",
            object_id=f"thing/{number}",
            object_version=1,
            created_ms=NOW_MS,
        )
        store.run(lambda tx, draft=draft: tx.append("up:15", [draft]))
    store.close()
    return Settings(data_dir=folder)


@pytest.fixture(scope="module")
def backup(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a backup."""
    file = tmp_path_factory.mktemp("made") / "a.yidao-backup"
    make_backup(settings, file, _lock, now_ms=NOW_MS)
    return file.read_bytes()


def test_a_backup_is_restored_whole_and_starts_fenced(
    settings: Settings, backup: bytes, tmp_path: Path
) -> None:
    """Keys, settings and store are there, private, and the folder says where it came from."""
    file = tmp_path / "a.yidao-backup"
    file.write_bytes(backup)
    done = restore(file, tmp_path / "new", UNLOCK)
    assert (done.path, done.position) == ("/", 6)
    before = {each.name: each.read_bytes() for each in (settings.data_dir / "keys").iterdir()}
    after = {each.name: each.read_bytes() for each in (tmp_path / "new" / "keys").iterdir()}
    assert after == before
    assert (tmp_path / "new" / "config.toml").read_bytes() == (
        settings.data_dir / "config.toml"
    ).read_bytes()
    assert KeyFolder(tmp_path / "new").load_identity().path.depth == 0
    assert marks.has(tmp_path / "new", marks.RESTORED)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    with sqlite3.connect(tmp_path / "new" / "store.db") as store:
        assert store.execute("SELECT last_position FROM store_head").fetchone() == (6,)
    assert not list(tmp_path.glob(".*.restoring"))


def test_a_passphrase_opens_what_it_locked_and_no_other(settings: Settings, tmp_path: Path) -> None:
    """The right one unpacks, a wrong one and a key are refused."""
    file = tmp_path / "a.yidao-backup"

    def lock(key: bytes) -> dict[str, object]:
        return sealing.lock_with_passphrase(key, "样例口令", bytes(16))

    make_backup(settings, file, lock, now_ms=NOW_MS)
    assert check_file(file, sealing.by_passphrase("样例口令")).opened
    for wrong in (sealing.by_passphrase("another"), UNLOCK):
        with pytest.raises(BackupLocked):
            check_file(file, wrong)


def _cut(data: bytes) -> bytes:
    return data[:-200]


def _flip(at: float) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        place = int(len(data) * at)
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    return change


DAMAGES = {
    "cut off": _cut,
    "a bit in the first chunk": _flip(0.1),
    "a bit in the last chunk": _flip(0.95),
    "a bit of the signature": _flip(0.9999),
    "bytes after the end": lambda data: data + b"x",
    "empty after its head": lambda data: b"\n".join(data.split(b"\n")[:2]) + b"\n",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_backup_is_refused_and_the_newest_usable_one_named(
    backup: bytes, settings: Settings, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Nothing is unpacked; the previous whole one beside it is named."""
    older = tmp_path / "older.yidao-backup"
    make_backup(settings, older, _lock, now_ms=NOW_MS - 86_400_000)
    (tmp_path / "oldest.yidao-backup").write_bytes(_cut(backup))
    newest = tmp_path / "newest.yidao-backup"
    newest.write_bytes(damage(backup))
    for attempt in (lambda: check_file(newest), lambda: restore(newest, tmp_path / "x", UNLOCK)):
        with pytest.raises(BackupDamaged) as caught:
            attempt()
        assert caught.value.params["usable"] == str(older)
    assert not (tmp_path / "x").exists()
    verdicts = {each.file.name: each.code for each in check_folder(tmp_path)}
    assert verdicts["older.yidao-backup"] == ""
    assert verdicts["newest.yidao-backup"] == BackupDamaged.code


def test_a_manifest_of_another_key_is_refused(backup: bytes, tmp_path: Path) -> None:
    """A head that names another signer fits no signature."""
    lines = backup.split(b"\n", 2)
    head = json.loads(lines[1])
    head["signer"] = bytes(range(1, 33)).hex()
    forged = b"\n".join(
        (lines[0], json.dumps(head, separators=(",", ":"), sort_keys=True).encode(), lines[2])
    )
    with pytest.raises(YidaoError):
        sealing.check_whole(io.BytesIO(forged), "forged")
    file = tmp_path / "f.yidao-backup"
    file.write_bytes(forged)
    with pytest.raises(YidaoError):
        restore(file, tmp_path / "x", UNLOCK)
    assert not (tmp_path / "x").exists()


def test_nothing_is_restored_over_something(backup: bytes, tmp_path: Path) -> None:
    """An empty folder is taken, one with a file in it is not."""
    file = tmp_path / "a.yidao-backup"
    file.write_bytes(backup)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(RestoreFolderNotEmpty):
        restore(file, tmp_path / "full", UNLOCK)
    (tmp_path / "empty").mkdir()
    assert restore(file, tmp_path / "empty", UNLOCK).path == "/"


def test_names_point_nowhere_else(settings: Settings, tmp_path: Path, monkeypatch) -> None:
    """A file that names a place outside of the folder is refused whole, though it is signed."""
    real = making._files

    def files(folder: KeyFolder, staged: Path):
        yield from real(folder, staged)
        yield "keys/../../outside", folder.path / "identity.json"

    monkeypatch.setattr(making, "_files", files)
    file = tmp_path / "a.yidao-backup"
    make_backup(settings, file, _lock, now_ms=NOW_MS)
    (tmp_path / "in").mkdir()
    with pytest.raises(BackupDamaged):
        restore(file, tmp_path / "in" / "new", UNLOCK)
    assert not (tmp_path / "outside").exists()


def test_a_store_in_postgresql_is_backed_up_by_its_own_tools(settings: Settings) -> None:
    """The error says which."""
    with pytest.raises(BackupOfPostgresql):
        make_backup(
            settings.model_copy(update={"database_url": "postgresql://sample/x"}),
            Path("never"),
            _lock,
            now_ms=NOW_MS,
        )
