"""Reaching the node that a command is about: through the socket in its data folder.

A command acts as the account that owns the socket, or, with `YIDAO_TOKEN_FILE`, as who
shows the token in that file: a session (`yidao user sign-in`) or a program (`yidao token new`).
`YIDAO_PURPOSE` says what for sensitive fields are read.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yidao.node.client import Client
from yidao.node.errors import NodeError

TOKEN_FILE = "YIDAO_TOKEN_FILE"  # noqa: S105 (the name of a variable)
PURPOSE = "YIDAO_PURPOSE"
_MAX_TOKEN_CHARACTERS = 256


class TokenFileUnreadable(NodeError):
    """The file with the caller's token cannot be read (params: path)."""

    code = "TOKEN_FILE_UNREADABLE"


@contextmanager
def connect(data: Path) -> Iterator[Client]:
    """A client of the node whose data folder this is.

    Raises:
        NodeUnreachable: No daemon answers there.
        TokenFileUnreadable: There is to be a token, and there is none.
    """
    with Client.open(data / "local.sock", token=token_of(dict(os.environ))) as client:
        purpose = os.environ.get(PURPOSE, "")
        yield client.with_purpose(purpose) if purpose else client


def token_of(environment: dict[str, str]) -> str:
    """Give the token that commands show; empty for none.

    Raises:
        TokenFileUnreadable: The file is not there or empty: a command that was to be
            somebody's must not become the machine's.
    """
    path = environment.get(TOKEN_FILE)
    if path is None:
        return ""
    try:
        with Path(path).open(encoding="ascii") as file:
            token = file.read(_MAX_TOKEN_CHARACTERS).strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token:
        raise TokenFileUnreadable(path=path)
    return token
