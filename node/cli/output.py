"""How every command answers: text for people, one JSON line for machines, stable exit codes.

| exit | meaning |
|---|---|
| 0 | done |
| 1 | done in part: something was refused, or a check failed |
| 2 | the command line, the configuration or a file was wrong |
| 3 | the node could not be reached |
| 4 | the node refused the request |
| 70 | a defect in Yidao |
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from yidao.api.errors import YidaoError
from yidao.node.cli.speech import LANGUAGE, say

_WIDEST = 100_000


def _data_folder() -> Path:
    """The folder that the setting `data_dir` names, or its default."""
    return Path(os.environ.get("YIDAO_DATA_DIR") or "yidao-data")


Data = Annotated[
    Path,
    typer.Option(
        "--data",
        "-d",
        default_factory=_data_folder,
        show_default="yidao-data",
        help=say("节点的数据目录", "The node's data folder"),
    ),
]
Json = Annotated[bool, typer.Option("--json", help=say("输出一行 JSON", "Print one JSON line"))]


class Exit(IntEnum):
    """Stable exit codes."""

    DONE = 0
    PARTLY = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    DEFECT = 70


def answer(as_json: bool, data: Mapping[str, Any], text: str | Callable[[], None]) -> None:
    """Print the result: `data` as one JSON line, or the text."""
    if as_json:
        import orjson

        sys.stdout.write(orjson.dumps(data, default=_plain).decode() + "\n")
    elif callable(text):
        text()
    else:
        sys.stdout.write(text.rstrip("\n") + "\n")


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Callable[[], None]:
    """A printer of a table, columns in the order given; nothing in it is cut off."""

    def show() -> None:
        from rich.console import Console
        from rich.table import Table

        grid = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            grid.add_row(*row)
        console = Console(soft_wrap=True)
        # A pipe counts as 80 columns, and a cell that is cut is of no use to anybody.
        needed = console.measure(grid, options=console.options.update(max_width=_WIDEST)).maximum
        Console(soft_wrap=True, width=max(console.width, needed)).print(grid)

    return show


@contextmanager
def told_errors(as_json: bool) -> Iterator[None]:
    """Turn a typed error into its text, hint and exit code."""
    try:
        yield
    except YidaoError as error:
        raise typer.Exit(tell(error, as_json)) from None
    except UnicodeEncodeError as error:
        # Python carries bytes of an argument that are no text as lone surrogates:
        # a path may hold them, a field of a request may not.
        if error.reason != "surrogates not allowed":
            raise
        from yidao.node.cli.files import ArgumentNotText

        raise typer.Exit(tell(ArgumentNotText(), as_json)) from None


def tell(error: YidaoError, as_json: bool) -> int:
    """Print an error with its hint and return the exit code."""
    from yidao.node.messages import render

    message = render(error, LANGUAGE)
    if as_json:
        import orjson

        line = {
            "error": message.code,
            "text": message.text,
            "hint": message.hint,
            "params": dict(error.params),
        }
        sys.stderr.write(orjson.dumps(line).decode() + "\n")
    else:
        sys.stderr.write(f"{say('错误', 'error')} [{message.code}] {message.text}\n")
        if message.hint:
            sys.stderr.write(f"{say('建议', 'hint')}: {message.hint}\n")
    return int(_exit_code(error))


def tell_defect(error: Exception, as_json: bool) -> int:
    """Print where the program failed and the kind of failure, and return the exit code.

    The error's own words stay unsaid: they may quote what somebody reported.
    """
    kind = type(error).__name__
    if not as_json:
        sys.stderr.write("".join(traceback.format_tb(error.__traceback__)) + kind + "\n")
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(innermost.filename).name}:{innermost.lineno}"
    return tell(YidaoError(kind=kind, where=where), as_json)


def _exit_code(error: YidaoError) -> Exit:
    from yidao.node.client.errors import ClientError, NodeUnreachable

    if isinstance(error, NodeUnreachable):
        return Exit.UNREACHABLE
    if isinstance(error, ClientError):
        return Exit.REFUSED
    return Exit.DEFECT if error.code == "INTERNAL" else Exit.USAGE
