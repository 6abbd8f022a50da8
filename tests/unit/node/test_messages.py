"""The catalogue of messages covers every error, in both languages, with the right parameters."""

import ast
import importlib
import pkgutil
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import yidao.api
import yidao.catalog
import yidao.node
import yidao.sync
from yidao.api.errors import YidaoError, every_error
from yidao.node.errors import ConfigKeyUnknown
from yidao.node.messages import LANGUAGES, catalogue, message, pages, render

PACKAGES = (yidao.api, yidao.sync, yidao.catalog, yidao.node)
ROOTS = [Path(path) for package in PACKAGES for path in package.__path__]


@cache
def all_errors() -> dict[str, set[type[YidaoError]]]:
    """Import everything and return the error classes that exist, by code."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found: dict[str, set[type[YidaoError]]] = defaultdict(set)
    for kind in every_error():
        # Classes that a test defines are not the program's.
        if kind.__module__.startswith("yidao."):
            found[kind.code].add(kind)
    return found


@cache
def nodes() -> tuple[tuple[str, ast.AST], ...]:
    """Return every node of the program's syntax trees with where it stands."""
    return tuple(
        (f"{path.parent.name}/{path.name}:{getattr(node, 'lineno', 0)}", node)
        for root in ROOTS
        for path in sorted(root.rglob("*.py"))
        if not path.stem.endswith(("_pb2", "_pb2_grpc"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_text_and_a_hint(language: str) -> None:
    """No error class is without an entry, and no entry is empty."""
    entries = catalogue(language)
    codes = {YidaoError.code, *all_errors()}
    assert codes - entries.keys() == set()
    assert [code for code, entry in entries.items() if not (entry.text and entry.hint)] == []


def test_languages_agree() -> None:
    """Both languages have the same entries, and each pair the same parameters."""
    zh, en = catalogue("zh"), catalogue("en")
    assert list(zh) == list(en)
    assert [code for code in zh if zh[code].placeholders != en[code].placeholders] == []


def test_chinese_is_chinese_and_english_is_english() -> None:
    """No entry stands in the wrong file."""
    chinese = re.compile("[\u4e00-\u9fff]")
    for entry in catalogue("zh").values():
        assert chinese.search(entry.text)
        assert chinese.search(entry.hint)
    for entry in catalogue("en").values():
        assert not chinese.search(entry.text + entry.hint)


def test_parameters_are_given_where_errors_are_made() -> None:
    """Whatever place of the program makes an error gives every parameter that its text shows."""
    kinds = {kind.__name__: kind for group in all_errors().values() for kind in group}
    entries = catalogue("en")
    missing = []
    for place, node in nodes():
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = {keyword.arg for keyword in node.keywords}
        if name in kinds and None not in given and not node.args:
            lacking = entries[kinds[name].code].placeholders - given
            missing += [f"{place} {name}: {field}" for field in lacking]
    assert missing == []


def test_bare_errors_show_no_parameters() -> None:
    """An error that is raised without parameters has a text without them."""
    kinds = {kind.__name__: kind for group in all_errors().values() for kind in group}
    entries = catalogue("en")
    wrong = []
    for place, node in nodes():
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name | ast.Attribute):
            name = getattr(node.exc, "attr", getattr(node.exc, "id", ""))
            if name in kinds and entries[kinds[name].code].placeholders:
                wrong.append(f"{place} {name}")
    assert wrong == []


def test_problem_codes_have_texts() -> None:
    """Problems that are raised by a literal code have an entry with parameters that are given."""
    entries = catalogue("en")
    wrong = []
    for place, node in nodes():
        if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "raise_problem":
            continue
        code = node.args[0] if node.args else None
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            given = {keyword.arg for keyword in node.keywords}
            entry = entries.get(code.value)
            if entry is None or entry.placeholders - given:
                wrong.append(f"{place} {code.value}")
    assert wrong == []


def test_no_entry_is_left_over() -> None:
    """Every entry is the code of an error class, or a code that the program names."""
    named = {
        node.value
        for _, node in nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert catalogue("en").keys() - all_errors().keys() - named == set()


def test_render() -> None:
    """A text shows its parameters, in the language that is asked for."""
    error = ConfigKeyUnknown(key="lissten", source="config.toml")
    shown = render(error, "en")
    assert shown.code == "CONFIG_KEY_UNKNOWN"
    assert "lissten" in shown.text
    assert "lissten" in render(error, "zh").text
    assert shown.text != render(error, "zh").text


def test_render_never_fails() -> None:
    """An unknown code, language or a missing parameter still gives a text to show."""

    class Novel(YidaoError):
        code = "NOVEL_TEST_CODE"

    shown = render(Novel(), "fr")
    assert ("NOVEL_TEST_CODE", catalogue("en")["INTERNAL"].text) == (shown.code, shown.text)
    assert "?" in message("CONFIG_KEY_UNKNOWN", {}, "en").text
    assert "{0.__class__}" in message("CONFIG_KEY_UNKNOWN", {"key": "{0.__class__}"}, "en").text


def test_no_code_stands_on_two_pages() -> None:
    """The later page would hide the earlier one's text without a word."""
    for language in LANGUAGES:
        codes = [code for page in pages(language).values() for code in page]
        assert len(codes) == len(set(codes)) == len(catalogue(language))
