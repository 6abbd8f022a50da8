"""Files of sessions: given to their owner alone, gone with the session and at a restart."""

import pytest

from yidao.node.console import folder as module
from yidao.node.console.folder import Folder
from yidao.node.importing import ImportReport


def placed(folder: Folder, owner: str, name: str = "样例.xlsx") -> str:
    held = folder.place(owner=owner, name=name)
    held.path.write_bytes(b"x")
    return held.id


def test_a_file_is_its_owners(tmp_path) -> None:
    """To others it does not exist, nor does what is not there."""
    folder = Folder(tmp_path / "f")
    made = placed(folder, "a")
    assert folder.find(made, owner="a") is not None
    assert folder.find(made, owner="b") is None
    assert folder.find("0" * 32, owner="a") is None


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.xlsx", ".xlsx"), ("A.XLSX", ".xlsx"), ("../../x", ".csv"), ("\x00.xlsx/", ".csv")],
)
def test_a_name_is_no_path(tmp_path, name: str, suffix: str) -> None:
    """Only how it ends is looked at."""
    folder = Folder(tmp_path / "f")
    held = folder.place(owner="a", name=name)
    assert held.path == tmp_path / "f" / f"{held.id}{suffix}"


def test_the_oldest_gives_way(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit, the file that was there longest is removed, with its report."""
    monkeypatch.setattr(module, "MAX_FILES", 2)
    folder = Folder(tmp_path / "f")
    first = placed(folder, "a")
    folder.keep_report(first, ImportReport())
    assert folder.report(first) is not None
    rest = [placed(folder, "a") for _ in range(2)]
    assert folder.find(first, owner="a") is None
    assert folder.report(first) is None
    assert sorted(f.stem for f in (tmp_path / "f").iterdir()) == sorted(rest)


def test_files_end_with_the_session_and_at_a_restart(tmp_path) -> None:
    """Others' stay until the console starts anew."""
    folder = Folder(tmp_path / "f")
    mine, other = placed(folder, "a"), placed(folder, "b")
    folder.drop_of("a")
    folder.drop(mine)
    folder.keep_report(mine, ImportReport())
    assert folder.report(mine) is None
    assert [f.stem for f in (tmp_path / "f").iterdir()] == [other]
    Folder(tmp_path / "f")
    assert list((tmp_path / "f").iterdir()) == []
