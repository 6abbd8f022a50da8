"""Kinds and payloads of the registry affair."""

import orjson

from yidao.sync.ids import Path
from yidao.sync.papers import MAX_TEXT_CHARS, paper_members

REGISTERED = "registry.unit.registered"
HANDED_OVER = "registry.unit.handed-over"
#: Bulk, to the root: everybody above may know the unit.
UP_CHANNEL = "up:15"


def object_of(unit: str) -> str:
    """Give the object name, `unit/<统一社会信用代码>`."""
    return f"unit/{unit}"


def encode_hand_over(to: Path, reason: str) -> bytes:
    """Give the core of a hand-over: the node that takes the unit, and why, as JSON."""
    return orjson.dumps({"reason": reason, "to": str(to)}, option=orjson.OPT_SORT_KEYS)


def read_hand_over(core: bytes) -> Path:
    """Give to which path a unit was handed over.

    Raises:
        PaperMalformed, PathInvalid: Another form.
    """
    members = paper_members(core)
    members.text("reason", MAX_TEXT_CHARS)
    return members.path("to", MAX_TEXT_CHARS)
