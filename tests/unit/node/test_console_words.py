"""The console's texts: complete in both languages, all used, and none in the code."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

from yidao.node.console.words import LANGUAGES, Words, catalogue

CONSOLE = Path(__file__).parents[3] / "node" / "console"
CODE = "\n".join(file.read_text() for file in sorted(CONSOLE.rglob("*.py")))
HAS_CHINESE = re.compile("[\u4e00-\u9fff]")


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts() -> None:
    """The same names in the same order, with the same places to fill."""
    zh, en = (catalogue(language) for language in LANGUAGES)
    assert list(zh) == list(en)
    assert [key for key in zh if places(zh[key]) != places(en[key])] == []
    assert all(text.strip() for text in (*zh.values(), *en.values()))


def test_english_is_english() -> None:
    """No Chinese in an English text but the name of the language itself."""
    wrong = [key for key, text in catalogue("en").items() if HAS_CHINESE.search(text)]
    assert wrong == ["frame.language_zh"]


def test_every_text_that_is_asked_for_is_there() -> None:
    """A key that the code names is in the catalogue."""
    asked = set(re.findall(r'"([a-z_]+\.[a-z_]+)"', CODE))
    areas = {key.partition(".")[0] for key in catalogue("zh")}
    named = {key for key in asked if key.partition(".")[0] in areas}
    permissions = {"reporting.submit", "reporting.review", "signoff.submit"}
    assert named - permissions - set(catalogue("zh")) == set()


def test_every_text_is_used() -> None:
    """No text that no page can show: each key is named, or put together from names in the code.

    A text of a closed set (`words.named`) counts as used with its area, or with its prefix.
    """
    assert set(catalogue("zh")) - _used() == set()


def _used() -> set[str]:
    """The keys that the code can ask for."""
    files = sorted(CONSOLE.rglob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    said = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    patterns = [_pattern(n) for n in nodes if isinstance(n, ast.JoinedStr)]
    sets = [
        f"{re.escape(n.args[0].value)}\\.{_pattern(n.args[1]) if _is_made(n.args[1]) else '.*'}"
        for n in nodes
        if isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
        and n.func.attr == "named"
        and isinstance(n.args[0], ast.Constant)
    ]
    found = set()
    for key in catalogue("zh"):
        made = [match for each in patterns if (match := re.fullmatch(each, key))]
        if (
            key in said
            or any(set(match.groups()) <= said for match in made)
            or any(re.fullmatch(each, key) for each in sets)
        ):
            found.add(key)
    return found


def _is_made(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr)


def _pattern(text: ast.expr) -> str:
    assert isinstance(text, ast.JoinedStr)
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "([a-z_0-9]+)"
        for part in text.values
    )


def test_pages_hold_no_text() -> None:
    """What a person reads stands in the catalogue: no Chinese in a string of the code."""
    wrong = []
    for file in sorted(CONSOLE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and HAS_CHINESE.search(text) and not _is_docstring(text):
                wrong.append((file.name, text))
    assert wrong == [("app.py", "驿道 Yidao")]


def _is_docstring(text: str) -> bool:
    return text in CODE and f'"""{text}"""' in CODE


def test_a_missing_text_is_a_defect() -> None:
    """A key that is not there is an error, never an empty place on a page."""
    with pytest.raises(KeyError):
        Words(language="zh")("frame.nothing_of_the_kind")
