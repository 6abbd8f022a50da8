"""`yidao part` says no to what it could not do, before any node is asked."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from yidao.node.cli.commands import app

RECORD = "00" * 16


@pytest.mark.parametrize(
    ("words", "hint"),
    [(("--out", "body"), "--part"), (("--json", "--part", "pii"), "--out")],
    ids=["a file without its content", "raw bytes as JSON"],
)
def test_what_it_could_not_do_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], hint: str
) -> None:
    """There is no node in the folder, which would be exit 3."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["part", RECORD, *words, "--data", str(tmp_path)])
    assert done.exit_code == 2
    assert hint in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [("--part", "pii"), ("--json",), ("--json", "--part", "pii", "--out", "body")]
)
def test_what_it_can_do_is_asked_of_the_node(tmp_path: Path, words: tuple[str, ...]) -> None:
    """None is there."""
    done = CliRunner().invoke(app, ["part", RECORD, *words, "--data", str(tmp_path)])
    assert done.exit_code == 3
