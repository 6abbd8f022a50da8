"""The shell blocks of the README lead to an accepted return, in both languages the same."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shell import ROOT, Shell

pytestmark = pytest.mark.e2e


def commands(page: str) -> list[str]:
    """The lines of a page's blocks that begin with `yidao`, comments left out."""
    blocks = re.findall(r"```\n(yidao .*?)```", (ROOT / page).read_text(), re.DOTALL)
    return [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder."""
    made = Shell(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def test_the_readme_leads_to_accepted_totals(shell: Shell) -> None:
    """Every line ends well as it stands, and 20 sample returns are accepted at the root."""
    lines = commands("README.md")
    for line in lines:
        shell.type(line)
    (roll_up,) = (line for line in lines if line.startswith("yidao return roll-up"))
    (imported,) = (line for line in lines if line.startswith("yidao import"))
    assert "60" in shell.printed[imported]
    totals = shell.ask(roll_up)
    accepted, submitted = totals["accepted"], totals["submitted"]
    assert isinstance(accepted, dict)
    assert isinstance(submitted, dict)
    assert (submitted["returns"], accepted["returns"]) == (20, 20)
    assert accepted["fields"] == submitted["fields"]
    assert totals["frontiers"]


def test_both_languages_say_the_same_commands() -> None:
    """The Chinese page has the commands of the English one."""
    assert commands("README.zh-CN.md") == commands("README.md")
    assert len(commands("README.md")) > 10
