"""Which entry of a unit stands: pure decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from yidao.catalog.pack.model import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is known of a unit: who hosts it, and the newest entry's version."""

    origin: bytes
    version: int


class Effect(Enum):
    """What an entry does to the registry."""

    ENTER = "enter"
    REPLACE = "replace"
    CONTEST = "contest"
    IGNORE = "ignore"


def decide_entry(held: Held | None, origin: bytes, version: int) -> Effect:
    """Decide what an entry does; the first host keeps the unit, older entries do nothing."""
    if held is None:
        return Effect.ENTER
    if held.origin != origin:
        return Effect.CONTEST
    return Effect.REPLACE if version > held.version else Effect.IGNORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The attributes of a unit that this program itself uses, from a pack's registry form.

    A pack may leave any of them out; the whole row stays with the unit.
    """

    name: str
    region_code: str
    inst_type: str


def entry_of(row: Mapping[str, Value]) -> Entry:
    """Read the attributes that are used here from a row."""
    return Entry(
        name=str(row.get("name", "")),
        region_code=str(row.get("region_code", "")),
        inst_type=str(row.get("inst_type", "")),
    )
