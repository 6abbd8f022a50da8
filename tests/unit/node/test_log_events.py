"""Every log line of the node is an event `area.object.past_verb` with harmless fields."""

import ast
import re
from pathlib import Path

import yidao.node

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
EVENT = re.compile(r"[a-z]+\.[a-z_]+\.[a-z_]+")
FORBIDDEN = {"payload", "key", "token", "secret", "body", "password", "core", "salt", "row"}
ROOT = Path(yidao.node.__file__).parent


def _calls() -> list[tuple[str, ast.Call]]:
    return [
        (f"{file.relative_to(ROOT)}:{node.lineno}", node)
        for file in sorted(ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and _is_logging(node.func)
    ]


def _is_logging(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and isinstance(function.value, ast.Name)
        and function.value.id == "log"
    )


def test_events_are_literals_of_three_words() -> None:
    """`area.object.past_verb`; what varies is a field, never part of the event."""
    calls = _calls()
    assert len(calls) > 20
    wrong = [
        where
        for where, call in calls
        if not call.args
        or not isinstance(call.args[0], ast.Constant)
        or EVENT.fullmatch(str(call.args[0].value)) is None
    ]
    assert wrong == []


def test_no_field_is_named_after_a_secret_or_a_payload() -> None:
    """The redaction behind it is a net, not the plan."""
    wrong = [
        f"{where} {word.arg}"
        for where, call in _calls()
        for word in call.keywords
        if word.arg in FORBIDDEN
    ]
    assert wrong == []
