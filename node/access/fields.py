"""Which fields may be shown: by grade, purpose, and who reads. Pure, and asked by every reader.

Grades are those of the standard: 1 and 2 are shown to whoever may make the call.
From 3 on, and of what is personal, these steps decide:

1. The account that owns the socket, where it may do everything, sees all.
2. Who handed a row in, or fills for its institution, sees all of it.
3. The first line of the policy that fits grade, reader and purpose.
4. No line: masked in grade 3, refused in grade 4.
5. Nothing of these grades is shown without a purpose: then grade 3 is masked, grade 4 refused.

What is shown by step 3 stands in the audit with its purpose before it is answered.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import orjson

from yidao.catalog.masks import Outcome
from yidao.node.access.caller import Caller
from yidao.node.access.errors import PolicyInvalid
from yidao.node.access.roles import Role
from yidao.sync.errors import PathInvalid
from yidao.sync.ids import Path

#: From this grade on the policy is asked.
SENSITIVE: Final = 3
#: Of whatever is not known to be less: a field that no standard here names.
UNKNOWN: Final = SENSITIVE
MAX_RULES: Final = 64
MAX_PURPOSE_CHARACTERS: Final = 200
_ANYBODY: Final = "*"
_ABOVE: Final = "above"
_PROGRAM: Final = "token"
_ROLE: Final = "role:"
_PATH: Final = "path:"
_PURPOSE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e]{0,200}")
_FLOOR: Final = {3: Outcome.MASK, 4: Outcome.REFUSE}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """One line of the policy.

    Attributes:
        grade: 3 or 4.
        who: `role:reviewer`, `token` (any program), `above` (any office above that asks
            live), `path:/33` (that office, asking live), `*`.
        purpose: What the purpose must contain; empty for any.
    """

    grade: int
    who: str
    outcome: Outcome
    purpose: str = ""


#: What holds until another policy is set.
BUILT_IN: Final = (
    FieldRule(grade=3, who="role:reviewer", outcome=Outcome.SHOW),
    FieldRule(grade=3, who="role:approver", outcome=Outcome.SHOW),
    FieldRule(grade=4, who="role:reviewer", outcome=Outcome.MASK),
    FieldRule(grade=4, who="role:approver", outcome=Outcome.MASK),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who reads, as far as it decides on fields.

    Attributes:
        path: The office above that asks live; None for who calls here.
        sees_all: The account that owns the socket, where it may do everything.
    """

    roles: frozenset[Role] = frozenset()
    units: frozenset[str] = frozenset()
    actor: str = ""
    path: Path | None = None
    is_program: bool = False
    sees_all: bool = False
    purpose: str = ""

    @classmethod
    def of(cls, caller: Caller) -> Self:
        """Take who makes a call here."""
        return cls(
            roles=caller.roles,
            units=caller.units,
            actor=caller.actor,
            is_program=bool(caller.token_id),
            sees_all=caller.is_whole,
            purpose=caller.purpose,
        )

    @classmethod
    def above(cls, path: Path, purpose: str) -> Self:
        """Take an office that asks live; whom it asks for is its claim, and decides nothing."""
        return cls(path=path, purpose=purpose)

    def wrote(self, unit: str, author: str) -> bool:
        """Whether a row is the reader's own."""
        return unit in self.units or (bool(self.actor) and author == self.actor)


def decide(
    policy: Sequence[FieldRule], asker: Asker, grade: int, *, unit: str = "", author: str = ""
) -> Outcome:
    """Give what becomes of a field; the steps stand above.

    Args:
        policy: In force.
        asker: Who reads.
        grade: Of the field, at least 3 if it is personal.
        unit: Whose row it is in.
        author: The actor who handed the row in.
    """
    if grade < SENSITIVE or asker.sees_all or asker.wrote(unit, author):  # 1, 2
        return Outcome.SHOW
    floor = _FLOOR[min(grade, 4)]
    fitting = (each.outcome for each in policy if _fits(each, asker, grade))
    outcome = next(fitting, floor)  # 3, 4
    if outcome is Outcome.SHOW and not asker.purpose.strip():  # 5
        return floor
    return outcome


def _fits(rule: FieldRule, asker: Asker, grade: int) -> bool:
    return rule.grade == grade and rule.purpose in asker.purpose and _is_meant(rule.who, asker)


def _is_meant(who: str, asker: Asker) -> bool:
    if who == _ANYBODY:
        return True
    if asker.path is not None:
        return who in (_ABOVE, f"{_PATH}{asker.path}")
    if asker.is_program:
        return who == _PROGRAM
    return who.startswith(_ROLE) and who.removeprefix(_ROLE) in asker.roles


def check_policy(rules: Sequence[FieldRule]) -> None:
    """Say whether a policy is well formed.

    Raises:
        PolicyInvalid: Too many lines, or one that means nothing (params: line from 1, field).
    """
    if len(rules) > MAX_RULES:
        raise PolicyInvalid(line=MAX_RULES + 1, field="rules")
    for line, rule in enumerate(rules, 1):
        if rule.grade not in _FLOOR:
            raise PolicyInvalid(line=line, field="grade")
        if not _is_reader(rule.who):
            raise PolicyInvalid(line=line, field="who")
        if not is_purpose(rule.purpose):
            raise PolicyInvalid(line=line, field="purpose")


def _is_reader(who: str) -> bool:
    if who in (_ANYBODY, _ABOVE, _PROGRAM):
        return True
    if who.startswith(_PATH):
        try:
            Path.parse(who.removeprefix(_PATH))
        except PathInvalid:
            return False
        return True
    return who.startswith(_ROLE) and who.removeprefix(_ROLE) in set(Role)


def is_purpose(text: str) -> bool:
    """Whether a text may be a purpose: at most 200 characters that a person can read."""
    return _PURPOSE.fullmatch(text) is not None


def encode(rules: Sequence[FieldRule]) -> str:
    """Write a policy as JSON, for its record."""
    return orjson.dumps(
        [[each.grade, each.who, each.purpose, each.outcome.value] for each in rules]
    ).decode()


def decode(text: str) -> tuple[FieldRule, ...]:
    """Read what `encode` wrote."""
    return tuple(
        FieldRule(grade=grade, who=who, purpose=purpose, outcome=Outcome(outcome))
        for grade, who, purpose, outcome in orjson.loads(text)
    )
