"""What befalls a tree of daemons and when, drawn from a seed before it begins.

Nothing is drawn while the tree runs, so a seed gives the same faults at the same seconds
again, whatever the tree does meanwhile.
"""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from tests.faults.links import DOWN, UP
from tests.faults.network import BAD_LINE, BLACK_HOLE, KBIT_64

_CLOSED: Final = {"closed": 1.0}
#: What the line of a node to its parent does, by direction.
LINES: Final[Mapping[str, Mapping[str, Mapping[str, float]]]] = {
    "line cut": {UP: _CLOSED, DOWN: _CLOSED},
    "half open up": {UP: _CLOSED, DOWN: {}},
    "half open down": {UP: {}, DOWN: _CLOSED},
    "lossy": {UP: BAD_LINE, DOWN: BAD_LINE},
    "slow": {UP: KBIT_64, DOWN: KBIT_64},
    "black hole": {UP: BLACK_HOLE, DOWN: BLACK_HOLE},
    "reset": {UP: {"reset": 3.0}, DOWN: {"reset": 3.0}},
}
KILLED: Final = "kill -9"
STOPPED: Final = "stopped"
FULL: Final = "disk full"
CLOCK: Final = "clock"
# How long each lasts, in seconds; and how often, beside the others.
_LASTS: Final[Mapping[str, tuple[float, float]]] = {
    **dict.fromkeys(LINES, (3.0, 30.0)),
    KILLED: (0.0, 10.0),
    STOPPED: (3.0, 25.0),
    FULL: (10.0, 30.0),
    CLOCK: (10.0, 40.0),
}
_WEIGHTS: Final[Mapping[str, float]] = {
    **dict.fromkeys(LINES, 1.0),
    KILLED: 3.0,
    STOPPED: 2.0,
    FULL: 1.0,
    CLOCK: 1.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """One fault.

    Attributes:
        at: Seconds after the begin.
        until: When it is lifted.
        victim: The node's number.
    """

    at: float
    until: float
    kind: str
    victim: int


def plan(
    seed: int,
    seconds: float,
    nodes: int,
    *,
    gap_seconds: float,
    spared: Collection[int],
    small: Collection[int],
) -> list[Mishap]:
    """Draw what befalls a tree; all ends in time.

    Args:
        seed: Of all that is drawn.
        seconds: How long it lasts.
        nodes: How many there are; number 0 has no parent.
        gap_seconds: From one fault to the next, on average.
        spared: Nodes that live all the time, so that what they take can be compared.
        small: Nodes whose disk can be filled.
    """
    draw = random.Random(seed)
    busy: dict[tuple[int, str], float] = {}
    found = []
    at = 0.0
    while (at := at + draw.expovariate(1 / gap_seconds)) < seconds:
        (kind,) = draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        among = {
            KILLED: [each for each in range(nodes) if each not in spared],
            FULL: sorted(small),
        }.get(kind, range(1, nodes))
        victim = draw.choice(among)
        until = min(seconds, at + draw.uniform(*_LASTS[kind]))
        # One fault of a sort at a time: the line, the process, the disk, the clock.
        sort = "line" if kind in LINES else {STOPPED: KILLED}.get(kind, kind)
        if busy.get((victim, sort), -1.0) < at:
            busy[victim, sort] = until
            found.append(Mishap(at=at, until=until, kind=kind, victim=victim))
    return found
