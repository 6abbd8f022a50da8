"""By which values people choose among entries: pure."""

from collections.abc import Mapping
from enum import Enum

from yidao.catalog.resource import EntryState, Resource
from yidao.catalog.resourcecheck import FORMATS, UPDATE_CYCLES
from yidao.catalog.terms import entry_grams, title_grams
from yidao.sync.ids import Path

#: A value that no list has: it may come from a node with another list.
OTHER = "other"
_CLASS_DIGITS = 3


class Facet(Enum):
    """What entries are counted and chosen by; the value is its spelling in tables and answers."""

    #: The node that owns the entry, counted by the child below which it stands.
    OWNER = "owner"
    #: 类 and 项, the first three digits of the class code.
    CLASS = "class"
    SHARE_TYPE = "share_type"
    FORMAT = "format"
    UPDATE_CYCLE = "update_cycle"
    STATE = "state"


def owner_facet(depth: int) -> str:
    """Name the facet that counts owners by the node of a depth above them."""
    return f"{Facet.OWNER.value}:{depth}"


def facet_keys(resource: Resource, owner: Path, state: EntryState) -> set[tuple[str, ...]]:
    """Give every (facet, value) that an entry has."""
    return {
        *(
            (owner_facet(depth), str(Path(labels=owner.labels[:depth])))
            for depth in range(owner.depth + 1)
        ),
        (Facet.CLASS.value, resource.code[:_CLASS_DIGITS]),
        (Facet.SHARE_TYPE.value, str(resource.share_type.value)),
        (Facet.FORMAT.value, _known(resource.format, FORMATS)),
        (Facet.UPDATE_CYCLE.value, _known(resource.update_cycle, UPDATE_CYCLES)),
        (Facet.STATE.value, state.value),
    }


def gram_keys(resource: Resource) -> set[tuple[str, ...]]:
    """Give every run that an entry holds, those of its title once more under `in_title`."""
    held = {(gram,) for gram in entry_grams(resource)}
    return held | {(in_title(gram),) for gram in title_grams(resource)}


def in_title(gram: str) -> str:
    """Name a run as one of the title; no run has a blank of its own."""
    return f" {gram}"


def _known(value: str, values: Mapping[str, object]) -> str:
    return value if value in values else OTHER
