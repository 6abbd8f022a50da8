"""Makes a backup of a node, running or stopped, from its data folder alone.

The store is copied by SQLite's own backup within one read transaction: what every
answered call had before that moment is in the copy, whatever is written meanwhile.
The copy lies in the data folder for as long as it is needed, beside the store and as
private as that.
"""

import contextlib
import hashlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from yidao.node.backup import contents, sealing
from yidao.node.backup.errors import BackupNotWritten, BackupOfPostgresql
from yidao.node.config import Settings
from yidao.node.keys import FOLDER_NAME, Identity, KeyFolder

_STEP_PAGES: Final = 2_048
_PIECE_BYTES: Final = 1024 * 1024
_STAGED: Final = "backup.db"
_CONFIG: Final = "config.toml"

Progress = Callable[[int, int], None]
Lock = Callable[[bytes], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was written."""

    file: Path
    size_bytes: int
    position: int
    created_ms: int


def make_backup(
    settings: Settings,
    out: Path,
    lock: Lock,
    *,
    now_ms: int,
    progress: Progress = lambda _done, _total: None,
) -> Made:
    """Write a backup of the node to a new file (0600), whole or not at all.

    Args:
        settings: The node's.
        out: Where to; a file of that name is replaced once the new one is whole.
        lock: Makes the lock around the file's key.
        now_ms: Unix milliseconds.
        progress: Told bytes that are copied and bytes in all.

    Raises:
        BackupOfPostgresql: The store is no file of ours.
        BackupNotWritten: The disk refuses.
        KeyFileError: A key file is missing, exposed, foreign or malformed.
    """
    if settings.database_url is not None:
        raise BackupOfPostgresql
    data, folder = settings.data_dir, KeyFolder(settings.data_dir)
    identity = folder.load_identity()
    staged = data / _STAGED
    part = out.with_name(out.name + ".part")
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(staged.unlink, missing_ok=True)
            stack.callback(part.unlink, missing_ok=True)
            position = _snapshot(data / contents.STORE, staged, progress)
            with _new_file(part) as file:
                _write(file, folder, identity, staged, lock, (now_ms, position))
                file.flush()
                os.fsync(file.fileno())
            part.replace(out)
    except (OSError, sqlite3.Error) as error:
        raise BackupNotWritten(path=str(out), reason=type(error).__name__) from None
    return Made(file=out, size_bytes=out.stat().st_size, position=position, created_ms=now_ms)


def _snapshot(store: Path, staged: Path, progress: Progress) -> int:
    """Copy the store as it is at one moment and return its last position."""
    staged.unlink(missing_ok=True)
    os.close(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def told(_status: int, remaining: int, total: int) -> None:
        progress((total - remaining) * page_bytes, total * page_bytes)

    with (
        contextlib.closing(
            sqlite3.connect(f"file:{store}?mode=ro", uri=True, isolation_level=None)
        ) as source,
        contextlib.closing(sqlite3.connect(staged)) as target,
    ):
        (page_bytes,) = source.execute("PRAGMA page_size").fetchone()
        # A transaction that has read keeps its snapshot: no commit starts the copy over.
        source.execute("BEGIN")
        (position,) = source.execute("SELECT last_position FROM store_head").fetchone()
        source.backup(target, pages=_STEP_PAGES, progress=told)
        source.execute("COMMIT")
    return int(position)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        yield file


def _write(
    out: BinaryIO,
    folder: KeyFolder,
    identity: Identity,
    staged: Path,
    lock: Lock,
    moment: tuple[int, int],
) -> None:
    created_ms, position = moment
    key = secrets.token_bytes(32)
    head = sealing.Head(
        created_ms=created_ms,
        network=identity.network.hex(),
        node_id=identity.node_id.hex(),
        path=str(identity.path),
        epoch=identity.epoch,
        signer=identity.cosign.public_key,
        lock=lock(key),
    )
    writer = sealing.SealedWriter(out, head, key)
    entries = [_add(writer, name, file) for name, file in _files(folder, staged)]
    facts = {
        "created_ms": created_ms,
        "network": head.network,
        "node_id": head.node_id,
        "path": head.path,
        "epoch": head.epoch,
        "position": position,
    }
    manifest = contents.sign_manifest(facts, entries, identity.cosign)
    writer.write(contents.file_head(contents.MANIFEST, len(manifest)) + manifest)
    writer.finish(identity.cosign)


def _files(folder: KeyFolder, staged: Path) -> Iterator[tuple[str, Path]]:
    data = folder.path.parent
    yield contents.STORE, staged
    if (data / _CONFIG).exists():
        yield _CONFIG, data / _CONFIG
    for file in sorted(folder.path.iterdir()):
        name = f"{FOLDER_NAME}/{file.name}"
        if contents.NAMES.fullmatch(name):
            # Refuses a file that others could have put there.
            folder.read(file.name)
            yield name, file


def _add(writer: sealing.SealedWriter, name: str, path: Path) -> contents.Entry:
    digest = hashlib.sha256()
    size = path.stat().st_size
    writer.write(contents.file_head(name, size))
    left = size
    with path.open("rb") as file:
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            digest.update(piece)
            writer.write(piece)
            left -= len(piece)
    if left:
        raise OSError(name)
    return contents.Entry(name=name, size=size, sha256=digest.hexdigest())
