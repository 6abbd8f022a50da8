"""What the asker is given: rows in pieces, and what became of every node that was asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from yidao.catalog.selection.columns import Cell, Column
from yidao.sync.ids import Path


class Fate(Enum):
    """How a node answered; the value is what the local API shows."""

    ANSWERED = "answered"
    LATE = "late"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    #: Enough rows had come from others.
    UNNEEDED = "unneeded"


@dataclass(slots=True, kw_only=True)
class NodeFate:
    """What became of one node's answer; see `NodeAnswer` of the local API."""

    path: Path
    fate: Fate = Fate.LATE
    code: str = "QUERY_TOO_LATE"
    params: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    cut: bool = False
    as_of_ms: int = 0
    cached: str = ""
    resource: str = ""
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One row or group of the answer; `path` is empty for a group."""

    cells: tuple[Cell, ...]
    path: str = ""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """Some of the answer's rows; the columns are the same every time."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The last word of an answer.

    Attributes:
        complete: Every node answered live, and nothing was left out.
    """

    nodes: tuple[NodeFate, ...]
    complete: bool
