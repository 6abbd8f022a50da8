"""Reads the energy targets of a directive from a JSON file."""

from pathlib import Path

import orjson

from yidao.node.cli.files import read_file
from yidao.node.client import EnergyTarget
from yidao.node.errors import NodeError


class TargetsFileInvalid(NodeError):
    """The file of energy targets is not a JSON array of targets. Params: path, reason."""

    code = "TARGETS_FILE_INVALID"


def read_targets(path: Path) -> tuple[EnergyTarget, ...]:
    """Return the targets that the file lists.

    Raises:
        InputFileUnreadable: The file cannot be read.
        TargetsFileInvalid: It holds something else.
    """
    try:
        entries = orjson.loads(read_file(path))
        return tuple(EnergyTarget(**entry) for entry in entries)
    except orjson.JSONDecodeError as error:
        raise TargetsFileInvalid(path=str(path), reason=str(error)) from None
    except TypeError:
        raise TargetsFileInvalid(path=str(path), reason="fields") from None
