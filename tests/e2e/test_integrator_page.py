"""The integrator's page, block by block as it stands, in both languages the same."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.shell import ROOT, Shell
from yidao.node.client import Client

PAGE, PAGE_ZH = ROOT / "docs" / "integrator.md", ROOT / "docs" / "integrator.zh-CN.md"
UNIT = "123301060000000192"

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of a page; without a language it is what the one before it prints."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Give the blocks of a page in their order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [Block(language=language, text=text) for language, text in found]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in a folder that has of the clone what the page speaks of."""
    for name in ("examples/node_client", "proto"):
        ignored = shutil.ignore_patterns("node_modules", "*.py")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    made = Shell(tmp_path)
    try:
        yield made
    finally:
        made.stop()
    assert not (tmp_path / "yidao-dev" / "local.sock").exists()


def run(shell: Shell, block: Block) -> str:
    """Run one block; gives what it printed."""
    if block.language == "python":
        return shell.python(block.text)
    if block.text.rstrip().endswith("&"):
        shell.type(block.text.strip())
        return ""
    return shell.script(block.text)


def test_the_page_leads_from_a_sandbox_to_every_way_in(shell: Shell) -> None:
    """Every block ends well and prints what stands below it; what was handed in is there."""
    printed: list[tuple[str, str]] = []
    for block in blocks(PAGE):
        if block.language:
            printed.append((block.text, run(shell, block)))
        else:
            assert printed[-1][1] == block.text
    (followed,) = (said for text, said in printed if "FileCursor(" in text)
    assert f"reporting.return.submitted return/energy/profile/2025-Q3/{UNIT}" in followed
    (by_http,) = (said for text, said in printed if "curl" in text)
    _over_http(by_http)
    (by_node,) = (said for text, said in printed if "npm ci" in text)
    assert f"seen reporting.return.submitted return/energy/profile/2025-Q2/{UNIT}" in by_node
    _in_the_store(shell)


def _over_http(said: str) -> None:
    """Submitted, followed with the sums as exact texts, and complete."""
    taken, *events, total, end = (json.loads(line) for line in said.splitlines() if line)
    (result,) = taken.pop("results")
    assert result["outcome"] == "submitted"
    assert events[-1]["record_id"] == result["record_id"]
    assert total["cells"] == {"period": "2025-Q2", "sum elec_kwh": "368383.72"}
    assert end["complete"] is True


def _in_the_store(shell: Shell) -> None:
    with Client.open(shell.folder / "yidao-dev" / "local.sock") as client:
        third = client.returns(form="profile", period="2025-Q3").returns
        assert {(each.unit, each.version) for each in third} == {
            (UNIT, 1),
            ("12330106000000027W", 1),
        }
        (fourth,) = client.returns(form="profile", period="2025-Q4").returns
        assert fourth.submitted_by == "erp@/"
    with (shell.folder / "returns.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 5


def test_both_languages_have_the_same_blocks() -> None:
    """What can be copied is the same."""
    assert blocks(PAGE_ZH) == blocks(PAGE)
    assert len(blocks(PAGE)) > 15


def test_what_an_integrator_writes_is_short() -> None:
    """Handing in and following take ten lines at most."""
    programs = [each.text for each in blocks(PAGE) if each.language == "python"]
    for call in (".validate(", ".submit(", "FileCursor("):
        (shortest, *_) = sorted(
            len([line for line in each.splitlines() if line]) for each in programs if call in each
        )
        assert shortest <= 10
