"""When a node may sign: the states of a start, and the verdicts that lead through them.

A node that was restored, rolled back or cloned does not know it. If it went on
signing where it believes to stand, it would sign two histories, and nobody could
tell that from malice. So a start is FENCED unless this machine itself remembers how
far the store was, and the neighbours say the rest: each tells in its Resume which
size and signed checkpoint it holds of the other's journals.

    FENCED    may not seal; reads, staging and the resuming of children go on
    RESUMING  was rolled back: own records come back from a neighbour
    REOPENING everything that could be had is here; a new epoch is opened
    ACTIVE    seals
    FORKED    two histories under one key are proved; a person must decide
    CLONED    another process speaks as this node; a person must decide

What has no place in the table changes nothing: a node that is forked stays so,
whatever its neighbours agree on, until an operator opens an epoch.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Final

from yidao.sync.checkpoint import Checkpoint


class Standing(Enum):
    """Whether a node may seal, and if not, why."""

    FENCED = "fenced"
    RESUMING = "resuming"
    REOPENING = "reopening"
    ACTIVE = "active"
    FORKED = "forked"
    CLONED = "cloned"


class Turn(Enum):
    """What can happen to a standing.

    Attributes:
        AGREED: A neighbour whose word suffices holds nothing that is not here.
        BEHIND: A neighbour holds, signed by our key, more than we do.
        LOST: A neighbour has our receipt for more of its records than we hold.
        DIVERGED: A neighbour holds another history, signed by our key.
        WAITED: Nobody answered for as long as the policy waits.
        REPLACED: The parent took a session of another process of this node.
        DECIDED: An operator wants a new epoch.
        OPENED: The new epoch's first record is durable.
        DOUBTED: The store is not the one that it was: its database was restarted or promoted.
    """

    AGREED = "agreed"
    BEHIND = "behind"
    LOST = "lost"
    DIVERGED = "diverged"
    WAITED = "waited"
    REPLACED = "replaced"
    DECIDED = "decided"
    OPENED = "opened"
    DOUBTED = "doubted"


TURNS: Final[Mapping[tuple[Standing, Turn], Standing]] = {
    (Standing.FENCED, Turn.AGREED): Standing.ACTIVE,
    (Standing.FENCED, Turn.BEHIND): Standing.RESUMING,
    (Standing.FENCED, Turn.LOST): Standing.RESUMING,
    (Standing.FENCED, Turn.DIVERGED): Standing.FORKED,
    (Standing.FENCED, Turn.WAITED): Standing.REOPENING,
    (Standing.FENCED, Turn.REPLACED): Standing.CLONED,
    (Standing.FENCED, Turn.DECIDED): Standing.REOPENING,
    (Standing.RESUMING, Turn.AGREED): Standing.REOPENING,
    (Standing.RESUMING, Turn.DIVERGED): Standing.FORKED,
    (Standing.RESUMING, Turn.WAITED): Standing.REOPENING,
    (Standing.RESUMING, Turn.REPLACED): Standing.CLONED,
    (Standing.RESUMING, Turn.DECIDED): Standing.REOPENING,
    (Standing.REOPENING, Turn.OPENED): Standing.ACTIVE,
    (Standing.REOPENING, Turn.REPLACED): Standing.CLONED,
    (Standing.ACTIVE, Turn.BEHIND): Standing.RESUMING,
    (Standing.ACTIVE, Turn.LOST): Standing.RESUMING,
    (Standing.ACTIVE, Turn.DIVERGED): Standing.FORKED,
    (Standing.ACTIVE, Turn.REPLACED): Standing.CLONED,
    (Standing.ACTIVE, Turn.DECIDED): Standing.REOPENING,
    (Standing.ACTIVE, Turn.DOUBTED): Standing.FENCED,
    (Standing.FORKED, Turn.DECIDED): Standing.REOPENING,
    (Standing.CLONED, Turn.DECIDED): Standing.REOPENING,
}


def turned(standing: Standing, turn: Turn) -> Standing:
    """Return the standing after a turn; one that has no place here changes nothing."""
    return TURNS.get((standing, turn), standing)


class Start(Enum):
    """What is known when a process starts.

    Attributes:
        FIRST: The folder was just enrolled and never ran.
        REMEMBERED: This machine remembers, since its boot, that the store was exactly here.
        DOUBTFUL: Nothing vouches for the store: a boot, a copy, another machine.
        RESTORED: A backup was unpacked here.
    """

    FIRST = "first"
    REMEMBERED = "remembered"
    DOUBTFUL = "doubtful"
    RESTORED = "restored"


_STARTS: Final[Mapping[Start, Standing]] = {
    Start.FIRST: Standing.ACTIVE,
    Start.REMEMBERED: Standing.ACTIVE,
    Start.DOUBTFUL: Standing.FENCED,
    # Whoever restores knows that something may be missing: never without a new epoch.
    Start.RESTORED: Standing.RESUMING,
}


def begun(start: Start) -> Standing:
    """Return the standing with which a process starts."""
    return _STARTS[start]


class Verdict(Enum):
    """How one of our journals stands against what a neighbour holds of it."""

    EQUAL = "equal"
    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"


def judge(held: Checkpoint, own_size: int, own_root_at: Callable[[int], bytes]) -> Verdict:
    """Compare a checkpoint that we signed, and a neighbour holds, with what is here.

    Args:
        held: Its signature is verified.
        own_size: How many records of that journal are here.
        own_root_at: The root of the first so many of them; asked up to `own_size` only.

    Returns:
        BEHIND does not yet say that the shorter history is the beginning of the longer
        one: that shows when the missing records come.
    """
    if held.size > own_size:
        return Verdict.BEHIND
    if own_root_at(held.size) != held.root:
        return Verdict.DIVERGED
    return Verdict.EQUAL if held.size == own_size else Verdict.AHEAD


def turn_of(verdicts: Iterable[Verdict], *, lost: bool) -> Turn:
    """Return what a neighbour's whole word means.

    Args:
        verdicts: On our journals of the epoch in which we would go on.
        lost: It has our receipt for more of its own records than we hold.
    """
    found = set(verdicts)
    if Verdict.DIVERGED in found:
        return Turn.DIVERGED
    if Verdict.BEHIND in found:
        return Turn.BEHIND
    return Turn.LOST if lost else Turn.AGREED
