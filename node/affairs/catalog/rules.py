"""How an entry comes to be published, and which entry stands: pure decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from yidao.catalog.resource import EntryState
from yidao.node.affairs.catalog.errors import EntryReviewerSame, EntryStateWrong
from yidao.node.affairs.errors import ReasonMissing, ReasonTooLong

MAX_REASON_CHARACTERS = 2_000


class Step(Enum):
    """What a person does with an entry; the value is what the local API calls it."""

    DRAFT = "draft"
    SUBMIT = "submit"
    REVIEW = "review"
    SEND_BACK = "send_back"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"


#: From no state at all an entry is drafted. A published or withdrawn entry keeps
#: standing while its next version goes the same way as a working copy.
TRANSITIONS: Mapping[tuple[EntryState | None, Step], EntryState] = MappingProxyType(
    {
        (None, Step.DRAFT): EntryState.DRAFT,
        (EntryState.DRAFT, Step.DRAFT): EntryState.DRAFT,
        (EntryState.DRAFT, Step.SUBMIT): EntryState.SUBMITTED,
        (EntryState.SUBMITTED, Step.SEND_BACK): EntryState.DRAFT,
        (EntryState.SUBMITTED, Step.REVIEW): EntryState.REVIEWED,
        (EntryState.REVIEWED, Step.SEND_BACK): EntryState.DRAFT,
        (EntryState.REVIEWED, Step.PUBLISH): EntryState.PUBLISHED,
        (EntryState.PUBLISHED, Step.DRAFT): EntryState.DRAFT,
        (EntryState.PUBLISHED, Step.WITHDRAW): EntryState.WITHDRAWN,
        (EntryState.WITHDRAWN, Step.DRAFT): EntryState.DRAFT,
    }
)

_NEED_REASON = frozenset({Step.SEND_BACK, Step.WITHDRAW})


def evolve(state: EntryState | None, step: Step) -> EntryState:
    """Give the state after a step.

    Raises:
        EntryStateWrong: The table has no such step; nothing changes.
    """
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise EntryStateWrong(
            state=state.value if state is not None else "none", step=step.value
        ) from None


def check_reviewer(reviewer: str, submitter: str, code: str) -> None:
    """Ask for a second pair of eyes.

    Raises:
        EntryReviewerSame: Who reviews is who submitted.
    """
    if reviewer == submitter:
        raise EntryReviewerSame(code=code)


def check_reason(step: Step, reason: str) -> None:
    """Ask for a reason where somebody is told no.

    Raises:
        ReasonMissing: Sending back or withdrawing without a reason.
        ReasonTooLong: Over 2,000 characters.
    """
    if step in _NEED_REASON and not reason.strip():
        raise ReasonMissing
    if len(reason) > MAX_REASON_CHARACTERS:
        raise ReasonTooLong(length=len(reason), limit=MAX_REASON_CHARACTERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is known of an entry: who owns it, its newest version and its state."""

    owner: bytes
    version: int
    state: EntryState


class Effect(Enum):
    """What a record of `up:15` does to the catalog."""

    ENTER = "enter"
    REPLACE = "replace"
    END = "end"
    CONTEST = "contest"
    IGNORE = "ignore"


def decide_entry(held: Held | None, step: Step, owner: bytes, version: int) -> Effect:
    """Decide what a publication or a withdrawal does; the first owner keeps the code."""
    if held is None:
        return Effect.ENTER if step is Step.PUBLISH else Effect.IGNORE
    if held.owner != owner:
        return Effect.CONTEST if step is Step.PUBLISH else Effect.IGNORE
    if step is Step.PUBLISH:
        return Effect.REPLACE if version > held.version else Effect.IGNORE
    stands = held.state is EntryState.PUBLISHED and version == held.version
    return Effect.END if stands else Effect.IGNORE
