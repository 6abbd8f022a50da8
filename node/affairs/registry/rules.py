"""Which entry of a unit stands: pure decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from yidao.catalog.pack.model import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is known of a unit.

    Attributes:
        origin: Who hosts it; b"" if it was handed over and not taken yet.
        version: Of the newest entry.
        path: Where the host stands, or who the unit waits for.
    """

    origin: bytes
    version: int
    path: str


class Kinship(Enum):
    """How who sends an entry stands to the unit's host, by their enrolments."""

    NONE = "none"
    #: It was enrolled in the host's place.
    HEIR = "heir"
    #: The host was enrolled in its place.
    FOREBEAR = "forebear"


class Effect(Enum):
    """What an entry does to the registry."""

    ENTER = "enter"
    REPLACE = "replace"
    TAKE = "take"
    CONTEST = "contest"
    IGNORE = "ignore"


def decide_entry(
    held: Held | None, origin: bytes, version: int, path: str, kinship: Kinship
) -> Effect:
    """Decide what an entry does.

    The first host keeps the unit until it hands it over, or another node is enrolled in
    its place; older entries do nothing.

    Args:
        held: What is known of the unit.
        origin: Who sends the entry.
        version: The entry's.
        path: Where the sender stands.
        kinship: How it stands to the host.
    """
    if held is None:
        return Effect.ENTER
    if held.origin == origin:
        return Effect.REPLACE if version > held.version else Effect.IGNORE
    if not held.origin:
        return Effect.TAKE if held.path == path else Effect.CONTEST
    return {
        Kinship.HEIR: Effect.TAKE,
        Kinship.FOREBEAR: Effect.IGNORE,
        Kinship.NONE: Effect.CONTEST,
    }[kinship]


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
