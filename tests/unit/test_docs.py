"""The pages in docs/ keep their form and point at what is there."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from yidao.node.config import describe
from yidao.node.reference import reference
from yidao.node.settingtexts import CHINESE

ROOT = Path(__file__).resolve().parents[2]
ADR = ROOT / "docs/adr"
DECISIONS = sorted(path for path in ADR.glob("[0-9]*.md") if path.name != "0000-template.md")
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])

SECTIONS = ["Context", "Options", "Decision", "Consequences", "Links"]
# One printed page.
MAX_WORDS = 550


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_index_lists_every_decision_once_under_its_title() -> None:
    """The index has one row a decision, in order, with the title that the page bears."""
    index = (ADR / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", index, re.MULTILINE)
    titles = [path.read_text("utf-8").splitlines()[0] for path in DECISIONS]
    assert [(name, f"# {number}. {title}") for number, name, title in rows] == [
        (path.name, title) for path, title in zip(DECISIONS, titles, strict=True)
    ]


@pytest.mark.parametrize("path", DECISIONS, ids=by_name)
def test_a_decision_has_the_form_of_the_template(path: Path) -> None:
    """A decision names status, date, options with good and bad, and fits one page."""
    text = path.read_text("utf-8")
    assert path.name.startswith(text[2:6])
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert re.search(r"^- Status: (proposed|accepted|superseded by \[)", text, re.MULTILINE)
    assert re.search(r"^- Date: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    options = text.split("## Options")[1].split("## Decision")[0]
    named = len(re.findall(r"^\*\*[A-Z]\. ", options, re.MULTILINE))
    assert named >= 2
    assert options.count("Good, because") == options.count("Bad, because") == named
    assert len(text.split()) <= MAX_WORDS


@pytest.mark.parametrize("path", DECISIONS, ids=by_name)
def test_what_a_decision_links_to_is_there(path: Path) -> None:
    """Each path in the Links section leads to a file or folder of the repo."""
    links = path.read_text("utf-8").split("## Links")[1]
    paths = [word for word in re.findall(r"`([^`]+)`", links) if "/" in word]
    assert [word for word in paths if not (ROOT / word).exists()] == []


def test_the_generated_pages_are_what_the_code_says() -> None:
    """After a change of settings, messages or commands, `make docs` was run and committed."""
    made = reference()
    stale = [name for name in made if (ROOT / "docs" / name).read_text("utf-8") != made[name]]
    assert stale == []
    assert sorted(made) == sorted(
        f"{name}{suffix}"
        for name in ("cli", "configuration", "errors")
        for suffix in (".md", ".zh-CN.md")
    )


def test_every_setting_is_described_in_both_languages() -> None:
    """The Chinese words are Chinese and for every setting that exists, no other."""
    told = {each.name: each.description_zh for each in describe()}
    assert [name for name, text in told.items() if not re.search("[\u4e00-\u9fff]", text)] == []
    assert set(CHINESE) == set(told)
    assert [each.name for each in describe() if not each.description] == []


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    """Each relative link of a page leads to a file of the repo."""
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    local = [target for target in targets if "://" not in target and "NNNN" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_every_library_that_a_node_needs_has_its_reason() -> None:
    """The decisions name each dependency of the wheel and its extras once, and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[\[<>=~]", line)[0] for line in wanted}
    tables = [
        re.search(r"^\| library \| why \|$\n\|---\|---\|$\n((?:\|.*\|\n)+)", page, re.MULTILINE)
        for page in (path.read_text("utf-8") for path in DECISIONS)
    ]
    rows = [row for table in tables if table for row in table[1].splitlines()]
    told = [
        name
        for row in rows
        for name in re.sub(r" \(.*\)", "", row.split("|")[1]).strip().split(", ")
    ]
    assert sorted(told) == sorted(names)


def test_every_threat_names_tests_that_exist_or_what_is_open() -> None:
    """T1 to T20, and T11a, one row each; a test that is named is one that runs."""
    page = (ROOT / "docs/security.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]]
        for row in re.findall(r"^\| T\d+a? \|.*$", page, re.MULTILINE)
    ]
    threats = [f"T{number}" for number in range(1, 21)]
    assert [row[0] for row in rows] == [*threats[:11], "T11a", *threats[11:]]
    assert [row[0] for row in rows if not row[3] and not row[4]] == []
    named = set(re.findall(r"`(test_\w+)`", page))
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))
    }
    assert named - defined == set()


def test_every_fault_of_trust_has_a_test() -> None:
    """R20 to R43 and R60 to R64, one row each, none without a test; all tests exist (above)."""
    page = (ROOT / "docs/security.md").read_text("utf-8")
    rows = re.findall(r"^\| (R\d+) \| [^|]+ \| (?:`test_\w+` ?)+ \|$", page, re.MULTILINE)
    assert rows == [f"R{number}" for number in (*range(20, 44), *range(60, 65))]
