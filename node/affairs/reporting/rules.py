"""How a return lives: pure decisions over its versions.

A return is the object (pack, form, period, unit). Every payload that the unit
hands in is a version of it, from 1; the wrong ones count too and stay. One
table, `TRANSITIONS`, holds every state that a version may reach. The origin
moves a version by handing in; the direct parent of the origin by its verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from yidao.node.affairs.errors import (
    DecisionInvalid,
    ReasonMissing,
    ReasonTooLong,
    ReturnStateWrong,
    ReviewForbidden,
)
from yidao.sync.ids import Path

MAX_REASON_CHARACTERS = 500


class State(Enum):
    """Where one version stands; the value is what views and the local API show."""

    # Members are compared by identity; the usual hash is computed from the name, in Python.
    __hash__ = object.__hash__

    #: Handed in and well-formed; waits for the verdict.
    SUBMITTED = "submitted"
    #: The parent found it not well-formed; it can only be returned.
    DOUBTFUL = "doubtful"
    #: Wrong at the origin; never left it.
    REFUSED = "refused"
    #: Of a form that stays at its node; nobody reviews it.
    RECORDED = "recorded"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    #: Taken back by the origin before any verdict.
    WITHDRAWN = "withdrawn"
    #: A newer version was accepted or recorded.
    SUPERSEDED = "superseded"
    #: Beyond the cut of its node's revocation: it never counted.
    REVOKED = "revoked"


class Step(Enum):
    """What may happen to a version."""

    __hash__ = object.__hash__

    SUBMIT = "submit"
    REFUSE = "refuse"
    RECORD = "record"
    DOUBT = "doubt"
    ACCEPT = "accept"
    RETURN = "return"
    WITHDRAW = "withdraw"
    SUPERSEDE = "supersede"
    REVOKE = "revoke"


TRANSITIONS: Mapping[tuple[State | None, Step], State] = MappingProxyType(
    {
        (None, Step.SUBMIT): State.SUBMITTED,
        (None, Step.REFUSE): State.REFUSED,
        (None, Step.RECORD): State.RECORDED,
        (State.SUBMITTED, Step.DOUBT): State.DOUBTFUL,
        (State.SUBMITTED, Step.ACCEPT): State.ACCEPTED,
        (State.SUBMITTED, Step.RETURN): State.RETURNED,
        (State.DOUBTFUL, Step.RETURN): State.RETURNED,
        (State.SUBMITTED, Step.WITHDRAW): State.WITHDRAWN,
        (State.DOUBTFUL, Step.WITHDRAW): State.WITHDRAWN,
        # Where a withdrawal and a verdict cross, the verdict holds, whichever comes first.
        (State.WITHDRAWN, Step.ACCEPT): State.ACCEPTED,
        (State.WITHDRAWN, Step.RETURN): State.RETURNED,
        (State.WITHDRAWN, Step.SUPERSEDE): State.SUPERSEDED,
        (State.SUBMITTED, Step.SUPERSEDE): State.SUPERSEDED,
        (State.DOUBTFUL, Step.SUPERSEDE): State.SUPERSEDED,
        (State.ACCEPTED, Step.SUPERSEDE): State.SUPERSEDED,
        (State.RECORDED, Step.SUPERSEDE): State.SUPERSEDED,
        **{(state, Step.REVOKE): State.REVOKED for state in State},
    }
)

#: What a verdict is asked for; a new one on anything else is refused.
WAITING = frozenset({State.SUBMITTED, State.DOUBTFUL})
_COUNTED = frozenset({State.SUBMITTED, State.DOUBTFUL, State.ACCEPTED})
_SETTLING = frozenset({State.ACCEPTED, State.RECORDED})


def evolve(state: State | None, step: Step) -> State:
    """Give the state after a step; None is a version that does not exist yet.

    Raises:
        ReturnStateWrong: The table has no such step; nothing changes.
    """
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise ReturnStateWrong(state=state.value if state else "none", step=step.value) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a return as far as decisions need it.

    Attributes:
        position: Store position of its record; tells versions apart even where
            a faulty origin used one number twice.
    """

    number: int
    position: int
    state: State


def apply_step(versions: Sequence[Version], position: int, step: Step) -> tuple[Version, ...]:
    """Move one version, and supersede the older ones where the step settles the object.

    Raises:
        ReturnStateWrong: The version's state does not allow the step, or an
            accepted one is newer.
    """
    moved = next(version for version in versions if version.position == position)
    after = replace(moved, state=evolve(moved.state, step))
    return tuple(
        after if version.position == position else _behind(version, after) for version in versions
    )


def admit(versions: Sequence[Version], new: Version) -> tuple[Version, ...]:
    """Add a version that was just handed in, as `State.SUBMITTED`, `REFUSED` or `RECORDED`."""
    return (*(_behind(version, new) for version in versions), new)


def _behind(version: Version, settled: Version) -> Version:
    """Give `version` as it is once `settled` stands: older ones that still count give way."""
    older = (version.number, version.position) < (settled.number, settled.position)
    if settled.state in _SETTLING and older and (version.state, Step.SUPERSEDE) in TRANSITIONS:
        return replace(version, state=evolve(version.state, Step.SUPERSEDE))
    return version


