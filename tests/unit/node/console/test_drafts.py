"""Drafts: kept as typed, for their author alone, and never more than there is room for."""

import os
import stat
from dataclasses import replace

import pytest

from yidao.node.console import drafts as module
from yidao.node.console.drafts import MAX_DRAFT_BYTES, DraftKey, Drafts

KEY = DraftKey(
    actor="li@/33", pack="energy", form="profile", period="2026-Q3", unit="91330106000000009X"
)


def test_a_draft_is_found_again_as_it_was_typed(tmp_path) -> None:
    """Over a restart too; what cannot be a value is kept like all else."""
    texts = {"floor_area": "五千", "note": "样例\n第二行"}
    assert Drafts(tmp_path / "d").save(KEY, texts)
    assert Drafts(tmp_path / "d").load(KEY) == texts


@pytest.mark.parametrize("changed", ["actor", "pack", "form", "period", "unit"])
def test_another_key_is_another_draft(tmp_path, changed: str) -> None:
    """Nobody reads the draft of somebody else, nor that of another return."""
    drafts = Drafts(tmp_path)
    drafts.save(KEY, {"a": "1"})
    assert drafts.load(replace(KEY, **{changed: "other"})) == {}


def test_names_steer_no_path(tmp_path) -> None:
    """Texts from outside make a name of hexadecimal digits, whatever they are."""
    drafts = Drafts(tmp_path / "d")
    drafts.save(replace(KEY, unit="../../etc/passwd", form="\x00/"), {"a": "1"})
    [file] = (tmp_path / "d").iterdir()
    assert len(file.stem) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_too_long_is_not_kept(tmp_path) -> None:
    """The draft from before stays."""
    drafts = Drafts(tmp_path)
    drafts.save(KEY, {"a": "1"})
    assert not drafts.save(KEY, {"a": "x" * MAX_DRAFT_BYTES})
    assert drafts.load(KEY) == {"a": "1"}


def test_a_full_folder_takes_no_new_one(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are there can still be changed and dropped."""
    monkeypatch.setattr(module, "MAX_DRAFTS", 1)
    drafts = Drafts(tmp_path)
    assert drafts.save(KEY, {"a": "1"})
    assert not drafts.save(replace(KEY, form="other"), {"a": "1"})
    assert drafts.save(KEY, {"a": "2"})
    drafts.drop(KEY)
    drafts.drop(KEY)
    assert drafts.load(KEY) == {}


def test_torn_and_old_files_are_no_drafts(tmp_path) -> None:
    """A torn one reads as none; one from last year goes at the next start."""
    drafts = Drafts(tmp_path)
    (tmp_path / KEY.file_name).write_bytes(b'{"a": ')
    assert drafts.load(KEY) == {}
    drafts.save(KEY, {"a": "1"})
    os.utime(tmp_path / KEY.file_name, (0, 0))
    assert Drafts(tmp_path).load(KEY) == {}
