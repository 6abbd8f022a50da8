"""Small files in the data folder that say how the folder came about."""

from pathlib import Path
from typing import Final

from yidao.node.datadir import sync_folder

#: The folder was enrolled by this very machine and never ran.
FIRST: Final = "first-start"
#: A backup was unpacked here.
RESTORED: Final = "restored"


def put(data_dir: Path, name: str) -> None:
    """Leave a mark."""
    (data_dir / name).touch(mode=0o600)
    sync_folder(data_dir)


def has(data_dir: Path, name: str) -> bool:
    """Whether a mark is there."""
    return (data_dir / name).exists()


def drop(data_dir: Path, name: str) -> None:
    """Remove a mark; one that is not there is no error."""
    (data_dir / name).unlink(missing_ok=True)
    sync_folder(data_dir)
