"""The page of the command line in `docs/`, in the language of this process.

Help texts are made once, in one language; `yidao.node.reference` therefore runs
this module once a language.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

import typer

from yidao.node.cli.commands import app
from yidao.node.cli.speech import say

#: What typer adds to every command by itself.
_EVERYWHERE: Final = "--help"


def lines() -> Iterator[str]:
    """Give the page, verb by verb in the order of `--help`."""
    for name, command in _commands("yidao", typer.main.get_command(app)):
        yield from (f"## `{name}`", "", str(command.help), "")
        shown = [each for each in command.params if _EVERYWHERE not in each.opts]
        if shown:
            yield f"| {say('参数', 'argument')} | {say('说明', 'what it is')} |"
            yield "|---|---|"
            yield from (_row(each) for each in shown)
            yield ""


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for label, each in below.items():
        yield from _commands(f"{name} {label}", each)


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        names = f"`{str(parameter.name).upper()}`"
    else:
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    words = str(parameter.help or "").replace("|", "\\|")
    return f"| {names} | {words}{_told(parameter)} |"


def _told(parameter: Any) -> str:
    if parameter.required:
        return say(" (必填)", " (required)")
    shown, value = parameter.show_default, parameter.default
    if isinstance(shown, str):
        return f" [{shown}]"
    if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        return f" [{value}]"
    return ""


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
