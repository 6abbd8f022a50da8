"""Checks backups, and unpacks one into an empty folder.

Nothing of a file is used before all of it was checked: chunks, files against the
signed manifest, keys against the node that signed, the database by SQLite itself.
What was unpacked carries the mark that makes its first start a fenced one.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from yidao.api.errors import YidaoError
from yidao.node.backup import contents, sealing
from yidao.node.backup.errors import (
    BackupDamaged,
    BackupForeign,
    BackupNotWritten,
    RestoreFolderNotEmpty,
)
from yidao.node.backup.sealing import Unlock
from yidao.node.datadir import sync_folder
from yidao.node.keys import FOLDER_NAME, KeyFolder
from yidao.node.recovery import marks
from yidao.sync.enrolment import verify_chain

SUFFIX: Final = ".yidao-backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check found of one file; `code` is empty if it is whole."""

    file: Path
    code: str = ""
    path: str = ""
    node_id: str = ""
    created_ms: int = 0
    opened: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A node that was unpacked."""

    folder: Path
    path: str
    created_ms: int
    position: int


def check_file(file: Path, unlock: Unlock | None = None) -> Verdict:
    """Check one backup: without a secret that it is whole, with one all that is in it.

    Raises:
        BackupForeign, BackupDamaged, BackupLocked: As they say; a damaged one names the
            newest usable one of its node in the same folder, if there is one.
    """
    try:
        with file.open("rb") as stream:
            head = sealing.check_whole(stream, file.name)
    except BackupDamaged as error:
        raise _with_usable(file, str(error.params["reason"])) from None
    except OSError as error:
        raise BackupNotWritten(path=str(file), reason=error.strerror or "") from None
    if unlock is not None:
        unpacker = contents.Unpacker(file.name)
        with file.open("rb") as stream:
            plain = sealing.opened(stream, file.name, unlock)
            unpacker.run(plain, lambda _name: len)
        unpacker.checked(head.signer)
    return Verdict(
        file=file,
        path=head.path,
        node_id=head.node_id,
        created_ms=head.created_ms,
        opened=unlock is not None,
    )


def check_folder(folder: Path) -> tuple[Verdict, ...]:
    """Check every backup of a folder, the newest first."""
    found = []
    for file in folder.glob(f"*{SUFFIX}"):
        try:
            found.append(check_file(file))
        except YidaoError as error:
            found.append(Verdict(file=file, code=error.code, created_ms=_claimed_ms(file)))
    return tuple(sorted(found, key=lambda each: each.created_ms, reverse=True))


def restore(file: Path, folder: Path, unlock: Unlock) -> Restored:
    """Unpack a backup into a folder that is empty or not there.

    Raises:
        RestoreFolderNotEmpty: Something is in it.
        BackupForeign, BackupDamaged, BackupLocked: See `check_file`; the folder stays empty.
        BackupNotWritten: The disk refuses.
    """
    if folder.is_symlink() or (folder.exists() and any(folder.iterdir())):
        raise RestoreFolderNotEmpty(path=str(folder))
    verdict = check_file(file)
    staged = folder.with_name(f".{folder.name}.restoring")
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, staged, ignore_errors=True)
            facts = _unpack(file, staged, unlock)
            _check_unpacked(staged, file.name, facts)
            marks.put(staged, marks.RESTORED)
            if folder.exists():
                folder.rmdir()
            staged.rename(folder)
            sync_folder(folder.parent)
    except OSError as error:
        raise BackupNotWritten(path=str(folder), reason=error.strerror or "") from None
    return Restored(
        folder=folder,
        path=verdict.path,
        created_ms=verdict.created_ms,
        position=int(facts["position"]),
    )


def _unpack(file: Path, staged: Path, unlock: Unlock) -> dict[str, Any]:
    shutil.rmtree(staged, ignore_errors=True)
    for made in (staged, staged / FOLDER_NAME):
        made.mkdir(mode=0o700)
    unpacker = contents.Unpacker(file.name)
    with contextlib.ExitStack() as stack, file.open("rb") as stream:

        def begin(name: str) -> Callable[[bytes], object]:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            out = stack.enter_context(os.fdopen(os.open(staged / name, flags, 0o600), "wb"))
            stack.callback(os.fsync, out.fileno())
            stack.callback(out.flush)
            return out.write

        head, _ = sealing.read_head(stream, file.name)
        stream.seek(0)
        unpacker.run(sealing.opened(stream, file.name, unlock), begin)
    return unpacker.checked(head.signer)


def _check_unpacked(staged: Path, name: str, facts: dict[str, Any]) -> None:
    """Require that keys, chain and database are of the one node that signed."""
    keys = KeyFolder(staged)
    identity = keys.load_identity()
    if identity.node_id.hex() != facts["node_id"]:
        raise BackupDamaged(file=name, reason="identity", usable="")
    if identity.path.depth:
        chain = keys.load_chain()
        root_pem = keys.load_certificates().root_pem
        last = verify_chain(root_pem, chain.statement, chain.proofs)[-1]
        if last.node_id != identity.node_id:
            raise BackupDamaged(file=name, reason="chain", usable="")
    with contextlib.closing(sqlite3.connect(staged / contents.STORE)) as store:
        try:
            (verdict,) = store.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError:
            verdict = "not a database"
    if verdict != "ok":
        raise BackupDamaged(file=name, reason="database", usable="")


def _with_usable(file: Path, reason: str) -> BackupDamaged:
    """Return the error, naming the newest whole backup beside the file."""
    others: Sequence[Path] = [each for each in file.parent.glob(f"*{SUFFIX}") if each != file]
    for other in sorted(others, key=_claimed_ms, reverse=True):
        with contextlib.suppress(BackupDamaged, BackupForeign, OSError), other.open("rb") as stream:
            sealing.check_whole(stream, other.name)
            return BackupDamaged(file=file.name, reason=reason, usable=str(other))
    return BackupDamaged(file=file.name, reason=reason, usable="-")


def _claimed_ms(file: Path) -> int:
    """When a file says that it was made; 0 if it does not."""
    try:
        with file.open("rb") as stream:
            return sealing.read_head(stream, file.name)[0].created_ms
    except (BackupForeign, OSError):
        return 0