def unsuperseded(versions: Sequence[Version]) -> frozenset[int]:
    """Give the positions of superseded versions that nothing settled stands over any more."""
    ordered = sorted(versions, key=lambda each: (each.number, each.position), reverse=True)
    free = set()
    for version in ordered:
        if version.state in _SETTLING:
            break
        if version.state is State.SUPERSEDED:
            free.add(version.position)
    return frozenset(free)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Which version of a return stands in the totals, by store position; None = none."""

    submitted: int | None
    accepted: int | None


def counts(state: State) -> tuple[bool, bool]:
    """Whether the only version of a return counts as submitted, and as accepted; see `counted`."""
    return state in _COUNTED, state is State.ACCEPTED


def counted(versions: Sequence[Version]) -> Counted:
    """Choose what counts: the newest that is handed in, and the one that is accepted."""
    ordered = sorted(versions, key=lambda version: (version.number, version.position))
    submitted = [version.position for version in ordered if version.state in _COUNTED]
    accepted = [version.position for version in ordered if version.state is State.ACCEPTED]
    return Counted(
        submitted=submitted[-1] if submitted else None, accepted=accepted[-1] if accepted else None
    )


class Outcome(Enum):
    """What becomes of one row that is handed in; the value is what the local API shows."""

    SUBMITTED = "submitted"
    RECORDED = "recorded"
    REFUSED = "refused"
    UNCHANGED = "unchanged"
    VALID = "valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The newest version of a return at its origin.

    Attributes:
        digest: `PayloadDigests.judged` of a version that was handed in,
            `PayloadDigests.raw` of one that was refused.
    """

    number: int
    state: State
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadDigests:
    """By which a row is recognised.

    Attributes:
        raw: SHA-256 of the row as it came; not asked for where it is right.
        judged: SHA-256 of the row as it would be handed in, computed fields
            and all; empty where the row cannot be completed.
    """

    raw: bytes
    judged: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDecision:
    """Attributes: number: the version that the row makes, or is equal to; 0 if it makes none."""

    outcome: Outcome
    number: int


def is_settled(current: Current | None, judged: bytes) -> bool:
    """Tell whether an equal payload stands already, so that nobody need judge it again.

    One that was refused is judged again, since what it lacked (a unit, a
    standard) may have come meanwhile; one that was returned or withdrawn may be
    handed in again as it is.
    """
    return (
        current is not None
        and judged != b""
        and current.digest == judged
        and current.state not in {State.REFUSED, State.RETURNED, State.WITHDRAWN}
    )


def decide_row(
    current: Current | None,
    digests: PayloadDigests,
    *,
    wrong: bool,
    stays_local: bool,
    dry_run: bool,
) -> RowDecision:
    """Decide what becomes of a row: the outcome and the version number that it makes."""
    if current is not None:
        still_refused = wrong and current.state is State.REFUSED and current.digest == digests.raw
        if still_refused or is_settled(current, digests.judged):
            return RowDecision(outcome=Outcome.UNCHANGED, number=current.number)
    if dry_run:
        return RowDecision(outcome=Outcome.REFUSED if wrong else Outcome.VALID, number=0)
    number = current.number + 1 if current else 1
    if wrong:
        return RowDecision(outcome=Outcome.REFUSED, number=number)
    return RowDecision(
        outcome=Outcome.RECORDED if stays_local else Outcome.SUBMITTED, number=number
    )


class Decision(Enum):
    """A reviewer's verdict; the value is its spelling in records and in the local API."""

    ACCEPT = "accept"
    RETURN = "return"

    @property
    def step(self) -> Step:
        """The step that the verdict takes."""
        return Step.ACCEPT if self is Decision.ACCEPT else Step.RETURN


def check_review(decision: str, reason: str) -> Decision:
    """Read a verdict.

    Raises:
        DecisionInvalid: Neither `accept` nor `return`.
        ReasonMissing: A return without a reason.
        ReasonTooLong: More than 500 characters.
    """
    _check_length(reason)
    try:
        verdict = Decision(decision)
    except ValueError:
        raise DecisionInvalid(decision=decision[:32]) from None
    if verdict is Decision.RETURN and not reason.strip():
        raise ReasonMissing
    return verdict


def _check_length(reason: str) -> None:
    if len(reason) > MAX_REASON_CHARACTERS:
        raise ReasonTooLong(length=len(reason), limit=MAX_REASON_CHARACTERS)


def check_waiting(state: State, step: Step) -> None:
    """Let a new verdict or withdrawal be written only on what waits for a verdict.

    Narrower than `TRANSITIONS`, which also says how steps that cross are folded.

    Raises:
        ReturnStateWrong: The version does not wait, or the step may not be.
    """
    if state not in WAITING:
        raise ReturnStateWrong(state=state.value, step=step.value)
    evolve(state, step)


def check_withdrawal(reason: str) -> None:
    """Let nothing be taken back without saying why.

    Raises:
        ReasonMissing: There is none.
        ReasonTooLong: More than 500 characters.
    """
    _check_length(reason)
    if not reason.strip():
        raise ReasonMissing


def check_reviewer(own_path: Path, origin_path: Path, record: str) -> None:
    """Let only the direct parent of the origin review.

    Raises:
        ReviewForbidden: This node is another one.
    """
    if origin_path.parent != own_path:
        raise ReviewForbidden(record=record, origin=str(origin_path))
