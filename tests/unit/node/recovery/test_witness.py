"""What this machine remembers of a store, and what does not fool it."""

import os
from pathlib import Path

import pytest

from yidao.node.recovery import witness
from yidao.node.recovery.witness import NodeRunsTwice, Witness
from yidao.sync.ids import NodeId

NODE = NodeId(b"sample node 0001")
LIFE, OTHER = b"a" * 16, b"b" * 16


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "run"
    folder.mkdir()
    return {"XDG_RUNTIME_DIR": str(folder)}


def _left(environ: dict[str, str]) -> None:
    """A process that commits up to 7 and dies while it commits 9."""
    mark = Witness.take(NODE, environ)
    mark.begin(3)
    mark.trust(LIFE)
    mark.reaching(7)
    mark.reached(7)
    mark.reaching(9)
    mark.close()


CASES = {
    "the store as it was left": (LIFE, 7, True),
    "the commit under way got through": (LIFE, 9, True),
    "an older copy": (LIFE, 6, False),
    "a copy that ran on elsewhere": (LIFE, 10, False),
    "a copy that another process has used": (OTHER, 7, False),
    "a store that never ran": (b"", 0, False),
}


@pytest.mark.parametrize(("life", "position", "vouches"), CASES.values(), ids=CASES.keys())
def test_a_store_is_where_it_was_left(
    environ: dict[str, str], life: bytes, position: int, *, vouches: bool
) -> None:
    """After a kill as after a stop: the same life, between what was and what would be reached."""
    _left(environ)
    mark = Witness.take(NODE, environ)
    assert mark.vouches(life, position) is vouches
    mark.close()


def test_a_store_that_nobody_vouched_for_is_in_doubt_again(environ: dict[str, str]) -> None:
    """Being run and stopped while it was fenced makes a copy no better."""
    mark = Witness.take(NODE, environ)
    mark.begin(3)
    mark.reached(4)
    mark.close()
    mark = Witness.take(NODE, environ)
    assert not mark.vouches(LIFE, 4)
    mark.begin(4)
    mark.trust(LIFE)
    mark.doubt()
    mark.close()
    mark = Witness.take(NODE, environ)
    assert not mark.vouches(LIFE, 4)
    mark.close()


def test_another_boot_remembers_nothing(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot of the disk, or of a machine that boots from it, brings no memory back."""
    _left(environ)
    monkeypatch.setattr(witness, "_boot", lambda: b"c" * 16)
    mark = Witness.take(NODE, environ)
    assert not mark.vouches(LIFE, 7)
    mark.close()


def test_another_machine_remembers_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    """The mark does not lie in the data folder."""
    _left(environ)
    mark = Witness.take(NODE, {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert not mark.vouches(LIFE, 7)
    mark.close()


def test_two_processes_of_one_node_on_one_machine(environ: dict[str, str]) -> None:
    """The second is refused, from whatever folder it comes."""
    first = Witness.take(NODE, environ)
    with pytest.raises(NodeRunsTwice):
        Witness.take(NODE, environ)
    first.close()
    Witness.take(NODE, environ).close()


def test_what_others_could_have_written_is_not_believed(environ: dict[str, str]) -> None:
    """A file that others may write, or a link, says nothing."""
    _left(environ)
    folder = Path(environ["XDG_RUNTIME_DIR"])
    file = folder / f"yidao-{os.geteuid()}-{NODE.hex()}"
    file.chmod(0o666)
    assert not Witness.take(NODE, environ).vouches(LIFE, 7)
    moved = folder / "moved"
    file.chmod(0o600)
    file.rename(moved)
    file.symlink_to(moved)
    assert not Witness.take(NODE, environ).vouches(LIFE, 7)
