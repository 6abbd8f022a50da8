"""Reaching the node that a command is about: through the socket in its data folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yidao.node.client import Client


@contextmanager
def connect(data: Path) -> Iterator[Client]:
    """A client of the node whose data folder this is.

    Raises:
        NodeUnreachable: No daemon answers there.
    """
    with Client.open(data / "local.sock") as client:
        yield client
