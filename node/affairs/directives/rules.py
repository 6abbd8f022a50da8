"""How a directive lives at each of its targets: pure decisions.

The issuer states it once; every target has a state of its own, moved by the
target's reports alone. One table, `TRANSITIONS`, holds all of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from types import MappingProxyType

from yidao.catalog.errors import CatalogError
from yidao.catalog.numbers import parse_decimal
from yidao.node.affairs.errors import (
    DirectiveFieldInvalid,
    DirectiveOrderWrong,
    DirectiveTargetInvalid,
)
from yidao.sync.errors import PathInvalid
from yidao.sync.ids import Path

MAX_TARGETS = 3_000
MAX_ENERGY_TARGETS = 3_000
MAX_BODY_CHARACTERS = 20_000
_MAX_TITLE_CHARACTERS = 200
_MAX_NOTE_CHARACTERS = 2_000
# The number stands in object names, between slashes: `国管节能〔2026〕12号`.
_NUMBER = re.compile(r"[^\s/\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]{1,48}")
_INDICATOR = re.compile(r"[A-Z][A-Za-z0-9_]{0,31}")
_YEARS = range(1980, 2200)


class State(Enum):
    """Where a target stands; the value is what views and the local API show."""

    #: Issued; nothing has been heard from the target.
    WAITING = "waiting"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    PROGRESSED = "progressed"
    COMPLETED = "completed"


class Step(Enum):
    """What a target reports; the value is its spelling in kinds and in the local API."""

    DELIVER = "delivered"
    ACKNOWLEDGE = "acknowledged"
    PROGRESS = "progressed"
    COMPLETE = "completed"
    PASS_ON = "passed_on"  # noqa: S105 - no password


TRANSITIONS: Mapping[tuple[State, Step], State] = MappingProxyType(
    {
        (State.WAITING, Step.DELIVER): State.DELIVERED,
        (State.DELIVERED, Step.ACKNOWLEDGE): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Step.PROGRESS): State.PROGRESSED,
        (State.PROGRESSED, Step.PROGRESS): State.PROGRESSED,
        (State.ACKNOWLEDGED, Step.COMPLETE): State.COMPLETED,
        (State.PROGRESSED, Step.COMPLETE): State.COMPLETED,
        # Passing on moves nothing: the target still answers for the whole.
        (State.DELIVERED, Step.PASS_ON): State.DELIVERED,
        (State.ACKNOWLEDGED, Step.PASS_ON): State.ACKNOWLEDGED,
        (State.PROGRESSED, Step.PASS_ON): State.PROGRESSED,
    }
)

#: What a person may report; delivery and passing on are written by the node.
REPORTED = frozenset({Step.ACKNOWLEDGE, Step.PROGRESS, Step.COMPLETE})


def evolve(state: State, step: Step) -> State:
    """Give a target's state after a step.

    Raises:
        DirectiveOrderWrong: The table has no such step; nothing changes.
    """
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise DirectiveOrderWrong(state=state.value, step=step.value) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTarget:
    """A figure that a target must reach; decimals are strings, empty where not set."""

    target: str
    year: int
    indicator: str
    base_year: int = 0
    base_value: str = ""
    change_percent: str = ""
    cap_value: str = ""
    binding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """What an issuer states, once.

    Attributes:
        targets: Paths strictly below the issuer.
        due: ISO date, or empty.
        expires: ISO date of the last day on which it may be applied, or empty.
        parent_directive: Object name of the directive that this one passes on, or empty.
    """

    number: str
    title: str
    body: str
    targets: tuple[str, ...]
    due: str = ""
    energy_targets: tuple[EnergyTarget, ...] = ()
    parent_directive: str = ""
    expires: str = ""

    def is_expired(self, today: date) -> bool:
        """Whether its last day is over."""
        return bool(self.expires) and today > date.fromisoformat(self.expires)


def check_directive(directive: Directive, issuer: Path) -> None:
    """Check everything that an issuer may get wrong.

    Raises:
        DirectiveFieldInvalid: A field is missing or out of range.
        DirectiveTargetInvalid: A target is not strictly below the issuer, or
            is named twice.
    """
    if _NUMBER.fullmatch(directive.number) is None:
        raise DirectiveFieldInvalid(field="number")
    if not 0 < len(directive.title.strip()) <= _MAX_TITLE_CHARACTERS:
        raise DirectiveFieldInvalid(field="title")
    if len(directive.body) > MAX_BODY_CHARACTERS:
        raise DirectiveFieldInvalid(field="body")
    if directive.due:
        _check_date(directive.due, "due")
    if directive.expires:
        _check_date(directive.expires, "expires")
    _check_targets(directive.targets, issuer)
    if len(directive.energy_targets) > MAX_ENERGY_TARGETS:
        raise DirectiveFieldInvalid(field="energy_targets")
    paths = [Path.parse(target) for target in directive.targets]
    for figure in directive.energy_targets:
        _check_figure(figure, paths)


def _check_date(text: str, field: str) -> None:
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        raise DirectiveFieldInvalid(field=field) from None
    # Other ISO spellings of the same day would make equal texts unequal.
    if parsed.isoformat() != text:
        raise DirectiveFieldInvalid(field=field)


def _check_targets(targets: Sequence[str], issuer: Path) -> None:
    if not 0 < len(targets) <= MAX_TARGETS:
        raise DirectiveFieldInvalid(field="targets")
    if len(set(targets)) != len(targets):
        raise DirectiveFieldInvalid(field="targets")
    for target in targets:
        try:
            below = issuer.is_ancestor_of(Path.parse(target))
        except PathInvalid:
            below = False
        if not below:
            raise DirectiveTargetInvalid(target=target[:512])


def _check_figure(figure: EnergyTarget, targets: Sequence[Path]) -> None:
    try:
        path = Path.parse(figure.target)
    except PathInvalid:
        raise DirectiveTargetInvalid(target=figure.target[:512]) from None
    if not any(path.is_within(target) for target in targets):
        raise DirectiveTargetInvalid(target=figure.target)
    if _INDICATOR.fullmatch(figure.indicator) is None:
        raise DirectiveFieldInvalid(field="energy_targets.indicator")
    if figure.year not in _YEARS:
        raise DirectiveFieldInvalid(field="energy_targets.year")
    if figure.base_year and figure.base_year not in _YEARS:
        raise DirectiveFieldInvalid(field="energy_targets.base_year")
    _check_decimal(figure.base_value, "energy_targets.base_value")
    _check_decimal(figure.change_percent, "energy_targets.change_percent")
    _check_decimal(figure.cap_value, "energy_targets.cap_value")
    if not (figure.change_percent or figure.cap_value):
        raise DirectiveFieldInvalid(field="energy_targets.cap_value")


def _check_decimal(text: str, field: str) -> None:
    if not text:
        return
    fraction = text.partition(".")[2]
    try:
        parse_decimal(text, 18, len(fraction))
    except CatalogError:
        raise DirectiveFieldInvalid(field=field) from None


def check_report(state: str, percent: int, note: str) -> Step:
    """Read what a target reports.

    Raises:
        DirectiveFieldInvalid: No such state, a percentage over 100 or of an
            acknowledgement, or a note over 2,000 characters.
    """
    try:
        step = Step(state)
    except ValueError:
        raise DirectiveFieldInvalid(field="state") from None
    if step not in REPORTED:
        raise DirectiveFieldInvalid(field="state")
    if not 0 <= percent <= 100 or (step is Step.ACKNOWLEDGE and percent):
        raise DirectiveFieldInvalid(field="percent")
    if len(note) > _MAX_NOTE_CHARACTERS:
        raise DirectiveFieldInvalid(field="note")
    return step


def percent_after(step: Step, percent: int, before: int) -> int:
    """Give the progress to show: what was reported, and 100 once completed."""
    if step is Step.COMPLETE:
        return 100
    return percent if step is Step.PROGRESS else before
