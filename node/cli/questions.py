"""The four questions with which a node begins, for a person at a terminal.

A script is never asked: each answer is an option, and where nobody can type, the
defaults are taken.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import typer

from yidao.api.errors import YidaoError
from yidao.node.cli.speech import LANGUAGE, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question.

    Attributes:
        key: Under which the answer is given back; an option of the same meaning exists.
        text: What is asked.
        default: What an empty line means.
        check: Raises a typed error for an answer that will not do.
    """

    key: str
    text: str
    default: str
    check: Callable[[str], None]


def someone_can_type() -> bool:
    """Whether a person sits at both ends of this command."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def begin_questions() -> tuple[Question, ...]:
    """What a person is asked first: how the node begins, and what the office is called."""
    return (
        Question(
            key="bundle",
            text=say(
                "上级给的加入包文件 (直接回车: 建立新网络, 本节点为根)",
                "Bundle file from the office above (Enter: found a new network)",
            ),
            default="",
            check=_readable,
        ),
        Question(
            key="office_name",
            text=say("本单位名称", "Name of this office"),
            default="",
            check=_setting("office_name"),
        ),
        Question(
            key="listen",
            text=say(
                "下级从哪个地址连入 (另用下一个端口办理加入)",
                "Address where nodes below connect (the next port is for joining)",
            ),
            default="127.0.0.1:7350",
            check=_setting("listen"),
        ),
    )


def last_question(*, joining: bool) -> Question:
    """What a person is asked last: who founds chooses the network, who joins needs a way out."""
    if joining:
        return Question(
            key="proxy",
            text=say(
                "通往上级的 HTTP 代理, 如 http://主机:3128 (直接回车: 不用)",
                "HTTP proxy to the office above, http://host:3128 (Enter: none)",
            ),
            default="",
            check=_setting("proxy"),
        )
    return Question(
        key="test_network",
        text=say("试用网络还是正式网络 (test/real)", "Test network or real one (test/real)"),
        default="real",
        check=_kind,
    )


def ask(question: Question) -> str:
    """Ask until the answer will do, and return it."""
    shown = f" [{question.default}]" if question.default else ""
    while True:
        try:
            given = input(f"{question.text}{shown}: ").strip() or question.default
        except EOFError:
            raise typer.Abort from None
        if not given:
            return given
        try:
            question.check(given)
        except YidaoError as error:
            from yidao.node.messages import render

            sys.stdout.write(f"  {render(error, LANGUAGE).text}\n")
        else:
            return given


def answers(given: Mapping[str, str | None]) -> dict[str, str]:
    """Ask what was not given, at most four questions."""
    told = {key: value for key, value in given.items() if value is not None}
    for question in begin_questions():
        if question.key not in told:
            told[question.key] = ask(question)
    last = last_question(joining=bool(told["bundle"]))
    if last.key not in told:
        told[last.key] = ask(last)
    return told


_KINDS: Final = ("test", "real")


def _setting(key: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        from yidao.node.config import load_settings

        load_settings(None, {}, **{key: value})

    return check


def _readable(value: str) -> None:
    from pathlib import Path

    from yidao.node.cli.files import read_file

    read_file(Path(value))


def _kind(value: str) -> None:
    if value not in _KINDS:
        from yidao.node.errors import ConfigValueInvalid

        raise ConfigValueInvalid(key="test_network", source="terminal", reason="test / real")
