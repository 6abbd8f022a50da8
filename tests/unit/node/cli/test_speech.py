"""Where the language of a command may stand."""

import pytest

from yidao.node.cli.speech import language_first

CASES = {
    "none": ("errors CODE", "errors CODE"),
    "in front": ("--lang en errors CODE", "--lang en errors CODE"),
    "at the end": ("errors CODE --lang en", "--lang en errors CODE"),
    "in one word": ("user list --lang=en -d x", "--lang=en user list -d x"),
    "without a value": ("errors --lang", "errors --lang"),
    "after the end of options": ("errors -- --lang en", "errors -- --lang en"),
}


@pytest.mark.parametrize(("typed", "read"), CASES.values(), ids=CASES)
def test_the_language_may_stand_anywhere(typed: str, read: str) -> None:
    """It is read in front of the verb, and people type it at the end."""
    assert language_first(typed.split()) == read.split()
